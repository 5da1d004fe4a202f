//! The same faults as at the system calls, met at the file system.

use std::fs;
use std::time::Duration;

use chaos_disk::{DiskFault, Durability, Failure, MountDisk};

use crate::Case;
use crate::program::{Program, eventually};

pub(crate) const CASES: &[Case] = &[
    ("what_is_written_is_there_with_and_without_the_mount", what_is_written_is_there_with_and_without_the_mount),
    ("slow_syncs_take_longer_and_clearing_ends_that", slow_syncs_take_longer_and_clearing_ends_that),
    ("failing_syncs_fail_as_asked", failing_syncs_fail_as_asked),
    ("a_full_disk_lets_overwrites_go_on", a_full_disk_lets_overwrites_go_on),
    ("a_read_only_disk_can_be_read_and_not_changed", a_read_only_disk_can_be_read_and_not_changed),
    ("a_program_that_hangs_in_a_sync_can_be_killed", a_program_that_hangs_in_a_sync_can_be_killed),
    ("a_held_sync_holds_no_other_thread", a_held_sync_holds_no_other_thread),
];

/// A mounted disk and a program that lives on it.
pub(crate) struct Rig {
    /// Ended before its disk is unmounted.
    pub(crate) program: Program,
    pub(crate) disk: MountDisk,
    pub(crate) directory: tempfile::TempDir,
}

impl Rig {
    pub(crate) fn new(durability: Durability) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        fs::create_dir(&data).unwrap();
        let disk = MountDisk::mount(&data, durability).unwrap();
        let program = Program::start(&data, |_| ())?;
        Some(Self { program, disk, directory })
    }

    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.directory.path().join("data")
    }
}

fn what_is_written_is_there_with_and_without_the_mount() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("before"), b"was here").unwrap();
    let disk = MountDisk::mount(directory.path(), Durability::Strict).unwrap();
    let Some(mut program) = Program::start(directory.path(), |_| ()) else { return };
    for line in [
        "assert open('before').read() == 'was here'",
        "os.makedirs('a/b'); open('a/b/c', 'w').write('text'); os.symlink('c', 'a/b/link'); os.link('a/b/c', 'hard')",
        "assert open('a/b/link').read() == 'text' and os.stat('hard').st_nlink == 2",
        "os.chmod('hard', 0o640); assert os.stat('a/b/c').st_mode & 0o777 == 0o640",
        "os.umask(0); os.close(os.open('open', os.O_CREAT | os.O_WRONLY, 0o666)); assert os.stat('open').st_mode & 0o777 == 0o666",
        "os.utime('hard', (1, 2)); assert os.stat('hard').st_mtime == 2",
        "os.rename('a/b', 'moved'); assert sorted(os.listdir('.')) == ['a', 'before', 'hard', 'moved', 'open'], os.listdir('.')",
        "open('many', 'wb').write(bytes(range(256)) * 40000); assert open('many', 'rb').read()[-256:] == bytes(range(256))",
        "big = open('many', 'r+b', buffering=0); m = mmap.mmap(big.fileno(), 4096); m[0:5] = b'store'; m.flush()",
        "assert os.pread(big.fileno(), 6, 0) == b'store\\x05'",
        "import fcntl; fcntl.flock(big, fcntl.LOCK_EX | fcntl.LOCK_NB); fcntl.lockf(open('open', 'w'), fcntl.LOCK_EX)",
        "import socket; socket.socket(socket.AF_UNIX).bind('socket'); os.mkfifo('fifo')",
        "gone = open('gone', 'w+'); gone.write('still'); gone.flush(); os.unlink('gone'); gone.seek(0); assert gone.read() == 'still'",
        "assert os.fstat(gone.fileno()).st_nlink == 0 and not os.path.exists('gone'); gone.close()",
        "os.truncate('many', 10); assert os.path.getsize('many') == 10",
        "[open(f'n{i}', 'w').close() for i in range(2000)]; assert len([n for n in os.listdir('.') if n[0] == 'n']) == 2000",
        "import glob; [os.unlink(n) for n in glob.glob('n*')]; assert glob.glob('n*') == []",
        "sparse = open('sparse', 'wb'); sparse.seek(1 << 20); sparse.write(b'x'); sparse.flush()",
        "assert os.lseek(sparse.fileno(), 0, os.SEEK_DATA) > 0",
    ] {
        program.check(line, "ok");
    }
    drop(program);
    drop(disk);
    assert_eq!(fs::read_to_string(directory.path().join("moved/c")).unwrap(), "text");
    assert_eq!(fs::metadata(directory.path().join("many")).unwrap().len(), 10);
    assert!(!directory.path().with_extension("held").exists());
}

