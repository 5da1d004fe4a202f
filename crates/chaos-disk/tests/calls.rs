//! Faults at the system calls, seen by programs that know nothing of them: Python scripts, `dd`, threads, forks and daemons.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test: what it skips is said loudly, and its failure is a panic"
)]

#[path = "support/program.rs"]
mod program;

use std::fs;
use std::process::Command;
use std::time::Duration;

use program::{Program, eventually};

use chaos_disk::{Behaviour, CallDisk, DiskError, DiskFault, Failure, Reach};

fn rig(reach: Reach) -> Option<(tempfile::TempDir, CallDisk, Program)> {
    let directory = tempfile::tempdir().unwrap();
    let disk = CallDisk::new(directory.path(), reach).unwrap();
    let program = Program::start(directory.path(), |command| disk.attach(command).unwrap())?;
    Some((directory, disk, program))
}

#[test]
fn the_trial_works_where_the_tests_do() {
    chaos_disk::trial::calls().unwrap();
}

#[test]
fn slow_syncs_take_longer_and_clearing_ends_that() {
    let Some((_directory, disk, mut program)) = rig(Reach::Syncs) else { return };
    program.check("file = open('a', 'wb', buffering=0); file.write(b'x')", "ok");
    let delay = Duration::from_millis(300);
    disk.set(DiskFault::slow_syncs(delay)).unwrap();
    for sync in ["os.fsync(file)", "os.fdatasync(file)", "os.sync()"] {
        let (outcome, took) = program.run(sync);
        assert_eq!(outcome, "ok", "{sync}");
        assert!(took >= delay, "{sync} took {took:?}");
    }
    assert_eq!(disk.touched().delayed, 3);
    assert!(disk.touched().first_ns.is_some());
    disk.clear();
    // A machine that is busy may take long over one, but not over each of many.
    let quick = (0..20).map(|_| program.run("os.fsync(file)").1).min().unwrap();
    assert!(quick < delay, "an fsync after the fault takes {quick:?}");
}

#[test]
fn a_hanging_sync_ends_when_the_disk_is_well_again() {
    let Some((_directory, disk, mut program)) = rig(Reach::Syncs) else { return };
    program.check("file = open('a', 'wb', buffering=0)", "ok");
    disk.set(DiskFault::slow_syncs(Duration::MAX)).unwrap();
    program.begin("os.fsync(file)");
    eventually("a held call", || disk.touched().delayed == 1);
    disk.clear();
    assert_eq!(program.outcome().0, "ok");
}

#[test]
fn a_held_sync_holds_no_other_thread() {
    let Some((_directory, disk, mut program)) = rig(Reach::Syncs) else { return };
    program.check("file = open('a', 'wb', buffering=0)", "ok");
    disk.set(DiskFault::slow_syncs(Duration::MAX)).unwrap();
    program.check("held = threading.Thread(target=os.fsync, args=(file.fileno(),)); held.start()", "ok");
    eventually("a held call", || disk.touched().delayed == 1);
    program.check("file.write(b'while the other thread waits')", "ok");
    program.check("assert held.is_alive()", "ok");
    disk.clear();
    program.check("held.join()", "ok");
}

#[test]
fn failing_syncs_fail_as_asked_and_only_for_files_of_the_directory() {
    let Some((_directory, disk, mut program)) = rig(Reach::Syncs) else { return };
    program.check("file = open('a', 'w+b', buffering=0); file.write(b'x')", "ok");
    program.check("import tempfile; foreign = tempfile.TemporaryFile(buffering=0)", "ok");
    program.check("mapped = mmap.mmap(file.fileno(), 1)", "ok");
    for (failure, errno) in [(Failure::Io, "EIO"), (Failure::Full, "ENOSPC"), (Failure::ReadOnly, "EROFS")] {
        disk.set(DiskFault::failing_syncs(failure)).unwrap();
        for sync in ["os.fsync(file)", "os.fdatasync(file)", "mapped.flush()"] {
            program.check(sync, errno);
        }
        program.check("os.fsync(foreign)", "ok");
        assert_eq!(disk.touched().failed, 3);
        program.check("file.write(b'writes are another matter')", "ok");
    }
    disk.clear();
    program.check("os.fsync(file); mapped.flush()", "ok");
}

