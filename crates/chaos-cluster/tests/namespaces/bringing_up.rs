//! From an empty run directory to a cluster that is ready: files, set-up, order, patience, and who is to blame.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chaos_cluster::StartError;
use chaos_engine::FaultChange;
use chaos_history::NodeId;
use chaos_plan::KillSignal;
use chaos_systems::{Launch, LaunchFile, Preparation};

use crate::rig::{LONG, Rig, Stub, process, shell, states};
use crate::{Case, eventually};

pub(crate) const CASES: &[Case] = &[
    ("files_and_set_up_come_once_and_before_the_start", files_and_set_up_come_once),
    ("a_set_up_that_fails_names_its_command_and_log", a_set_up_that_fails),
    ("a_set_up_that_hangs_is_ended_with_the_patience", a_set_up_that_hangs),
    ("a_command_is_tried_again_until_it_succeeds", a_command_is_tried_again),
    ("a_command_that_never_succeeds_fails_the_start", a_command_that_never_succeeds),
    ("service_nodes_are_up_before_the_others_and_never_asked", service_nodes_are_first),
    ("nodes_that_join_one_by_one_wait_for_answers", nodes_that_join_one_by_one),
    ("a_cluster_that_is_never_ready_says_what_is_missing", a_cluster_that_is_never_ready),
    ("what_set_up_leaves_running_is_ended", what_set_up_leaves_running),
];

const KILL: FaultChange = FaultChange::Kill(KillSignal::KILL);
const IDLE: &str = "exec sleep 1000";

fn once(script: &str) -> Preparation {
    Preparation { command: shell(script), retry_for: Duration::ZERO }
}

fn again(script: &str, retry_for: Duration) -> Preparation {
    Preparation { command: shell(script), retry_for }
}

fn files_and_set_up_come_once() {
    let launch = |_: NodeId, data: &Path| {
        let directory = data.parent().unwrap().to_owned();
        let file = |name: &str, mode| LaunchFile { path: directory.join(name), text: name.to_owned(), mode };
        let mut setup = once("cat etc/secret >> setup.seen; stat -c %a etc/secret >> setup.seen");
        setup.command.directory = Some(directory.clone());
        let mut main = process(
            "node",
            "cat setup.seen etc/secret stale >&2; touch stale; mkdir stales; echo $WORD; exec sleep 1000",
        );
        main.command.directory = Some(directory.clone());
        main.command.environment = vec![("WORD".into(), "environment".into())];
        Launch {
            files: vec![file("etc/secret", Some(0o600))],
            setup: vec![setup],
            remove: vec![directory.join("stale"), directory.join("stales"), directory.join("never-there")],
            processes: vec![main],
        }
    };
    let mut rig = Rig::of(Path::new("/tmp"), Stub::new(1, 0, launch));
    rig.try_start().unwrap();
    let missing = "cat: stale: No such file or directory\n";
    let seen = format!("secret600\netc/secret{missing}").replace("secret600", "etc/secret600");
    eventually("it runs", LONG, || rig.file(1, "stdout.log") == "environment\n");
    assert_eq!(rig.file(1, "stderr.log"), seen);
    assert_eq!(rig.fault(KILL, &[1]).error, None);
    assert_eq!(rig.fault(FaultChange::Restart, &[1]).error, None);
    // Set up once; what is to be removed is gone again.
    eventually("it runs again", LONG, || rig.file(1, "stdout.log") == "environment\nenvironment\n");
    assert_eq!(rig.file(1, "stderr.log"), seen.repeat(2));
    assert_eq!(rig.file(1, "setup.log").lines().count(), 1, "the command, which said nothing");
}

fn a_set_up_that_fails() {
    let launch = |_: NodeId, _: &Path| Launch {
        setup: vec![once("true"), once("echo the reason >&2; exit 7"), once("touch /tmp/never")],
        processes: vec![process("node", IDLE)],
        ..Launch::default()
    };
    let mut rig = Rig::of(Path::new("/tmp"), Stub::new(2, 0, launch));
    let error = rig.try_start().unwrap_err();
    let StartError::Preparation { node, command, how, log } = &error else { panic!("{error:?}") };
    assert_eq!((*node, how.as_str()), (NodeId::new(1), "exit status: 7"));
    assert!(command.contains("echo the reason") && error.log() == Some(log), "{command}");
    assert!(std::fs::read_to_string(log).unwrap().ends_with("\nthe reason\n"));
    assert!(!Path::new("/tmp/never").exists() && rig.pids_of(1).is_empty());
}

fn a_set_up_that_hangs() {
    let launch = |_: NodeId, _: &Path| Launch {
        setup: vec![again("sleep 1000 & wait", LONG)],
        processes: vec![process("node", IDLE)],
        ..Launch::default()
    };
    let mut rig = Rig::of(Path::new("/tmp"), Stub::new(1, 0, launch));
    let error = rig.try_start_within(Duration::from_millis(300)).unwrap_err();
    assert!(error.to_string().contains("it still ran after 300ms"), "{error}");
    eventually("nobody is left", LONG, || states().is_empty());
}

