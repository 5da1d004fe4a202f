//! Operations: the line between "it did not happen" and "nobody knows".

use std::time::Duration;

use chaos_history::{Action, NodeId, OpPhase, OpResult, Revision, Value};
use chaos_systems::{Answer, Driver};

use crate::server::{Server, Step, address, answer, chunk, chunked_head, driver, driver_with_patience};

const SECONDS: Duration = Duration::from_secs(20);

fn read() -> Action {
    Action::Read { key: "k0".to_owned() }
}

fn write() -> Action {
    Action::Write { key: "k0".to_owned(), value: Value(5) }
}

fn cas() -> Action {
    Action::Cas { key: "k0".to_owned(), expect: None, value: Value(5) }
}

async fn invoke(script: Vec<Step>, action: &Action) -> Answer {
    let server = Server::start(vec![script]).await;
    let driver = driver(&[server.address, address(), address()]);
    tokio::time::timeout(SECONDS, driver.invoke(NodeId::new(1), action)).await.unwrap()
}

async fn answered(action: &Action, status: &str, body: &str) -> Answer {
    invoke(vec![Step::Request, Step::Send(answer(status, body)), Step::Hang], action).await
}

fn kind(answer: &Answer) -> &'static str {
    match answer.phase {
        OpPhase::Invoke { .. } => "invoke",
        OpPhase::Ok(_) => "ok",
        OpPhase::Fail { .. } => "fail",
        OpPhase::Info { .. } => "info",
    }
}

fn value_read(answer: &Answer) -> Option<Value> {
    let OpPhase::Ok(OpResult::Read { value, .. }) = &answer.phase else { panic!("{answer:?}") };
    *value
}

