//! A command in the node's namespaces. Its exit code is a part of the answer, not a failure.
//!
//! The command is one of the node's processes while it runs: a fault that kills or pauses the node hits it too, and the question
//! then goes unanswered, which is what a program on that host would see.

use std::path::Path;
use std::process::Stdio;

use chaos_history::NodeId;

use super::{ANSWER_BYTES_MAX, Reply, silent, too_long};
use crate::access::Enter;
use crate::driver::{CommandLine, ProbeError};

/// Runs it to its end.
pub(super) async fn ask(
    enter: &Enter,
    node: NodeId,
    command: &CommandLine,
    directory: &Path,
) -> Result<Reply, ProbeError> {
    let mut run = std::process::Command::new(&command.program);
    run.args(&command.arguments).current_dir(directory);
    enter(node, &mut run).map_err(|error| silent("enter the node", &error))?;
    let mut run = tokio::process::Command::from(run);
    run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let child = run.spawn().map_err(|error| silent("run", &error))?;
    let output = child.wait_with_output().await.map_err(|error| silent("run", &error))?;
    if output.stdout.len() > ANSWER_BYTES_MAX {
        return Err(too_long());
    }
    let Some(code) = output.status.code() else {
        return Err(ProbeError::Silent("the command was killed".to_owned()));
    };
    if code != 0 && output.stdout.is_empty() {
        let words = String::from_utf8_lossy(&output.stderr);
        let last = words.lines().last().unwrap_or_default().trim().to_owned();
        return Ok(Reply { text: last, data: None, status: Some(i64::from(code)) });
    }
    Ok(Reply { status: Some(i64::from(code)), ..Reply::of_bytes(&output.stdout) })
}
