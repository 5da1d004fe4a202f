//! What an operator changes: who leads, and who counts. Seen from outside, with clients that write all the time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Answer, Cluster, request_patiently, wait_for};
use crate::sys::Limits;

const ALL: [usize; 3] = [0, 1, 2];
/// So long that whoever leads after less of it has not waited for it.
const LONG_TIMEOUTS: [&str; 4] = ["--election-timeout", "3s..4s", "--heartbeat", "100ms"];
/// Long enough that a busy machine elects nobody on its own account.
const CALM: [&str; 4] = ["--election-timeout", "800ms..1200ms", "--heartbeat", "50ms"];

fn transfer(cluster: &Cluster, leader: usize, body: &Value) -> Answer {
    request_patiently(cluster.nodes[leader].http, "POST", "/leadership/transfer", &body.to_string()).unwrap()
}

/// Asks whoever leads now to change the members, until it is done.
fn change(cluster: &Cluster, body: &Value) -> Value {
    let answer = wait_for("a change of members", || {
        let leader = (0..cluster.nodes.len()).find(|&index| leads(cluster, index))?;
        let answer = request_patiently(cluster.nodes[leader].http, "POST", "/members", &body.to_string()).ok()?;
        assert!(matches!(answer.code, 200 | 409), "{body}: {}", answer.text);
        (answer.code == 200).then_some(answer)
    });
    assert!(answer.json["index"].is_u64(), "{}", answer.text);
    answer.json["members"].clone()
}

fn leads(cluster: &Cluster, index: usize) -> bool {
    cluster.nodes[index].status().is_some_and(|status| status["role"] == "leader")
}

/// The node starts with an empty disk.
fn return_empty(cluster: &mut Cluster, index: usize) {
    let directory = cluster.directory(index);
    cluster.nodes[index].kill();
    std::fs::remove_dir_all(&directory).unwrap();
    let mut command = cluster.command(index, &directory);
    command.arg("--join");
    cluster.launch_as(index, command, Limits::default());
}

/// Lets a client write all the time while `body` goes on, and some writes longer; what was acknowledged is there afterwards.
fn while_writing(cluster: &mut Cluster, body: impl FnOnce(&mut Cluster)) {
    let stop = AtomicBool::new(false);
    let addresses: Vec<_> = cluster.nodes.iter().map(|node| node.http).collect();
    let acknowledged = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut acknowledged = Vec::new();
            for number in 0_u32..100_000 {
                if stop.load(Ordering::Relaxed) && (acknowledged.len() > 50 || number > 5_000) {
                    break;
                }
                let (key, value) = (format!("/kv/w{number}"), json!({"value": number.to_string()}).to_string());
                let to = addresses.iter().map(|to| crate::support::request(*to, "PUT", &key, &value));
                if to.flatten().any(|answer| answer.code == 200) {
                    acknowledged.push(number);
                }
            }
            acknowledged
        });
        // A panic of the body must not leave the writer behind.
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| body(cluster)));
        stop.store(true, Ordering::Relaxed);
        let acknowledged = writer.join().unwrap();
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        acknowledged
    });
    assert!(acknowledged.len() > 20, "only {} writes went through", acknowledged.len());
    let leader = wait_for("a leader", || (0..cluster.nodes.len()).find(|&index| leads(cluster, index)));
    for number in acknowledged {
        let found = cluster.get(leader, &format!("w{number}"), "linearizable");
        assert_eq!(found.json["value"], number.to_string(), "write {number}: {}", found.text);
    }
}

#[test]
fn a_transfer_moves_leadership_without_waiting_for_a_timeout() {
    let mut cluster = Cluster::start(3, &LONG_TIMEOUTS);
    let (first, term) = cluster.wait_for_leader(&ALL, 0);
    let chosen = (first + 1) % 3;
    while_writing(&mut cluster, |cluster| {
        thread::sleep(Duration::from_millis(100));
        let begin = Instant::now();
        let answer = transfer(cluster, first, &json!({"to": cluster.nodes[chosen].name()}));
        let expected = json!({"leader": cluster.nodes[chosen].name(), "term": term + 1});
        assert_eq!((answer.code, answer.json), (200, expected), "{}", answer.text);
        assert_eq!(cluster.wait_for_leader(&ALL, term), (chosen, term + 1));
        assert!(
            begin.elapsed() < Duration::from_millis(1500),
            "an election timeout is 3 s, this took {:?}",
            begin.elapsed()
        );
        let refused = transfer(cluster, first, &json!({}));
        assert_eq!((refused.code, &refused.json["error"]), (409, &json!("not_leader")), "{}", refused.text);
        assert_eq!(refused.json["leader"], cluster.nodes[chosen].name());
        let anybody = transfer(cluster, chosen, &json!({}));
        assert_eq!((anybody.code, &anybody.json["term"]), (200, &json!(term + 2)), "{}", anybody.text);
        assert_ne!(anybody.json["leader"], cluster.nodes[chosen].name());
    });
}

