//! The reference node as a program of its own; `chaos node` is the same.

use std::process::ExitCode;

use clap::Parser;
use election_node::NodeArguments;

/// A node of a replicated key-value store that elects its leader by Raft, made to be killed, paused and cut off.
///
/// It talks to its peers over TCP and to everybody else over HTTP: GET /status says who leads as this node sees it, GET
/// /events streams every change, /kv/{key} reads and writes. Nothing is forwarded: a follower says who leads.
#[derive(Parser)]
#[command(version)]
struct Program {
    #[command(flatten)]
    arguments: NodeArguments,
}

fn main() -> ExitCode {
    election_node::main(Program::parse().arguments)
}
