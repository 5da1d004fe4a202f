//! The driver against a node that says what a script says, and against a real one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chaos_history::{Action, OpPhase, OpResult, Revision, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::trial::{
    Program, a_refused_connection_is_a_fail, a_register_lives, a_set_lives, add, cas, client, elements, free_address,
    installed, invoke, kind, n1, ok, prepare, read, serve, write,
};

/// What the node does with a request.
#[derive(Clone, Debug)]
enum Act {
    /// Answers with a record.
    Say(Vec<u8>),
    /// Answers with an error code.
    Refuse(i32),
    /// Answers another request.
    Other,
    /// Sends bytes that are no packet.
    Garbage(Vec<u8>),
    /// Closes the connection.
    Cut,
}

async fn packet(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = usize::try_from(stream.read_i32().await.ok()?).ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(body)
}

async fn send(stream: &mut TcpStream, body: &[u8]) {
    let mut packet = i32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    packet.extend_from_slice(body);
    stream.write_all(&packet).await.unwrap();
}

/// A node that greets and then acts out the script, whatever it is asked.
async fn node(script: Vec<Act>) -> SocketAddr {
    serve(move |_, stream| act_out(stream, script.clone())).await
}

async fn act_out(mut stream: TcpStream, script: Vec<Act>) {
    let Some(_hello) = packet(&mut stream).await else { return };
    let mut welcome = [0_i32.to_be_bytes(), 4000_i32.to_be_bytes()].concat();
    welcome.extend_from_slice(&77_i64.to_be_bytes());
    welcome.extend_from_slice(&[0, 0, 0, 0, 0]);
    send(&mut stream, &welcome).await;
    for act in script {
        let Some(request) = packet(&mut stream).await else { return };
        let mut xid = i32::from_be_bytes(request[..4].try_into().unwrap());
        let (code, record) = match act {
            Act::Say(record) => (0, record),
            Act::Refuse(code) => (code, Vec::new()),
            Act::Other => {
                xid += 1;
                (0, Vec::new())
            }
            Act::Garbage(bytes) => {
                stream.write_all(&bytes).await.unwrap();
                (0, Vec::new())
            }
            Act::Cut => return,
        };
        let body = [&xid.to_be_bytes()[..], &9_i64.to_be_bytes(), &code.to_be_bytes(), &record].concat();
        send(&mut stream, &body).await;
    }
    // The client closes, or the test ends.
    let _ = packet(&mut stream).await;
}

fn stat(mzxid: i64, version: i32) -> Vec<u8> {
    let mut record = Vec::new();
    for long in [5, mzxid, 0, 0] {
        record.extend_from_slice(&i64::to_be_bytes(long));
    }
    for int in [version, 0, 0] {
        record.extend_from_slice(&i32::to_be_bytes(int));
    }
    record.extend_from_slice(&[0; 16]);
    record.extend_from_slice(&i64::to_be_bytes(6));
    record
}

fn found(value: &str, mzxid: i64, version: i32) -> Act {
    let mut record = i32::try_from(value.len()).unwrap().to_be_bytes().to_vec();
    record.extend_from_slice(value.as_bytes());
    record.extend_from_slice(&stat(mzxid, version));
    Act::Say(record)
}

/// What a `multi` answers: a result of this kind with this code.
fn checked(op: i32, code: i32) -> Act {
    let mut record = op.to_be_bytes().to_vec();
    record.push(0);
    record.extend_from_slice(&code.to_be_bytes());
    if op == -1 {
        record.extend_from_slice(&code.to_be_bytes());
    }
    Act::Say(record)
}

async fn ends(action: Action, script: Vec<Act>) -> OpPhase {
    let told = format!("{script:?}");
    let address = node(script).await;
    let phase = invoke(&*client("zookeeper", &[address], &[]), action).await;
    assert!(!matches!(phase, OpPhase::Invoke { .. }), "{told}");
    phase
}

