//! The driver against a broker that says what a script says, and against a real one.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use chaos_history::{Action, NodeId, OpPhase, OpResult, Revision, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::codec::{Writer, batch};
use crate::client::trial::{
    Program, a_refused_connection_is_a_fail, a_set_lives, add, cas, client, elements, free_address, installed, invoke,
    kind, n1, ok, prepare, read, serve, write,
};

/// What the broker does with a request.
#[derive(Clone, Debug)]
enum Act {
    /// Tells who leads: the broker of this number, of which 1 is itself and 2 nobody that is known.
    Leads(i32),
    /// Answers a topic's metadata with this error.
    NoTopic(i16),
    /// Answers with a body.
    Say(Vec<u8>),
    /// Sends bytes that are no response.
    Raw(&'static [u8]),
    /// Closes the connection.
    Cut,
}

async fn node(script: Vec<Act>) -> SocketAddr {
    let own: Arc<Mutex<Option<SocketAddr>>> = Arc::default();
    let known = Arc::clone(&own);
    let address = serve(move |_, stream| act_out(stream, script.clone(), Arc::clone(&known))).await;
    *own.lock().unwrap() = Some(address);
    address
}

async fn act_out(mut stream: TcpStream, script: Vec<Act>, own: Arc<Mutex<Option<SocketAddr>>>) {
    for act in script {
        let Ok(length) = stream.read_i32().await else { return };
        let mut request = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut request).await.unwrap();
        let correlation = i32::from_be_bytes(request[4..8].try_into().unwrap());
        let own = own.lock().unwrap().unwrap();
        let body = match act {
            Act::Leads(leader) => metadata(own, 0, leader),
            Act::NoTopic(code) => metadata(own, code, -1),
            Act::Say(body) => body,
            Act::Raw(bytes) => {
                stream.write_all(bytes).await.unwrap();
                continue;
            }
            Act::Cut => return,
        };
        let response = [correlation.to_be_bytes().to_vec(), body].concat();
        stream.write_all(&Writer::default().bytes(&response).0).await.unwrap();
    }
    // The client closes, or the test ends.
    let _ = stream.read(&mut [0; 64]).await;
}

fn metadata(own: SocketAddr, code: i16, leader: i32) -> Vec<u8> {
    let brokers = Writer::default().i32(0).list(1).i32(1).text(&own.ip().to_string()).i32(i32::from(own.port()));
    let topic = brokers.no_text().no_text().i32(1).list(1).i16(code).text("r-k").i8(0);
    if code != 0 {
        return topic.list(0).0;
    }
    let ids = |writer: Writer| writer.list(1).i32(1).list(1).i32(1).list(0);
    ids(topic.list(1).i16(0).i32(0).i32(leader).i32(4)).0
}

fn produced(code: i16, offset: i64) -> Act {
    let body = Writer::default().list(1).text("r-k").list(1).i32(0).i16(code).i64(offset);
    Act::Say(body.i64(-1).i64(0).i32(0).0)
}

fn end(code: i16, offset: i64) -> Act {
    Act::Say(Writer::default().i32(0).list(1).text("r-k").list(1).i32(0).i16(code).i64(-1).i64(offset).i32(4).0)
}

fn fetched(code: i16, offset: i64, value: &str) -> Act {
    let mut records = batch(value, SystemTime::now());
    records[..8].copy_from_slice(&offset.to_be_bytes());
    let body = Writer::default().i32(0).i16(0).i32(0).list(1).text("r-k").list(1).i32(0).i16(code);
    Act::Say(body.i64(offset + 1).i64(offset + 1).i64(0).i32(-1).i32(-1).bytes(&records).0)
}

async fn ends(action: Action, script: Vec<Act>) -> OpPhase {
    let address = node(script).await;
    invoke(&*client("kafka", &[address], &[]), action).await
}

#[tokio::test]
async fn a_definite_no_is_a_fail_and_everything_else_is_unknown() {
    let cases = [
        (produced(0, 41), "ok"),
        (produced(19, -1), "fail"),
        (produced(10, -1), "fail"),
        // A leader that was deposed while it waited says this of what it has appended.
        (produced(6, -1), "info"),
        (produced(20, -1), "info"),
        (produced(7, -1), "info"),
        (produced(999, -1), "info"),
        (produced(0, -1), "info"),
        (Act::Say(vec![0; 3]), "info"),
        (Act::Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "info"),
        (Act::Raw(&[0, 0, 0, 8, 0, 0, 0, 99, 0, 0, 0, 0]), "info"),
        (Act::Cut, "info"),
    ];
    for (act, expect) in cases {
        let told = format!("{act:?}");
        assert_eq!(kind(&ends(write(1), vec![Act::Leads(1), act]).await), expect, "{told}");
    }
    a_refused_connection_is_a_fail("kafka", write(1)).await;
}

