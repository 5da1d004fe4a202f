//! Which reply counts as what, against canned servers; and the commands against a real one if it is installed.

use std::net::SocketAddr;

use chaos_history::{OpPhase, Value};

use super::*;
use crate::client::trial::{Program, answering, cas, fail, free_address, info, read, setup, until_it_reads, write};

async fn ask(address: SocketAddr, options: &[(&str, &str)], action: &Action) -> OpPhase {
    let client = open(&setup("redis", &[address], options)).unwrap();
    client.invoke(NodeId::new(1), action).await.phase
}

/// How the driver takes this reply to this action.
async fn reply(options: &[(&str, &str)], action: &Action, bytes: &str) -> OpPhase {
    let (address, _) = answering(bytes).await;
    ask(address, options, action).await
}

#[tokio::test]
async fn refusals_before_the_command_are_fails_and_other_errors_are_not() {
    for code in DEFINITE {
        let phase = reply(&[], &write(7), &format!("-{code} says no\r\n")).await;
        assert!(fail(&phase), "{code}: {phase:?}");
    }
    for error in ["ERR something", "UNBLOCKED force unblock from blocking", "READONLYISH no", "", "EXECABORT no"] {
        let phase = reply(&[], &write(7), &format!("-{error}\r\n")).await;
        assert!(info(&phase), "{error}: {phase:?}");
    }
}

#[tokio::test]
async fn a_scripts_refusal_is_one_in_both_of_its_forms() {
    let new = "-READONLY You can't write against a read only replica. script: f1, on @user_script:1.\r\n";
    let old = "-ERR Error running script (call to f_1): @user_script:1: @user_script: 1: -READONLY You can't\r\n";
    let other = "-ERR Error running script (call to f_1): @user_script:1: attempt to index nil\r\n";
    assert!(fail(&reply(&[], &cas(None, 1), new).await));
    assert!(fail(&reply(&[], &cas(None, 1), old).await));
    assert!(info(&reply(&[], &cas(None, 1), other).await));
}

#[tokio::test]
async fn what_is_cut_off_or_no_reply_is_of_unknown_outcome() {
    for bytes in ["", "+O", "$5\r\n123", "hello\r\n", "*2\r\n:1\r\n", "$-7\r\n", ":x\r\n", "$1\r\n12\r\n", "\r\n"] {
        for action in [write(7), read(), cas(Some(1), 2)] {
            let phase = reply(&[], &action, bytes).await;
            assert!(info(&phase), "{action:?} {bytes:?}: {phase:?}");
        }
    }
}

#[tokio::test]
async fn a_reply_of_another_command_is_of_unknown_outcome() {
    for (action, bytes) in [
        (write(7), ":1\r\n"),
        (write(7), "+QUEUED\r\n"),
        (read(), ":7\r\n"),
        (read(), "+OK\r\n"),
        (cas(None, 1), "*1\r\n:1\r\n"),
        (cas(None, 1), "*2\r\n:2\r\n$-1\r\n"),
        (Action::Elements { key: "s".to_owned() }, "*1\r\n$-1\r\n"),
    ] {
        let phase = reply(&[], &action, bytes).await;
        assert!(info(&phase), "{action:?} {bytes:?}: {phase:?}");
    }
}

#[tokio::test]
async fn lists_that_are_too_deep_or_too_long_are_given_up() {
    let deep = "*1\r\n".repeat(10_000);
    assert!(info(&reply(&[], &Action::Elements { key: "s".to_owned() }, &deep).await));
    assert!(info(&reply(&[], &read(), "$999999999999\r\n").await));
    assert!(info(&reply(&[], &read(), &format!("+{}", "x".repeat(100_000))).await));
}

#[tokio::test]
async fn a_refused_connection_is_a_fail() {
    let phase = ask(free_address(), &[], &write(7)).await;
    assert!(matches!(&phase, OpPhase::Fail { error } if error.starts_with("not connected")), "{phase:?}");
}

#[tokio::test]
async fn values_that_no_client_writes_stay_visible() {
    let phase = reply(&[], &read(), "$3\r\n007\r\n").await;
    let value = Some(super::super::foreign(b"007"));
    assert_eq!(phase, OpPhase::Ok(OpResult::Read { value, revision: None }));
}

