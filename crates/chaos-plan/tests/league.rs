//! The league's workloads name no system: with one from the command line each loads for every shipped definition, and checks what
//! that system promises.

use std::path::{Path, PathBuf};
use std::process::Command;

use chaos_plan::{Check, StepAction, System, Workload, builtin, load, resolved_yaml, system_override};

const FAULTS: [&str; 5] = ["kill", "pause", "partition", "one-way", "partial-partition"];

fn file(fault: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../workloads/league")).join(format!("{fault}.yaml"))
}

fn with(fault: &str, overrides: &[String]) -> Result<Workload, String> {
    load(&file(fault), overrides).map(|loaded| loaded.workload).map_err(|errors| errors.render(false))
}

fn names(workload: &Workload) -> Vec<&'static str> {
    workload.checks.iter().map(|check| check.name()).collect()
}

/// What clients do and what is checked where it isn't the usual, as the scripts that run every system have it.
fn peculiar(system: &str) -> Vec<String> {
    let script = "source scripts/systems/lib-run.sh && peculiar \"$1\" 30s";
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let told = Command::new("bash").args(["-c", script, "bash", system]).current_dir(root).output();
    let told = told.expect("there is a bash");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let words = String::from_utf8(told.stdout).expect("overrides are text");
    words.lines().filter(|word| *word != "--set").map(str::to_owned).collect()
}

fn of(fault: &str, system: &str) -> Workload {
    let mut overrides = vec![system_override("system", system)];
    overrides.extend(peculiar(system));
    with(fault, &overrides).unwrap_or_else(|error| panic!("{system}: {error}"))
}

#[test]
fn each_loads_for_every_system_and_survives_being_saved() {
    for fault in FAULTS {
        for system in builtin::systems().iter().map(|built_in| built_in.name).chain(["raft"]) {
            let workload = of(fault, system);
            assert_eq!((workload.name.as_str(), workload.nodes), (fault, 3));
            let saved = resolved_yaml(&workload);
            let nothing = |_: &str| Err(std::io::ErrorKind::NotFound.into());
            let source = chaos_plan::Source { name: "saved.yaml".to_owned(), text: saved };
            let again = chaos_plan::load_source(source, &[], &nothing).unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!(again.workload.checks, workload.checks, "{fault} of {system}");
        }
    }
}

#[test]
fn without_a_system_the_remedy_is_named() {
    let error = with("kill", &[]).unwrap_err();
    assert!(error.contains("system") && error.contains("`--system etcd`"), "{error}");
}

#[test]
fn the_number_of_faults_is_set_from_outside() {
    let times = |overrides: &[String]| {
        let workload = with("kill", overrides).unwrap();
        let StepAction::Repeat { times, .. } = workload.faults.steps[0].action else { panic!("{:?}", workload.faults) };
        times
    };
    let system = "system=etcd".to_owned();
    assert_eq!(times(std::slice::from_ref(&system)), 20);
    assert_eq!(times(&[system, "faults.steps.repeat=3".to_owned()]), 3);
}

#[test]
fn profile_and_version_stand_beside_the_name_whatever_the_file_says() {
    let chosen = [("system", "etcd"), ("system.version", "3.5.1"), ("system.profile", "fast")];
    let chosen = chosen.map(|(key, name)| system_override(key, name));
    for workload in [with("kill", &chosen), load(Path::new("kill"), &chosen).map(|l| l.workload).map_err(|_| "".into())]
    {
        let System::Defined(defined) = workload.unwrap().system else { panic!("the reference node") };
        assert_eq!((defined.version(), defined.profile.as_str()), (Some("3.5.1"), "fast"));
    }
}

#[test]
fn what_looks_like_yaml_is_a_name_all_the_same() {
    let error = with("kill", &[system_override("system", "{ use: etcd }")]).unwrap_err();
    assert!(error.contains("{ use: etcd }"), "{error}");
    assert_eq!(system_override("system", "./a b.yaml"), "system=\"./a b.yaml\"");
    assert_eq!(system_override("system.version", "3.5.1"), "system.version=3.5.1");
}

#[test]
fn promised_stands_for_what_the_system_promises() {
    let four = ["election-safety", "term-monotonic", "linearizable", "no-lost-writes", "recovers"];
    assert_eq!(names(&of("kill", "etcd")), four);
    assert_eq!(names(&of("kill", "raft")), four);
    // Reads of NATS may be stale; Redis promises nothing at all; VRRP one master at any time.
    assert_eq!(names(&of("kill", "nats")), ["election-safety", "term-monotonic", "no-lost-writes", "recovers"]);
    assert_eq!(names(&of("kill", "redis")), ["recovers"]);
    assert_eq!(names(&of("kill", "keepalived")), ["one-leader"]);
}

#[test]
fn a_check_that_is_named_besides_keeps_its_options() {
    let checks = "checks=[one-leader: { overlap: 5s }, promised]".to_owned();
    let workload = with("kill", &["system=keepalived".to_owned(), checks]).unwrap();
    let overlap = std::time::Duration::from_secs(5);
    assert_eq!(workload.checks, [Check::OneLeaderAtATime { overlap }]);
}

#[test]
fn promised_alone_of_a_system_that_promises_nothing_is_refused() {
    let system = "system=redis".to_owned();
    let error = with("kill", &[system.clone(), "checks=[promised]".to_owned()]).unwrap_err();
    assert!(error.contains("nothing is checked") && error.contains("`redis` promises nothing"), "{error}");
    let error = with("kill", &[system.clone(), "checks=[promised, promised, reelection: { within: 9s }]".to_owned()]);
    assert!(error.unwrap_err().contains("`promised` is checked already"));
    let error = with("kill", &[system, "checks=[promissed]".to_owned()]).unwrap_err();
    assert!(error.contains("did you mean `promised`"), "{error}");
}
