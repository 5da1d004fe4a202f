//! What a definition's words make of answers, against canned servers that answer as the reference node, Consul and others do;
//! and against a real hashicorp/raft node, which speaks the reference node's protocol, if it is installed.

use chaos_history::OpPhase;

use super::*;
use crate::client::trial::{
    Program, answering, cas, fail, free_address, http_answer, info, read, setup, until_it_reads, write,
};

fn exchange(method: &str, path: &str, body: Option<&str>, ok: &str) -> HttpExchange {
    HttpExchange {
        method: method.to_owned(),
        path: Template::new(path).unwrap(),
        headers: vec![("content-type".to_owned(), Template::new("application/json").unwrap())],
        body: body.map(|body| Template::new(body).unwrap()),
        ok: Expression::new(ok).unwrap(),
        fail: Some(Expression::new("answer.definite").unwrap()),
        value: None,
        swapped: None,
        revision: Some(Expression::new("answer.revision").unwrap()),
        leader: Some(Expression::new("answer.leader").unwrap()),
    }
}

/// The reference node's API as a definition says it.
fn reference() -> BTreeMap<HttpOperation, HttpExchange> {
    let value = Some(Expression::new("answer.value").unwrap());
    let cas = r#"{"expect": {{ 'null' if expect is none else '"' ~ expect ~ '"' }}, "value": "{{ value }}"}"#;
    BTreeMap::from([
        (
            HttpOperation::Read,
            HttpExchange { value: value.clone(), ..exchange("GET", "/kv/{{ key }}", None, "status == 200") },
        ),
        (HttpOperation::Write, exchange("PUT", "/kv/{{ key }}", Some(r#"{"value": "{{ value }}"}"#), "status == 200")),
        (
            HttpOperation::Cas,
            HttpExchange {
                value,
                swapped: Some(Expression::new("answer.swapped").unwrap()),
                ..exchange("POST", "/kv/{{ key }}/cas", Some(cas), "status == 200")
            },
        ),
        (
            HttpOperation::Elements,
            HttpExchange {
                value: Some(Expression::new("answer.elements").unwrap()),
                ..exchange("GET", "/sets/{{ key }}", None, "status == 200")
            },
        ),
    ])
}

fn driver(address: SocketAddr, http: BTreeMap<HttpOperation, HttpExchange>) -> Result<Arc<dyn Client>, ClientError> {
    open(&ClientSetup { http, ..setup("http", &[address], &[]) })
}

async fn answer(action: &Action, status: u16, body: &str) -> Answer {
    let (address, _) = answering(http_answer(status, body)).await;
    driver(address, reference()).unwrap().invoke(NodeId::new(1), action).await
}

#[tokio::test]
async fn only_what_the_definition_calls_so_is_ok_or_a_fail() {
    let revision = Some(Revision(4));
    let phase = answer(&write(7), 200, r#"{"revision":4}"#).await.phase;
    assert_eq!(phase, OpPhase::Ok(OpResult::Written { revision }));
    let refused = answer(&write(7), 421, r#"{"error":"not_leader","definite":true,"leader":"n1"}"#).await;
    assert!(fail(&refused.phase), "{refused:?}");
    assert_eq!(refused.leader_hint, Some(NodeId::new(1)));
    for (status, body) in [
        (503, r#"{"error":"superseded","definite":false}"#),
        (503, r#"{"error":"busy"}"#),
        (503, "<html>"),
        (503, ""),
        (200, r#"{"revision":4,"definite":true}"#),
        (200, r#"{"revision":"soon"}"#),
        (503, r#"{"definite":"yes"}"#),
        (503, r#"{"definite":1}"#),
    ] {
        let phase = answer(&write(7), status, body).await.phase;
        assert!(info(&phase), "{status} {body}: {phase:?}");
    }
}

#[tokio::test]
async fn nothing_said_is_not_an_absent_key() {
    let none = OpPhase::Ok(OpResult::Read { value: None, revision: None });
    assert_eq!(answer(&read(), 200, r#"{"value":null}"#).await.phase, none);
    assert!(info(&answer(&read(), 200, "{}").await.phase));
    assert!(info(&answer(&read(), 200, "[]").await.phase));
    assert!(info(&answer(&cas(Some(1), 2), 200, r#"{"value":"1"}"#).await.phase), "whether it swapped is not said");
}

#[tokio::test]
async fn values_are_what_a_client_writes_and_others_stay_visible() {
    for (body, value) in [
        (r#"{"value":"7"}"#, Value(7)),
        (r#"{"value":7}"#, Value(7)),
        (r#"{"value":"007"}"#, super::super::foreign(b"007")),
        (r#"{"value":7.0}"#, super::super::foreign(b"7.0")),
        (r#"{"value":true}"#, super::super::foreign(b"True")),
    ] {
        let phase = answer(&read(), 200, body).await.phase;
        assert_eq!(phase, OpPhase::Ok(OpResult::Read { value: Some(value), revision: None }), "{body}");
    }
    let elements = Action::Elements { key: "s".to_owned() };
    let phase = answer(&elements, 200, r#"{"elements":["1",2]}"#).await.phase;
    assert_eq!(phase, OpPhase::Ok(OpResult::Elements { values: vec![Value(1), Value(2)], revision: None }));
    for body in [r#"{"elements":"12"}"#, r#"{"elements":7}"#, r#"{"elements":[null]}"#, "{}"] {
        let phase = answer(&elements, 200, body).await.phase;
        assert!(info(&phase), "{body}: {phase:?}");
    }
}

#[tokio::test]
async fn requests_say_what_is_meant_and_keys_stay_in_their_place() {
    let asked = async |action: Action| {
        let (address, asked) = answering(http_answer(200, "{}")).await;
        driver(address, reference()).unwrap().invoke(NodeId::new(1), &action).await;
        let asked = asked.lock().unwrap().join("");
        (asked.lines().next().unwrap_or_default().to_owned(), asked.lines().last().unwrap_or_default().to_owned())
    };
    let line = |action: &str| format!("{action} HTTP/1.1");
    assert_eq!(asked(write(7)).await, (line("PUT /kv/k"), r#"{"value": "7"}"#.to_owned()));
    assert_eq!(asked(cas(None, 2)).await.1, r#"{"expect": null, "value": "2"}"#);
    assert_eq!(asked(cas(Some(1), 2)).await, (line("POST /kv/k/cas"), r#"{"expect": "1", "value": "2"}"#.to_owned()));
    let key = "a/../b?c d".to_owned();
    assert_eq!(asked(Action::Read { key }).await.0, line("GET /kv/a%2F..%2Fb%3Fc%20d"));
    assert_eq!(asked(Action::Read { key: "..".to_owned() }).await.0, "", "nothing is sent");
}

#[tokio::test]
async fn a_text_that_is_no_json_is_an_answer_too() {
    // As Consul answers `GET /v1/kv/k?raw` and `PUT /v1/kv/k`.
    let consul = BTreeMap::from([
        (
            HttpOperation::Read,
            HttpExchange {
                value: Some(Expression::new("answer if status == 200 else none").unwrap()),
                fail: None,
                revision: None,
                leader: None,
                ..exchange("GET", "/v1/kv/{{ key }}?raw", None, "status in [200, 404]")
            },
        ),
        (
            HttpOperation::Write,
            HttpExchange {
                fail: Some(Expression::new("status == 200 and answer == false").unwrap()),
                revision: None,
                leader: None,
                ..exchange("PUT", "/v1/kv/{{ key }}", Some("{{ value }}"), "status == 200 and answer == true")
            },
        ),
    ]);
    let ask = async |action: Action, status, body: &str| {
        let (address, _) = answering(http_answer(status, body)).await;
        driver(address, consul.clone()).unwrap().invoke(NodeId::new(1), &action).await.phase
    };
    let is = |value| OpPhase::Ok(OpResult::Read { value, revision: None });
    assert_eq!(ask(read(), 200, "7").await, is(Some(Value(7))));
    assert_eq!(ask(read(), 200, "0x7").await, is(Some(super::super::foreign(b"0x7"))));
    assert_eq!(ask(read(), 404, "").await, is(None));
    assert!(info(&ask(read(), 500, "No cluster leader").await));
    assert_eq!(ask(write(7), 200, "true").await, OpPhase::Ok(OpResult::Written { revision: None }));
    assert!(fail(&ask(write(7), 200, "false").await));
    assert!(info(&ask(write(7), 500, "rpc error: leadership lost").await));
}

#[tokio::test]
async fn connections_that_fail_early_are_fails_and_late_ones_are_not() {
    let at = async |address| driver(address, reference()).unwrap().invoke(NodeId::new(1), &write(7)).await.phase;
    assert!(fail(&at(free_address()).await));
    for bytes in ["", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"revision\":4}", "garbage\r\n\r\n"]
    {
        let (address, _) = answering(bytes).await;
        let phase = at(address).await;
        assert!(info(&phase), "{bytes:?}: {phase:?}");
    }
}

#[tokio::test]
async fn what_can_not_be_a_request_is_told_when_the_driver_is_opened() {
    let told = async |change: fn(&mut HttpExchange)| {
        let mut http = reference();
        change(http.get_mut(&HttpOperation::Write).unwrap());
        driver(free_address(), http).err().map(|error| error.to_string())
    };
    let path = told(|write| write.path = Template::new("kv").unwrap()).await.unwrap();
    assert!(path.contains("`write`") && path.contains("does not begin with `/`"), "{path}");
    assert!(told(|write| write.method = "PU T".to_owned()).await.unwrap().contains("is no method"));
    let word = told(|write| write.body = Some(Template::new("{{ vlaue }}").unwrap())).await.unwrap();
    assert!(word.contains("vlaue"), "{word}");
    assert!(told(|write| write.headers[0].0 = "a b".to_owned()).await.unwrap().contains("header"));
    assert_eq!(told(|_| ()).await, None);
    let nothing = driver(free_address(), BTreeMap::new()).err().unwrap().to_string();
    assert!(nothing.contains("no operation"), "{nothing}");
}

#[tokio::test]
async fn an_operation_that_the_definition_lacks_is_a_fail() {
    let add = Action::Add { key: "s".to_owned(), value: Value(1) };
    for action in [add, Action::Acquire { key: "l".to_owned() }] {
        let phase = driver(free_address(), reference()).unwrap().invoke(NodeId::new(1), &action).await.phase;
        assert!(matches!(&phase, OpPhase::Fail { error } if error.contains("no ")), "{phase:?}");
    }
}

#[tokio::test]
async fn a_real_node_with_the_reference_nodes_protocol_is_read_and_written() {
    let (http, peer) = (free_address(), free_address());
    let arguments = |folder: &std::path::Path| {
        let (http, peer, peers) = (http.to_string(), peer.to_string(), format!("n1={peer}"));
        let data = folder.join("data").display().to_string();
        let words = [["-id", "n1"], ["-bind", &peer], ["-http", &http], ["-peers", &peers], ["-data-dir", &data]];
        words.concat().into_iter().map(str::to_owned).collect()
    };
    let Some(_program) = Program::of("hashicorp-raft", "hashicorp-raft", arguments) else { return };
    let client = driver(http, reference()).unwrap();
    until_it_reads(&*client).await;
    let run = async |action: Action| client.invoke(NodeId::new(1), &action).await.phase;
    assert_eq!(run(read()).await, OpPhase::Ok(OpResult::Read { value: None, revision: None }));
    assert!(matches!(run(cas(Some(1), 2)).await, OpPhase::Ok(OpResult::Cas { swapped: false, .. })));
    assert!(matches!(run(cas(None, 2)).await, OpPhase::Ok(OpResult::Cas { swapped: true, revision: Some(_), .. })));
    assert!(matches!(run(write(7)).await, OpPhase::Ok(OpResult::Written { revision: Some(_) })));
    let phase = run(read()).await;
    assert!(matches!(phase, OpPhase::Ok(OpResult::Read { value: Some(Value(7)), revision: Some(_) })), "{phase:?}");
}
