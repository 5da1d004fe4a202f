//! Views of the election: asked for, and announced.

use std::path::Path;
use std::time::Duration;

use chaos_history::{Belief, ElectionRole, NodeId, Term};
use chaos_systems::{Driver, ProbeError, Pushed};
use futures::StreamExt;

use crate::server::{Server, Step, address, answer, chunk, chunked_head, driver};

const SECONDS: Duration = Duration::from_secs(20);

fn status(id: &str, term: &str, role: &str, leader: &str) -> String {
    format!(r#"{{"id":"{id}","term":{term},"role":"{role}","leader":{leader},"voted_for":null,"commit":7,"more":[]}}"#)
}

async fn observe(script: Vec<Step>) -> Result<Belief, ProbeError> {
    let server = Server::start(vec![script]).await;
    let driver = driver(&[server.address, address(), address()]);
    tokio::time::timeout(SECONDS, driver.observe(NodeId::new(1))).await.unwrap()
}

async fn told(body: &str) -> Result<Belief, ProbeError> {
    observe(vec![Step::Request, Step::Send(answer("200 OK", body)), Step::Hang]).await
}

fn kind<T: std::fmt::Debug>(outcome: &Result<T, ProbeError>) -> &'static str {
    match outcome {
        Ok(_) => "a view",
        Err(ProbeError::Silent(_)) => "silent",
        Err(ProbeError::Garbage(_)) => "garbage",
        Err(ProbeError::WrongNode { .. }) => "wrong node",
    }
}

#[tokio::test]
async fn a_view_is_what_the_node_says_of_itself() {
    let roles = [
        ("follower", ElectionRole::Follower),
        ("pre_candidate", ElectionRole::PreCandidate),
        ("candidate", ElectionRole::Candidate),
        ("leader", ElectionRole::Leader),
    ];
    for (word, role) in roles {
        let belief = told(&status("n1", "3", word, "\"n3\"")).await.unwrap();
        let leader = Some(NodeId::new(3));
        assert_eq!(
            belief,
            Belief { term: Term(3), role, leader, voted_for: None, commit: Some(7), lease_remaining_ns: None }
        );
    }
}