#[test]
fn a_transfer_to_a_node_that_does_not_answer_is_given_up_and_the_leader_goes_on() {
    let cluster = Cluster::start(3, &CALM);
    let (leader, term) = cluster.wait_for_leader(&ALL, 0);
    let silent = (leader + 1) % 3;
    cluster.nodes[silent].signal(Signal::SIGSTOP);
    // What it lacks keeps it from being asked: nothing has happened.
    cluster.put(leader, "k", "before");
    let answer = transfer(&cluster, leader, &json!({"to": cluster.nodes[silent].name()}));
    assert_eq!((answer.code, answer.json), (504, json!({"error": "given_up", "definite": true})));
    cluster.put(leader, "k", "after");
    let status = cluster.nodes[leader].status().unwrap();
    assert_eq!((&status["role"], &status["term"]), (&json!("leader"), &json!(term)), "{status}");
    cluster.nodes[silent].signal(Signal::SIGCONT);
}

#[test]
fn a_follower_and_the_leader_are_removed_lose_their_disks_and_return_while_clients_write() {
    let mut cluster = Cluster::start(3, &CALM);
    let (leader, _) = cluster.wait_for_leader(&ALL, 0);
    while_writing(&mut cluster, |cluster| {
        for leaving in [(leader + 1) % 3, leader] {
            let name = cluster.nodes[leaving].name();
            let others: Vec<usize> = ALL.into_iter().filter(|&index| index != leaving).collect();
            let names: Vec<String> = others.iter().map(|&index| cluster.nodes[index].name()).collect();
            assert_eq!(change(cluster, &json!({"remove": name})), json!(names));
            let (.., term) = cluster.wait_for_leader(&others, 0);
            return_empty(cluster, leaving);
            let status = wait_for("its status", || cluster.nodes[leaving].status());
            assert_eq!((&status["members"], &status["incarnation"]), (&json!([]), &json!(1)), "{status}");
            assert_eq!(change(cluster, &json!({"add": name})), json!(["n1", "n2", "n3"]));
            cluster.wait_for_leader(&ALL, term - 1);
            wait_for("every node to say so", || {
                let statuses = ALL.map(|index| cluster.nodes[index].status());
                let agreed = |status: &Option<Value>| {
                    status.as_ref().is_some_and(|status| status["members"] == json!(["n1", "n2", "n3"]))
                };
                statuses.iter().all(agreed).then_some(())
            });
        }
    });
    // Both that returned are needed for this, and both have kept what they were told.
    let (_, term) = cluster.wait_for_leader(&ALL, 0);
    ALL.into_iter().for_each(|index| drop(cluster.nodes[index].kill()));
    ALL.into_iter().for_each(|index| cluster.launch(index));
    let (leader, _) = cluster.wait_for_leader(&ALL, term);
    cluster.put(leader, "k", "all three are back");
    for node in &cluster.nodes {
        assert_eq!(node.status().unwrap()["members"], json!(["n1", "n2", "n3"]));
    }
}

#[test]
fn a_removed_node_that_keeps_running_disturbs_nobody_and_returns_with_its_disk() {
    let cluster = Cluster::start(3, &CALM);
    let (leader, term) = cluster.wait_for_leader(&ALL, 0);
    let leaving = (leader + 1) % 3;
    let name = cluster.nodes[leaving].name();
    change(&cluster, &json!({"remove": name}));
    wait_for("it to look for a leader, in vain", || {
        cluster.nodes[leaving].status().filter(|status| status["role"] == "pre_candidate")
    });
    // Twice as long as it takes to campaign.
    thread::sleep(Duration::from_millis(2500));
    let status = cluster.nodes[leader].status().unwrap();
    assert_eq!((&status["role"], &status["term"]), (&json!("leader"), &json!(term)), "{status}");
    let refused = cluster.nodes[leader].ask("POST", "/members", &json!({"remove": name}).to_string()).unwrap();
    assert_eq!((refused.code, &refused.json["error"]), (409, &json!("invalid")), "it is no member");
    change(&cluster, &json!({"add": name}));
    cluster.wait_for_leader(&ALL, term - 1);
}

#[test]
fn a_node_that_does_not_answer_is_not_added_and_holds_nobody_up() {
    let mut cluster = Cluster::prepare(4, &[&CALM[..], &["--members", "n1,n2,n3"]].concat());
    ALL.into_iter().for_each(|index| cluster.launch(index));
    let (leader, _) = cluster.wait_for_leader(&ALL, 0);
    let node = &cluster.nodes[leader];
    let answers = thread::scope(|scope| {
        let ask = || request_patiently(node.http, "POST", "/members", r#"{"add":"n4"}"#).unwrap();
        let asked = [scope.spawn(ask), scope.spawn(ask)];
        cluster.put(leader, "k", "meanwhile");
        asked.map(|asked| asked.join().unwrap())
    });
    let mut said = answers.map(|answer| (answer.code, answer.json));
    said.sort_by_key(|(code, _)| *code);
    let [refused, given_up] =
        [(409, "busy"), (504, "given_up")].map(|(code, word)| (code, json!({"error": word, "definite": true})));
    assert_eq!(said, [refused, given_up], "one change at a time, and nobody answers as n4");
    assert_eq!(node.status().unwrap()["members"], json!(["n1", "n2", "n3"]));
    let directory = cluster.directory(3);
    let mut command = cluster.command(3, &directory);
    command.arg("--join");
    cluster.launch_as(3, command, Limits::default());
    wait_for("the new node to answer", || cluster.nodes[3].status());
    assert_eq!(change(&cluster, &json!({"add": "n4"})), json!(["n1", "n2", "n3", "n4"]));
    wait_for("the new node to have everything", || {
        (cluster.get(3, "k", "local").json["value"] == "meanwhile").then_some(())
    });
}
