//! A portfolio of ways to draw a plan, one per seed: which one is best depends on the bug, so none is alone.
//!
//! | strategy | what it draws | what it is for |
//! |---|---|---|
//! | [`Swarm`](Strategy::Swarm) | each kind of fault takes part with p = 0.4; times, targets, clients too | broad mistakes |
//! | [`Triggers`](Strategy::Triggers) | the same, 0–300 ms after what is seen: an election, a vote | windows of milliseconds |
//! | [`Template`](Strategy::Template) | hand-written scenarios with drawn times | what takes several steps in order |
//! | [`Own`](Strategy::Own) | changes of the plan that the user has named | its neighbourhood |
//! | [`Corpus`](Strategy::Corpus) | changes of plans that reached states which no other reached | what lies behind them |
//!
//! Sources: Groce et al., "Swarm Testing" (ISSTA 2012): leaving most features out of each run finds more, since those that are in can do
//! what the others would have hidden. FoundationDB's and TigerBeetle's simulators draw the environment too. That several strategies
//! beside each other beat the best one was measured for this project: faults set off by events found vote- and term-loss bugs which
//! schedules by the clock missed in ten thousand seeds, and cost three times the seeds where they are not needed.
//!
//! A drawn plan says all its numbers: nothing is left for the run to draw but which follower is meant by `follower`. So a plan that
//! failed keeps failing while it is being cut down.

pub(crate) mod environment;
pub(crate) mod faults;
mod templates;
pub(crate) mod triggers;

use std::collections::BTreeSet;
use std::time::Duration;

use chaos_history::{FaultKind, Seed};
use chaos_plan::{Awaited, FaultPlan, Step, StepAction, System, Workload, load_source};

use crate::draw::Draws;
use crate::mutate;
use crate::tree::{fault_for, normal, step, together, wait, well_formed};

use faults::Class;
pub(crate) use faults::retarget;

/// How a plan was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strategy {
    /// Faults by the clock.
    Swarm,
    /// Faults set off by what is seen.
    Triggers,
    /// A hand-written scenario with drawn times.
    Template,
    /// A change of the user's own plan.
    Own,
    /// A change of a plan that found new states.
    Corpus,
}

impl Strategy {
    /// All, in the order in which they are told.
    pub const ALL: [Self; 5] = [Self::Swarm, Self::Triggers, Self::Template, Self::Own, Self::Corpus];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Swarm => "swarm",
            Self::Triggers => "triggers",
            Self::Template => "template",
            Self::Own => "own-plan",
            Self::Corpus => "corpus",
        }
    }
}

/// What may be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Space {
    /// The system, its checks, and what is not varied.
    pub base: Workload,
    /// Whether the workload is the user's: then its checks, nodes and loads are what is to be tested, and its plan is one to start from.
    pub own: bool,
    /// What the world can break.
    pub kinds: BTreeSet<FaultKind>,
}

impl Space {
    /// The reference node, or a broken one, under everything that the world can break.
    ///
    /// # Panics
    /// If the built-in workload is not one, which a test rules out.
    #[must_use]
    pub fn of_reference(specimen: Option<&str>, kinds: BTreeSet<FaultKind>) -> Self {
        let nothing = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        let source = chaos_plan::Source { name: "base.yaml".to_owned(), text: include_str!("base.yaml").to_owned() };
        let mut base = load_source(source, &[], &nothing).expect("the built-in workload is one").workload;
        if let System::Raft(options) = &mut base.system {
            options.specimen = specimen.map(str::to_owned);
        }
        Self { base, own: false, kinds }
    }

    /// A user's workload.
    #[must_use]
    pub fn of(workload: Workload, kinds: BTreeSet<FaultKind>) -> Self {
        Self { base: normal(Workload { seed: None, ..workload }), own: true, kinds }
    }

