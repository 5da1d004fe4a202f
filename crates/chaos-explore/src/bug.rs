//! What is handed back: a minimal plan as an ordinary workload, with what was seen and how to see it again as its comments.
//!
//! ```text
//! # n3 answered a read with a value that had been overwritten
//! #
//! #   violated   linearizable, while under way: isolate leader
//! #   found      by trial 41 (triggers) of the search with seed 7; of 9 faults, 1 is left
//! #   fails      under 62 of 100 other seeds (95 %: 52 % to 71 %), simulated
//! #
//! #   chaos run bugs/linearizable.isolate-leader.yaml --world sim       the same run again
//! #   chaos replay bugs/linearizable.isolate-leader.yaml --until-violation   on real processes, until it shows
//! name: linearizable.isolate-leader
//! …
//! expect:
//!   violation: [linearizable]
//! ```
//!
//! The line that begins with `fails` is read back ([`share_of`]): it tells how many attempts a replay should make.

use chaos_history::Seed;
use chaos_plan::{Check, Workload};

use crate::generate::Strategy;
use crate::statistics::Share;
use crate::yaml::readable_yaml;

/// A bug that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Bug {
    /// What makes it the same bug as another one.
    pub signature: String,
    /// The minimal plan.
    pub workload: Workload,
    /// A seed under which it fails.
    pub seed: Seed,
    /// What is violated.
    pub check: Check,
    /// One sentence of the witness.
    pub sentence: String,
    /// The faults that were under way at the violation, in the plan's words.
    pub active: Vec<String>,
    /// The number of the trial that found it, from 0, and how its plan was drawn.
    pub trial: u64,
    /// How its plan was drawn.
    pub strategy: Strategy,
    /// How many faults the plan had that was drawn, and has now.
    pub faults: (usize, usize),
    /// How many trials shrinking and amplifying took.
    pub runs: (usize, usize),
    /// Under how many other seeds it fails; `None`: not estimated.
    pub share: Option<Share>,
    /// Under how many it failed when it was minimal, before it was amplified.
    pub share_before: Option<Share>,
}

/// Where a plan was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// In the simulator.
    Simulated,
    /// On real processes.
    Real,
}

impl Bug {
    /// The bug's file, which will be called `path` and was found by a search with this seed.
    #[must_use]
    pub fn to_yaml(&self, path: &str, search: Seed, tried: Tried) -> String {
        let world = match tried {
            Tried::Simulated => "sim",
            Tried::Real => "real",
        };
        let mut comments = vec![format!("# {}", one_line(&self.sentence)), "#".to_owned()];
        let active = if self.active.is_empty() { "no fault was".to_owned() } else { self.active.join(", ") };
        comments.push(format!("#   violated   {}; under way then: {}", self.check.name(), one_line(&active)));
        let (before, after) = self.faults;
        let left = if after == 1 { "1 is left".to_owned() } else { format!("{after} are left") };
        comments.push(format!(
            "#   found      by trial {} ({}) of the search with seed {search}; of {before} fault steps {left}",
            self.trial,
            self.strategy.name()
        ));
        if let Some(share) = self.share {
            comments.push(format!("{FAILS} {} of {} other seeds{}", share.failed, share.of, interval(share, tried)));
        }
        comments.push("#".to_owned());
        comments.push(format!("#   chaos run {path} --world {world}"));
        comments.push(format!("#   chaos replay {path} --world real --until-violation --attempts auto"));
        comments.join("\n") + "\n" + &readable_yaml(&self.to_workload())
    }

    /// The minimal plan, which expects its violation.
    #[must_use]
    pub fn to_workload(&self) -> Workload {
        let mut workload = self.workload.clone();
        workload.name.clone_from(&self.signature.replace('+', "-"));
        workload.about = format!("A minimal plan that violates {}.", self.check.name());
        if !workload.faults.steps.is_empty() {
            workload.faults.name = "minimal".to_owned();
            workload.faults.about = String::new();
        }
        workload.seed = Some(self.seed);
        workload.expect = Vec::new();
        workload.expect_violations =
            workload.checks.iter().copied().filter(|check| check.name() == self.check.name()).collect();
        workload
    }
}

const FAILS: &str = "#   fails      under";

