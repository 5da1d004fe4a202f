//! Which answer of the gateway counts as what, against canned servers; and everything against a real one if it is installed.

use chaos_history::OpPhase;

use super::*;
use crate::client::trial::{
    Program, answering, cas, elements, fail, free_address, http_answer, info, read, setup, until_it_reads, write,
};

async fn at(address: SocketAddr, action: &Action) -> OpPhase {
    let client = open(&setup("etcd", &[address], &[])).unwrap();
    client.invoke(NodeId::new(1), action).await.phase
}

/// How the driver takes this answer to this action.
async fn answer(action: &Action, status: u16, body: &str) -> OpPhase {
    let (address, _) = answering(http_answer(status, body)).await;
    at(address, action).await
}

/// `{"header":{"revision":"9"}, MORE}`.
fn message(more: &str) -> String {
    format!(r#"{{"header":{{"revision":"9"}}{}{more}}}"#, if more.is_empty() { "" } else { "," })
}

#[tokio::test]
async fn only_codes_that_forbid_a_request_are_fails() {
    for (code, text) in [
        (3, "etcdserver: key is not provided"),
        (7, "etcdserver: permission denied"),
        (12, "unknown method"),
        (16, "etcdserver: invalid auth token"),
        (8, "etcdserver: too many requests"),
    ] {
        let phase = answer(&write(7), 400, &format!(r#"{{"code":{code},"message":"{text}"}}"#)).await;
        assert!(fail(&phase), "{text}: {phase:?}");
    }
    for (code, text) in [
        (14, "etcdserver: request timed out"),
        (14, "etcdserver: request timed out, possibly due to previous leader failure"),
        (14, "etcdserver: leader changed"),
        (14, "etcdserver: no leader"),
        (14, "etcdserver: server stopped"),
        (9, "etcdserver: not leader"),
        (8, "etcdserver: mvcc: database space exceeded"),
        (2, "raft proposal dropped"),
        (4, "context deadline exceeded"),
        (1, "context canceled"),
    ] {
        let body = format!(r#"{{"error":"{text}","code":{code},"message":"{text}"}}"#);
        let phase = answer(&write(7), 503, &body).await;
        assert!(info(&phase), "{text}: {phase:?}");
    }
}

#[tokio::test]
async fn what_is_no_answer_of_etcd_is_of_unknown_outcome() {
    for (status, body) in
        [(200, "{}"), (200, "[]"), (200, "OK"), (200, ""), (404, "Not Found\n"), (500, "{}"), (200, r#"{"header":{}}"#)]
    {
        for action in [read(), write(7), cas(None, 1), cas(Some(1), 2), elements()] {
            let phase = answer(&action, status, body).await;
            assert!(info(&phase), "{action:?} {status} {body}: {phase:?}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_leaves_the_outcome_unknown() {
    let cut: [&[u8]; 3] = [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"header\":"];
    for bytes in cut {
        let (address, _) = answering(bytes).await;
        let phase = at(address, &write(7)).await;
        assert!(info(&phase), "{bytes:?}: {phase:?}");
    }
    assert!(fail(&at(free_address(), &write(7)).await));
}

#[tokio::test]
async fn revisions_are_those_of_the_key() {
    let kv = r#""kvs":[{"key":"aw==","value":"Nw==","mod_revision":"4","create_revision":"2"}]"#;
    let revision = Some(Revision(4));
    let phase = answer(&read(), 200, &message(kv)).await;
    assert_eq!(phase, OpPhase::Ok(OpResult::Read { value: Some(Value(7)), revision }));
    let phase =
        answer(&cas(Some(1), 2), 200, &message(&format!(r#""responses":[{{"response_range":{{{kv}}}}}]"#))).await;
    assert_eq!(phase, OpPhase::Ok(OpResult::Cas { swapped: false, observed: Some(Some(Value(7))), revision }));
    let revision = Some(Revision(9));
    let phase = answer(&cas(Some(1), 2), 200, &message(r#""succeeded":true"#)).await;
    assert_eq!(phase, OpPhase::Ok(OpResult::Cas { swapped: true, observed: Some(Some(Value(1))), revision }));
    assert_eq!(answer(&write(7), 200, &message("")).await, OpPhase::Ok(OpResult::Written { revision }));
    let phase = answer(&read(), 200, &message("")).await;
    assert_eq!(phase, OpPhase::Ok(OpResult::Read { value: None, revision: None }), "what is absent has none");
}

#[tokio::test]
async fn answers_about_something_else_are_of_unknown_outcome() {
    let other = r#""kvs":[{"key":"eA==","value":"Nw==","mod_revision":"4"}]"#;
    assert!(info(&answer(&read(), 200, &message(other)).await));
    assert!(info(&answer(&elements(), 200, &message(other)).await));
    assert!(info(&answer(&cas(Some(1), 2), 200, &message("")).await), "it doesn't say what it found");
    let not_base64 = r#""kvs":[{"key":"aw==","value":"!","mod_revision":"4"}]"#;
    assert!(info(&answer(&read(), 200, &message(not_base64)).await));
}

#[tokio::test]
async fn values_that_no_client_writes_stay_visible() {
    let kv = r#""kvs":[{"key":"aw==","value":"MDA3","mod_revision":"4"}]"#;
    let value = Some(super::super::foreign(b"007"));
    let phase = answer(&read(), 200, &message(kv)).await;
    assert_eq!(phase, OpPhase::Ok(OpResult::Read { value, revision: Some(Revision(4)) }));
}

#[tokio::test]
async fn a_lock_is_not_released_by_who_does_not_hold_it_and_access_is_not_etcds() {
    let address = free_address();
    let release = at(address, &Action::Release { key: "l".to_owned() }).await;
    assert!(matches!(&release, OpPhase::Fail { error } if error.contains("doesn't hold")), "{release:?}");
    let access = at(address, &Action::Access { key: "l".to_owned(), token: None }).await;
    assert!(matches!(&access, OpPhase::Fail { error } if error.contains("no words")), "{access:?}");
}

#[test]
fn options_that_make_no_sense_are_told() {
    let told = |options: &[(&str, &str)]| open(&setup("etcd", &[], options)).err().map(|error| error.to_string());
    assert!(told(&[("raed", "serializable")]).unwrap().contains("did you mean `read`"));
    assert!(told(&[("read", "stale")]).unwrap().contains("one of `linearizable`, `serializable`"));
    assert!(told(&[("ttl", "1500ms")]).unwrap().contains("whole seconds"));
    assert_eq!(told(&[("ttl", "5s"), ("read", "serializable")]), None);
}

/// A member of its own, or `None` if etcd isn't installed.
async fn real() -> Option<(Program, SocketAddr)> {
    let (client, peer) = (free_address(), free_address());
    let (client_url, peer_url) = (format!("http://{client}"), format!("http://{peer}"));
    let cluster = format!("default={peer_url}");
    let program = Program::of("etcd", "etcd", |folder| {
        let words = [
            ["--data-dir", &folder.join("data").display().to_string()],
            ["--listen-client-urls", &client_url],
            ["--advertise-client-urls", &client_url],
            ["--listen-peer-urls", &peer_url],
            ["--initial-advertise-peer-urls", &peer_url],
            ["--initial-cluster", &cluster],
        ];
        words.concat().into_iter().map(str::to_owned).collect()
    })?;
    until_it_reads(&*open(&setup("etcd", &[client], &[])).unwrap()).await;
    Some((program, client))
}

#[tokio::test]
async fn a_real_member_keeps_registers_and_sets() {
    let Some((_program, address)) = real().await else { return };
    let client = open(&setup("etcd", &[address], &[])).unwrap();
    let run = async |action: Action| {
        let phase = client.invoke(NodeId::new(1), &action).await.phase;
        let OpPhase::Ok(result) = phase else { panic!("{action:?}: {phase:?}") };
        result
    };
    let is = |swapped, observed: Option<u64>, revision| OpResult::Cas {
        swapped,
        observed: Some(observed.map(Value)),
        revision,
    };
    assert_eq!(run(read()).await, OpResult::Read { value: None, revision: None });
    assert_eq!(run(cas(Some(1), 2)).await, is(false, None, None));
    assert_eq!(run(cas(None, 1)).await, is(true, None, Some(Revision(2))));
    assert_eq!(
        run(Action::Write { key: "o".to_owned(), value: Value(9) }).await.clone(),
        OpResult::Written { revision: Some(Revision(3)) }
    );
    assert_eq!(run(cas(None, 3)).await, is(false, Some(1), Some(Revision(2))), "the key's revision, not the store's");
    assert_eq!(run(cas(Some(1), 2)).await, is(true, Some(1), Some(Revision(4))));
    assert_eq!(run(write(7)).await, OpResult::Written { revision: Some(Revision(5)) });
    assert_eq!(run(read()).await, OpResult::Read { value: Some(Value(7)), revision: Some(Revision(5)) });
    assert_eq!(run(elements()).await, OpResult::Elements { values: vec![], revision: None });
    for value in [5, 6] {
        run(Action::Add { key: "s".to_owned(), value: Value(value) }).await;
    }
    run(Action::Add { key: "s2".to_owned(), value: Value(8) }).await;
    let expected = OpResult::Elements { values: vec![Value(5), Value(6)], revision: Some(Revision(7)) };
    assert_eq!(run(elements()).await, expected);
    let again = run(Action::Add { key: "s".to_owned(), value: Value(5) }).await;
    assert_eq!(again, OpResult::Written { revision: None });
    assert_eq!(run(elements()).await, expected, "what is there is not put again");
    let serializable = open(&setup("etcd", &[address], &[("read", "serializable")])).unwrap();
    let phase = serializable.invoke(NodeId::new(1), &read()).await.phase;
    assert_eq!(phase, OpPhase::Ok(OpResult::Read { value: Some(Value(7)), revision: Some(Revision(5)) }));
}

#[tokio::test]
async fn a_real_lock_has_one_holder_and_growing_tokens() {
    let Some((_program, address)) = real().await else { return };
    let client = || open(&setup("etcd", &[address], &[("ttl", "2s")])).unwrap();
    let (first, second) = (client(), client());
    let (acquire, release) = (Action::Acquire { key: "l".to_owned() }, Action::Release { key: "l".to_owned() });
    let node = NodeId::new(1);
    let token = |phase: OpPhase| {
        let OpPhase::Ok(OpResult::Acquired { token: Some(token) }) = phase else { panic!("{phase:?}") };
        token
    };
    let one = token(first.invoke(node, &acquire).await.phase);
    assert!(fail(&first.invoke(node, &acquire).await.phase), "it is held already");
    // Longer than the lease lasts without signs of life: the holder keeps it, and who waits doesn't get it.
    let waited = tokio::time::timeout(Duration::from_secs(4), second.invoke(node, &acquire)).await;
    assert!(waited.is_err(), "{waited:?}");
    assert_eq!(first.invoke(node, &release).await.phase, OpPhase::Ok(OpResult::Released));
    let two = token(second.invoke(node, &acquire).await.phase);
    assert!(two > one, "{two} after {one}");
    // A holder that is gone loses its lock when its lease has run out, without anybody giving it back.
    drop(second);
    let three = token(first.invoke(node, &acquire).await.phase);
    assert!(three > two, "{three} after {two}");
}

#[tokio::test]
async fn a_lock_whose_lease_is_gone_can_not_be_given_back() {
    let Some((_program, address)) = real().await else { return };
    let client = open(&setup("etcd", &[address], &[])).unwrap();
    let node = NodeId::new(1);
    let acquired = client.invoke(node, &Action::Acquire { key: "l".to_owned() }).await.phase;
    assert!(matches!(acquired, OpPhase::Ok(_)), "{acquired:?}");
    let url = |method: &str| format!("http://{address}/v3/lease/{method}");
    let http = web::client(Duration::from_secs(5)).unwrap();
    let leases: serde_json::Value =
        http.post(url("leases")).json(&json!({})).send().await.unwrap().json().await.unwrap();
    http.post(url("revoke")).json(&json!({ "ID": leases["leases"][0]["ID"] })).send().await.unwrap();
    let released = client.invoke(node, &Action::Release { key: "l".to_owned() }).await.phase;
    assert!(matches!(&released, OpPhase::Fail { error } if error.contains("lost")), "{released:?}");
}
