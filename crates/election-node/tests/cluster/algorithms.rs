//! Every algorithm as real processes: elects, loses its leader, elects again, and refuses what it has no word for.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use serde_json::Value;

use crate::support::{Cluster, wait_for};
use crate::sys::Limits;

/// Starts three candidates (and a lock service beside them), and the candidates' indices.
fn cluster(algorithm: &str) -> (Cluster, [usize; 3]) {
    let counted = format!("--algorithm={algorithm}");
    let cluster = match algorithm {
        "lease" => Cluster::start(4, &[&counted, "--service=n4"]),
        _ => Cluster::start(3, &[&counted]),
    };
    (cluster, [0, 1, 2])
}

#[test]
fn every_algorithm_elects_and_replaces_its_leader() {
    for algorithm in ["raft", "bully", "ring", "lease", "paxos-lease", "zab"] {
        let (mut cluster, candidates) = cluster(algorithm);
        let (leader, term) = cluster.wait_for_leader(&candidates, 0);
        cluster.nodes[leader].kill();
        let others: Vec<usize> = candidates.into_iter().filter(|index| *index != leader).collect();
        let (next, newer) = cluster.wait_for_leader(&others, term);
        assert!(next != leader && newer > term, "{algorithm}: {leader} in {term}, {next} in {newer}");
        // Back on its own directory, it finds its way in: as the leader again where the highest node rules.
        cluster.launch(leader);
        cluster.wait_for_leader(&candidates, term);
        let text = cluster.nodes[next].ask("GET", "/metrics", "").unwrap().text;
        let electing = text.lines().filter(|line| line.contains("purpose=\"election\""));
        let sent: u64 = electing.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum();
        assert!(sent > 0, "{algorithm} elects without messages?\n{text}");
    }
}

#[test]
fn an_algorithm_without_a_log_refuses_definitely_what_it_has_no_word_for() {
    let (cluster, candidates) = cluster("zab");
    let (leader, _) = cluster.wait_for_leader(&candidates, 0);
    for (method, path, body) in [
        ("GET", "/kv/k", ""),
        ("PUT", "/kv/k", r#"{"value":"1"}"#),
        ("POST", "/leadership/transfer", ""),
        ("POST", "/members", r#"{"remove":"n3"}"#),
    ] {
        let answer = cluster.nodes[leader].ask(method, path, body).unwrap();
        assert_eq!((answer.code, &answer.json["definite"]), (501, &true.into()), "{method} {path}: {answer:?}");
    }
}

#[test]
fn nodes_of_different_algorithms_refuse_each_other_and_each_others_directories() {
    let mut cluster = Cluster::prepare(2, &[]);
    cluster.launch(0);
    let mut bully = cluster.command(1, &cluster.directory(1));
    bully.arg("--algorithm=bully");
    cluster.launch_as(1, bully, Limits::default());
    wait_for("a refused connection at both", || {
        let refused = |index: usize| {
            let text = cluster.nodes[index].ask("GET", "/metrics", "").ok()?.text;
            let line = text.lines().find(|line| line.starts_with("election_node_connections_refused_total"))?;
            line.rsplit(' ').next()?.parse::<u64>().ok()
        };
        (refused(0)? > 0 && refused(1)? > 0).then_some(())
    });
    // Alone, the one needs a majority and the other doesn't.
    let (leader, _) = cluster.wait_for_leader(&[1], 0);
    assert!(leader == 1 && cluster.nodes[0].status().unwrap()["leader"].is_null());
    cluster.nodes[1].kill();
    cluster.launch(1);
    let (status, said) = cluster.nodes[1].wait();
    assert!(status.code() == Some(3) && said.contains("the memory of the algorithm `bully`"), "{status:?} {said}");
}

#[test]
fn a_leader_works_on_the_resource_under_its_term_and_shows_it_only_if_told_to() {
    for (fencing, shown) in [("true", true), ("false", false)] {
        let resource = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = format!("--resource={}", resource.local_addr().unwrap());
        let cluster = Cluster::start(3, &["--algorithm=zab", &at, &format!("--fencing={fencing}")]);
        let (leader, term) = cluster.wait_for_leader(&[0, 1, 2], 0);
        let (mut stream, _) = resource.accept().unwrap();
        let mut asked = String::new();
        BufReader::new(&stream).read_line(&mut asked).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        let token = if shown { format!("&token={term}") } else { String::new() };
        assert_eq!(asked, format!("POST /access/leader?hold=n{}-{term}{token} HTTP/1.1\r\n", leader + 1));
    }
}

#[test]
fn counts_are_on_the_disk_when_a_killed_leader_has_a_successor() {
    let mut cluster = Cluster::prepare(3, &["--algorithm=bully"]);
    for index in 0..3 {
        let mut command = cluster.command(index, &cluster.directory(index));
        command.arg("--counts").arg(cluster.data.path().join(format!("counts-{index}")));
        cluster.launch_as(index, command, Limits::default());
    }
    let (leader, term) = cluster.wait_for_leader(&[0, 1, 2], 0);
    cluster.nodes[leader].kill();
    let (next, newer) = cluster.wait_for_leader(&[0, 1], term);
    let lines = |index: usize| -> Vec<Value> {
        let text = fs::read_to_string(cluster.data.path().join(format!("counts-{index}"))).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let claim = |index: usize, term: u64| {
        let name = cluster.nodes[index].name();
        lines(index).into_iter().find(|line| line["leader"] == name && line["term"] == term).unwrap()
    };
    assert_eq!(claim(leader, term)["incarnation"], 1);
    let last = claim(next, newer);
    let sent = last["sent"].as_object().unwrap();
    let electing: u64 = ["election", "answer", "coordinator"].iter().filter_map(|kind| sent[*kind].as_u64()).sum();
    assert!(electing > 0 && last["electing"] == electing, "{last}");
}
