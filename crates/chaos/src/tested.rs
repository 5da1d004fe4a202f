//! Which variant of a system a run tested: the plan says version, profile and settings; the history, what the programs said of
//! themselves when they were asked before the start. The verdict rests on neither.

use std::collections::BTreeMap;

use chaos_history::{History, NodeId};
use chaos_plan::definition::{DefinedSystem, Tuned};
use chaos_plan::{RaftOptions, System, Workload};
use chaos_report::{Fact, Tested, TestedNode};

/// Between a program and its version, in the remark that a run's history keeps.
const IS_VERSION: &str = " is version ";

/// The remark that a run makes of a program's version.
pub(crate) fn remark(program: &str, version: &str) -> String {
    format!("{program}{IS_VERSION}{version}")
}

/// What that remark calls a program of a node that runs otherwise than the others.
pub(crate) fn of_node(program: &str, node: NodeId) -> String {
    format!("{program} of {node}")
}

/// What was tested, from the saved plan and the history.
pub(crate) fn tested(workload: &Workload, history: &History) -> Tested {
    match &workload.system {
        System::Raft(options) => of_raft(options, &history.header.chaos),
        System::Defined(system) => of_defined(system, &told(history)),
    }
}

fn of_raft(all: &RaftOptions, version: &str) -> Tested {
    let own = |(node, options): (&NodeId, &RaftOptions)| {
        let mut settings = differing(raft_settings(options), &raft_settings(all));
        // The specimens of all nodes stand at the report's head.
        if options.specimen != all.specimen {
            settings.push(fact("specimen", options.specimen.clone().unwrap_or_else(|| "none".to_owned())));
        }
        if options.program != all.program {
            let program = options.program.iter().map(|program| fact("program", program.display().to_string()));
            settings.extend(program);
        }
        if options.arguments != all.arguments {
            settings.push(fact("arguments", options.arguments.join(" ")));
        }
        TestedNode { node: *node, settings, programs: Vec::new() }
    };
    // What hardly anybody changes is told only where a node does.
    let settings = raft_settings(all).into_iter().take(RAFT_SETTINGS_TOLD).collect();
    Tested {
        version: Some(version.to_owned()),
        profile: "default".to_owned(),
        settings,
        programs: Vec::new(),
        nodes: all.nodes.iter().map(own).collect(),
    }
}

/// How many of the reference node's settings are told of all nodes.
const RAFT_SETTINGS_TOLD: usize = 3;

fn raft_settings(options: &RaftOptions) -> Vec<Fact> {
    let timeout = options.election_timeout;
    vec![
        fact("election-timeout", format!("{:?}..{:?}", timeout.min, timeout.max)),
        fact("heartbeat", format!("{:?}", options.heartbeat)),
        fact("pre-vote", options.pre_vote.to_string()),
        fact("check-quorum", options.check_quorum.to_string()),
        fact("stickiness", options.stickiness.to_string()),
        fact("lease-reads", options.lease_reads.to_string()),
        fact("request-timeout", format!("{:?}", options.request_timeout)),
    ]
}

fn of_defined(system: &DefinedSystem, told: &[Fact]) -> Tested {
    let known = |fact: &&Fact| system.definition.programs.contains_key(&fact.name);
    let programs: Vec<Fact> = told.iter().filter(known).cloned().collect();
    let own = |node: &NodeId| {
        let of = system.of_node(*node);
        let name = |program: &String| (of_node(program, *node), program.clone());
        let names: BTreeMap<String, String> = system.definition.programs.keys().map(name).collect();
        let programs = told.iter().filter_map(|told| Some(fact(names.get(&told.name)?, told.value.clone())));
        let programs: Vec<Fact> = programs.collect();
        let mut settings = Vec::new();
        let version = version(&of, &programs);
        if version != self::version(system, told) || of.programs != system.programs {
            settings.extend(version.map(|version| fact("version", version)));
        }
        if of.profile != system.profile {
            settings.push(fact("profile", of.profile.clone()));
        }
        settings.extend(differing(defined_settings(&of), &defined_settings(system)));
        TestedNode { node: *node, settings, programs }
    };
    Tested {
        version: version(system, &programs),
        profile: system.profile.clone(),
        settings: defined_settings(system),
        nodes: system.nodes.keys().map(own).collect(),
        programs,
    }
}

/// The version that was chosen; programs of the user's own are of the version that they tell.
fn version(system: &DefinedSystem, programs: &[Fact]) -> Option<String> {
    let own = programs.iter().find(|program| system.programs.contains_key(&program.name));
    own.map(|program| program.value.clone()).or_else(|| system.version().map(str::to_owned))
}

fn defined_settings(system: &DefinedSystem) -> Vec<Fact> {
    let written = |value: Tuned| match value {
        Tuned::Number(number) => number.to_string(),
        Tuned::Flag(flag) => flag.to_string(),
        Tuned::Text(text) => text,
    };
    system.tuned().into_iter().map(|(name, value)| fact(&name, written(value))).collect()
}

/// Those of a node that are not those of all.
fn differing(own: Vec<Fact>, all: &[Fact]) -> Vec<Fact> {
    own.into_iter().filter(|fact| !all.contains(fact)).collect()
}

/// Versions by program, as the history's remarks have them.
fn told(history: &History) -> Vec<Fact> {
    let remarks = history.notes().map(|(_, note)| note).filter(|note| note.mark.is_none());
    let remarks = remarks.filter_map(|note| note.text.split_once(IS_VERSION));
    remarks.map(|(program, version)| fact(program, version.to_owned())).collect()
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
            simulated: None,
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

    #[test]
    fn what_is_different_with_single_nodes_is_told_of_them() {
        let chosen =
            ["system=etcd", "system.version=3.4.23", "system.nodes.n3={version: 3.5.35, tune: {election: 900}}"];
        let remarks = [remark("etcd", "3.4.23"), remark(&of_node("etcd", NodeId::from_index(2)), "3.5.35")];
        let tested = of(&chosen, &remarks);
        assert_eq!(tested.programs, [fact("etcd", "3.4.23".to_owned())]);
        let settings = vec![fact("version", "3.5.35".to_owned()), fact("election", "900".to_owned())];
        let programs = vec![fact("etcd", "3.5.35".to_owned())];
        assert_eq!(tested.nodes, [TestedNode { node: NodeId::from_index(2), settings, programs }]);
        let raft = of(&["system=raft", "system.nodes.n2={heartbeat: 20ms, specimen: double-vote}"], &[]);
        let settings = vec![fact("heartbeat", "20ms".to_owned()), fact("specimen", "double-vote".to_owned())];
        assert_eq!(raft.nodes, [TestedNode { node: NodeId::from_index(1), settings, programs: Vec::new() }]);
    }
}
