//! What a program's lines count as, with programs of a few lines of shell; and the suite, which must convict those that break a
//! rule and acquit one that keeps them all.

use std::path::{Path, PathBuf};

use chaos_history::{OpPhase, OpResult, Revision, Value};

use super::conformance::{RuleOutcome, check_client};
use super::*;
use crate::client::trial::{Program, free_address, setup};

const READY: &str =
    r#"printf '%s\n' '{"type":"ready","protocol":"chaos-client/1","ops":["read","write"],"questions":["who"]}'"#;

fn shell(script: &str) -> Vec<String> {
    ["bash", "-c", script].map(str::to_owned).to_vec()
}

async fn driver(script: &str) -> Arc<dyn Client> {
    let endpoints = [free_address()];
    open(&ClientSetup { program: shell(script), ..setup("program", &endpoints, &[]) }).unwrap()
}

fn read() -> Action {
    Action::Read { key: "k".to_owned() }
}

fn write() -> Action {
    Action::Write { key: "k".to_owned(), value: Value(7) }
}

async fn invoke(client: &Arc<dyn Client>, action: &Action) -> OpPhase {
    let answer = client.invoke(NodeId::new(1), action);
    tokio::time::timeout(Duration::from_secs(30), answer).await.expect("an answer in time").phase
}

/// What a program that answers the first operation with this line is taken to say.
async fn says(action: &Action, line: &str) -> OpPhase {
    let client = driver(&format!("read hello; {READY}; read op; printf '%s\\n' '{line}'; read more")).await;
    invoke(&client, action).await
}

fn fail(phase: &OpPhase, why: &str) -> bool {
    matches!(phase, OpPhase::Fail { error } if error.contains(why))
}

fn info(phase: &OpPhase, why: &str) -> bool {
    matches!(phase, OpPhase::Info { error } if error.contains(why))
}

