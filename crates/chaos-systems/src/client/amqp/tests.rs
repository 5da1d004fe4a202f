//! The driver against a node that says what a script says, and against a real one.

use std::net::SocketAddr;

use chaos_history::{Action, OpPhase, OpResult, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::trial::{
    Program, a_refused_connection_is_a_fail, a_set_lives, add, client, elements, free_address, installed, invoke, kind,
    ok, prepare, serve, write,
};

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind, 0, 1], &size[..], payload, &[0xce]].concat()
}

fn method(class: u16, number: u16, arguments: &[u8]) -> Vec<u8> {
    frame(1, &[&class.to_be_bytes(), &number.to_be_bytes(), arguments].concat())
}

fn content(body: &str) -> Vec<u8> {
    let header = [&60_u16.to_be_bytes()[..], &[0, 0], &(body.len() as u64).to_be_bytes(), &[0, 0]].concat();
    [frame(2, &header), frame(3, body.as_bytes())].concat()
}

fn ack(tag: u64) -> Vec<u8> {
    method(60, 80, &[&tag.to_be_bytes()[..], &[0]].concat())
}

fn nack(tag: u64) -> Vec<u8> {
    method(60, 120, &[&tag.to_be_bytes()[..], &[0]].concat())
}

fn reason(code: u16) -> Vec<u8> {
    [&code.to_be_bytes()[..], b"\x03why\0\0\0\0"].concat()
}

fn returned(code: u16) -> Vec<u8> {
    [method(60, 50, &reason(code)), content("1")].concat()
}

fn closed(code: u16) -> Vec<u8> {
    method(20, 40, &reason(code))
}

fn declared() -> Vec<u8> {
    method(50, 11, b"\x03s-s\0\0\0\0\0\0\0\0")
}

fn message(body: &str) -> Vec<u8> {
    [method(60, 71, &[0; 8 + 1 + 1 + 1 + 4]), content(body)].concat()
}

fn empty() -> Vec<u8> {
    method(60, 72, &[0])
}

/// What a reader is told of a queue with these messages. As many questions as are asked at once are on their way when the first "empty"
/// comes.
fn fetched(bodies: &[&str]) -> Vec<Vec<u8>> {
    bodies.iter().map(|body| message(body)).chain((0..64).map(|_| empty())).collect()
}

/// A node that greets and then says each part of the script once it has been asked so many methods more; then it closes.
async fn node(script: Vec<Vec<u8>>) -> SocketAddr {
    serve(move |_, stream| act_out(stream, script.clone())).await
}

async fn act_out(mut stream: TcpStream, script: Vec<Vec<u8>>) {
    stream.read_exact(&mut [0; 8]).await.unwrap();
    let greeting = [
        method(10, 10, &[0, 9, 0, 0, 0, 0]),
        method(10, 30, &[0, 0, 0, 2, 0, 0, 0, 60]),
        method(10, 41, &[0]),
        method(20, 11, &[0; 4]),
        method(85, 11, &[]),
    ];
    stream.write_all(&greeting.concat()).await.unwrap();
    // The client's part of the greeting: five methods, one of them without an answer.
    for _ in 0..5 {
        if read_method(&mut stream).await.is_none() {
            return;
        }
    }
    for answer in script {
        if read_method(&mut stream).await.is_none() {
            return;
        }
        stream.write_all(&answer).await.unwrap();
    }
}

/// Reads frames up to a method, with the message behind it if it is one to publish.
async fn read_method(stream: &mut TcpStream) -> Option<()> {
    let mut methods = 0;
    let mut frames = 1;
    while frames > 0 {
        frames -= 1;
        let mut head = [0; 7];
        stream.read_exact(&mut head).await.ok()?;
        let size = usize::try_from(u32::from_be_bytes(head[3..].try_into().unwrap())).unwrap();
        let mut payload = vec![0; size + 1];
        stream.read_exact(&mut payload).await.ok()?;
        methods += u32::from(head[0] == 1);
        if payload.starts_with(&[0, 60, 0, 40]) {
            frames = 2;
        }
    }
    (methods == 1).then_some(())
}

