//! The driver against a node that says what a script says, and against a real one.

use std::net::SocketAddr;
use std::process::Command;

use chaos_history::{Action, OpPhase, OpResult, Revision, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::trial::{
    Program, a_refused_connection_is_a_fail, cas, client, free_address, installed, invoke, kind, n1, ok, read,
    registers_and_sets_live, serve, write,
};

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend_from_slice(&i32::try_from(body.len() + 4).unwrap().to_be_bytes());
    message.extend_from_slice(body);
    message
}

fn row(columns: &[Option<&str>]) -> Vec<u8> {
    let mut body = i16::try_from(columns.len()).unwrap().to_be_bytes().to_vec();
    for column in columns {
        let length = column.map_or(-1, |text| i32::try_from(text.len()).unwrap());
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(column.unwrap_or_default().as_bytes());
    }
    message(b'D', &body)
}

fn notice(kind: u8, severity: &str, code: &str) -> Vec<u8> {
    message(kind, format!("S{severity}\0V{severity}\0C{code}\0Mwhy\0\0").as_bytes())
}

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

/// A query that ends after these messages.
fn whole(messages: Vec<Vec<u8>>) -> Vec<u8> {
    [messages.concat(), message(b'C', b"SELECT 1\0"), ready()].concat()
}

/// A node that answers every greeting and then a query with these bytes, after which it closes.
async fn node(answer: Vec<u8>) -> SocketAddr {
    serve(move |_, stream| act_out(stream, answer.clone())).await
}

async fn act_out(mut stream: TcpStream, answer: Vec<u8>) {
    let length = usize::try_from(stream.read_i32().await.unwrap()).unwrap();
    stream.read_exact(&mut vec![0; length - 4]).await.unwrap();
    stream.write_all(&[message(b'R', &[0; 4]), message(b'S', b"a\0b\0"), ready()].concat()).await.unwrap();
    if stream.read_u8().await.is_err() {
        return;
    }
    let length = usize::try_from(stream.read_i32().await.unwrap()).unwrap();
    stream.read_exact(&mut vec![0; length - 4]).await.unwrap();
    stream.write_all(&answer).await.unwrap();
}

async fn ends(action: Action, answer: Vec<u8>) -> OpPhase {
    let address = node(answer).await;
    invoke(&*client("postgres", &[address], &[]), action).await
}

#[tokio::test]
async fn an_error_is_definite_by_its_state_and_everything_else_is_unknown() {
    let error = |code: &str| [notice(b'E', "ERROR", code), ready()].concat();
    let cases = [
        (whole(vec![row(&[Some("3")])]), "ok"),
        (error("25006"), "fail"),
        (error("40001"), "fail"),
        (error("40003"), "info"),
        (error("23505"), "fail"),
        (error("57014"), "fail"),
        (error("XX000"), "info"),
        (error("58030"), "info"),
        (error("08006"), "info"),
        (error(""), "info"),
        (notice(b'E', "FATAL", "57P01"), "info"),
        (notice(b'E', "FATAL", "25006"), "info"),
        // Committed here, perhaps nowhere else.
        (whole(vec![notice(b'N', "WARNING", "01000"), row(&[Some("3")])]), "info"),
        (whole(vec![notice(b'N', "NOTICE", "00000"), row(&[Some("3")])]), "ok"),
        // The row has come, but not the end of the transaction.
        (row(&[Some("3")]), "info"),
        (whole(vec![]), "info"),
        (whole(vec![message(b'D', &[0, 5, 1])]), "info"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "info"),
        (Vec::new(), "info"),
    ];
    for (answer, expect) in cases {
        let told = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(kind(&ends(write(1), answer).await), expect, "{told:?}");
    }
    a_refused_connection_is_a_fail("postgres", write(1)).await;
}

#[tokio::test]
async fn a_server_that_lets_nobody_in_has_done_nothing() {
    for answer in [notice(b'E', "FATAL", "57P03"), message(b'R', &[0, 0, 0, 10]), b"HTTP/1.1 400 Bad".to_vec()] {
        let address = serve(move |_, mut stream| {
            let answer = answer.clone();
            async move {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(&answer).await;
            }
        })
        .await;
        assert_eq!(kind(&invoke(&*client("postgres", &[address], &[]), write(1)).await), "fail");
    }
}

