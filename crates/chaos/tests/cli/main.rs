//! The program from outside: what its user sees. One binary, since each takes long to link and none needs a process of its own.

mod bad_input;
mod check_files;
mod client_check;
mod events;
mod explore;
mod explored;
mod league;
mod mixed;
mod operations;
mod proxied;
mod real_runs;
mod report_formats;
mod sets;
mod specimens;
mod support;
mod system_check;
mod telling;
mod tidy;
mod two_worlds;
mod wrap;