fn a_command_is_tried_again() {
    let launch = |_: NodeId, _: &Path| Launch { processes: vec![process("node", IDLE)], ..Launch::default() };
    let mut stub = Stub::new(2, 0, launch);
    // Only when the last node runs does the first node's command succeed: it comes after all starts, and is patient.
    stub.after_start = |node| match node.number() {
        1 => vec![again("echo try >> /tmp/tries; test $(wc -l < /tmp/tries) -ge 3 && touch /tmp/first", LONG)],
        _ => vec![once("test -e /tmp/first")],
    };
    let mut rig = Rig::of(Path::new("/tmp"), stub);
    rig.try_start().unwrap();
    assert_eq!(std::fs::read_to_string("/tmp/tries").unwrap().lines().count(), 3);
    assert_eq!(rig.file(1, "setup.log").lines().filter(|line| line.starts_with("$ ")).count(), 3);
}

fn a_command_that_never_succeeds() {
    let launch = |_: NodeId, _: &Path| Launch { processes: vec![process("node", IDLE)], ..Launch::default() };
    let mut stub = Stub::new(1, 0, launch);
    stub.after_start = |_| vec![again("false", Duration::from_millis(500))];
    let error = Rig::of(Path::new("/tmp"), stub).try_start().unwrap_err();
    assert!(error.to_string().contains("exit status: 1 (tried again for 500ms)"), "{error}");
}

fn service_nodes_are_first() {
    let launch = |node: NodeId, _: &Path| {
        let script = format!("echo {node} >> /tmp/order; {IDLE}");
        Launch {
            setup: vec![once(&format!("echo setup {node} >> /tmp/order"))],
            processes: vec![process("node", &script)],
            ..Launch::default()
        }
    };
    let mut stub = Stub::new(1, 2, launch);
    stub.after_start = |node| {
        let number = node.number();
        // A service node's command waits for all service nodes, and the first node under test for that command.
        let wait = format!("grep -qx n{number} /tmp/order && echo after {node} >> /tmp/order");
        vec![again(&wait, LONG)]
    };
    let mut rig = Rig::of(Path::new("/tmp"), stub);
    rig.try_start().unwrap();
    let order = std::fs::read_to_string("/tmp/order").unwrap();
    let place = |line: &str| order.lines().position(|it| it == line).unwrap_or_else(|| panic!("no {line} in {order}"));
    assert!(place("setup n2") < place("setup n3") && place("setup n3") < place("after n2"), "{order}");
    assert!(place("after n2") < place("after n3") && place("after n3") < place("setup n1"), "{order}");
    assert!(place("setup n1") < place("n1") && place("n1") < place("after n1"), "{order}");
    // They are nodes in every other respect.
    assert_eq!(rig.fault(KILL, &[3]).error, None);
    assert_eq!(rig.fault(FaultChange::Restart, &[3]).error, None);
    assert_eq!((rig.pids_of(2).len(), rig.pids_of(3).len()), (1, 2));
}

fn nodes_that_join_one_by_one() {
    let launch = |node: NodeId, _: &Path| {
        // Answers only a while after it runs; a node that starts earlier than that sees no such file.
        let before = PathBuf::from(format!("/tmp/answers-n{}", node.index()));
        let look = if node.index() == 0 { "true".to_owned() } else { format!("test -e {}", before.display()) };
        let script = format!("{look} && echo {node} >> /tmp/met; sleep 0.1; touch /tmp/answers-{node}; {IDLE}");
        Launch { processes: vec![process("node", &script)], ..Launch::default() }
    };
    let mut stub = Stub::new(3, 0, launch);
    (stub.one_by_one, stub.answers_once) = (true, Some("/tmp/answers-"));
    Rig::of(Path::new("/tmp"), stub).try_start().unwrap();
    assert_eq!(std::fs::read_to_string("/tmp/met").unwrap(), "n1\nn2\nn3\n");
}

fn a_cluster_that_is_never_ready() {
    let launch = |_: NodeId, _: &Path| Launch {
        processes: vec![process("node", "sleep 0.2; touch /tmp/ready; exec sleep 1000")],
        ..Launch::default()
    };
    let stub = || Stub { ready_once: Some("/tmp/ready"), ..Stub::new(1, 0, launch) };
    Rig::of(Path::new("/tmp"), stub()).try_start().unwrap();
    assert!(Path::new("/tmp/ready").exists(), "it was asked until it was ready");
    let stub = Stub { ready_once: Some("/tmp/never"), ..stub() };
    let error = Rig::of(Path::new("/tmp/other"), stub).try_start_within(Duration::from_millis(400)).unwrap_err();
    assert_eq!(error.to_string(), "the cluster was not ready within 400ms: there is no /tmp/never");
}

fn what_set_up_leaves_running() {
    let launch = |_: NodeId, _: &Path| Launch {
        setup: vec![once("setsid sleep 1000 >/dev/null 2>&1 &")],
        processes: vec![process("node", IDLE)],
        ..Launch::default()
    };
    let mut rig = Rig::of(Path::new("/tmp"), Stub::new(1, 0, launch));
    rig.try_start().unwrap();
    eventually("only the node is left", LONG, || states().len() == 1);
    assert!(rig.remarks().contains("n1 had left 1 processes behind"), "{}", rig.remarks());
}