    /// The classes of fault that may be drawn, in a cluster of so many nodes.
    pub(crate) fn classes(&self, nodes: usize) -> Vec<Class> {
        Class::ALL
            .into_iter()
            .filter(|class| self.kinds.contains(&class.kind()) && class.fits(nodes, &self.base.system))
            .collect()
    }
}

/// A plan to try.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// The workload.
    pub workload: Workload,
    /// The seed to run it under.
    pub seed: Seed,
    /// How it was drawn.
    pub strategy: Strategy,
}

/// Draws the plan of this number in a search of this seed. `corpus` are plans that found something new.
#[must_use]
pub fn draw(space: &Space, search: Seed, number: u64, corpus: &[Workload]) -> Drawn {
    let mut draws = Draws::of(search, &format!("trial {number}"));
    let seed = draws.seed();
    let own = if space.own && !space.base.faults.steps.is_empty() { 25 } else { 0 };
    let learnt = if corpus.is_empty() { 0 } else { 10 };
    let strategy = draws.weighted(&[
        (40, Strategy::Swarm),
        (35, Strategy::Triggers),
        (15, Strategy::Template),
        (own, Strategy::Own),
        (learnt, Strategy::Corpus),
    ]);
    let drawn = match strategy {
        Strategy::Swarm | Strategy::Triggers => None,
        Strategy::Template => from_template(space, &mut draws),
        Strategy::Own => changed(space, &space.base, &mut draws),
        Strategy::Corpus => changed(space, &corpus[draws.index(corpus.len())], &mut draws),
    };
    match drawn {
        Some(workload) => Drawn { workload, seed, strategy },
        None => {
            // What a template or a change came to is no plan of this system: then one of those that always are.
            let strategy = if strategy == Strategy::Triggers { strategy } else { Strategy::Swarm };
            Drawn { workload: from_nothing(space, strategy == Strategy::Triggers, &mut draws), seed, strategy }
        }
    }
}

/// A change of a plan that is there.
fn changed(space: &Space, of: &Workload, draws: &mut Draws) -> Option<Workload> {
    let mut changed = of.clone();
    for _ in 0..draws.between(1, 4) {
        mutate::change(&mut changed, space, draws);
    }
    well_formed(changed)
}

/// A hand-written scenario in a drawn environment.
fn from_template(space: &Space, draws: &mut Draws) -> Option<Workload> {
    let mut workload = space.base.clone();
    environment::draw(&mut workload, space, draws);
    let (name, steps) = templates::draw(workload.nodes, draws)?;
    workload.faults = plan(name, steps);
    let workload = well_formed(workload)?;
    let possible = chaos_plan::all_steps(&workload.faults.steps)
        .into_iter()
        .filter_map(Step::fault)
        .all(|fault| space.kinds.contains(&fault.kind()));
    possible.then_some(workload)
}

/// A plan of drawn faults.
fn from_nothing(space: &Space, with_triggers: bool, draws: &mut Draws) -> Workload {
    let mut workload = space.base.clone();
    environment::draw(&mut workload, space, draws);
    let nodes = workload.nodes;
    let all = space.classes(nodes);
    if all.is_empty() {
        return normal(workload);
    }
    let mut classes: Vec<Class> = all.iter().copied().filter(|_| draws.percent(40)).collect();
    if classes.is_empty() {
        classes.push(draws.one_of(&all));
    }
    let horizon = draws.between(1_000, 6_000);
    let count = draws.millis_by_magnitude(1, 12).as_millis();
    let mut branches = Vec::new();
    if space.kinds.contains(&FaultKind::Link) && draws.percent(30) {
        let weather = environment::weather(draws);
        branches.push(vec![fault_for(weather, Duration::from_millis(horizon))]);
    }
    if with_triggers {
        branches.extend(triggers::shake(&all, horizon, draws));
    }
    for _ in 0..count {
        let class = draws.one_of(&classes);
        if with_triggers && draws.percent(70) {
            branches.push(triggers::branch(class, &workload, horizon, draws));
        } else {
            branches.push(vec![wait(draws.millis(1, horizon)), faults::timed(class, nodes, draws)]);
        }
    }
    let mut steps = vec![await_leader()];
    steps.extend(together(branches));
    workload.faults = plan(if with_triggers { "triggers" } else { "swarm" }, steps);
    normal(workload)
}

