//! `chaos client`: what it prints and how it ends.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::process::{Command, Output};

fn chaos(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chaos")).args(arguments).output().unwrap()
}

#[test]
fn a_program_that_keeps_the_rules_is_acquitted() {
    let client = concat!(env!("CARGO_MANIFEST_DIR"), "/../../workloads/clients/shell/redis-client.sh");
    let output = chaos(&["client", "check", "bash", client]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("passed    cut-off") && text.contains("skipped   register"), "{text}");
}

#[test]
fn a_program_that_breaks_one_is_convicted() {
    let output = chaos(&["client", "check", "bash", "-c", "read hello; echo not a message"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("FAILED    ready") && text.contains("a line that is no message: not a message"), "{text}");
}

#[test]
fn a_program_that_can_not_be_started_is_bad_input() {
    let output = chaos(&["client", "check", "/nowhere/to/be/found"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(254), "{error}");
    assert!(error.contains("start `/nowhere/to/be/found`"), "{error}");
    assert_eq!(chaos(&["client", "check"]).status.code(), Some(254));
    assert_eq!(chaos(&["client", "check", "--option", "x", "true"]).status.code(), Some(254));
}

#[test]
fn the_protocol_is_at_hand() {
    let output = chaos(&["client", "protocol"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("# chaos-client/1"));
}