#[tokio::test]
async fn a_standby_is_read_only_if_that_is_wanted() {
    let answer = || whole(vec![row(&[Some("t"), Some("5"), Some("2")])]);
    assert_eq!(kind(&ends(read(), answer()).await), "fail");
    let any = client("postgres", &[node(answer()).await], &[("on", "any")]);
    let read = OpResult::Read { value: Some(Value(5)), revision: Some(Revision(2)) };
    assert_eq!(ok(&*any, self::read()).await, read);
}

#[tokio::test]
async fn a_swap_tells_what_the_row_held() {
    let refused = ends(cas(Some(1), 2), whole(vec![row(&[Some("f"), Some("7"), Some("4")])])).await;
    let result = OpResult::Cas { swapped: false, observed: Some(Some(Value(7))), revision: Some(Revision(4)) };
    assert_eq!(refused, OpPhase::Ok(result));
    let absent = OpResult::Cas { swapped: false, observed: Some(None), revision: None };
    assert_eq!(ends(cas(Some(1), 2), whole(vec![])).await, OpPhase::Ok(absent));
    assert_eq!(kind(&ends(cas(Some(1), 2), whole(vec![row(&[None, None, None])])).await), "info");
}

/// PostgreSQL refuses to be root, so that a root starts it in a user namespace in which it is somebody else.
fn as_somebody(program: &std::path::Path) -> (std::path::PathBuf, Vec<String>) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if status.lines().any(|line| line.starts_with("Uid:\t0\t")) {
        let words = ["--user", "--map-user=1", "--map-group=1", "--"].map(str::to_owned);
        return ("unshare".into(), words.into_iter().chain([program.display().to_string()]).collect());
    }
    (program.to_owned(), Vec::new())
}

#[tokio::test]
async fn the_real_one_keeps_registers_and_sets() {
    let Some(prefix) = installed("patroni", "3.0.2") else { return };
    let address = free_address();
    let (program, first) = as_somebody(&prefix.join("bin/postgres"));
    let mut program = Program::start(&program, |folder| {
        let data = folder.join("data").display().to_string();
        let (initdb, words) = as_somebody(&prefix.join("bin/initdb"));
        let made = Command::new(initdb)
            .args(words)
            .args(["-D", &data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = address.port().to_string();
        let own = ["-D", &data, "-p", &port, "-h", "127.0.0.1", "-F", "-c", "unix_socket_directories="];
        first.into_iter().chain(own.map(str::to_owned)).collect()
    });
    program.listens(address).await;
    let client = client("postgres", &[address], &[]);
    registers_and_sets_live(&*client).await;
    let role = client.ask(n1(), "role").await.unwrap();
    assert_eq!(role, serde_json::json!({ "in_recovery": false, "timeline": 1 }));
    assert!(client.ask(n1(), "rule").await.is_err());
    contended_swaps_are_one_at_a_time(&*client).await;
}

/// Eight swaps of one value at once: one succeeds, and all others see a value that some swap wrote.
async fn contended_swaps_are_one_at_a_time(client: &dyn crate::driver::Client) {
    for round in 0..20_u64 {
        ok(client, write(1000 + round)).await;
        let swaps = (0..8).map(|number| invoke(client, cas(Some(1000 + round), 2000 + 10 * round + number)));
        let mut winners = Vec::new();
        for phase in futures::future::join_all(swaps).await {
            let OpPhase::Ok(OpResult::Cas { swapped, observed, .. }) = phase else { panic!("{phase:?}") };
            if swapped {
                winners.push(observed);
            } else {
                let seen = observed.flatten().unwrap().0;
                assert!((2000 + 10 * round..2008 + 10 * round).contains(&seen), "{seen}");
            }
        }
        assert_eq!(winners, [Some(Some(Value(1000 + round)))]);
    }
}
