//! What a controller sees around itself.

use std::path::Path;

use chaos_net::NetError;
use chaos_net::doctor::{self, Status};
use chaos_net::isolation::{self, EnterOptions, UserNamespace, mount_tmpfs};
use nix::unistd::{geteuid, getpid, getppid};

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    ("uid_is_mapped_to_itself", uid_is_mapped_to_itself),
    ("controller_is_a_child_of_pid_1_and_proc_agrees", controller_is_a_child_of_pid_1_and_proc_agrees),
    ("entering_again_nests", entering_again_nests),
    ("entering_with_threads_is_refused", entering_with_threads_is_refused),
    ("a_refused_entry_names_the_remedy_and_changes_nothing", a_refused_entry_names_the_remedy),
    ("who_runs_in_real_time_hands_it_on_to_nobody", who_runs_in_real_time_hands_it_on_to_nobody),
    ("tmpfs_has_the_size_asked_for", tmpfs_has_the_size_asked_for),
];

fn uid_is_mapped_to_itself() {
    let uid = geteuid().as_raw().to_string();
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap();
    let words: Vec<&str> = map.split_whitespace().collect();
    let root_mode = ["0", "0", "4294967295"];
    let is_host_map = uid == "0" && words == root_mode;
    assert!(is_host_map || words == [uid.as_str(), uid.as_str(), "1"], "{map}");
}

fn controller_is_a_child_of_pid_1_and_proc_agrees() {
    assert_eq!(getppid().as_raw(), 1);
    let shown = std::fs::read_link("/proc/self").unwrap();
    assert_eq!(shown, Path::new(&getpid().to_string()));
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let processes = processes.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok()).count();
    assert_eq!(processes, 2, "a fresh pid namespace holds the init and the controller");
}

fn entering_again_nests() {
    // The outer of the two becomes a stub here; this asserts in the inner one, whose exit code is passed through twice.
    isolation::enter(&EnterOptions::default()).unwrap();
    assert_eq!(getppid().as_raw(), 1);
}

fn entering_with_threads_is_refused() {
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || stopped.recv());
    let refusal = isolation::enter(&EnterOptions::default());
    assert!(matches!(refusal, Err(NetError::NotSingleThreaded { threads: 2 })), "{refusal:?}");
    drop(stop);
    let _ = thread.join();
}

fn a_refused_entry_names_the_remedy() {
    if std::fs::read_to_string("/proc/self/uid_map").unwrap().contains("4294967295") {
        println!("without a user namespace this would change the host's own limit");
        std::process::exit(i32::from(crate::SKIP_CODE));
    }
    // The limit of this user namespace only: what a host with `user.max_user_namespaces=0` does.
    std::fs::write("/proc/sys/user/max_user_namespaces", "0").unwrap();
    let namespaces = || ["user", "net", "mnt"].map(|kind| std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap());
    let before = namespaces();
    let refusal = isolation::enter(&EnterOptions { user_namespace: UserNamespace::Always, ..EnterOptions::default() })
        .unwrap_err();
    assert!(matches!(refusal, NetError::Refused { .. }), "{refusal:?}");
    assert!(refusal.remedy().unwrap().contains("sysctl -w user.max_user_namespaces"), "{refusal}");
    assert_eq!(namespaces(), before);
    let found = doctor::probe().unwrap().into_iter().find(|found| found.name == "user-namespace").unwrap();
    let Status::Missing { reason, remedy } = found.status else { panic!("{found:?}") };
    assert!(reason.contains("user.max_user_namespaces is 0") && remedy.contains("sysctl"), "{reason}; {remedy}");
}

fn who_runs_in_real_time_hands_it_on_to_nobody() {
    // The 41st word, of which 40 stand behind the name in brackets: see proc(5).
    let policy_of = |stat: &str| stat.rsplit(')').next().unwrap().split_whitespace().nth(38).unwrap().to_owned();
    let policy = move |path: &str| policy_of(&std::fs::read_to_string(path).unwrap());
    let entered = isolation::enter(&EnterOptions { real_time: true, ..EnterOptions::default() }).unwrap();
    assert_eq!(policy("/proc/thread-self/stat"), if entered.real_time { "1" } else { "0" });
    assert_eq!(policy("/proc/1/stat"), "0", "the init waits like everybody else");
    assert_eq!(std::thread::spawn(move || policy("/proc/thread-self/stat")).join().unwrap(), "0");
    let child = std::process::Command::new("cat").arg("/proc/self/stat").output().unwrap();
    assert_eq!(policy_of(&String::from_utf8(child.stdout).unwrap()), "0");
}

fn tmpfs_has_the_size_asked_for() {
    let directory = Path::new("/tmp");
    mount_tmpfs(directory, Some(64 * 1024)).unwrap();
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 0, "the host's /tmp is covered");
    std::fs::write(directory.join("fits"), vec![1; 60 * 1024]).unwrap();
    let full = std::fs::write(directory.join("too-much"), vec![1; 60 * 1024]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
}
