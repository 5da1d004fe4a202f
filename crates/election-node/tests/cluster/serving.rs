//! What clients and observers get.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Cluster, Node, PATIENCE, wait_for};

const ALL: [usize; 3] = [0, 1, 2];

#[test]
fn a_leader_writes_reads_and_compares_and_a_follower_says_who_leads() {
    let cluster = Cluster::start(3, &[]);
    let (leader, term) = cluster.wait_for_leader(&ALL, 0);
    let node = &cluster.nodes[leader];
    let cas = |expect: Value, value: &str| {
        node.ask("POST", "/kv/k/cas", &json!({"expect": expect, "value": value}).to_string()).unwrap().json
    };
    assert_eq!(cluster.get(leader, "k", "linearizable").json, json!({"value": null, "revision": null, "term": null}));
    let first = cas(Value::Null, "1");
    assert_eq!((&first["swapped"], &first["value"]), (&true.into(), &Value::Null));
    let second = cluster.put(leader, "k", "2").json;
    assert!(second["revision"].as_u64() > first["revision"].as_u64() && second["term"] == term, "{second}");
    let failed = json!({"swapped": false, "value": "2", "revision": second["revision"], "term": term});
    assert_eq!(cas(json!("1"), "3"), failed);
    assert_eq!(cas(json!("2"), "3")["swapped"], true);
    for read in ["linearizable", "lease", "local"] {
        assert_eq!(cluster.get(leader, "k", read).json["value"], "3", "{read}");
    }
    let follower = (leader + 1) % 3;
    let hint = json!({
        "error": "not_leader", "definite": true,
        "leader": node.name(), "leader_http": node.http.to_string(),
    });
    for refused in [
        cluster.get(follower, "k", "linearizable"),
        cluster.nodes[follower].ask("PUT", "/kv/k", r#"{"value":"4"}"#).unwrap(),
        cluster.nodes[follower].ask("POST", "/kv/k/cas", r#"{"expect":null,"value":"4"}"#).unwrap(),
    ] {
        assert_eq!((refused.code, refused.json), (421, hint.clone()));
    }
    wait_for("the follower to apply", || (cluster.get(follower, "k", "local").json["value"] == "3").then_some(()));
}

#[test]
fn requests_that_make_no_sense_are_refused_for_certain() {
    let cluster = Cluster::start(1, &[]);
    cluster.wait_for_leader(&[0], 0);
    let long_key = format!("/kv/{}", "x".repeat(2000));
    let cases = [
        ("PUT", "/kv/k", "{}", 400, "missing field `value`"),
        ("PUT", "/kv/k", r#"{"value":5}"#, 400, "expected a string"),
        ("PUT", "/kv/k", r#"{"value":"5","ttl":1}"#, 400, "unknown field `ttl`"),
        ("PUT", "/kv/k", "not json", 400, "expected"),
        ("PUT", long_key.as_str(), r#"{"value":"5"}"#, 400, "1024 are allowed"),
        ("POST", "/kv/k/cas", r#"{"value":"5"}"#, 400, "missing field `expect`"),
        ("GET", "/kv/k?read=fresh", "", 400, "write linearizable, lease or local"),
        ("GET", "/kv/k?raed=local", "", 400, "unknown field `raed`"),
        ("POST", "/leadership/transfer", r#"{"to":"n9"}"#, 400, "`n9` is not a node"),
        ("POST", "/leadership/transfer", r#"{"to":"n1"}"#, 409, "invalid"),
        ("POST", "/leadership/transfer", r#"{"from":"n1"}"#, 400, "unknown field `from`"),
        ("POST", "/members", r#"{"add":"n9"}"#, 400, "`n9` is not a node"),
        ("POST", "/members", r#"{"add":"n1","remove":"n1"}"#, 400, "one change at a time"),
        ("POST", "/members", "{}", 400, "one change at a time"),
        ("POST", "/members", r#"{"add":"n1"}"#, 409, "invalid"),
        ("POST", "/members", r#"{"remove":"n1"}"#, 409, "invalid"),
        ("GET", "/nowhere", "", 404, "not_found"),
        ("DELETE", "/kv/k", "", 404, "not_found"),
    ];
    for (method, path, body, code, expected) in cases {
        let answer = cluster.nodes[0].ask(method, path, body).unwrap();
        assert_eq!((answer.code, &answer.json["definite"]), (code, &true.into()), "{method} {path}: {}", answer.text);
        assert!(answer.text.contains(expected), "{method} {path}: {}", answer.text);
    }
    let huge = json!({"value": "x".repeat(2 << 20)}).to_string();
    // The node may close the connection before it has read all of it; what it must not do is store it.
    if let Ok(answer) = cluster.nodes[0].ask("PUT", "/kv/k", &huge) {
        assert_eq!(answer.code, 400, "{}", answer.text);
    }
    assert_eq!(cluster.get(0, "k", "linearizable").json["value"], Value::Null);
}

#[test]
fn a_write_without_a_majority_times_out_indefinitely_and_a_read_definitely() {
    let arguments = ["--check-quorum", "false", "--request-timeout", "200ms"];
    let cluster = Cluster::start(3, &arguments);
    let (leader, _) = cluster.wait_for_leader(&ALL, 0);
    for follower in ALL.into_iter().filter(|&index| index != leader) {
        cluster.nodes[follower].signal(Signal::SIGSTOP);
    }
    let written = cluster.nodes[leader].ask("PUT", "/kv/k", r#"{"value":"1"}"#).unwrap();
    assert_eq!((written.code, written.json), (504, json!({"error": "timeout", "definite": false})));
    let read = cluster.get(leader, "k", "linearizable");
    assert_eq!((read.code, read.json), (504, json!({"error": "timeout", "definite": true})));
}

/// The lines of `GET /events`, as they come.
fn events(node: &Node) -> impl Iterator<Item = Value> {
    let mut stream = TcpStream::connect(node.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /events HTTP/1.1\r\nhost: node\r\n\r\n").unwrap();
    BufReader::new(stream)
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_str(&line).ok())
        .filter(Value::is_object)
}

#[test]
fn events_begin_with_the_state_and_tell_every_change_with_a_stamp_that_grows() {
    let cluster = Cluster::start(3, &[]);
    let (leader, term) = cluster.wait_for_leader(&ALL, 0);
    let watched = (leader + 1) % 3;
    let mut lines = events(&cluster.nodes[watched]);
    let first = lines.next().unwrap();
    assert_eq!((&first["kind"], &first["term"]), (&"state".into(), &term.into()), "{first}");
    let body = format!("{{\"to\":\"n{}\"}}", watched + 1);
    assert_eq!(cluster.nodes[leader].ask("POST", "/leadership/transfer", &body).unwrap().code, 200);
    let mut stamp = first["monotonic_ns"].as_u64().unwrap();
    let mut kinds = Vec::new();
    for line in lines {
        let next = line["monotonic_ns"].as_u64().unwrap();
        assert!(next >= stamp && line["id"] == cluster.nodes[watched].name(), "{line}");
        stamp = next;
        let kind = line["kind"].as_str().unwrap().to_owned();
        if kind == "granted" {
            assert_eq!((&line["detail"]["to"], &line["term"]), (&line["id"], &(term + 1).into()), "{line}");
        }
        kinds.push(kind);
        if line["kind"] == "became_leader" {
            assert_eq!((&line["role"], &line["leader"]), (&"leader".into(), &line["id"]), "{line}");
            break;
        }
    }
    for kind in ["became_candidate", "granted", "became_leader"] {
        assert!(kinds.iter().any(|seen| seen == kind), "{kind} is not among {kinds:?}");
    }
}

#[test]
fn the_status_is_cheap_current_and_dated() {
    let cluster = Cluster::start(3, &["--clock-rate", "1.1"]);
    let (leader, term) = cluster.wait_for_leader(&ALL, 0);
    let status =
        wait_for("a lease", || cluster.nodes[leader].status().filter(|status| status["lease_remaining_ns"].is_u64()));
    let number = |name: &str| status[name].as_u64().unwrap_or_else(|| panic!("{name} in {status}"));
    assert_eq!((number("term"), number("incarnation")), (term, 1));
    assert!(number("lease_remaining_ns") <= 120_000_000, "80 % of 150 ms: {status}");
    assert!((150_000_000..=300_000_000).contains(&number("quorum_remaining_ns")), "what is left of 300 ms: {status}");
    assert!(
        number("as_of_ns") <= number("now_ns") && number("now_ns") - number("as_of_ns") < 1_000_000_000,
        "{status}"
    );
    let rate = number("clock_ns") as f64 / number("now_ns") as f64;
    assert!((1.0999..1.1001).contains(&rate), "{rate}");
    assert_eq!(status["members"], json!(["n1", "n2", "n3"]));
}

#[test]
fn garbage_on_the_peer_port_disturbs_nobody() {
    let cluster = Cluster::start(3, &[]);
    let (leader, term) = cluster.wait_for_leader(&ALL, 0);
    let shouts: [&[u8]; 4] =
        [b"GET / HTTP/1.1\r\n\r\n", &[0xff; 4096], b"election\x01\x00\xff\xff\xff\xff\x00\x00\x00\x00", b""];
    for node in &cluster.nodes {
        for shout in shouts {
            let mut stream = TcpStream::connect(node.peer).unwrap();
            // The node may have hung up already.
            let _ = stream.write_all(shout);
        }
    }
    wait_for("the node to have refused them", || {
        let metrics = cluster.nodes[leader].ask("GET", "/metrics", "").ok()?.text;
        let refused = metrics.lines().find_map(|line| line.strip_prefix("election_node_connections_refused_total "))?;
        (refused.parse::<u64>().ok()? >= 4).then_some(())
    });
    cluster.put(leader, "k", "still here");
    assert_eq!(cluster.wait_for_leader(&ALL, 0), (leader, term));
}