#[tokio::test]
async fn a_write_counts_only_if_enough_replicas_have_it() {
    let options = [("wait", "2"), ("wait-timeout", "100ms")];
    let done = OpPhase::Ok(OpResult::Written { revision: None });
    assert_eq!(reply(&options, &write(7), "+OK\r\n:2\r\n").await, done);
    assert!(info(&reply(&options, &write(7), "+OK\r\n:1\r\n").await));
    assert!(info(&reply(&options, &write(7), "+OK\r\n-UNBLOCKED\r\n").await));
    assert!(info(&reply(&options, &write(7), "+OK\r\n").await), "no answer to WAIT");
    assert!(fail(&reply(&options, &write(7), "-READONLY no\r\n:0\r\n").await), "a refused write stays refused");
    // A comparison that found something else wrote nothing that replicas could lack.
    let phase = reply(&options, &cas(None, 1), "*2\r\n:0\r\n$1\r\n7\r\n:0\r\n").await;
    let result = OpResult::Cas { swapped: false, observed: Some(Some(Value(7))), revision: None };
    assert_eq!(phase, OpPhase::Ok(result));
}

#[tokio::test]
async fn a_wrong_password_sends_nothing_of_the_operation() {
    let (address, asked) = answering("-WRONGPASS no\r\n").await;
    assert!(fail(&ask(address, &[("password", "x")], &write(7)).await));
    let asked = asked.lock().unwrap().join("");
    assert!(asked.contains("AUTH") && !asked.contains("SET"), "{asked}");
}

#[test]
fn options_that_make_no_sense_are_told() {
    let told = |options: &[(&str, &str)]| open(&setup("redis", &[], options)).err().map(|error| error.to_string());
    let unknown = told(&[("wiat", "1")]).unwrap();
    assert!(unknown.contains("did you mean `wait`") && unknown.contains("wait-timeout"), "{unknown}");
    assert!(told(&[("wait", "some")]).unwrap().contains("a whole number from 0 to 1000"));
    assert!(told(&[("wait-timeout", "0ms")]).unwrap().contains("above zero"));
    assert_eq!(told(&[("wait", "1"), ("wait-timeout", "500ms")]), None);
}

#[tokio::test]
async fn locks_are_refused_before_anything_is_sent() {
    let phase = ask(free_address(), &[], &Action::Acquire { key: "l".to_owned() }).await;
    assert!(matches!(&phase, OpPhase::Fail { error } if error.contains("no words")), "{phase:?}");
}

#[tokio::test]
async fn a_real_server_keeps_registers_and_sets() {
    let Some((_program, address)) = Program::redis().await else { return };
    let client = open(&setup("redis", &[address], &[])).unwrap();
    until_it_reads(&*client).await;
    let run = async |action: Action| client.invoke(NodeId::new(1), &action).await.phase;
    let is = |swapped, observed: Option<u64>| {
        OpPhase::Ok(OpResult::Cas { swapped, observed: Some(observed.map(Value)), revision: None })
    };
    assert_eq!(run(read()).await, OpPhase::Ok(OpResult::Read { value: None, revision: None }));
    assert_eq!(run(cas(Some(1), 2)).await, is(false, None));
    assert_eq!(run(cas(None, 1)).await, is(true, None));
    assert_eq!(run(cas(None, 3)).await, is(false, Some(1)));
    assert_eq!(run(cas(Some(1), 2)).await, is(true, Some(1)));
    assert_eq!(run(write(7)).await, OpPhase::Ok(OpResult::Written { revision: None }));
    assert_eq!(run(read()).await, OpPhase::Ok(OpResult::Read { value: Some(Value(7)), revision: None }));
    for value in [5, 6] {
        let added = run(Action::Add { key: "s".to_owned(), value: Value(value) }).await;
        assert_eq!(added, OpPhase::Ok(OpResult::Written { revision: None }));
    }
    let OpPhase::Ok(OpResult::Elements { mut values, .. }) = run(Action::Elements { key: "s".to_owned() }).await else {
        panic!("no elements")
    };
    values.sort();
    assert_eq!(values, [Value(5), Value(6)]);
    assert!(fail(&run(Action::Add { key: "k".to_owned(), value: Value(1) }).await), "a register is no set");
    let waiting = open(&setup("redis", &[address], &[("wait", "1"), ("wait-timeout", "50ms")])).unwrap();
    assert!(info(&waiting.invoke(NodeId::new(1), &write(7)).await.phase), "there are no replicas");
}
