//! How a node starts, refuses to start, and stops.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::{Cluster, wait_for};
use crate::sys::Limits;

/// Starts one more process on the cluster's first node and waits for its end.
fn end_of(cluster: &mut Cluster, change: impl FnOnce(&mut Command)) -> (Option<i32>, String) {
    let mut command = cluster.command(0, &cluster.directory(0));
    change(&mut command);
    cluster.launch_as(0, command, Limits::default());
    let (status, said) = cluster.nodes[0].wait();
    (status.code(), said)
}

#[test]
fn a_node_that_is_asked_to_stop_exits_with_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut cluster = Cluster::start(1, &[]);
        cluster.wait_for_leader(&[0], 0);
        cluster.nodes[0].signal(signal);
        let (status, said) = cluster.nodes[0].wait();
        assert_eq!(status.code(), Some(0), "{said}");
    }
}

#[test]
fn wrong_arguments_exit_with_2_and_say_what_to_write() {
    let mut cluster = Cluster::prepare(1, &[]);
    let cases: [(&[&str], &str); 5] = [
        (&["--specimen", "nonsense"], "double-vote"),
        (&["--heartbeat", "1s"], "change --heartbeat"),
        (&["--heartbeat", "40"], "has no unit"),
        (&["--log", "a=b=c"], "--log"),
        (&["--no-such-flag"], "unexpected argument"),
    ];
    for (arguments, expected) in cases {
        let (code, said) = end_of(&mut cluster, |command| {
            command.args(arguments);
        });
        assert!(code == Some(2) && said.contains(expected), "{arguments:?}: {code:?} {said}");
    }
    assert!(!cluster.directory(0).exists(), "wrong arguments touch nothing");
}

#[test]
fn a_taken_port_exits_with_5() {
    let mut cluster = Cluster::prepare(1, &[]);
    let _taken = std::net::TcpListener::bind(cluster.nodes[0].http).unwrap();
    let (code, said) = end_of(&mut cluster, |_| {});
    assert!(code == Some(5) && said.contains("listen for http on 127."), "{code:?} {said}");
}

#[test]
fn a_directory_of_another_cluster_exits_with_3() {
    let mut cluster = Cluster::start(1, &[]);
    cluster.wait_for_leader(&[0], 0);
    cluster.nodes[0].kill();
    let (code, said) = end_of(&mut cluster, |command| {
        command.args(["--cluster-name", "other"]);
    });
    assert!(code == Some(3) && said.contains("belongs to the cluster `election`"), "{code:?} {said}");
}

#[test]
fn a_torn_tail_is_cut_and_a_damaged_middle_exits_with_3_naming_file_and_offset() {
    let mut cluster = Cluster::start(1, &[]);
    cluster.wait_for_leader(&[0], 0);
    for number in 0..5 {
        cluster.put(0, "k", &number.to_string());
    }
    cluster.nodes[0].kill();
    let journal = cluster.directory(0).join("journal/00000001");
    let length = fs::metadata(&journal).unwrap().len();
    // The seal and the last bytes of the last frame are gone, as after a power cut.
    let file = fs::OpenOptions::new().write(true).read(true).open(&journal).unwrap();
    file.set_len(length - 12).unwrap();
    cluster.launch(0);
    cluster.wait_for_leader(&[0], 1);
    assert_eq!(cluster.get(0, "k", "linearizable").json["value"], "3");
    cluster.nodes[0].kill();
    file.write_all_at(b"!", 80).unwrap();
    let (code, said) = end_of(&mut cluster, |_| {});
    assert!(code == Some(3) && said.contains("journal/00000001 at offset"), "{code:?} {said}");
}

#[test]
fn a_node_whose_disk_is_full_ends_with_4_and_answers_nobody() {
    let mut cluster = Cluster::prepare(1, &[]);
    let command = cluster.command(0, &cluster.directory(0));
    cluster.launch_as(0, command, Limits { file_bytes_max: Some(4096) });
    cluster.wait_for_leader(&[0], 0);
    let mut acknowledged = 0;
    let body = format!("{{\"value\":\"{}\"}}", "x".repeat(100));
    let unanswered = wait_for("the disk to be full", || match cluster.nodes[0].ask("PUT", "/kv/k", &body) {
        Ok(answer) if answer.code == 200 => {
            acknowledged += 1;
            None
        }
        other => Some(other),
    });
    assert!(unanswered.is_err() && (5..40).contains(&acknowledged), "{acknowledged}, then {unanswered:?}");
    let (status, said) = cluster.nodes[0].wait();
    assert!(status.code() == Some(4) && said.contains("write ") && said.contains("journal/00000001"), "{said}");
}

#[test]
fn every_specimen_starts_and_says_that_it_is_one() {
    for specimen in ["double-vote", "half-is-majority", "no-step-down", "read-unconfirmed"] {
        let cluster = Cluster::start(1, &["--specimen", specimen]);
        cluster.wait_for_leader(&[0], 0);
        assert_eq!(cluster.nodes[0].status().unwrap()["specimen"], specimen);
    }
}