#[tokio::test]
async fn who_does_not_lead_is_sent_nothing_and_names_the_leader() {
    for act in [Act::Leads(-1), Act::Leads(2), Act::NoTopic(5), Act::Cut, Act::Raw(b"\xff\xff\xff\xff")] {
        let told = format!("{act:?}");
        assert_eq!(kind(&ends(write(1), vec![act]).await), "fail", "{told}");
    }
    // The second node is asked, and names the first.
    let first = node(vec![]).await;
    let own = Arc::new(Mutex::new(Some(first)));
    let second = serve(move |_, stream| act_out(stream, vec![Act::Leads(1)], Arc::clone(&own))).await;
    let answer = client("kafka", &[first, second], &[]).invoke(NodeId::new(2), &write(1)).await;
    assert_eq!(kind(&answer.phase), "fail");
    assert_eq!(answer.leader_hint, Some(n1()));
}

#[tokio::test]
async fn the_last_committed_record_is_the_value() {
    let found = ends(read(), vec![Act::Leads(1), end(0, 8), fetched(0, 7, "42")]).await;
    assert_eq!(found, OpPhase::Ok(OpResult::Read { value: Some(Value(42)), revision: Some(Revision(8)) }));
    let none = OpPhase::Ok(OpResult::Read { value: None, revision: None });
    assert_eq!(ends(read(), vec![Act::Leads(1), end(0, 0)]).await, none);
    assert_eq!(ends(read(), vec![Act::NoTopic(3)]).await, none);
    for script in [
        vec![Act::Leads(1), end(6, -1)],
        vec![Act::Leads(1), end(0, 8), fetched(1, 7, "42")],
        vec![Act::Leads(1), end(0, 9), fetched(0, 7, "42")],
    ] {
        let told = format!("{script:?}");
        assert_eq!(kind(&ends(read(), script).await), "info", "{told}");
    }
}

#[tokio::test]
async fn what_a_log_has_no_words_for_is_refused() {
    assert_eq!(kind(&ends(cas(Some(1), 2), vec![]).await), "fail");
}

#[tokio::test]
async fn the_real_one_keeps_logs_and_tells_who_leads() {
    let Some(prefix) = installed("kafka", "4.2.0") else { return };
    let (address, controller) = (free_address(), free_address());
    let mut program = Program::start(&prefix.join("bin/kafka-server"), |folder| {
        let config = folder.join("server.properties");
        let text = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@{controller}\n\
             listeners=PLAINTEXT://{address},CONTROLLER://{controller}\nadvertised.listeners=PLAINTEXT://{address}\n\
             controller.listener.names=CONTROLLER\nlog.dirs={}\nauto.create.topics.enable=false\n\
             offsets.topic.replication.factor=1\n",
            folder.join("data").display()
        );
        std::fs::write(&config, text).unwrap();
        let config = config.display().to_string();
        let mut format = Command::new(prefix.join("bin/kafka-storage"));
        let format = format.args(["format", "-t", "AAAAAAAAQACAAAAAAAAAAQ", "-c", &config]).output().unwrap();
        assert!(format.status.success(), "{}", String::from_utf8_lossy(&format.stderr));
        vec![config]
    });
    program.listens(address).await;
    let client = client("kafka", &[address], &[("topics", "r-k")]);
    prepare(&*client).await;
    prepare(&*client).await;
    let none = OpResult::Read { value: None, revision: None };
    assert_eq!(ok(&*client, read()).await, none);
    for value in 1..=3 {
        let revision = Some(Revision(value));
        assert_eq!(ok(&*client, write(value)).await, OpResult::Written { revision });
        assert_eq!(ok(&*client, read()).await, OpResult::Read { value: Some(Value(value)), revision });
    }
    a_set_lives(&*client).await;
    for value in 1000..1300 {
        ok(&*client, add(value)).await;
    }
    let OpResult::Elements { values, .. } = ok(&*client, elements()).await else { panic!("a set") };
    assert_eq!(values.len(), 303);
    let quorum = client.ask(n1(), "quorum").await.unwrap();
    assert_eq!(quorum["leaderId"], 1, "{quorum}");
    assert!(quorum["leaderEpoch"].as_u64().is_some_and(|epoch| epoch > 0), "{quorum}");
    let partition = client.ask(n1(), "partition r-k").await.unwrap();
    assert_eq!((&partition["leaderId"], &partition["isr"]), (&1.into(), &serde_json::json!([1])), "{partition}");
    assert!(client.ask(n1(), "partition nothing").await.is_err());
    assert!(client.ask(n1(), "anything").await.is_err());
}
