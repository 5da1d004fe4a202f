//! What this host can do, found out by doing it.
//!
//! The idea: each primitive is tried for real in a forked child, which enters its own namespaces if the primitive needs
//! them and disappears afterwards. Nothing is inferred from versions, files or settings; those only explain a refusal.
//! A child that hangs is killed after 5 s and reported as missing.
//!
//! Refuses: to change the host, to need root, to run in a process that already has threads (its children are forked).

mod trials;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};

use crate::NetError;
use crate::sys::{self, Forked};

/// A thing that the host lets us do, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Primitive {
    /// Short and stable, such as `nf_tables`.
    pub name: &'static str,
    /// What it is needed for.
    pub needed_for: &'static str,
    /// Whether runs can do without it.
    pub need: Need,
    /// What trying it has shown.
    pub status: Status,
    /// How long the trial took, fork included.
    pub elapsed: Duration,
}

/// Whether runs can do without a primitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Runs in namespaces need it.
    Required,
    /// Only what `needed_for` names is lost without it.
    Optional,
}

/// What trying a primitive has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It was done.
    Works,
    /// It was refused.
    Missing {
        /// The kernel's words, and the explanation where one is known.
        reason: String,
        /// One line that changes it.
        remedy: String,
    },
}

/// Why something that was tried does not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The kernel's words, and the explanation where one is known.
    pub reason: String,
    /// One line that changes it.
    pub remedy: String,
}

/// A primitive that is about to be tried.
struct Trial {
    name: &'static str,
    needed_for: &'static str,
    need: Need,
    /// What to change when the error does not say it itself.
    remedy: &'static str,
    run: fn() -> Result<(), NetError>,
}

const TRIAL_DEADLINE: Duration = Duration::from_secs(5);
/// Between reason and remedy in the child's answer.
const SEPARATOR: char = '\0';

/// Tries every primitive, in a fixed order; takes well below a second. To be called before any thread is started.
///
/// # Errors
/// When not even a child process can be forked, or the process has threads.
pub fn probe() -> Result<Vec<Primitive>, NetError> {
    crate::isolation::require_single_thread()?;
    let try_one = |trial: &Trial| {
        let begin = Instant::now();
        let Trial { name, needed_for, need, remedy, run } = *trial;
        let run = || {
            run().map_err(|error| Refusal {
                reason: error.reason(),
                remedy: error.remedy().unwrap_or(remedy).to_owned(),
            })
        };
        let status = in_child(remedy, run).map_err(|error| NetError::system(format!("try `{name}`"), error))?;
        Ok(Primitive { name, needed_for, need, status, elapsed: begin.elapsed() })
    };
    trials::ALL.iter().map(try_one).collect()
}

/// Tries an optional primitive of another crate, in a forked child that has the namespaces of a run's controller. To be called before
/// any thread is started; the trial may start some.
///
/// # Errors
/// When not even a child process can be forked, or the process has threads.
pub fn probe_in_namespaces(
    name: &'static str,
    needed_for: &'static str,
    run: fn() -> Result<(), Refusal>,
) -> Result<Primitive, NetError> {
    const ISOLATION: &str = "first make the trial `isolation` work";
    crate::isolation::require_single_thread()?;
    let begin = Instant::now();
    let inside = || {
        let entered = trials::enter_network();
        entered.map_err(|error| Refusal { reason: error.reason(), remedy: ISOLATION.to_owned() })?;
        run()
    };
    let status = in_child(ISOLATION, inside).map_err(|error| NetError::system(format!("try `{name}`"), error))?;
    Ok(Primitive { name, needed_for, need: Need::Optional, status, elapsed: begin.elapsed() })
}

/// Runs a trial in a forked child and reads its answer from a pipe: nothing for success. The remedy is for a child that says nothing.
fn in_child(remedy: &str, run: impl FnOnce() -> Result<(), Refusal>) -> io::Result<Status> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    let _ = io::stdout().flush();
    match sys::fork()? {
        Forked::Child => {
            drop(reader);
            if let Err(Refusal { reason, remedy }) = run() {
                // The parent takes a child without an answer for one that works; a lost answer must not look like that.
                let answer = format!("{reason}{SEPARATOR}{remedy}");
                if File::from(writer).write_all(answer.as_bytes()).is_err() {
                    sys::exit_now(2);
                }
                sys::exit_now(1);
            }
            sys::exit_now(0)
        }
        Forked::Parent(child) => {
            drop(writer);
            let answer = read_answer(File::from(reader));
            if answer.is_err() {
                // Too late; the child would only hold its namespaces.
                let _ = kill(child, Signal::SIGKILL);
            }
            Ok(judge(remedy, answer, exit_of(child)?))
        }
    }
}

fn exit_of(child: Pid) -> io::Result<i32> {
    let status = waitpid(child, None)?;
    if let WaitStatus::Exited(_, code) = status { Ok(code) } else { Ok(crate::init::KILLED) }
}

fn judge(default: &str, answer: io::Result<String>, code: i32) -> Status {
    let missing = |reason: String, remedy: &str| Status::Missing { reason, remedy: remedy.to_owned() };
    match answer {
        Ok(_) if code == 0 => Status::Works,
        Ok(answer) => match answer.split_once(SEPARATOR) {
            Some((reason, remedy)) => missing(reason.to_owned(), remedy),
            None => missing(format!("the trial ended with code {code}"), default),
        },
        Err(error) => missing(error.to_string(), default),
    }
}

fn read_answer(mut reader: File) -> io::Result<String> {
    let deadline = Instant::now() + TRIAL_DEADLINE;
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let events = poll(&mut [PollFd::new(reader.as_fd(), PollFlags::POLLIN)], timeout)?;
        if events == 0 {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {TRIAL_DEADLINE:?}")));
        }
        match reader.read(&mut chunk)? {
            0 => return Ok(String::from_utf8_lossy(&answer).into_owned()),
            length => answer.extend_from_slice(&chunk[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clean_exit_counts_as_working() {
        let is_missing = |status: Status, expected: &str| match status {
            Status::Works => false,
            Status::Missing { remedy, .. } => remedy == expected,
        };
        assert_eq!(judge("default remedy", Ok(String::new()), 0), Status::Works);
        assert!(is_missing(judge("default remedy", Ok("why\0do this".to_owned()), 1), "do this"));
        assert!(is_missing(judge("default remedy", Ok(String::new()), 2), "default remedy"));
        assert!(is_missing(judge("default remedy", Ok(String::new()), 137), "default remedy"));
        assert!(is_missing(judge("default remedy", Err(io::ErrorKind::TimedOut.into()), 137), "default remedy"));
    }
}