/// Clients run and somebody leads.
pub(crate) fn await_leader() -> Step {
    step(StepAction::Await { what: Awaited::Leader, within: Duration::from_secs(10) })
}

fn plan(name: &str, steps: Vec<Step>) -> FaultPlan {
    FaultPlan { name: name.to_owned(), about: String::new(), steps }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::yaml::{placeless, readable_yaml};

    fn everything() -> Space {
        Space::of_reference(None, FaultKind::ALL.into_iter().collect())
    }

    #[test]
    fn every_drawn_plan_is_an_ordinary_workload_that_reads_back_to_itself() {
        let space = everything();
        let mut corpus = Vec::new();
        for number in 0..1_500 {
            let drawn = draw(&space, Seed(11), number, &corpus);
            let read = well_formed(drawn.workload.clone());
            assert_eq!(read.as_ref(), Some(&drawn.workload), "{number}: {}", readable_yaml(&drawn.workload));
            if number % 50 == 0 {
                corpus.push(drawn.workload);
            }
        }
    }

    #[test]
    fn what_people_are_shown_reads_back_too() {
        let space = everything();
        let nothing = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        for number in 0..25 {
            let workload = draw(&space, Seed(12), number, &[]).workload;
            let text = readable_yaml(&workload);
            let source = chaos_plan::Source { name: "bug.yaml".to_owned(), text: text.clone() };
            let read = load_source(source, &[], &nothing).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
            assert_eq!(placeless(read.workload), placeless(workload), "{text}");
            assert!(!text.contains("place:"), "{text}");
        }
    }

    #[test]
    fn the_same_number_is_the_same_plan_whatever_came_before() {
        let space = everything();
        assert_eq!(draw(&space, Seed(3), 40, &[]), draw(&space, Seed(3), 40, &[]));
        assert_ne!(draw(&space, Seed(3), 40, &[]).workload, draw(&space, Seed(4), 40, &[]).workload);
    }

    #[test]
    fn every_strategy_and_every_class_is_drawn() {
        let space = Space { own: true, ..everything() };
        let mut base = space.clone();
        base.base = draw(&space, Seed(5), 0, &[]).workload;
        let mut strategies = BTreeMap::new();
        let mut kinds = BTreeSet::new();
        for number in 0..600 {
            let drawn = draw(&base, Seed(6), number, std::slice::from_ref(&base.base));
            *strategies.entry(drawn.strategy).or_insert(0) += 1;
            let steps = chaos_plan::all_steps(&drawn.workload.faults.steps);
            kinds.extend(steps.into_iter().filter_map(Step::fault).map(chaos_plan::Fault::kind));
        }
        assert_eq!(strategies.len(), Strategy::ALL.len(), "{strategies:?}");
        let possible: BTreeSet<FaultKind> = Class::ALL.into_iter().map(Class::kind).collect();
        assert!(possible.is_subset(&kinds), "never drawn: {:?}", possible.difference(&kinds));
    }

    #[test]
    fn what_the_world_cannot_do_is_never_drawn() {
        let kinds = BTreeSet::from([FaultKind::Kill, FaultKind::Pause]);
        let space = Space::of_reference(Some("double-vote"), kinds.clone());
        for number in 0..300 {
            let workload = draw(&space, Seed(7), number, &[]).workload;
            let System::Raft(options) = &workload.system else { panic!("the reference node") };
            assert_eq!(options.specimen.as_deref(), Some("double-vote"));
            for step in chaos_plan::all_steps(&workload.faults.steps) {
                assert!(step.fault().is_none_or(|fault| kinds.contains(&fault.kind())), "{step:?}");
            }
        }
    }
}