fn slow_syncs_take_longer_and_clearing_ends_that() {
    let Some(Rig { mut program, disk, directory: _directory }) = Rig::new(Durability::Strict) else { return };
    program.check("file = open('a', 'wb', buffering=0); file.write(b'x'); here = os.open('.', os.O_RDONLY)", "ok");
    let delay = Duration::from_millis(300);
    disk.set(DiskFault::slow_syncs(delay));
    for sync in ["os.fsync(file)", "os.fdatasync(file)", "os.fsync(here)"] {
        let (outcome, took) = program.run(sync);
        assert_eq!(outcome, "ok", "{sync}");
        assert!(took >= delay, "{sync} took {took:?}");
    }
    assert_eq!(disk.touched().delayed, 3);
    disk.clear();
    let quick = (0..20).map(|_| program.run("os.fsync(file)").1).min().unwrap();
    assert!(quick < delay, "an fsync after the fault takes {quick:?}");
}

fn failing_syncs_fail_as_asked() {
    let Some(Rig { mut program, disk, directory: _directory }) = Rig::new(Durability::Strict) else { return };
    program.check("file = open('a', 'w+b', buffering=0); file.write(b'x'); here = os.open('.', os.O_RDONLY)", "ok");
    for (failure, errno) in [(Failure::Io, "EIO"), (Failure::Full, "ENOSPC"), (Failure::ReadOnly, "EROFS")] {
        disk.set(DiskFault::failing_syncs(failure));
        for sync in ["os.fsync(file)", "os.fdatasync(file)", "os.fsync(here)"] {
            program.check(sync, errno);
        }
        assert_eq!(disk.touched().failed, 3);
        program.check("file.write(b'writes are another matter')", "ok");
    }
    disk.clear();
    program.check("os.fsync(file); os.fsync(here)", "ok");
}

fn a_full_disk_lets_overwrites_go_on() {
    let Some(Rig { mut program, disk, directory: _directory }) = Rig::new(Durability::Strict) else { return };
    program.check("file = open('a', 'w+b', buffering=0); file.write(b'0123456789')", "ok");
    program.check("log = open('log', 'ab', buffering=0); log.write(b'one')", "ok");
    disk.set(DiskFault::failing_writes(Failure::Full));
    for grows in [
        "file.write(b'x')",
        "os.pwrite(file.fileno(), b'xy', 9)",
        "log.write(b'two')",
        "os.posix_fallocate(file.fileno(), 0, 11)",
    ] {
        program.check(grows, "ENOSPC");
    }
    program.check("os.pwrite(file.fileno(), b'XY', 8); os.fsync(file)", "ok");
    disk.clear();
    program.check("file.seek(10); file.write(b'!'); assert os.pread(file.fileno(), 20, 0) == b'01234567XY!'", "ok");
}

fn a_read_only_disk_can_be_read_and_not_changed() {
    let Some(Rig { mut program, disk, directory: _directory }) = Rig::new(Durability::Strict) else { return };
    program.check("file = open('a', 'w+b', buffering=0); file.write(b'0123'); os.mkdir('d')", "ok");
    disk.set(DiskFault::failing_writes(Failure::ReadOnly));
    for refused in [
        "file.write(b'x')",
        "os.ftruncate(file.fileno(), 1)",
        "os.truncate('a', 1)",
        "open('a', 'r+b')",
        "open('new', 'wb')",
        "os.mkdir('e')",
        "os.rmdir('d')",
        "os.rename('a', 'b')",
        "os.unlink('a')",
        "os.link('a', 'b')",
        "os.symlink('a', 'b')",
        "os.chmod('a', 0o600)",
    ] {
        program.check(refused, "EROFS");
    }
    program.check("assert open('a').read() == '0123'; os.fsync(file)", "ok");
    disk.clear();
    program.check("os.rename('a', 'b'); file.write(b'x'); assert sorted(os.listdir('.')) == ['b', 'd']", "ok");
}

fn a_program_that_hangs_in_a_sync_can_be_killed() {
    let Some(Rig { mut program, disk, directory: _directory }) = Rig::new(Durability::Strict) else { return };
    program.check("file = open('a', 'wb', buffering=0)", "ok");
    disk.set(DiskFault::slow_syncs(Duration::MAX));
    program.begin("os.fsync(file)");
    eventually("a held call", || disk.touched().delayed == 1);
    // Kills it and waits for its end.
    drop(program);
    assert_eq!(disk.touched().delayed, 1);
}

fn a_held_sync_holds_no_other_thread() {
    let Some(Rig { mut program, disk, directory: _directory }) = Rig::new(Durability::Strict) else { return };
    program.check("file, other = open('a', 'wb', buffering=0), open('b', 'wb', buffering=0)", "ok");
    disk.set(DiskFault::slow_syncs(Duration::MAX));
    program.check("held = [threading.Thread(target=os.fsync, args=(file.fileno(),)) for _ in range(20)]", "ok");
    program.check("[thread.start() for thread in held]", "ok");
    eventually("a held call", || disk.touched().delayed >= 1);
    program.check("other.write(b'while the others wait'); os.stat('b'); os.listdir('.')", "ok");
    disk.clear();
    program.check("[thread.join() for thread in held]", "ok");
}
