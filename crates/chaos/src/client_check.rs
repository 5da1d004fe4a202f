//! `chaos client`: is this program a client that a run can trust?
//!
//! `check` starts the program once for each rule of `chaos-client/1`, against servers of our own that misbehave and, if one is
//! named, against a real one; `protocol` prints the rules. Exit code 0: every rule that could be tried is kept; 1: one is broken;
//! 254: the program can't be started. What a program says is printed with its control characters escaped.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use chaos_systems::{PROTOCOL_TEXT, RuleOutcome, RuleReport, check_client};
use clap::Subcommand;

use crate::failure::{Failure, printable};
use crate::show;

/// Arguments of `chaos client`.
#[derive(Debug, clap::Args)]
pub(crate) struct ClientArguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Try whether a program keeps the rules of chaos-client/1.
    #[command(after_help = EXAMPLES)]
    Check(CheckArguments),
    /// Print the protocol chaos-client/1.
    Protocol,
}

const EXAMPLES: &str = "\
Examples:
  chaos client check python3 workloads/clients/python/redis_client.py
  chaos client check --endpoint 127.0.0.1:6379 bash workloads/clients/shell/redis-client.sh

Exit codes: 0 every rule that could be tried is kept, 1 one is broken, 254 the program can't be started";

#[derive(Debug, clap::Args)]
struct CheckArguments {
    /// A real server that the program can talk to, whose answers are then checked too. Keys named chaos-check-… are written.
    #[arg(long, value_name = "ADDRESS:PORT")]
    endpoint: Option<SocketAddr>,
    /// An option of the program. May be repeated.
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = option)]
    options: Vec<(String, String)>,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
}

fn option(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Tries a program, or explains what is tried.
pub(crate) fn client(arguments: &ClientArguments) -> Result<ExitCode, Failure> {
    match &arguments.what {
        What::Check(arguments) => check(arguments),
        What::Protocol => {
            show::print(PROTOCOL_TEXT);
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn check(arguments: &CheckArguments) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    let options: BTreeMap<_, _> = arguments.options.iter().cloned().collect();
    // Keys of an earlier check on the same server must not be met again.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let salt = u64::try_from(now).unwrap_or_default();
    let reports = runtime.block_on(check_client(&arguments.command, arguments.endpoint, &options, salt));
    let reports = reports.with_context(|| format!("start `{}`", arguments.command[0])).map_err(Failure::Refused)?;
    show::print(&table(&reports));
    let broken = reports.iter().any(|report| matches!(report.outcome, RuleOutcome::Failed(_)));
    Ok(ExitCode::from(u8::from(broken)))
}

fn table(reports: &[RuleReport]) -> String {
    let mut text = String::new();
    let mut counts = [0; 3];
    for RuleReport { rule, demands, outcome } in reports {
        let (count, word, why) = match outcome {
            RuleOutcome::Passed => (0, "passed", None),
            RuleOutcome::Failed(why) => (1, "FAILED", Some(why)),
            RuleOutcome::Skipped(why) => (2, "skipped", Some(why)),
        };
        counts[count] += 1;
        text.push_str(&format!("{word:<8}  {rule:<14}  {demands}\n"));
        if let Some(why) = why {
            text.push_str(&format!("{:28}{}\n", "", printable(why).replace('\n', " ")));
        }
    }
    let [passed, failed, skipped] = counts;
    text.push_str(&format!("\n{passed} passed, {failed} failed, {skipped} skipped\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_every_rule_and_why_it_is_broken() {
        let report = |rule, outcome| RuleReport { rule, demands: "does what it must", outcome };
        let reports = [
            report("ready", RuleOutcome::Passed),
            report("refused", RuleOutcome::Failed("it says \x1b[2J".to_owned())),
            report("set", RuleOutcome::Skipped("no server is named".to_owned())),
        ];
        let text = table(&reports);
        assert!(text.contains("passed    ready           does what it must\n"), "{text}");
        assert!(text.contains("FAILED    refused") && text.contains("\\u{1b}[2J"), "{text}");
        assert!(text.ends_with("1 passed, 1 failed, 1 skipped\n"), "{text}");
    }
}
