//! Orphans are reaped, and nobody's exit status is stolen.

use std::process::Command;
use std::time::Duration;

use chaos_net::reap_orphans;
use nix::sys::prctl;
use nix::unistd::{Pid, getpid};

use crate::{Case, eventually};

pub(crate) const CASES: &[Case] = &[
    ("orphans_go_to_the_init_and_vanish", orphans_go_to_the_init_and_vanish),
    ("a_signal_from_inside_is_not_forwarded", a_signal_from_inside_is_not_forwarded),
    ("exit_statuses_stay_with_the_controller_under_a_storm_of_orphans", statuses_survive_a_storm_of_orphans),
    ("reap_orphans_takes_the_unknown_behind_an_uncollected_known_child", reaps_behind_a_known_zombie),
];

const FIVE_SECONDS: Duration = Duration::from_secs(5);

/// The pids whose parent and state are these, from `/proc`.
fn processes(parent: Pid, state: Option<char>) -> Vec<i32> {
    let pids =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let Some((_, rest)) = stat.rsplit_once(')') else { return false };
        let mut fields = rest.split_whitespace();
        let found_state = fields.next().unwrap_or("").chars().next();
        let found_parent = fields.next().and_then(|field| field.parse::<i32>().ok());
        found_parent == Some(parent.as_raw()) && (state.is_none() || state == found_state)
    })
    .collect()
}

fn orphans_go_to_the_init_and_vanish() {
    // The shell leaves a daemon behind, which outlives it for a moment.
    let status = Command::new("sh").args(["-c", "setsid sleep 0.05 & exit 5"]).status().unwrap();
    assert_eq!(status.code(), Some(5));
    let init = Pid::from_raw(1);
    eventually("the daemon is the init's child", FIVE_SECONDS, || processes(init, None).len() == 2);
    eventually("the daemon is gone, zombie included", FIVE_SECONDS, || processes(init, None) == [getpid().as_raw()]);
}

fn a_signal_from_inside_is_not_forwarded() {
    // Forwarded, either would end this process. The orphan's end shows that the init has looked at its signals.
    let script = "kill -TERM 1; kill -INT 1; setsid sleep 0.05 & exit 0";
    assert!(Command::new("sh").args(["-c", script]).status().unwrap().success());
    let init = Pid::from_raw(1);
    eventually("the orphan is gone", FIVE_SECONDS, || processes(init, None) == [getpid().as_raw()]);
}

fn statuses_survive_a_storm_of_orphans() {
    let spawn = |code: i32| Command::new("sh").args(["-c", &format!("true & true & exit {code}")]).spawn().unwrap();
    let mut children: Vec<_> = (0..60).map(|code| (code, spawn(code))).collect();
    for (code, child) in &mut children {
        assert_eq!(child.wait().unwrap().code(), Some(*code));
    }
    let init = Pid::from_raw(1);
    eventually("no zombie is left", FIVE_SECONDS, || processes(init, Some('Z')).is_empty());
}

fn reaps_behind_a_known_zombie() {
    prctl::set_child_subreaper(true).unwrap();
    // First the known child dies, so that it heads the kernel's list of dead children.
    let mut known = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
    let known_pid = Pid::from_raw(i32::try_from(known.id()).unwrap());
    eventually("the known child is a zombie", FIVE_SECONDS, || processes(getpid(), Some('Z')).len() == 1);
    // A known shell that leaves three orphans; they come to us, the subreaper.
    let mut shell = Command::new("sh").args(["-c", "true & true & true & exit 8"]).spawn().unwrap();
    let shell_pid = Pid::from_raw(i32::try_from(shell.id()).unwrap());
    let is_known = |pid: Pid| pid == known_pid || pid == shell_pid;
    let mut reaped = 0;
    eventually("the orphans are reaped", FIVE_SECONDS, || {
        reaped += reap_orphans(is_known).unwrap();
        let mut left = processes(getpid(), None);
        left.sort_unstable();
        left == [known_pid.as_raw(), shell_pid.as_raw()] && processes(getpid(), Some('Z')).len() == 2
    });
    // The shell may have waited for some of its children itself before it left.
    assert!(reaped <= 3, "{reaped}");
    assert_eq!(known.wait().unwrap().code(), Some(7));
    assert_eq!(shell.wait().unwrap().code(), Some(8));
    assert_eq!(reap_orphans(|_| false).unwrap(), 0);
}
