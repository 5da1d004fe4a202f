//! `--set key=value`: what it changes, and that its mistakes are told like a file's.

use std::path::Path;
use std::time::Duration;

use chaos_plan::{Check, Mix, RaftOptions, System, Work, Workload, load};

fn with(workload: &str, overrides: &[&str]) -> Result<Workload, String> {
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    load(Path::new(workload), &overrides).map(|loaded| loaded.workload).map_err(|errors| errors.render(false))
}

fn raft(workload: &Workload) -> &RaftOptions {
    match &workload.system {
        System::Raft(options) => options,
        System::Defined(defined) => panic!("`raft` was asked for, not {defined:?}"),
    }
}

#[test]
fn keys_at_every_depth_can_be_set() {
    let workload = with(
        "partition",
        &[
            "nodes=3",
            "seed=9",
            "system.raft.heartbeat=20ms",
            "system.raft.arguments=[--level=3, 'a b']",
            "clients.register.rate=50/s",
            "clients.register.mix={ read: 1 }",
            "network.filter=iptables",
            "checks.reelection.within=7s",
            "checks.no-stale-leader.within=2s",
            "expect.outage.max=<= 9s",
            "expect.availability=> 50%",
            "about=a = b",
            "faults=faults/kill-leader.yaml",
        ],
    )
    .unwrap();
    assert_eq!((workload.nodes, workload.seed.unwrap().0), (3, 9));
    assert_eq!(raft(&workload).heartbeat, Duration::from_millis(20));
    assert_eq!(raft(&workload).arguments, ["--level=3", "a b"]);
    assert_eq!((workload.clients[0].rate_per_second, workload.clients[0].keys), (50.0, 4));
    assert_eq!(workload.clients[0].work, Work::Register(Mix { read: 1, write: 0, cas: 0 }));
    let within = Duration::from_secs;
    assert!(workload.checks.contains(&Check::BoundedReelection { within: within(7) }));
    assert!(workload.checks.contains(&Check::NoStaleLeaderAfterHeal { within: within(2) }));
    let hopes: Vec<&str> = workload.expect.iter().map(|hope| hope.text.as_str()).collect();
    assert_eq!(
        hopes,
        ["failovers.count at least 8", "failover.writable.p50 < 1500ms", "outage.max <= 9s", "availability > 50%"]
    );
    assert_eq!(workload.about, "a = b");
    assert_eq!(workload.faults.name, "kill-leader");
}

#[test]
fn a_list_can_be_begun_and_the_last_word_wins() {
    let workload =
        with("tests/valid/minimal.yaml", &["clients.register.keys=2", "nodes=5", "nodes=7", "checks.linearizable="])
            .unwrap();
    assert_eq!((workload.nodes, workload.clients[0].keys), (7, 2));
    assert_eq!(workload.checks, [Check::Linearizable]);
}

#[test]
fn mistakes_are_told_with_the_override_and_its_column() {
    let cases: [(&str, &[&str]); 19] = [
        ("nods=3", &["unknown field `nods`", "--set:1:1", "did you mean `nodes`?"]),
        ("nodes=30", &["`nodes` must be 1 to 9", "--set:1:7", "nodes=30"]),
        ("nodes=", &["`nodes` must be a whole number", "nothing is written here"]),
        ("nodes", &["an override without `=`", "--set nodes=3"]),
        ("=3", &["an override without its key"]),
        ("system..heartbeat=3ms", &["an override without its key", "--set:1:8"]),
        ("system.raft.hartbeat=20ms", &["unknown field `hartbeat`", "--set:1:13", "`heartbeat`"]),
        ("system.raft.heartbeat=20", &["the unit is missing", "--set:1:23"]),
        ("system.etcd.heartbeat=20ms", &["nothing to set at `etcd`", "the value above it is `raft`"]),
        ("clients.register.rate=50", &["`rate` must be a rate", "--set:1:23"]),
        ("clients.lcok.rate=50/s", &["unknown field `lcok`", "--set:1:9"]),
        ("clients.set.reads=100%", &["a set to which nothing is added", "--set:1:19"]),
        ("faults=no-such-plan", &["no fault plan `no-such-plan`", "--set:1:8"]),
        ("faults.steps=[]", &["nothing to set at `steps`", "`faults/isolate-leader.yaml`"]),
        ("clients.register.mix={ read: 1", &["this is not YAML", "--set:1:"]),
        ("expect.outage.maxx=< 3s", &["unknown figure `maxx`", "--set:1:8"]),
        ("expect.outage.max=3s", &["the comparison is missing", "--set:1:19"]),
        ("checks=[]", &["checks nothing"]),
        ("a.b.c.d.e.f=1", &["unknown field `a`"]),
    ];
    for (text, expected) in cases {
        let rendered = with("partition", &[text]).expect_err(text);
        for part in expected {
            assert!(rendered.contains(part), "{text}: `{part}` is not in:\n{rendered}");
        }
    }
}

#[test]
fn fewer_nodes_are_checked_against_the_fault_plan() {
    let rendered = with("rolling-restart", &["nodes=3"]).unwrap_err();
    assert!(rendered.contains("unknown node `n4`") && rendered.contains("unknown node `n5`"), "{rendered}");
    assert!(rendered.contains("this cluster has 3 nodes, n1 to n3"), "{rendered}");
}