async fn ends(action: Action, script: Vec<Vec<u8>>) -> OpPhase {
    let address = node(script).await;
    invoke(&*client("amqp", &[address], &[]), action).await
}

#[tokio::test]
async fn a_definite_no_is_a_fail_and_everything_else_is_unknown() {
    let cases: [(Vec<Vec<u8>>, &str); 13] = [
        (vec![ack(1)], "ok"),
        (vec![[frame(8, &[]), ack(1)].concat()], "ok"),
        (vec![nack(1)], "info"),
        (vec![ack(7)], "info"),
        (vec![closed(403)], "fail"),
        (vec![closed(406)], "fail"),
        (vec![closed(320)], "info"),
        (vec![closed(541)], "info"),
        (vec![[returned(313), ack(1)].concat()], "info"),
        // There is no queue, and none can be made, or it is made and the message sent anew.
        (vec![[returned(312), ack(1)].concat(), closed(541)], "fail"),
        (vec![[returned(312), ack(1)].concat(), declared(), ack(2)], "ok"),
        (vec![b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()], "info"),
        (vec![], "info"),
    ];
    for (script, expect) in cases {
        let told = format!("{script:?}");
        assert_eq!(kind(&ends(add(1), script).await), expect, "{told}");
    }
    a_refused_connection_is_a_fail("amqp", add(1)).await;
}

#[tokio::test]
async fn a_node_of_another_protocol_is_told_nothing() {
    for answer in [&b"AMQP\0\x01\0\0"[..], b"HTTP/1.1 400 Bad Request\r\n\r\n"] {
        let address = serve(move |_, mut stream| async move {
            let _ = stream.read(&mut [0; 64]).await;
            let _ = stream.write_all(answer).await;
        })
        .await;
        assert_eq!(kind(&invoke(&*client("amqp", &[address], &[]), add(1)).await), "fail");
    }
    assert_eq!(kind(&ends(write(1), vec![]).await), "fail", "no words for registers");
}

#[tokio::test]
async fn a_set_is_read_as_a_whole_or_not_at_all() {
    let whole = fetched(&["7", "x", "7", "8"]);
    let OpPhase::Ok(OpResult::Elements { values, .. }) = ends(elements(), whole).await else { panic!("a set") };
    assert_eq!(values.len(), 3, "what was fetched twice is there once");
    assert_eq!(values[..2], [Value(7), Value(8)]);
    assert!(values[2].0 >= 1 << 63);
    let cases = [vec![message("7"), closed(320)], vec![message("7")], vec![message("7"), closed(404)], vec![]];
    for script in cases {
        let told = format!("{script:?}");
        assert_eq!(kind(&ends(elements(), script).await), "info", "{told}");
    }
    let none = OpResult::Elements { values: vec![], revision: None };
    assert_eq!(ends(elements(), vec![closed(404)]).await, OpPhase::Ok(none));
}

#[tokio::test]
async fn a_set_whose_messages_an_earlier_reader_may_have_is_no_answer_until_all_were_found() {
    let (none, all) = (fetched(&[]), fetched(&["1"]));
    let count = [&b"\x03s-s"[..], &1_u32.to_be_bytes(), &[0; 4]].concat();
    let scripts = [
        vec![ack(1)],
        // The second connection breaks while its reader has the message.
        vec![message("1")],
        none.clone(),
        all,
        vec![method(50, 11, &count)],
        none,
    ];
    let address =
        serve(move |number, stream| act_out(stream, scripts.get(number as usize).cloned().unwrap_or_default())).await;
    let client = client("amqp", &[address], &[]);
    ok(&*client, add(1)).await;
    assert_eq!(kind(&invoke(&*client, elements()).await), "info");
    let OpPhase::Info { error } = invoke(&*client, elements()).await else { panic!("a set that looks empty") };
    assert_eq!(error, "1 acknowledged elements may be with an earlier reader that was cut off");
    let set =
        |values: &[u64]| OpResult::Elements { values: values.iter().copied().map(Value).collect(), revision: None };
    assert_eq!(ok(&*client, elements()).await, set(&[1]));
    assert_eq!(ok(&*client, elements()).await, set(&[]), "nobody has it now, so it is lost");
}