fn interval(share: Share, tried: Tried) -> String {
    let simulated = match tried {
        Tried::Simulated => ", simulated",
        Tried::Real => "",
    };
    format!(" (95 %: {:.0} % to {:.0} %){simulated}", 100.0 * share.low, 100.0 * share.high)
}

/// Text of a witness without what would end a comment.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// How often the plan of this file was seen to fail, if the file says so.
#[must_use]
pub fn share_of(text: &str) -> Option<Share> {
    let line = text.lines().find_map(|line| line.strip_prefix(FAILS))?;
    let mut numbers = line.split(' ').filter_map(|word| word.parse::<u32>().ok());
    let (failed, of) = (numbers.next()?, numbers.next()?);
    (failed <= of && of > 0).then(|| Share::new(failed, of))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use chaos_plan::{Fault, Partition, Target, load_source};

    use super::*;
    use crate::generate::{Space, await_leader};
    use crate::signature::signature;
    use crate::tree::{fault_for, well_formed};
    use crate::yaml::placeless;

    fn bug() -> Bug {
        of(vec![Fault::partition(Partition::Isolate(Target::Leader))])
    }

    fn of(faults: Vec<Fault>) -> Bug {
        let mut workload = Space::of_reference(Some("read-unconfirmed"), BTreeSet::new()).base;
        let faults = faults.into_iter().map(|fault| fault_for(fault, Duration::from_millis(400)));
        workload.faults.steps = std::iter::once(await_leader()).chain(faults).collect();
        workload.faults.name = "x".to_owned();
        let workload = well_formed(workload).expect("a plan");
        Bug {
            signature: signature(&workload, Check::Linearizable),
            workload,
            seed: Seed(12),
            check: Check::Linearizable,
            sentence: "n3 answered a read\nwith an old value".to_owned(),
            active: vec!["isolate leader".to_owned()],
            trial: 41,
            strategy: Strategy::Triggers,
            faults: (9, 1),
            runs: (34, 900),
            share: Some(Share::new(62, 100)),
            share_before: None,
        }
    }

    #[test]
    fn the_file_is_an_ordinary_workload_that_expects_its_violation() {
        let bug = bug();
        let text = bug.to_yaml("bugs/x.yaml", Seed(7), Tried::Simulated);
        let nothing = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        let source = chaos_plan::Source { name: "x.yaml".to_owned(), text: text.clone() };
        let read = load_source(source, &[], &nothing).unwrap_or_else(|errors| panic!("{errors}\n{text}")).workload;
        assert_eq!(placeless(read.clone()), placeless(bug.to_workload()));
        assert_eq!(read.expect_violations, [Check::Linearizable]);
        assert_eq!((read.name.as_str(), read.seed), ("linearizable.isolate-leader", Some(Seed(12))));
        assert!(text.starts_with("# n3 answered a read with an old value\n#\n"), "{text}");
        assert!(text.contains("under 62 of 100 other seeds (95 %: 52 % to 71 %), simulated\n"), "{text}");
    }

    #[test]
    fn the_file_of_many_faults_has_a_name_that_a_workload_may_have() {
        let targets = [Target::Leader, Target::OldLeader, Target::Follower, Target::MinorityWithLeader];
        let faults = targets.map(|target| Fault::partition(Partition::Isolate(target)));
        let text = of(faults.into()).to_yaml("bugs/x.yaml", Seed(7), Tried::Simulated);
        let source = chaos_plan::Source { name: "x.yaml".to_owned(), text: text.clone() };
        let read = load_source(source, &[], &|_| Err(std::io::ErrorKind::NotFound.into()));
        assert!(read.is_ok(), "{text}");
    }

    #[test]
    fn how_often_it_fails_is_read_back() {
        let text = bug().to_yaml("bugs/x.yaml", Seed(7), Tried::Simulated);
        assert_eq!(share_of(&text), Some(Share::new(62, 100)));
        let unknown = Bug { share: None, ..bug() }.to_yaml("bugs/x.yaml", Seed(7), Tried::Real);
        assert_eq!(share_of(&unknown), None);
        assert_eq!(share_of("#   fails      under 9 of 3 other seeds"), None);
    }
}
