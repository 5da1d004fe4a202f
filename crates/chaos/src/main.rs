//! The command line: arguments, wiring, exit codes and live progress. Everything worth a unit test is in another crate.

mod again;
mod args;
mod bench_floor;
mod changes;
mod client_check;
mod compare;
mod completions;
mod doctor;
mod events;
mod explain;
mod explore;
mod failure;
mod follow;
mod foreign;
mod frame;
mod home;
mod init;
mod judge;
mod league;
mod list;
mod live;
mod man;
mod means;
mod museum;
mod repeat;
mod replay;
mod report;
mod run;
mod schedule;
mod schema;
mod show;
mod simulated;
mod system;
mod system_check;
mod tested;
mod walk;
mod wrap;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nothing more can be done if even the error can't be printed.
            let _ = error.print();
            // `--help` and `--version` come this way too, and are no mistake.
            return ExitCode::from(if error.use_stderr() { 254 } else { 0 });
        }
    };
    let done = match arguments.command {
        Command::Node(arguments) => return election_node::main(*arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => foreign::check(&arguments),
        Command::Report(arguments) => report::report(&arguments),
        Command::Schema(arguments) => schema::schema(&arguments),
        Command::BenchFloor(arguments) => bench_floor::bench_floor(&arguments),
        Command::Compare(arguments) => compare::compare(&arguments),
        Command::League(arguments) => league::league(&arguments),
        Command::Plan(arguments) => show::plan(&arguments),
        Command::Wrap(arguments) => wrap::wrap(&arguments),
        Command::Explore(arguments) => explore::explore(&arguments),
        Command::Walk(arguments) => walk::wander(&arguments),
        Command::Replay(arguments) => replay::replay(&arguments),
        Command::Init(arguments) => init::init(&arguments),
        Command::List(arguments) => list::list(&arguments),
        Command::Museum(arguments) => museum::museum(&arguments),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Language(arguments) => show::language(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
        Command::System(arguments) => system_check::system(&arguments),
        Command::Client(arguments) => client_check::client(&arguments),
        Command::Completions(arguments) => completions::completions(&arguments),
        Command::Man(arguments) => man::man(&arguments),
    };
    match done {
        // What a caller reads from a file that is not whole must not pass for an answer.
        Ok(code) if code == ExitCode::SUCCESS && show::lost() => ExitCode::from(255),
        Ok(code) => code,
        Err(failure) => failure.report(std::io::stderr().is_terminal()),
    }
}