#[tokio::test]
async fn a_read_for_which_nobody_waits_is_finished_before_the_next_one() {
    let all = fetched(&["1"]);
    let count = [&b"\x03s-s"[..], &1_u32.to_be_bytes(), &[0; 4]].concat();
    let scripts = [all.clone(), vec![method(50, 11, &count)], all];
    let address = serve(move |number, stream| {
        let script = scripts.get(number as usize).cloned().unwrap_or_default();
        async move {
            tokio::time::sleep(std::time::Duration::from_millis(if number == 0 { 300 } else { 0 })).await;
            act_out(stream, script).await;
        }
    })
    .await;
    let client = client("amqp", &[address], &[]);
    let patience = std::time::Duration::from_millis(100);
    let first = tokio::time::timeout(patience, invoke(&*client, elements())).await;
    assert!(first.is_err(), "it takes longer");
    assert_eq!(ok(&*client, elements()).await, OpResult::Elements { values: vec![Value(1)], revision: None });
}

#[tokio::test]
async fn the_real_one_keeps_sets() {
    let Some(prefix) = installed("rabbitmq", "3.10.8") else { return };
    let (address, distribution, names) = (free_address(), free_address(), free_address());
    // Erlang starts a service of names that outlives it, unless there is one.
    let mut service = Program::start(&prefix.join("bin/epmd"), |_| {
        ["-address", "127.0.0.1", "-port", &names.port().to_string()].map(str::to_owned).into()
    });
    service.listens(names).await;
    let server = prefix.join("bin/rabbitmq-server").display().to_string();
    // Its surroundings are set by `env`, and end with it. A name of its own keeps it apart from other nodes of the machine.
    let mut program = Program::start("env".as_ref(), |folder| {
        let home = folder.display();
        std::fs::write(folder.join("plugins"), "[].\n").unwrap();
        std::fs::write(folder.join("rabbitmq.conf"), format!("listeners.tcp.1 = {address}\n")).unwrap();
        let mut words: Vec<String> = [
            format!("HOME={home}"),
            format!("RABBITMQ_NODENAME=chaos-{}@localhost", std::process::id()),
            format!("RABBITMQ_CONFIG_FILE={home}/rabbitmq.conf"),
            format!("RABBITMQ_MNESIA_BASE={home}/mnesia"),
            format!("RABBITMQ_LOG_BASE={home}/logs"),
            format!("RABBITMQ_ENABLED_PLUGINS_FILE={home}/plugins"),
            format!("RABBITMQ_PID_FILE={home}/pid"),
            format!("ERL_EPMD_PORT={}", names.port()),
            format!("RABBITMQ_DIST_PORT={}", distribution.port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+sbwt none +S 1:1".to_owned(),
        ]
        .into();
        words.push(server);
        words
    });
    program.listens(address).await;
    let client = client("amqp", &[address], &[("queues", "other")]);
    prepare(&*client).await;
    a_set_lives(&*client).await;
    // More than one reader fetches alone.
    for value in 1000..1600 {
        ok(&*client, add(value)).await;
    }
    for round in 0..3 {
        let OpResult::Elements { values, .. } = ok(&*client, elements()).await else { panic!("a set") };
        assert_eq!(values.len(), 603, "round {round}");
    }
    let other = Action::Elements { key: "other".to_owned() };
    assert_eq!(ok(&*client, other).await, OpResult::Elements { values: vec![], revision: None });
}