#[tokio::test]
async fn a_definite_no_is_a_fail_and_everything_else_is_unknown() {
    let cases = [
        (vec![Act::Refuse(-102)], "fail"),
        (vec![Act::Refuse(-8)], "fail"),
        (vec![Act::Refuse(-112)], "info"),
        (vec![Act::Refuse(-7)], "info"),
        (vec![Act::Refuse(-9999)], "info"),
        (vec![Act::Cut], "info"),
        (vec![Act::Other], "info"),
        (vec![Act::Garbage(vec![0xff; 8])], "info"),
        (vec![Act::Garbage(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())], "info"),
        (vec![Act::Say(vec![1, 2, 3])], "info"),
        (vec![Act::Say(stat(12, 3))], "ok"),
        // Absent: it is created; nobody knows what became of that.
        (vec![Act::Refuse(-101), Act::Cut], "info"),
        (vec![Act::Refuse(-101), Act::Refuse(-110), Act::Say(stat(12, 3))], "ok"),
    ];
    for (script, expect) in cases {
        let told = format!("{script:?}");
        assert_eq!(kind(&ends(write(1), script).await), expect, "{told}");
    }
}

#[tokio::test]
async fn what_goes_wrong_before_a_change_is_sent_did_not_happen() {
    for script in [vec![Act::Cut], vec![Act::Refuse(-9999)], vec![found("1", 9, 2), Act::Refuse(-103), Act::Cut]] {
        let told = format!("{script:?}");
        assert_eq!(kind(&ends(cas(Some(1), 2), script).await), "fail", "{told}");
    }
    // With the change on its way, nobody knows.
    assert_eq!(kind(&ends(cas(Some(1), 2), vec![found("1", 9, 2), Act::Cut]).await), "info");
    a_refused_connection_is_a_fail("zookeeper", write(1)).await;
}

#[tokio::test]
async fn a_node_without_a_quorum_closes_before_the_greeting_and_nothing_is_sent() {
    let address = serve(|_, mut stream| async move {
        let _ = packet(&mut stream).await;
    })
    .await;
    assert_eq!(kind(&invoke(&*client("zookeeper", &[address], &[]), write(1)).await), "fail");
}

#[tokio::test]
async fn a_refused_swap_names_a_value_only_if_the_ensemble_confirms_it() {
    let confirmed = ends(cas(Some(1), 2), vec![found("7", 9, 2), checked(13, 0)]).await;
    let seven = Some(Some(Value(7)));
    let expect = OpResult::Cas { swapped: false, observed: seven, revision: Some(Revision(9)) };
    assert_eq!(confirmed, OpPhase::Ok(expect));
    // The node lagged: the ensemble knows a newer version, and the next look finds the value that was expected.
    let script = vec![found("7", 9, 2), checked(-1, -103), found("1", 10, 3), Act::Say(stat(11, 4))];
    let swapped = OpResult::Cas { swapped: true, observed: Some(Some(Value(1))), revision: Some(Revision(11)) };
    assert_eq!(ends(cas(Some(1), 2), script).await, OpPhase::Ok(swapped));
    // It never agrees: nothing has happened, and nothing is claimed of the value.
    let script = (0..3).flat_map(|_| [found("7", 9, 2), checked(-1, -103)]).collect();
    assert_eq!(kind(&ends(cas(Some(1), 2), script).await), "fail");
}

#[tokio::test]
async fn a_value_that_nobody_can_have_written_is_kept_as_one() {
    let OpPhase::Ok(OpResult::Read { value: Some(value), revision }) = ends(read(), vec![found("007", 9, 2)]).await
    else {
        panic!("a read value")
    };
    assert!(value.0 >= 1 << 63);
    assert_eq!(revision, Some(Revision(9)));
}

