//! Which variant of a system a run tested: the plan says version, profile and settings; the history, what the programs said of
//! themselves when they were asked before the start. The verdict rests on neither.

use chaos_history::History;
use chaos_plan::definition::{DefinedSystem, Tuned};
use chaos_plan::{RaftOptions, System, Workload};
use chaos_report::{Fact, Tested};

/// Between a program and its version, in the remark that a run's history keeps.
const IS_VERSION: &str = " is version ";

/// The remark that a run makes of a program's version.
pub(crate) fn remark(program: &str, version: &str) -> String {
    format!("{program}{IS_VERSION}{version}")
}

/// What was tested, from the saved plan and the history.
pub(crate) fn tested(workload: &Workload, history: &History) -> Tested {
    match &workload.system {
        System::Raft(options) => of_raft(options, &history.header.chaos),
        System::Defined(system) => of_defined(system, told(history, system)),
    }
}

fn of_raft(options: &RaftOptions, version: &str) -> Tested {
    let timeout = options.election_timeout;
    Tested {
        version: Some(version.to_owned()),
        profile: "default".to_owned(),
        settings: vec![
            fact("election-timeout", format!("{:?}..{:?}", timeout.min, timeout.max)),
            fact("heartbeat", format!("{:?}", options.heartbeat)),
            fact("pre-vote", options.pre_vote.to_string()),
        ],
        programs: Vec::new(),
    }
}

fn of_defined(system: &DefinedSystem, programs: Vec<Fact>) -> Tested {
    let written = |value: Tuned| match value {
        Tuned::Number(number) => number.to_string(),
        Tuned::Flag(flag) => flag.to_string(),
        Tuned::Text(text) => text,
    };
    // Programs of the user's own are of the version that they tell.
    let own = programs.iter().find(|program| system.programs.contains_key(&program.name));
    Tested {
        version: own.map(|program| program.value.clone()).or_else(|| system.version().map(str::to_owned)),
        profile: system.profile.clone(),
        settings: system.tuned().into_iter().map(|(name, value)| fact(&name, written(value))).collect(),
        programs,
    }
}

/// Versions by program, as the history's remarks have them.
fn told(history: &History, system: &DefinedSystem) -> Vec<Fact> {
    let remarks = history.notes().map(|(_, note)| note).filter(|note| note.mark.is_none());
    let remarks = remarks.filter_map(|note| note.text.split_once(IS_VERSION));
    let known = remarks.filter(|(program, _)| system.definition.programs.contains_key(*program));
    known.map(|(program, version)| fact(program, version.to_owned())).collect()
}

fn fact(name: &str, value: String) -> Fact {
    Fact { name: name.to_owned(), value }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use chaos_history::{Event, Header, NoteEvent, Recorded, RunNanos, Seed, Testimony};

    use super::*;

    fn history(remarks: &[String]) -> History {
        let header = Header {
            chaos_history: 1,
            workload: "kill".to_owned(),
            system: "etcd".to_owned(),
            nodes: 3,
            seed: Seed(1),
            started: "2026-11-21T02:48:11Z".to_owned(),
            chaos: "0.1.0".to_owned(),
            testimony: Testimony::default(),
        };
        let note = |(index, text): (usize, &String)| {
            let event = Event::Note(NoteEvent { mark: None, text: text.clone() });
            Recorded { line: index + 2, at: RunNanos(0), event }
        };
        History { header, events: remarks.iter().enumerate().map(note).collect(), torn: false }
    }

    fn of(overrides: &[&str], remarks: &[String]) -> Tested {
        let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
        let loaded = chaos_plan::load(Path::new("kill"), &overrides);
        let Ok(loaded) = loaded else { panic!("the overrides are valid") };
        tested(&loaded.workload, &history(remarks))
    }

    #[test]
    fn version_profile_and_settings_are_those_of_the_plan() {
        let chosen = ["system=etcd", "system.version=3.5.1", "system.profile=fast", "system.tune.heartbeat=25"];
        let remarks = [remark("etcd", "3.5.1"), remark("somebody", "9"), "etcd was slow".to_owned()];
        let tested = of(&chosen, &remarks);
        assert_eq!((tested.version.as_deref(), tested.profile.as_str()), (Some("3.5.1"), "fast"));
        assert_eq!(tested.programs, [fact("etcd", "3.5.1".to_owned())]);
        assert!(tested.settings.contains(&fact("heartbeat", "25".to_owned())), "{:?}", tested.settings);
        assert!(tested.settings.contains(&fact("pre_vote", "true".to_owned())));
    }

    #[test]
    fn a_program_of_the_users_own_has_the_version_that_it_tells() {
        let chosen = ["system=etcd", "system.programs.etcd=/opt/etcd"];
        assert_eq!(of(&chosen, &[remark("etcd", "3.9.9")]).version.as_deref(), Some("3.9.9"));
        assert_eq!(of(&["system=etcd"], &[remark("etcd", "3.9.9")]).version.as_deref(), Some("3.5.1"));
    }

    #[test]
    fn the_reference_node_has_its_timeouts_as_settings() {
        let tested = of(&["system.raft.heartbeat=20ms"], &[]);
        assert!(tested.settings.contains(&fact("heartbeat", "20ms".to_owned())), "{:?}", tested.settings);
    }
}
