//! The driver against a node that says what a script says, and against a real one.

use std::net::SocketAddr;
use std::process::Command;

use chaos_history::{Action, OpPhase, OpResult, Revision, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::SCHEMA;
use crate::client::trial::{
    Program, a_refused_connection_is_a_fail, cas, client, free_address, installed, invoke, kind, read,
    registers_and_sets_live, serve, write,
};

/// What the node sends for each request, `ID` replaced by the request's number; `None` closes the connection.
async fn node(script: Vec<Option<String>>) -> SocketAddr {
    serve(move |_, stream| act_out(stream, script.clone())).await
}

async fn act_out(mut stream: TcpStream, script: Vec<Option<String>>) {
    let mut requests = 0;
    for act in script {
        let mut bytes = [0; 65536];
        let mut text = String::new();
        while !text.ends_with(&format!("\"id\":{}}}", requests + 1)) {
            match stream.read(&mut bytes).await {
                Ok(count) if count > 0 => text.push_str(&String::from_utf8_lossy(&bytes[..count])),
                Ok(_) | Err(_) => return,
            }
        }
        requests += 1;
        let Some(answer) = act else { return };
        stream.write_all(answer.replace("ID", &requests.to_string()).as_bytes()).await.unwrap();
    }
    // The client closes, or the test ends.
    let _ = stream.read(&mut [0; 64]).await;
}

fn say(results: &str) -> Option<String> {
    Some(format!(r#"{{"id":"e","method":"echo","params":[]}}{{"id":ID,"result":[{results}],"error":null}}"#))
}

fn row(value: &str, revision: u64) -> String {
    format!(r#"{{"rows":[{{"value":"{value}","revision":{revision}}}]}}"#)
}

fn refuse(ops: usize, error: &str) -> Option<String> {
    say(&format!(r#"{}{{"error":"{error}","details":"x"}}"#, "{},".repeat(ops)))
}

async fn ends(action: Action, script: Vec<Option<String>>) -> OpPhase {
    let address = node(script).await;
    invoke(&*client("ovsdb", &[address], &[]), action).await
}

#[tokio::test]
async fn a_definite_no_is_a_fail_and_everything_else_is_unknown() {
    let raw = |text: &str| Some(text.to_owned());
    let done = format!(r#"{{"count":1}},{{"count":1}},{}"#, row("1", 7));
    let cases = [
        (say(&done), "ok"),
        (refuse(0, "unknown table"), "fail"),
        (refuse(3, "aborted"), "fail"),
        (refuse(0, "cluster error"), "info"),
        (refuse(3, "I/O error"), "info"),
        (refuse(0, "something new"), "info"),
        (say(r#"{"count":1}"#), "info"),
        (raw(r#"{"id":ID,"result":null,"error":"canceled"}"#), "info"),
        (raw(r#"{"id":99,"result":[],"error":null}"#), "info"),
        (raw(r#"{"id":ID,"result":7,"error":null}"#), "info"),
        (raw("HTTP/1.1 400 Bad Request\r\n\r\n"), "info"),
        (raw("}{"), "info"),
        (raw("{]"), "info"),
        (None, "info"),
    ];
    for (answer, expect) in cases {
        let told = format!("{answer:?}");
        assert_eq!(kind(&ends(write(1), vec![answer]).await), expect, "{told}");
    }
    a_refused_connection_is_a_fail("ovsdb", write(1)).await;
}

#[tokio::test]
async fn a_swap_is_unknown_only_once_it_is_sent() {
    assert_eq!(kind(&ends(cas(Some(1), 2), vec![None]).await), "fail");
    assert_eq!(kind(&ends(cas(Some(1), 2), vec![refuse(0, "cluster error")]).await), "fail");
    assert_eq!(kind(&ends(cas(Some(1), 2), vec![say(&row("1", 4)), None]).await), "info");
    // The confirmation of a refusal changes nothing that a client reads.
    assert_eq!(kind(&ends(cas(Some(1), 2), vec![say(&row("7", 4)), None]).await), "fail");
}

#[tokio::test]
async fn a_swap_whose_condition_is_not_met_may_have_happened_before_a_change_of_leader() {
    let unmet = vec![say(&row("1", 4)), refuse(0, "timed out")];
    assert_eq!(kind(&ends(cas(Some(1), 2), unmet).await), "info");
    let constraint = vec![say(r#"{"rows":[]}"#), refuse(2, "constraint violation")];
    assert_eq!(kind(&ends(cas(None, 2), constraint).await), "info");
}

#[tokio::test]
async fn a_refused_swap_names_a_value_only_if_the_cluster_confirms_it() {
    let refused = OpResult::Cas { swapped: false, observed: Some(Some(Value(7))), revision: Some(Revision(4)) };
    let confirmed = vec![say(&row("7", 4)), say(r#"{},{"count":1}"#)];
    assert_eq!(ends(cas(Some(1), 2), confirmed).await, OpPhase::Ok(refused));
    let lagging = vec![
        say(&row("7", 4)),
        refuse(0, "timed out"),
        say(&row("1", 5)),
        say(&format!(r#"{{}},{{"count":1}},{{"count":1}},{}"#, row("2", 6))),
    ];
    let swapped = OpResult::Cas { swapped: true, observed: Some(Some(Value(1))), revision: Some(Revision(6)) };
    assert_eq!(ends(cas(Some(1), 2), lagging).await, OpPhase::Ok(swapped));
    let never = (0..3).flat_map(|_| [say(&row("7", 4)), refuse(0, "timed out")]).collect();
    assert_eq!(kind(&ends(cas(Some(1), 2), never).await), "fail");
    let uncounted = vec![say(&row("7", 4)), say(r#"{},{"count":0}"#)];
    assert_eq!(kind(&ends(cas(Some(1), 2), uncounted).await), "fail");
}

#[tokio::test]
async fn a_value_that_nobody_can_have_written_is_kept_as_one() {
    let OpPhase::Ok(OpResult::Read { value, .. }) = ends(read(), vec![say(&row("1 ", 4))]).await else {
        panic!("read")
    };
    assert!(value.is_some_and(|value| value.0 >= 1 << 63));
}

#[tokio::test]
async fn the_real_one_keeps_registers_and_sets() {
    let Some(prefix) = installed("ovsdb", "3.1.0") else { return };
    for reads in ["local", "confirmed"] {
        let address = free_address();
        let raft = free_address();
        let mut program = Program::start(&prefix.join("bin/ovsdb-server"), |folder| {
            std::fs::write(folder.join("schema"), SCHEMA).unwrap();
            let mut tool = Command::new(prefix.join("bin/ovsdb-tool"));
            tool.arg("create-cluster").arg(folder.join("db")).arg(folder.join("schema")).arg(format!("tcp:{raft}"));
            assert!(tool.status().unwrap().success());
            let remote = format!("--remote=ptcp:{}:127.0.0.1", address.port());
            let control = format!("--unixctl={}", folder.join("ctl").display());
            vec![folder.join("db").display().to_string(), remote, control, "--no-chdir".to_owned()]
        });
        program.listens(address).await;
        let client = client("ovsdb", &[address], &[("reads", reads)]);
        registers_and_sets_live(&*client).await;
    }
}