#[tokio::test]
async fn a_connection_that_the_node_closed_while_idle_costs_no_operation() {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let address = serve(move |_, stream| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            // The first request's answer is also the last; then the node "restarts".
            act_out_once(stream).await;
        }
    })
    .await;
    let client = client("zookeeper", &[address], &[]);
    for round in 1..=3 {
        assert_eq!(kind(&invoke(&*client, write(1)).await), "ok");
        assert_eq!(connections.load(Ordering::SeqCst), round);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn act_out_once(mut stream: TcpStream) {
    let Some(_hello) = packet(&mut stream).await else { return };
    let mut welcome = [0_i32.to_be_bytes(), 4000_i32.to_be_bytes()].concat();
    welcome.extend_from_slice(&77_i64.to_be_bytes());
    welcome.extend_from_slice(&[0, 0, 0, 0, 0]);
    send(&mut stream, &welcome).await;
    let Some(request) = packet(&mut stream).await else { return };
    let body = [&request[..4], &9_i64.to_be_bytes(), &0_i32.to_be_bytes(), &stat(1, 1)].concat();
    send(&mut stream, &body).await;
}

fn real_node() -> Option<(Program, SocketAddr)> {
    let prefix = installed("zookeeper", "3.8.0")?;
    let address = free_address();
    let program = Program::start(&prefix.join("bin/zookeeper-server"), |folder| {
        let config = folder.join("zoo.cfg");
        let text = format!(
            "tickTime=200\ndataDir={}\nclientPort={}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n",
            folder.display(),
            address.port()
        );
        std::fs::write(&config, text).unwrap();
        vec![config.display().to_string()]
    });
    Some((program, address))
}

#[tokio::test]
async fn the_real_one_keeps_registers_and_sets() {
    let Some((mut program, address)) = real_node() else { return };
    program.listens(address).await;
    for sync in ["true", "false"] {
        let client = client("zookeeper", &[address], &[("sync", sync)]);
        prepare(&*client).await;
        if sync == "true" {
            a_register_lives(&*client, true).await;
            a_set_lives(&*client).await;
        }
        assert!(matches!(ok(&*client, read()).await, OpResult::Read { value: Some(Value(8)), .. }));
        assert!(matches!(ok(&*client, elements()).await, OpResult::Elements { values, .. } if values.len() == 3));
        assert_eq!(kind(&invoke(&*client, add(1)).await), "ok", "an element that is there");
    }
}

#[tokio::test]
async fn the_real_one_gives_a_lock_to_one_and_then_to_the_next() {
    let Some((mut program, address)) = real_node() else { return };
    program.listens(address).await;
    let open = || client("zookeeper", &[address], &[("session", "1s")]);
    let (first, second, third) = (open(), open(), open());
    prepare(&*first).await;
    let acquire = Action::Acquire { key: "l".to_owned() };
    let release = Action::Release { key: "l".to_owned() };
    let token = |result: OpResult| {
        let OpResult::Acquired { token } = result else { panic!("{result:?}") };
        token.expect("a token")
    };
    let one = token(ok(&*first, acquire.clone()).await);
    assert_eq!(kind(&invoke(&*first, acquire.clone()).await), "fail", "it holds the lock already");
    assert_eq!(kind(&invoke(&*second, release.clone()).await), "fail", "it holds nothing");
    // Nobody else gets it for longer than a session lasts without its pings.
    let waiting = tokio::time::timeout(Duration::from_secs(3), second.invoke(n1(), &acquire));
    assert!(waiting.await.is_err());
    let next = tokio::spawn(third.invoke(n1(), &acquire));
    assert_eq!(ok(&*first, release.clone()).await, OpResult::Released);
    let OpPhase::Ok(result) = next.await.unwrap().phase else { panic!("the next gets it") };
    assert!(token(result) > one);
    // The program dies, and the hold with it: a release says so.
    drop(program);
    let lost = invoke(&*third, release).await;
    assert!(matches!(kind(&lost), "fail" | "info"), "{lost:?}");
}