#[tokio::test]
async fn successes_say_what_was_asked() {
    let revision = Some(Revision(7));
    let cases = [
        (read(), r#"{"value":"5","revision":7,"term":3}"#, OpResult::Read { value: Some(Value(5)), revision }),
        (read(), r#"{"value":null,"revision":null,"term":null}"#, OpResult::Read { value: None, revision: None }),
        (write(), r#"{"revision":7,"term":3}"#, OpResult::Written { revision }),
        (
            cas(),
            r#"{"swapped":true,"value":"4","revision":7,"term":3}"#,
            OpResult::Cas { swapped: true, observed: Some(Some(Value(4))), revision },
        ),
        (
            cas(),
            r#"{"swapped":false,"value":null,"revision":null,"term":3}"#,
            OpResult::Cas { swapped: false, observed: Some(None), revision: None },
        ),
    ];
    for (action, body, expected) in cases {
        let found = answered(&action, "200 OK", body).await;
        assert_eq!(found, Answer { phase: OpPhase::Ok(expected), leader_hint: None }, "{body}");
    }
}

#[tokio::test]
async fn only_the_nodes_own_definite_word_is_a_fail() {
    let n3 = Some(NodeId::new(3));
    let cases = [
        ("421 M", r#"{"error":"not_leader","definite":true,"leader":"n3","leader_http":"x"}"#, "fail", n3),
        ("421 M", r#"{"error":"not_leader","definite":true,"leader":null}"#, "fail", None),
        ("421 M", r#"{"error":"not_leader","definite":true,"leader":"n4"}"#, "fail", None),
        ("421 M", r#"{"error":"not_leader","definite":true,"leader":"../x"}"#, "fail", None),
        ("503 S", r#"{"error":"busy","definite":true}"#, "fail", None),
        ("503 S", r#"{"error":"superseded","definite":false}"#, "info", None),
        ("504 T", r#"{"error":"timeout"}"#, "info", None),
        ("504 T", r#"{"error":"timeout","definite":"true"}"#, "info", None),
        ("502 B", "<html><body>Bad Gateway</body></html>", "info", None),
        ("500 I", "", "info", None),
        ("302 Found", "", "info", None),
    ];
    for (status, body, expected, hint) in cases {
        for action in [read(), write(), cas()] {
            let found = answered(&action, status, body).await;
            assert_eq!((kind(&found), found.leader_hint), (expected, hint), "{status} {body} {action:?}: {found:?}");
        }
    }
}

#[tokio::test]
async fn a_success_that_does_not_say_what_was_asked_is_unknown() {
    let cases = [
        (read(), "{}"),
        (read(), r#"{"revision":7}"#),
        (read(), r#"{"value":5,"revision":7}"#),
        (write(), "{}"),
        (cas(), r#"{"value":"5","revision":7}"#),
        (write(), r#"{"revision":7,"error":"but"}"#),
        (read(), "[]"),
        (read(), r#"["5",7,true]"#),
        (read(), "null"),
        (read(), "<html></html>"),
        (read(), r#"{"value":"5","rev"#),
        (read(), "\u{fffd}\0"),
    ];
    for (action, body) in cases {
        let found = answered(&action, "200 OK", body).await;
        assert_eq!(kind(&found), "info", "{body} {action:?}: {found:?}");
    }
}

#[tokio::test]
async fn a_value_that_no_client_writes_reaches_the_checker_as_one_without_a_writer() {
    for text in ["", "abc", "-1", "+5", "05", " 5", "5 ", "5.0", "18446744073709551616", "\\u0665"] {
        let body = format!(r#"{{"value":"{text}","revision":7}}"#);
        let value = value_read(&answered(&read(), "200 OK", &body).await).expect(text);
        assert!(value.0 >= 1 << 63, "`{text}` became {value}");
        assert_eq!(Some(value), value_read(&answered(&read(), "200 OK", &body).await), "one text is one value");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_leaves_the_outcome_unknown() {
    let head = |length: usize| Step::Send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").into_bytes());
    let scripts = [
        ("reset at once", vec![Step::Request, Step::Reset]),
        ("closed at once", vec![Step::Request]),
        ("half a status line", vec![Step::Request, Step::Send(b"HTTP/1.1 2".to_vec())]),
        ("no HTTP", vec![Step::Request, Step::Send(b"220 smtp ready\r\n".to_vec())]),
        ("half a body", vec![Step::Request, head(99), Step::Send(br#"{"revision":7}"#.to_vec())]),
        ("half a body, reset", vec![Step::Request, head(99), Step::Send(br#"{"revision":7}"#.to_vec()), Step::Reset]),
        (
            "a chunk that is none",
            vec![Step::Request, Step::Send(chunked_head()), Step::Send(b"zz\r\n".to_vec()), Step::Hang],
        ),
    ];
    for (what, script) in scripts {
        let found = invoke(script, &write()).await;
        assert_eq!(kind(&found), "info", "{what}: {found:?}");
    }
}

#[tokio::test]
async fn a_body_without_end_is_cut_off_and_unknown() {
    let flood = Step::Flood(chunk(&" ".repeat(64 << 10)));
    let found = invoke(vec![Step::Request, Step::Send(chunked_head()), flood], &read()).await;
    assert!(matches!(&found.phase, OpPhase::Info { error } if error.contains("megabyte")), "{found:?}");
}

#[tokio::test]
async fn a_body_that_stops_coming_leaves_the_end_to_the_caller() {
    let server = Server::start(vec![vec![Step::Request, Step::Send(chunked_head()), Step::Hang]]).await;
    let driver = driver(&[server.address]);
    let ended = tokio::time::timeout(Duration::from_millis(100), driver.invoke(NodeId::new(1), &read())).await;
    assert!(ended.is_err(), "{ended:?}");
}

#[tokio::test]
async fn nobody_at_the_port_is_a_fail() {
    let found = driver(&[address()]).invoke(NodeId::new(1), &write()).await;
    assert_eq!(kind(&found), "fail", "{found:?}");
}

#[tokio::test]
async fn a_connection_that_never_comes_about_is_a_fail() {
    // A queue for one connection, which is full: the kernel drops further ones.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    let address = address();
    socket.bind((address, 7002).into()).unwrap();
    let listener = socket.listen(0).unwrap();
    let _first = tokio::net::TcpStream::connect((address, 7002)).await.unwrap();
    let driver = driver_with_patience(&[address], Duration::from_millis(200));
    let found = tokio::time::timeout(SECONDS, driver.invoke(NodeId::new(1), &write())).await.unwrap();
    assert_eq!(kind(&found), "fail", "{found:?}");
    drop(listener);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fail_on_a_kept_connection_means_that_no_byte_of_the_request_arrived() {
    let mut seen = std::collections::BTreeMap::<&str, u32>::new();
    let done = || Step::Send(answer("200 OK", r#"{"revision":7}"#));
    for round in 0..60_u32 {
        // The node answers once, then dies at a moment that moves past the second request.
        let reads_second = round % 3 == 0;
        let second = if reads_second { vec![Step::Request, Step::Reset] } else { vec![Step::Reset] };
        let first = [vec![Step::Request, done()], second.clone()].concat();
        let server = Server::start(vec![first, second]).await;
        let driver = driver(&[server.address]);
        assert_eq!(kind(&driver.invoke(NodeId::new(1), &write()).await), "ok");
        let received = std::sync::Arc::clone(&server.received);
        let first_length = received.lock().unwrap()[0].len();
        let dying = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_micros(u64::from(round * 10))).await;
            if !reads_second {
                drop(server);
            } else {
                let _ = tokio::time::timeout(Duration::from_millis(50), server_is_read(&server, first_length)).await;
            }
        });
        let found = tokio::time::timeout(SECONDS, driver.invoke(NodeId::new(1), &write())).await.unwrap();
        dying.await.unwrap();
        let of_second: usize = received.lock().unwrap().iter().map(Vec::len).sum::<usize>() - first_length;
        *seen.entry(kind(&found)).or_default() += 1;
        assert_ne!(kind(&found), "ok", "nobody answered");
        assert!(kind(&found) != "fail" || of_second == 0, "fail, yet {of_second} bytes had arrived: {found:?}");
        assert!(!reads_second || kind(&found) == "info", "the node had the whole request: {found:?}");
    }
    assert!(seen.contains_key("fail") && seen.contains_key("info"), "both kinds of end occur: {seen:?}");
}

async fn server_is_read(server: &Server, first_length: usize) {
    while server.received.lock().unwrap().iter().map(Vec::len).sum::<usize>() <= first_length {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_kept_connection_that_the_node_closed_is_replaced_without_a_false_word() {
    let once = vec![Step::Request, Step::Send(answer("200 OK", r#"{"revision":7}"#))];
    let server = Server::start(vec![once]).await;
    let driver = driver(&[server.address]);
    for _ in 0..20 {
        let found = driver.invoke(NodeId::new(1), &write()).await;
        // Either the client saw in time that the connection is closed, or the request was on its way to nobody.
        assert_ne!(kind(&found), "fail", "the node was there all the time: {found:?}");
    }
}

#[tokio::test]
async fn a_redirection_is_not_followed_and_an_answer_is_not_asked_for_twice() {
    let elsewhere = Server::start(vec![vec![Step::Request, Step::Hang]]).await;
    let place =
        format!("HTTP/1.1 307 T\r\nlocation: http://{}:7002/kv/k0\r\ncontent-length: 0\r\n\r\n", elsewhere.address);
    let found = invoke(vec![Step::Request, Step::Send(place.into_bytes()), Step::Hang], &write()).await;
    assert_eq!(kind(&found), "info", "{found:?}");
    assert_eq!(elsewhere.received.lock().unwrap().len(), 0, "a connection to where the answer pointed");

    let refusing = Server::start(vec![vec![Step::Request, Step::Send(answer("503 S", "{}")), Step::Hang]]).await;
    assert_eq!(kind(&driver(&[refusing.address]).invoke(NodeId::new(1), &write()).await), "info");
    assert_eq!(refusing.requests().matches("PUT ").count(), 1);
}

#[tokio::test]
async fn requests_are_what_the_node_documents_and_keys_can_not_leave_their_place() {
    let cases = [
        (read(), "GET /kv/k0?read=linearizable HTTP/1.1\r\n", ""),
        (write(), "PUT /kv/k0 HTTP/1.1\r\n", r#"{"value":"5"}"#),
        (cas(), "POST /kv/k0/cas HTTP/1.1\r\n", r#"{"expect":null,"value":"5"}"#),
        (Action::Read { key: "a/../b?c#d%2f é".to_owned() }, "GET /kv/a%2F..%2Fb%3Fc%23d%252f%20%C3%A9?read=", ""),
    ];
    for (action, head, body) in cases {
        let server = Server::start(vec![vec![Step::Request, Step::Send(answer("500 I", "")), Step::Hang]]).await;
        driver(&[server.address]).invoke(NodeId::new(1), &action).await;
        let request = server.requests();
        assert!(request.starts_with(head) && request.ends_with(&format!("\r\n\r\n{body}")), "{request}");
    }
}

#[test]
fn a_proxy_of_the_environment_is_not_asked() {
    const CHILD: &str = "CHAOS_TEST_PROXY_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let found = runtime.block_on(answered(&write(), "200 OK", r#"{"revision":7}"#));
        assert_eq!(kind(&found), "ok", "{found:?}");
        return;
    }
    // The environment of a process with threads is not to be changed, so this test runs once more in a process of its own.
    let name = "operations::a_proxy_of_the_environment_is_not_asked";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args([name, "--exact"]).env(CHILD, "1");
    for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        child.env(variable, "http://127.0.0.1:9");
    }
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
