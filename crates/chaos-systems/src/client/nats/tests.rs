//! The driver against a node that says what a script says, and against real ones.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chaos_history::{Action, OpPhase, OpResult, Revision, Value};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::client::trial::{
    Program, a_refused_connection_is_a_fail, add, cas, client, elements, free_address, installed, invoke, kind, ok,
    read, registers_and_sets_live, serve, write,
};

/// What the node does with a request.
#[derive(Clone, Debug)]
enum Act {
    /// Answers with a payload.
    Say(String),
    /// Answers with a payload, and again with another one.
    Twice(String, String),
    /// Answers that nobody listens.
    NoResponders,
    /// Sends these bytes.
    Raw(&'static str),
    /// Closes the connection.
    Cut,
}

const PREAMBLE: &str = "INFO {\"server_id\":\"x\",\"headers\":true}\r\n";

async fn node(script: Vec<Act>) -> SocketAddr {
    serve(move |_, stream| act_out(stream, script.clone())).await
}

/// Greets, then acts out the script, one act for a request; a request's subject for answers is in it.
async fn act_out(stream: TcpStream, script: Vec<Act>) {
    let mut stream = BufReader::new(stream);
    stream.write_all(PREAMBLE.as_bytes()).await.unwrap();
    let mut acts = script.into_iter();
    let mut line = String::new();
    while {
        line.clear();
        stream.read_line(&mut line).await.is_ok_and(|count| count > 0)
    } {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (reply, length) = match *words.as_slice() {
            ["PING"] => {
                stream.write_all(b"PONG\r\n").await.unwrap();
                continue;
            }
            ["PUB", _, reply, length] | ["HPUB", _, reply, _, length] => {
                (reply.to_owned(), length.parse::<usize>().unwrap())
            }
            _ => continue,
        };
        let mut payload = vec![0; length + 2];
        stream.read_exact(&mut payload).await.unwrap();
        let said = |text: &str| format!("PING\r\nMSG {reply} 1 {}\r\n{text}\r\n", text.len());
        let answer = match acts.next() {
            Some(Act::Say(text)) => said(&text),
            Some(Act::Twice(one, other)) => said(&one) + &said(&other),
            Some(Act::NoResponders) => format!("HMSG {reply} 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n"),
            Some(Act::Raw(text)) => text.to_owned(),
            Some(Act::Cut) | None => return,
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

fn say(text: &str) -> Act {
    Act::Say(text.to_owned())
}

fn refuse(code: u32) -> Act {
    Act::Say(format!(r#"{{"error":{{"code":400,"err_code":{code},"description":"no"}}}}"#))
}

fn message(subject: &str, seq: u64, text: &str) -> Act {
    let data = STANDARD.encode(text);
    Act::Say(format!(r#"{{"message":{{"subject":"{subject}","seq":{seq},"data":"{data}","time":"x"}}}}"#))
}

async fn ends(action: Action, script: Vec<Act>) -> OpPhase {
    let address = node(script).await;
    invoke(&*client("nats", &[address], &[]), action).await
}

#[tokio::test]
async fn a_definite_no_is_a_fail_and_everything_else_is_unknown() {
    let cases = [
        (say(r#"{"stream":"chaos","seq":5}"#), "ok"),
        (Act::NoResponders, "fail"),
        (refuse(10071), "fail"),
        (refuse(10059), "fail"),
        (refuse(10008), "info"),
        (refuse(10077), "info"),
        (say(r#"{"error":{"code":503,"description":"raft: not leader"}}"#), "info"),
        (say(r#"{"stream":"chaos"}"#), "info"),
        (say(r#"{"stream":"chaos","seq":0}"#), "info"),
        (say("+OK"), "info"),
        (Act::Raw("-ERR 'Stale Connection'\r\n"), "info"),
        (Act::Raw("MSG _INBOX.other 1 2\r\n{}\r\n"), "info"),
        (Act::Raw("MSG x 1 99999999999\r\n"), "info"),
        (Act::Cut, "info"),
    ];
    for (act, expect) in cases {
        let told = format!("{act:?}");
        assert_eq!(kind(&ends(write(1), vec![act]).await), expect, "{told}");
    }
    a_refused_connection_is_a_fail("nats", write(1)).await;
}

#[tokio::test]
async fn another_service_is_noticed_before_anything_is_sent() {
    let address = serve(|_, mut stream| async move {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await;
        let _ = stream.read(&mut [0; 64]).await;
    })
    .await;
    let phase = invoke(&*client("nats", &[address], &[]), write(1)).await;
    assert!(matches!(&phase, OpPhase::Fail { error } if error.contains("not a NATS server")), "{phase:?}");
}

#[tokio::test]
async fn a_swap_is_unknown_only_once_it_is_published() {
    let one = || message("r.k", 5, "1");
    assert_eq!(kind(&ends(cas(Some(1), 2), vec![Act::Cut]).await), "fail");
    assert_eq!(kind(&ends(cas(Some(1), 2), vec![refuse(10008)]).await), "fail");
    assert_eq!(kind(&ends(cas(Some(1), 2), vec![one(), Act::Cut]).await), "info");
    assert_eq!(kind(&ends(cas(Some(1), 2), vec![one(), Act::NoResponders]).await), "fail");
    let swapped = ends(cas(Some(1), 2), vec![one(), say(r#"{"stream":"chaos","seq":9}"#)]).await;
    let result = OpResult::Cas { swapped: true, observed: Some(Some(Value(1))), revision: Some(Revision(9)) };
    assert_eq!(swapped, OpPhase::Ok(result));
}

#[tokio::test]
async fn a_refused_condition_names_no_value_and_is_tried_again() {
    let script = vec![message("r.k", 5, "1"), refuse(10071), message("r.k", 6, "7")];
    let result = OpResult::Cas { swapped: false, observed: Some(Some(Value(7))), revision: Some(Revision(6)) };
    assert_eq!(ends(cas(Some(1), 2), script).await, OpPhase::Ok(result));
    let script = (0..3).flat_map(|_| [message("r.k", 5, "1"), refuse(10071)]).collect();
    assert_eq!(kind(&ends(cas(Some(1), 2), script).await), "fail");
}

#[tokio::test]
async fn a_set_is_read_as_a_whole_or_not_at_all() {
    let info = || say(r#"{"state":{"first_seq":1,"last_seq":4}}"#);
    let script = vec![info(), message("s.s", 1, "3"), message("r.k", 2, "9"), refuse(10037), message("s.s", 4, "x")];
    let OpPhase::Ok(OpResult::Elements { values, revision }) = ends(elements(), script).await else { panic!("a set") };
    assert_eq!(revision, Some(Revision(4)));
    assert_eq!(values[0], Value(3));
    assert!(values[1].0 >= 1 << 63, "what nobody can have added is kept as such");
    let script = vec![info(), message("s.s", 1, "3"), refuse(10008)];
    assert_eq!(kind(&ends(elements(), script).await), "info");
    assert_eq!(kind(&ends(elements(), vec![say(r#"{"state":{"first_seq":1,"last_seq":400000}}"#)]).await), "info");
}

#[tokio::test]
async fn two_leaders_that_answer_one_request_answer_no_other() {
    let twice = |act| match act {
        Act::Say(text) => Act::Twice(text, r#"{"error":{"code":404,"err_code":10037,"description":"no"}}"#.to_owned()),
        Act::Twice(..) | Act::NoResponders | Act::Raw(_) | Act::Cut => act,
    };
    let info = say(r#"{"state":{"messages":3,"first_seq":1,"last_seq":3}}"#);
    let script = vec![info.clone(), message("s.s", 1, "3"), message("s.s", 2, "4"), message("s.s", 3, "5")];
    let set = ends(elements(), script.into_iter().map(twice).collect()).await;
    let OpPhase::Ok(OpResult::Elements { values, .. }) = set else { panic!("{set:?}") };
    assert_eq!(values, [Value(3), Value(4), Value(5)]);

    // And on the session of one, the next question gets its own answer.
    let written = |seq: u64| say(&format!(r#"{{"stream":"chaos","seq":{seq}}}"#));
    let address = node([5, 6, 7].into_iter().map(|seq| twice(written(seq))).collect()).await;
    let client = client("nats", &[address], &[]);
    for seq in [5, 6, 7] {
        let revision = Some(Revision(seq));
        assert_eq!(invoke(&*client, write(seq)).await, OpPhase::Ok(OpResult::Written { revision }));
    }

    // What the stream counts and nobody finds is not what the set lacks.
    let script = vec![info, message("s.s", 1, "3"), refuse(10037), message("s.s", 3, "5")];
    assert_eq!(kind(&ends(elements(), script).await), "info");
}

#[tokio::test]
async fn a_cluster_that_answers_nothing_yet_is_asked_again() {
    let silent = serve(|_, mut stream| async move {
        let _ = stream.write_all(PREAMBLE.as_bytes()).await;
        let mut bytes = [0; 4096];
        while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {
            if bytes.starts_with(b"CONNECT") {
                let _ = stream.write_all(b"PONG\r\n").await;
                bytes[0] = 0;
            }
        }
    })
    .await;
    let error = client("nats", &[silent], &[]).prepare().await.unwrap_err();
    assert!(error.to_string().contains("no answer within"), "{error}");
    // The next node may know more.
    let ready = node(vec![say(r#"{"config":{}}"#)]).await;
    client("nats", &[silent, ready], &[]).prepare().await.unwrap();
}

async fn real_node(version: &str) -> Option<(Program, SocketAddr)> {
    let prefix = installed("nats", version)?;
    let address = free_address();
    let mut program = Program::start(&prefix.join("bin/nats-server"), |folder| {
        let text = |text: &str| text.to_owned();
        let store = folder.join("js").display().to_string();
        vec![text("-a"), text("127.0.0.1"), text("-p"), address.port().to_string(), text("-js"), text("-sd"), store]
    });
    program.listens(address).await;
    Some((program, address))
}

#[tokio::test]
async fn real_ones_keep_registers_and_sets() {
    for version in ["2.15.1", "2.9.10"] {
        let Some((_program, address)) = real_node(version).await else { continue };
        let client = client("nats", &[address], &[]);
        registers_and_sets_live(&*client).await;
        for value in 400..900 {
            ok(&*client, add(value)).await;
        }
        let OpResult::Elements { values, .. } = ok(&*client, elements()).await else { panic!("a set") };
        assert_eq!(values.len(), 503);
        assert!(matches!(ok(&*client, read()).await, OpResult::Read { value: Some(Value(8)), .. }));
    }
}

#[tokio::test]
async fn a_real_one_without_the_stream_refuses_definitely() {
    let Some((_program, address)) = real_node("2.15.1").await else { return };
    assert_eq!(kind(&invoke(&*client("nats", &[address], &[]), write(1)).await), "fail");
}