#[tokio::test]
async fn what_is_no_view_of_this_node_is_not_taken_for_one() {
    let huge = format!(r#"{{"id":"{}"}}"#, "n".repeat(2 << 20));
    let cases = [
        (status("n2", "3", "leader", "\"n2\""), "wrong node"),
        (status("", "3", "leader", "null"), "wrong node"),
        (status("n1", "3", "king", "null"), "garbage"),
        (status("n1", "-3", "leader", "null"), "garbage"),
        (status("n1", "1e3", "leader", "null"), "garbage"),
        (status("n1", "18446744073709551616", "leader", "null"), "garbage"),
        (status("n1", "3", "follower", "\"n99\""), "garbage"),
        (status("n1", "3", "follower", "\"n0\""), "garbage"),
        (status("n1", "3", "follower", "\"somebody\""), "garbage"),
        (status("n1", "3", "follower", "3"), "garbage"),
        (r#"{"id":"n1","term":3,"role":"follower""#.to_owned(), "garbage"),
        ("<html></html>".to_owned(), "garbage"),
        (String::new(), "garbage"),
        (huge, "garbage"),
    ];
    for (body, expected) in cases {
        let found = told(&body).await;
        let begin: String = body.chars().take(80).collect();
        assert_eq!(kind(&found), expected, "{begin}: {found:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_no_view_and_a_broken_connection_is_silence() {
    let view = status("n1", "3", "leader", "\"n1\"");
    let refused = observe(vec![Step::Request, Step::Send(answer("503 S", &view)), Step::Hang]).await;
    assert_eq!(kind(&refused), "garbage", "{refused:?}");
    let half = Step::Send(format!("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n{view}").into_bytes());
    for script in [vec![Step::Request, Step::Reset], vec![Step::Request], vec![Step::Request, half]] {
        let found = observe(script).await;
        assert_eq!(kind(&found), "silent", "{found:?}");
    }
    let nobody = driver(&[address()]).observe(NodeId::new(1)).await;
    assert_eq!(kind(&nobody), "silent", "{nobody:?}");
}

fn line(term: u64, stamp: u64) -> String {
    format!(r#"{{"kind":"state","monotonic_ns":{stamp},"id":"n1","term":{term},"role":"follower","leader":null}}"#)
        + "\n"
}

async fn announced(chunks: Vec<Vec<u8>>, expected: usize) -> Vec<Result<Pushed, ProbeError>> {
    let sends = chunks.into_iter().map(Step::Send);
    let script = [Step::Request, Step::Send(chunked_head())].into_iter().chain(sends).chain([Step::Hang]).collect();
    let server = Server::start(vec![script]).await;
    let driver = driver(&[server.address, address(), address()]);
    let watch = driver.watch(NodeId::new(1)).unwrap().await.unwrap();
    tokio::time::timeout(SECONDS, watch.take(expected).collect()).await.unwrap()
}

#[tokio::test]
async fn announcements_are_lines_however_they_arrive() {
    let text = line(1, 10) + &line(2, 20) + &line(3, 30);
    for size in [1, 7, 100, text.len()] {
        let chunks = text.as_bytes().chunks(size).map(|part| chunk(std::str::from_utf8(part).unwrap())).collect();
        let found = announced(chunks, 3).await;
        let found: Vec<_> = found.into_iter().map(|pushed| pushed.unwrap()).collect();
        let terms: Vec<_> = found.iter().map(|pushed| (pushed.belief.term.0, pushed.monotonic_nanos)).collect();
        assert_eq!(terms, [(1, 10), (2, 20), (3, 30)], "in pieces of {size} bytes");
    }
}

#[tokio::test]
async fn an_announcement_that_makes_no_sense_is_said_to_and_the_next_one_is_read() {
    let wrong_node = line(1, 10).replace("\"n1\"", "\"n2\"");
    let no_stamp = line(1, 10).replace("\"monotonic_ns\":10,", "");
    let unknown = line(1, 10).replace("null", "\"n99\"");
    let cases = [("garbage\n", "garbage"), ("\n", "garbage"), ("{}\n", "garbage"), (&wrong_node, "wrong node")];
    for (text, expected) in cases.into_iter().chain([(&*no_stamp, "garbage"), (&unknown, "garbage")]) {
        let found = announced(vec![chunk(text), chunk(&line(2, 20))], 2).await;
        assert_eq!([kind(&found[0]), kind(&found[1])], [expected, "a view"], "{text}: {found:?}");
    }
}

#[tokio::test]
async fn a_line_without_end_is_given_up() {
    let endless = vec![Step::Request, Step::Send(chunked_head()), Step::Flood(chunk(&"x".repeat(32 << 10)))];
    let server = Server::start(vec![endless]).await;
    let driver = driver(&[server.address]);
    let mut watch = driver.watch(NodeId::new(1)).unwrap().await.unwrap();
    let found = tokio::time::timeout(SECONDS, watch.next()).await.unwrap().unwrap();
    assert_eq!(kind(&found), "garbage", "{found:?}");
}

#[tokio::test]
async fn a_stream_ends_with_its_connection_and_half_a_line_is_dropped() {
    let half = line(2, 20);
    let sends = [Step::Send(chunk(&line(1, 10))), Step::Send(chunk(&half[..half.len() / 2]))];
    for end in [vec![Step::Send(b"0\r\n\r\n".to_vec())], vec![Step::Reset], vec![]] {
        let script = [vec![Step::Request, Step::Send(chunked_head())], sends.to_vec(), end].concat();
        let server = Server::start(vec![script]).await;
        let driver = driver(&[server.address]);
        let watch = driver.watch(NodeId::new(1)).unwrap().await.unwrap();
        let found: Vec<_> = tokio::time::timeout(SECONDS, watch.collect()).await.unwrap();
        assert!(found.iter().filter(|pushed| pushed.is_ok()).count() <= 1, "{found:?}");
        assert!(found.iter().all(|pushed| matches!(kind(pushed), "a view" | "silent")), "{found:?}");
    }
}

#[tokio::test]
async fn a_refused_watch_is_an_error() {
    let server = Server::start(vec![vec![Step::Request, Step::Send(answer("404 N", &line(1, 10))), Step::Hang]]).await;
    let driver = driver(&[server.address]);
    let refusal = driver.watch(NodeId::new(1)).unwrap().await.map(drop);
    assert_eq!(kind(&refusal), "garbage", "{refusal:?}");
}

#[test]
fn a_node_is_told_who_it_is_and_whom_it_meets() {
    let addresses = [address(), address()];
    let launch = driver(&addresses).launch(NodeId::new(2), Path::new("/data"));
    let words: Vec<_> = launch.processes[0].command.arguments.iter().map(|word| word.to_str().unwrap()).collect();
    assert_eq!(words[..3], ["node", "--id", "n2"]);
    for (number, address) in (1..).zip(addresses) {
        assert!(words.contains(&format!("n{number}={address}:7001/7002").as_str()), "{words:?}");
    }
    assert_eq!(words.last(), Some(&"--further"), "the user's own arguments come last, so that they win");
}