#[test]
fn a_full_disk_lets_overwrites_go_on() {
    let Some((directory, disk, mut program)) = rig(Reach::SyncsAndWrites) else { return };
    program.check("file = open('a', 'w+b', buffering=0); file.write(b'0123456789')", "ok");
    program.check("log = open('log', 'ab', buffering=0); log.write(b'one')", "ok");
    program.check("source = open('source', 'w+b', buffering=0); source.write(b'abcdef'); source.seek(0)", "ok");
    disk.set(DiskFault::failing_writes(Failure::Full)).unwrap();
    for grows in [
        "file.write(b'x')",
        "os.pwrite(file.fileno(), b'xy', 9)",
        "os.writev(file.fileno(), [b'x', b'y'])",
        "os.pwritev(file.fileno(), [b'x', b'y'], 9)",
        "log.write(b'two')",
        "os.posix_fallocate(file.fileno(), 0, 11)",
        "os.sendfile(file.fileno(), source.fileno(), 0, 6)",
        "os.copy_file_range(source.fileno(), file.fileno(), 6, 0, 8)",
    ] {
        program.check(grows, "ENOSPC");
    }
    for goes_on in [
        "os.pwrite(file.fileno(), b'XY', 8)",
        "os.pwritev(file.fileno(), [b'V', b'W'], 6)",
        "file.seek(0); file.write(b'A')",
        "file.seek(1); os.writev(file.fileno(), [b'B', b'C'])",
        "os.posix_fallocate(file.fileno(), 0, 10)",
        "os.fsync(file)",
        "assert os.pread(file.fileno(), 10, 0) == b'ABC345VWXY'",
        "open('/dev/null', 'wb', buffering=0).write(b'no file of ours')",
        "r, w = os.pipe(); os.write(w, b'nor this')",
    ] {
        program.check(goes_on, "ok");
    }
    disk.clear();
    program.check("file.seek(10); file.write(b'!')", "ok");
    assert_eq!(fs::read(directory.path().join("a")).unwrap(), b"ABC345VWXY!");
    assert_eq!(fs::read(directory.path().join("log")).unwrap(), b"one");
}

#[test]
fn a_read_only_disk_can_be_read_and_not_changed() {
    let Some((_directory, disk, mut program)) = rig(Reach::SyncsAndWrites) else { return };
    program.check("file = open('a', 'w+b', buffering=0); file.write(b'0123'); os.mkdir('d')", "ok");
    disk.set(DiskFault::failing_writes(Failure::ReadOnly)).unwrap();
    for refused in [
        "file.write(b'x')",
        "os.pwrite(file.fileno(), b'x', 0)",
        "os.ftruncate(file.fileno(), 1)",
        "os.truncate('a', 1)",
        "open('a', 'r+b')",
        "open('new', 'wb')",
        "os.open('newer', os.O_CREAT | os.O_RDONLY)",
        "os.mkdir('e')",
        "os.rmdir('d')",
        "os.rename('a', 'b')",
        "os.rename('/tmp/chaos-disk-absent', 'b')",
        "os.unlink('a')",
        "os.link('a', 'b')",
        "os.symlink('a', 'b')",
        "os.mkdir('e', dir_fd=os.open('d', os.O_RDONLY))",
    ] {
        program.check(refused, "EROFS");
    }
    for allowed in ["open('a').read()", "os.open('a', os.O_CREAT | os.O_RDONLY)", "os.listdir('.')", "os.fsync(file)"] {
        program.check(allowed, "ok");
    }
    disk.clear();
    program.check("os.rename('a', 'b'); file.write(b'x'); assert sorted(os.listdir('.')) == ['b', 'd']", "ok");
}

#[test]
fn slow_and_failing_writes_are_first_slow_then_failing() {
    let Some((_directory, disk, mut program)) = rig(Reach::SyncsAndWrites) else { return };
    program.check("file = open('a', 'w+b', buffering=0)", "ok");
    let delay = Duration::from_millis(100);
    let writes = Behaviour { delay, failure: Some(Failure::Io) };
    disk.set(DiskFault { writes, ..DiskFault::default() }).unwrap();
    let (outcome, took) = program.run("file.write(b'x')");
    assert_eq!(outcome, "EIO");
    assert!(took >= delay, "{took:?}");
    program.check("open('b', 'wb')", "ok");
    program.check("os.fsync(file)", "ok");
}

#[test]
fn faults_of_writes_are_refused_by_a_disk_that_does_not_see_them() {
    let directory = tempfile::tempdir().unwrap();
    let disk = CallDisk::new(directory.path(), Reach::Syncs).unwrap();
    assert!(matches!(disk.set(DiskFault::failing_writes(Failure::Io)), Err(DiskError::OutOfReach)));
}