#[tokio::test]
async fn a_done_is_what_it_says_and_no_more() {
    let phase = says(&read(), r#"{"type":"done","id":1,"outcome":"ok","value":"7","revision":4}"#).await;
    assert_eq!(phase, OpPhase::Ok(OpResult::Read { value: Some(Value(7)), revision: Some(Revision(4)) }));
    let phase = says(&read(), r#"{"type":"done","id":1,"outcome":"ok","value":null}"#).await;
    assert_eq!(phase, OpPhase::Ok(OpResult::Read { value: None, revision: None }));
    let phase = says(&write(), r#"{"type":"done","id":1,"outcome":"fail","error":"not the leader"}"#).await;
    assert!(fail(&phase, "not the leader"), "{phase:?}");
    let phase = says(&write(), r#"{"type":"done","id":1,"outcome":"info","error":"cut off"}"#).await;
    assert!(info(&phase, "cut off"), "{phase:?}");
    for (line, why) in [
        (r#"{"type":"done","id":1,"outcome":"ok"}"#, "without `value`"),
        (r#"{"type":"done","id":1,"outcome":"yes"}"#, "outcome `yes`"),
        (r#"{"type":"done","id":1}"#, "outcome"),
        (r#"{"type":"done","id":1,"outcome":"ok","value":7}"#, "answer"),
    ] {
        let phase = says(&read(), line).await;
        assert!(info(&phase, why), "{line}: {phase:?}");
    }
}

#[tokio::test]
async fn garbage_second_answers_and_unknown_ids_are_harmless() {
    let script = format!(
        "read hello; {READY}; read op; echo garbage; echo '{{\"type\":\"done\",\"id\":99,\"outcome\":\"ok\"}}'; \
         echo '{{\"type\":\"new\"}}'; echo '[1]'; echo; \
         for i in 1 2; do echo '{{\"type\":\"done\",\"id\":1,\"outcome\":\"ok\",\"value\":null}}'; done; \
         read op; echo '{{\"type\":\"done\",\"id\":2,\"outcome\":\"ok\",\"value\":\"7\"}}'; read more"
    );
    let client = driver(&script).await;
    assert_eq!(invoke(&client, &read()).await, OpPhase::Ok(OpResult::Read { value: None, revision: None }));
    assert_eq!(invoke(&client, &read()).await, OpPhase::Ok(OpResult::Read { value: Some(Value(7)), revision: None }));
}

#[tokio::test]
async fn what_a_program_was_given_when_it_ends_is_of_unknown_outcome() {
    let client = driver(&format!("read hello; {READY}; read op")).await;
    let phase = invoke(&client, &write()).await;
    assert!(info(&phase, "ended"), "{phase:?}");
}

#[tokio::test]
async fn what_a_program_never_got_is_a_fail() {
    let phase = invoke(&driver("exit 3").await, &write()).await;
    assert!(fail(&phase, "ended before it was ready"), "{phase:?}");
    let phase = invoke(&driver("read hello; echo hi; read more").await, &write()).await;
    assert!(fail(&phase, "not ready but says: hi"), "{phase:?}");
    let other = r#"read hello; echo '{"type":"ready","protocol":"chaos-client/2","ops":[]}'; read more"#;
    let phase = invoke(&driver(other).await, &write()).await;
    assert!(fail(&phase, "chaos-client/2"), "{phase:?}");
    let unknown = Action::Acquire { key: "l".to_owned() };
    let phase = invoke(&driver(&format!("read hello; {READY}; read more")).await, &unknown).await;
    assert!(fail(&phase, "no words for `acquire`"), "{phase:?}");
    let nowhere =
        ClientSetup { program: vec!["/nowhere/to/be/found".to_owned()], ..setup("program", &[free_address()], &[]) };
    let phase = invoke(&open(&nowhere).unwrap(), &write()).await;
    assert!(fail(&phase, "can't be started"), "{phase:?}");
    let without = open(&setup("program", &[], &[])).err().unwrap().to_string();
    assert!(without.contains("needs a command"), "{without}");
}

#[tokio::test]
async fn a_program_that_ends_is_started_again_with_a_new_hello() {
    let directory = tempfile::tempdir().unwrap();
    let starts = directory.path().join("starts");
    let script = format!(
        "read hello; echo \"$hello\" >>'{}'; {READY}; read op; \
         echo '{{\"type\":\"done\",\"id\":1,\"outcome\":\"ok\",\"value\":null}}'",
        starts.display()
    );
    let client = driver(&script).await;
    let done = OpPhase::Ok(OpResult::Read { value: None, revision: None });
    assert_eq!(invoke(&client, &read()).await, done);
    let deadline = Instant::now() + Duration::from_secs(30);
    while invoke(&client, &read()).await != done {
        assert!(Instant::now() < deadline, "it is not started again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let hellos = std::fs::read_to_string(&starts).unwrap();
    assert!(hellos.lines().count() >= 2, "{hellos}");
    for hello in hellos.lines() {
        let hello: serde_json::Value = serde_json::from_str(hello).unwrap();
        assert_eq!(
            (&hello["type"], &hello["protocol"], &hello["node"]),
            (&"hello".into(), &"chaos-client/1".into(), &"n1".into())
        );
    }
}

#[tokio::test]
async fn a_line_of_more_than_a_megabyte_ends_the_program() {
    let client =
        driver(&format!("read hello; {READY}; read op; head -c 1100000 /dev/zero | tr '\\0' x; read more")).await;
    let phase = invoke(&client, &write()).await;
    assert!(info(&phase, "more than a megabyte"), "{phase:?}");
}

#[tokio::test]
async fn an_operation_that_was_given_up_leaves_the_next_one_alone() {
    let script = format!(
        "read hello; {READY}; while read -r op; do case $op in *'\"id\":2,'*) break;; esac; done; \
         echo '{{\"type\":\"done\",\"id\":1,\"outcome\":\"ok\",\"value\":\"1\"}}'; \
         echo '{{\"type\":\"done\",\"id\":2,\"outcome\":\"ok\",\"value\":\"2\"}}'; read more"
    );
    let client = driver(&script).await;
    let given_up = tokio::time::timeout(Duration::from_secs(2), client.invoke(NodeId::new(1), &read())).await;
    assert!(given_up.is_err(), "{given_up:?}");
    let phase = invoke(&client, &read()).await;
    assert_eq!(phase, OpPhase::Ok(OpResult::Read { value: Some(Value(2)), revision: None }));
}

#[tokio::test]
async fn questions_are_answered_or_refused() {
    let client = driver(&format!(
        "read hello; {READY}; read observe; echo '{{\"type\":\"leader\",\"id\":1,\"role\":\"leader\",\"term\":4}}'; \
         read observe; echo '{{\"type\":\"leader\",\"id\":2,\"error\":\"no idea\"}}'; read more"
    ))
    .await;
    let answer = client.ask(NodeId::new(1), "who").await.unwrap();
    assert_eq!((&answer["role"], &answer["term"]), (&"leader".into(), &4.into()));
    assert_eq!(client.ask(NodeId::new(1), "who").await, Err(ProbeError::Silent("no idea".to_owned())));
    assert!(matches!(client.ask(NodeId::new(1), "why").await, Err(ProbeError::Garbage(_))));
}

/// The names of the rules that a program breaks.
async fn broken(script: &str) -> Vec<&'static str> {
    let reports = check_client(&shell(script), None, &std::collections::BTreeMap::new(), 1_000_000).await.unwrap();
    let broken = reports.iter().filter(|report| matches!(report.outcome, RuleOutcome::Failed(_)));
    broken.map(|report| report.rule).collect()
}

/// A program that answers every operation by `answer`, a shell command with `$id` at hand.
fn answering(answer: &str) -> String {
    format!(
        "read hello; {READY}; while read -r line; do case $line in *'\"close\"'*) exit;; *'\"op\",\"id\"'*) \
         id=${{line#*'\"id\":'}}; id=${{id%%,*}}; {answer};; esac; done"
    )
}

#[tokio::test]
async fn a_program_that_can_not_be_started_is_no_broken_rule() {
    let command = ["/nowhere/to/be/found".to_owned()];
    let error = check_client(&command, None, &std::collections::BTreeMap::new(), 0).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}

#[tokio::test]
async fn the_suite_convicts_programs_that_claim_too_much() {
    let done =
        |outcome: &str| answering(&format!(r#"echo "{{\"type\":\"done\",\"id\":$id,\"outcome\":\"{outcome}\"}}""#));
    assert_eq!(broken(&done("ok")).await, ["refused", "cut-off", "nonsense"]);
    // It sends nothing, so whatever it says, it may say that nothing happened.
    assert_eq!(broken(&done("fail")).await, [""; 0]);
    assert_eq!(broken(&done("info")).await, [""; 0]);
    let twice = r#"for i in 1 2; do echo "{\"type\":\"done\",\"id\":$id,\"outcome\":\"info\"}"; done"#;
    assert_eq!(broken(&answering(twice)).await, ["each-once"]);
    assert_eq!(broken("read hello; echo nonsense").await, ["ready"]);
    let deaf = format!("trap '' PIPE; {}; exec sleep 60", done("info").replace("exit", "true"));
    assert_eq!(broken(&deaf).await, ["close", "end-of-input"]);
}

#[tokio::test]
async fn the_suite_convicts_a_program_that_says_fail_when_its_value_was_sent() {
    // It sends the whole line, value and all, and calls any end a failure.
    let send = r#"{ exec 3<>/dev/tcp/127.0.0.1/${port} && echo "$line" >&3 && read -t 5 -r x <&3; exec 3>&-; } 2>/dev/null; echo "{\"type\":\"done\",\"id\":$id,\"outcome\":\"fail\"}""#;
    let script = answering(send).replacen(
        "read hello;",
        r#"read hello; port=${hello#*'"endpoint":"127.0.0.1:'}; port=${port%%'"'*};"#,
        1,
    );
    assert_eq!(broken(&script).await, ["cut-off", "nonsense"]);
}

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workloads/clients").join(path)
}

async fn example_keeps_the_rules(interpreter: &str, path: &str) {
    if std::process::Command::new(interpreter).arg("--version").output().is_err() {
        println!("SKIPPED: there is no {interpreter}");
        return;
    }
    let command = [interpreter.to_owned(), example(path).display().to_string()];
    let redis = Program::redis().await;
    let endpoint = redis.as_ref().map(|(_, address)| *address);
    let reports = check_client(&command, endpoint, &std::collections::BTreeMap::new(), 2_000_000).await.unwrap();
    assert!(reports.len() >= 10, "{reports:#?}");
    for report in &reports {
        let skipped = matches!(report.outcome, RuleOutcome::Skipped(_));
        assert!(report.outcome == RuleOutcome::Passed || skipped && endpoint.is_none(), "{report:#?}");
    }
}

#[tokio::test]
async fn the_example_in_python_keeps_the_rules() {
    example_keeps_the_rules("python3", "python/redis_client.py").await;
}

#[tokio::test]
async fn the_example_in_shell_keeps_the_rules() {
    example_keeps_the_rules("bash", "shell/redis-client.sh").await;
}
