//! What happens when the leader goes, and what it must not say when it comes back.

use nix::sys::signal::Signal;

use crate::support::{Cluster, wait_for};

const ALL: [usize; 3] = [0, 1, 2];

fn others(leader: usize) -> Vec<usize> {
    ALL.into_iter().filter(|&index| index != leader).collect()
}

#[test]
fn a_killed_leader_is_replaced_and_acknowledged_writes_survive_its_return() {
    let mut cluster = Cluster::start(3, &[]);
    let (leader, term) = cluster.wait_for_leader(&ALL, 0);
    for number in 0..20 {
        cluster.put(leader, &format!("k{number}"), &number.to_string());
    }
    cluster.nodes[leader].kill();
    let (successor, higher) = cluster.wait_for_leader(&others(leader), term);
    assert!(higher > term && successor != leader);
    for number in 0..20 {
        let found = cluster.get(successor, &format!("k{number}"), "linearizable");
        assert_eq!(found.json["value"], number.to_string(), "{}", found.text);
    }
    let revision = cluster.put(successor, "after", "kill").json["revision"].clone();
    cluster.launch(leader);
    let status = wait_for("the killed node to catch up", || {
        cluster.nodes[leader].status().filter(|status| status["commit"].as_u64() >= revision.as_u64())
    });
    assert_eq!(status["incarnation"], 2, "{status}");
    assert_eq!(cluster.get(leader, "after", "local").json["value"], "kill");
}

#[test]
fn a_cluster_whose_nodes_were_all_killed_remembers_everything() {
    let mut cluster = Cluster::start(3, &[]);
    let (leader, term) = cluster.wait_for_leader(&ALL, 0);
    cluster.put(leader, "k", "before");
    cluster.nodes.iter_mut().for_each(|node| drop(node.kill()));
    ALL.into_iter().for_each(|index| cluster.launch(index));
    let (leader, higher) = cluster.wait_for_leader(&ALL, term);
    assert!(higher > term, "a term is never used again");
    assert_eq!(cluster.get(leader, "k", "linearizable").json["value"], "before");
}

#[test]
fn a_paused_leader_is_replaced_in_a_higher_term_and_steps_down_when_resumed() {
    let cluster = Cluster::start(3, &[]);
    let (leader, term) = cluster.wait_for_leader(&ALL, 0);
    cluster.put(leader, "k", "old");
    cluster.nodes[leader].signal(Signal::SIGSTOP);
    let (successor, higher) = cluster.wait_for_leader(&others(leader), term);
    cluster.put(successor, "k", "new");
    cluster.nodes[leader].signal(Signal::SIGCONT);
    // The very first answers may come before it has heard of its successor, but none may be a stale read.
    for read in ["linearizable", "lease"] {
        let found = cluster.get(leader, "k", read);
        assert!(found.json["value"] == "new" || found.json["definite"] == true, "{read}: {}", found.text);
    }
    let status = wait_for("the resumed leader to follow", || {
        cluster.nodes[leader].status().filter(|status| status["role"] == "follower")
    });
    assert!(status["term"].as_u64() >= Some(higher), "{status}");
    cluster.wait_for_leader(&ALL, term);
}

#[test]
fn a_resumed_leader_does_not_repeat_a_claim_that_its_clock_has_ended() {
    let cluster = Cluster::start(3, &[]);
    let (leader, term) = cluster.wait_for_leader(&ALL, 0);
    for follower in others(leader) {
        cluster.nodes[follower].signal(Signal::SIGSTOP);
    }
    // Once the lease is over, no answer of a follower is on its way any more, which would count as heard when it is read.
    wait_for("the lease to end", || {
        cluster.nodes[leader].status().filter(|status| status["lease_remaining_ns"].is_null())
    });
    cluster.nodes[leader].signal(Signal::SIGSTOP);
    // Longer than the longest election timeout: measured by the host's clock, not by a condition, because it is the elapsed
    // time that is tested.
    std::thread::sleep(std::time::Duration::from_millis(400));
    cluster.nodes[leader].signal(Signal::SIGCONT);
    let status = cluster.nodes[leader].status().expect("a resumed node answers");
    assert_ne!(status["role"], "leader", "no quorum was heard for 400 ms: {status}");
    for follower in others(leader) {
        cluster.nodes[follower].signal(Signal::SIGCONT);
    }
    cluster.wait_for_leader(&ALL, term);
}

#[test]
fn a_follower_that_lags_behind_the_log_gets_a_snapshot_and_restarts_from_it() {
    let mut cluster = Cluster::start(3, &["--snapshot-threshold", "100", "--fsync", "false"]);
    let (leader, _) = cluster.wait_for_leader(&ALL, 0);
    let lagging = others(leader)[0];
    cluster.nodes[lagging].kill();
    let writers: Vec<_> = (0..4).collect();
    std::thread::scope(|scope| {
        for writer in &writers {
            let cluster = &cluster;
            scope
                .spawn(move || (0..400).for_each(|n| drop(cluster.put(leader, &format!("k{writer}"), &n.to_string()))));
        }
    });
    let revision = cluster.put(leader, "last", "one").json["revision"].as_u64();
    let caught_up = |cluster: &Cluster| {
        wait_for("the lagging node to catch up", || {
            cluster.nodes[lagging].status().filter(|status| status["commit"].as_u64() >= revision)
        })
    };
    cluster.launch(lagging);
    let status = caught_up(&cluster);
    assert!(status["snapshot"].as_u64() > Some(0), "{status}");
    let metrics = cluster.nodes[lagging].ask("GET", "/metrics", "").unwrap().text;
    let restored = metrics.lines().find_map(|line| line.strip_prefix("election_node_snapshots_restored_total "));
    assert!(restored.is_some_and(|count| count != "0"), "{metrics}");
    cluster.nodes[lagging].kill();
    cluster.launch(lagging);
    caught_up(&cluster);
    for writer in writers {
        assert_eq!(cluster.get(lagging, &format!("k{writer}"), "local").json["value"], "399");
    }
}