#[test]
fn what_the_program_forks_and_executes_is_on_the_disk_too() {
    let Some((directory, disk, mut program)) = rig(Reach::Syncs) else { return };
    disk.set(DiskFault::failing_syncs(Failure::Io)).unwrap();
    let mut dd =
        "import subprocess; done = subprocess.run(['dd', 'if=/dev/zero', 'of=b', 'bs=1k', 'count=1', ".to_owned();
    dd.push_str(
        "'conv=fsync'], capture_output=True); assert done.returncode == 1 and b'Input/output' in done.stderr, done",
    );
    program.check(&dd, "ok");
    assert!(directory.path().join("b").exists());
    disk.clear();
    program.check(&dd.replace("== 1 and", "== 0 or"), "ok");
}

#[test]
fn a_killed_program_leaves_the_supervisor_to_the_next() {
    let Some((directory, disk, mut program)) = rig(Reach::Syncs) else { return };
    program.check("file = open('a', 'wb', buffering=0)", "ok");
    disk.set(DiskFault::slow_syncs(Duration::MAX)).unwrap();
    program.begin("os.fsync(file)");
    eventually("a held call", || disk.touched().delayed == 1);
    drop(program);
    let mut next = Program::start(directory.path(), |command| disk.attach(command).unwrap()).unwrap();
    next.check("file = open('a', 'wb', buffering=0)", "ok");
    disk.set(DiskFault::failing_syncs(Failure::Io)).unwrap();
    next.check("os.fsync(file)", "EIO");
}

#[test]
fn a_program_outlives_its_disk() {
    let Some((_directory, disk, mut program)) = rig(Reach::SyncsAndWrites) else { return };
    program.check("file = open('a', 'wb', buffering=0)", "ok");
    disk.set(DiskFault::slow_syncs(Duration::MAX)).unwrap();
    program.begin("os.fsync(file)");
    eventually("a held call", || disk.touched().delayed == 1);
    drop(disk);
    assert_eq!(program.outcome().0, "ok");
    program.check("file.write(b'x'); os.fsync(file)", "ok");
}

#[test]
fn thousands_of_syncs_of_many_threads_all_go_through() {
    let Some((_directory, _disk, mut program)) = rig(Reach::Syncs) else { return };
    let job = "def job(name):\n  with open(name, 'wb', buffering=0) as file:\n    for _ in range(400): file.write(b'x'); os.fdatasync(file)";
    program.check(&format!("exec({job:?})"), "ok");
    program.check("threads = [threading.Thread(target=job, args=(str(i),)) for i in range(10)]", "ok");
    program.check("[thread.start() for thread in threads]; [thread.join() for thread in threads]", "ok");
    program.check("assert all(os.path.getsize(str(i)) == 400 for i in range(10))", "ok");
}

#[test]
fn signals_do_not_interrupt_a_held_sync() {
    let Some((_directory, disk, mut program)) = rig(Reach::Syncs) else { return };
    program.check("file = open('a', 'wb', buffering=0); import signal; seen = []", "ok");
    program.check("signal.signal(signal.SIGALRM, lambda *_: seen.append(time.monotonic()))", "ok");
    let delay = Duration::from_millis(500);
    disk.set(DiskFault::slow_syncs(delay)).unwrap();
    // Straight to the C library: Python itself would hide an interruption by calling again.
    program.check("import ctypes; libc = ctypes.CDLL(None, use_errno=True)", "ok");
    program.check("signal.setitimer(signal.ITIMER_REAL, 0.05); returned = libc.fsync(file.fileno())", "ok");
    program.check("assert returned == 0, ctypes.get_errno()", "ok");
    program.check("assert len(seen) == 1", "ok");
    assert_eq!(disk.touched().delayed, 1);
}

#[test]
fn a_program_that_cannot_be_started_is_told_of() {
    let directory = tempfile::tempdir().unwrap();
    let disk = CallDisk::new(directory.path(), Reach::SyncsAndWrites).unwrap();
    disk.set(DiskFault { writes: Behaviour { delay: Duration::MAX, failure: None }, ..DiskFault::default() }).unwrap();
    let mut command = Command::new("/nowhere/to/be/found");
    disk.attach(&mut command).unwrap();
    assert_eq!(command.spawn().unwrap_err().kind(), std::io::ErrorKind::NotFound);
}
