//! The cut by `iptables-restore` in the switch, for hosts without nf_tables netlink or for those who want to compare.
//!
//! The idea: a chain `CHAOS` that FORWARD, INPUT and OUTPUT jump to; declaring a chain in `iptables-restore --noflush` empties it, so one
//! input is one atomic replacement. About 1–2 ms instead of 0.05 ms, because a program is started.
//! Refuses `iptables -A` once per rule or per node: the links would be cut milliseconds apart.
//! Source: `iptables-restore(8)`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Seek, Write as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{AccessFlags, access};

use crate::nftables::Pair;
use crate::{NetError, namespace, sys};

const PROGRAM: &str = "iptables-restore";
const REMEDY: &str = "install the package `iptables`, or use the nf_tables filter, which needs no program";

/// The chain in the network namespace where it was installed.
#[derive(Debug)]
pub(crate) struct Iptables {
    switch: OwnedFd,
    program: PathBuf,
}

impl Iptables {
    /// Installs the empty chain in the calling thread's network namespace.
    pub(crate) fn install() -> Result<Self, NetError> {
        let switch =
            namespace::current().map_err(|error| NetError::system("open the switch's network namespace", error))?;
        let iptables = Self { switch, program: find_program()? };
        iptables.restore(
            "*filter\n:CHAOS - [0:0]\n-I FORWARD 1 -j CHAOS\n-I INPUT 1 -j CHAOS\n-I OUTPUT 1 -j CHAOS\nCOMMIT\n",
        )?;
        Ok(iptables)
    }

    /// Makes `pairs` the whole content of the chain.
    pub(crate) fn replace(&self, pairs: &[Pair]) -> Result<(), NetError> {
        let mut input = String::from("*filter\n:CHAOS - [0:0]\n");
        for (from, to) in pairs {
            let _ = writeln!(input, "-A CHAOS -s {from} -d {to} -j DROP");
        }
        input.push_str("COMMIT\n");
        self.restore(&input)
    }

    /// Removes the chain.
    pub(crate) fn remove(&self) -> Result<(), NetError> {
        self.restore(
            "*filter\n:CHAOS - [0:0]\n-D FORWARD -j CHAOS\n-D INPUT -j CHAOS\n-D OUTPUT -j CHAOS\n-X CHAOS\nCOMMIT\n",
        )
    }

    fn restore(&self, input: &str) -> Result<(), NetError> {
        let failed = |error| NetError::system(format!("run `{}`", self.program.display()), error);
        let output = self.command(input).and_then(|mut command| command.output()).map_err(failed)?;
        if output.status.success() {
            return Ok(());
        }
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(NetError::ProgramFailed { program: PROGRAM, status: output.status, stderr })
    }

    fn command(&self, input: &str) -> io::Result<Command> {
        // A file in memory as standard input: written whole before the start, so no pipe can fill up.
        let mut rules = File::from(memfd_create(c"chaos-iptables", MFdFlags::MFD_CLOEXEC)?);
        rules.write_all(input.as_bytes())?;
        rules.rewind()?;
        let mut command = Command::new(&self.program);
        command
            .arg("--noflush")
            // The legacy variant wants to lock a file under /run, which an ordinary user can't create.
            .env("XTABLES_LOCKFILE", "/proc/self/fd/0")
            .stdin(rules)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        sys::in_namespace_as_net_admin(&mut command, self.switch.try_clone()?);
        Ok(command)
    }
}

/// Finds the program in the caller's path, then in the system directories, which an ordinary user's path often lacks.
///
/// Not left to `execvp`: that reports a directory which the user can't read as "permission denied" for the program.
fn find_program() -> Result<PathBuf, NetError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|directory| directory.join(PROGRAM))
        .find(|candidate| candidate.is_file() && access(candidate, AccessFlags::X_OK).is_ok())
        .ok_or(NetError::ProgramMissing { program: PROGRAM, remedy: REMEDY })
}
