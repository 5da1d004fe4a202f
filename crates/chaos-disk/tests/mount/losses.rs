//! What a power loss takes and what it leaves.

use std::fs;

use chaos_disk::corrupt::{Selection, flip_bits, truncate};
use chaos_disk::{DiskFault, Durability, Failure, Keep, MountDisk};

use crate::Case;
use crate::faults::Rig;
use crate::program::Program;

pub(crate) const CASES: &[Case] = &[
    ("exactly_the_synced_prefix_of_a_log_survives", exactly_the_synced_prefix_of_a_log_survives),
    ("names_that_were_not_synced_are_as_before", names_that_were_not_synced_are_as_before),
    ("a_synced_file_without_a_synced_name_is_gone", a_synced_file_without_a_synced_name_is_gone),
    ("a_replacing_rename_is_old_or_new_and_never_torn", a_replacing_rename_is_old_or_new_and_never_torn),
    ("stores_into_a_mapping_survive_if_synced", stores_into_a_mapping_survive_if_synced),
    ("a_descriptor_opened_for_synchronous_writes_loses_nothing", synchronous_writes_lose_nothing),
    ("what_a_failed_sync_has_not_written_no_later_one_writes", a_failed_sync_is_not_made_up_for),
    ("power_can_fail_again_and_again", power_can_fail_again_and_again),
    ("damage_stays_through_a_power_loss", damage_stays_through_a_power_loss),
    ("what_is_settled_survives", what_is_settled_survives),
];

impl Rig {
    /// Kills the program, fails the power, and returns a program of the time after.
    pub(crate) fn lose(self, keep: Keep) -> Self {
        let Self { program, mut disk, directory } = self;
        drop(program);
        disk.power_loss(keep).unwrap();
        let program = Program::start(&directory.path().join("data"), |_| ()).unwrap();
        Self { program, disk, directory }
    }

    fn check(&mut self, lines: &[&str]) {
        for line in lines {
            self.program.check(line, "ok");
        }
    }
}

fn exactly_the_synced_prefix_of_a_log_survives() {
    let Some(mut rig) = Rig::new(Durability::Strict) else { return };
    rig.check(&[
        "log = open('log', 'ab', buffering=0); here = os.open('.', os.O_RDONLY); os.fsync(here)",
        "exec('for i in range(1, 1001):\\n  log.write(b\"%09d\\\\n\" % i)\\n  if i % 77 == 0: os.fdatasync(log)')",
        "assert os.path.getsize('log') == 10000",
    ]);
    let mut rig = rig.lose(Keep::Synced);
    let synced = 1000 / 77 * 77;
    let whole: String = (1..=synced).map(|number| format!("{number:09}\n")).collect();
    assert_eq!(fs::read_to_string(rig.data().join("log")).unwrap(), whole);
    rig.check(&["log = open('log', 'ab', buffering=0); log.write(b'goes on')"]);
}

fn names_that_were_not_synced_are_as_before() {
    let Some(mut rig) = Rig::new(Durability::Strict) else { return };
    rig.check(&[
        "open('kept', 'w').write('kept'); open('old', 'w').write('old'); os.makedirs('full/deep')",
        "open('full/deep/file', 'w').write('deep')",
    ]);
    rig.disk.settle().unwrap();
    rig.check(&[
        "open('new', 'w').write('new'); os.mkdir('made'); os.rename('old', 'renamed'); os.unlink('kept')",
        "import shutil; shutil.rmtree('full'); os.symlink('x', 'link')",
        "assert sorted(os.listdir('.')) == ['link', 'made', 'new', 'renamed']",
    ]);
    let mut rig = rig.lose(Keep::Synced);
    rig.check(&[
        "assert sorted(os.listdir('.')) == ['full', 'kept', 'old'], os.listdir('.')",
        "assert (open('kept').read(), open('old').read(), open('full/deep/file').read()) == ('kept', 'old', 'deep')",
        "os.rename('old', 'renamed'); os.unlink('kept'); os.fsync(os.open('.', os.O_RDONLY))",
    ]);
    let mut rig = rig.lose(Keep::Synced);
    rig.check(&["assert sorted(os.listdir('.')) == ['full', 'renamed'] and open('renamed').read() == 'old'"]);
}

fn a_synced_file_without_a_synced_name_is_gone() {
    for (durability, left) in [(Durability::Strict, "[]"), (Durability::Journalled, "['a']")] {
        let Some(mut rig) = Rig::new(durability) else { return };
        rig.check(&["file = open('a', 'wb', buffering=0); file.write(b'x'); os.fsync(file)"]);
        let mut rig = rig.lose(Keep::Synced);
        rig.check(&[&format!("assert os.listdir('.') == {left}, os.listdir('.')")]);
    }
}

fn a_replacing_rename_is_old_or_new_and_never_torn() {
    let replace = "new = open('new', 'wb', buffering=0); new.write(b'new'); os.fsync(new); os.rename('new', 'file')";
    for (sync, expected) in [("pass", "old"), ("os.fsync(os.open('.', os.O_RDONLY))", "new")] {
        let Some(mut rig) = Rig::new(Durability::Strict) else { return };
        rig.check(&["open('file', 'w').write('old')"]);
        rig.disk.settle().unwrap();
        rig.check(&[replace, sync]);
        let mut rig = rig.lose(Keep::Synced);
        rig.check(&[&format!("assert open('file').read() == '{expected}' and os.listdir('.') == ['file']")]);
    }
}

fn stores_into_a_mapping_survive_if_synced() {
    let Some(mut rig) = Rig::new(Durability::Strict) else { return };
    rig.check(&["file = open('a', 'w+b', buffering=0); file.write(bytes(8192))"]);
    rig.disk.settle().unwrap();
    rig.check(&["m = mmap.mmap(file.fileno(), 8192); m[0:6] = b'synced'; m.flush(); m[4096:4100] = b'lost'"]);
    let mut rig = rig.lose(Keep::Synced);
    rig.check(&["read = open('a', 'rb').read(); assert read == b'synced' + bytes(8186), read[:10] + read[4096:4106]"]);
}

fn synchronous_writes_lose_nothing() {
    let Some(mut rig) = Rig::new(Durability::Strict) else { return };
    rig.check(&["open('a', 'w').close(); os.fsync(os.open('.', os.O_RDONLY))"]);
    rig.check(&["fd = os.open('a', os.O_WRONLY | os.O_DSYNC); os.write(fd, b'there'); os.write(fd, b' at once')"]);
    let mut rig = rig.lose(Keep::Synced);
    rig.check(&["assert open('a').read() == 'there at once'"]);
}

fn a_failed_sync_is_not_made_up_for() {
    let Some(mut rig) = Rig::new(Durability::Strict) else { return };
    rig.check(&["log = open('log', 'w+b', buffering=0); log.write(bytes(8192))"]);
    rig.disk.settle().unwrap();
    rig.disk.set(DiskFault::failing_syncs(Failure::Io));
    rig.check(&["os.pwrite(log.fileno(), b'lost', 0)"]);
    rig.program.check("os.fsync(log)", "EIO");
    rig.disk.clear();
    rig.check(&[
        "os.pwrite(log.fileno(), b'kept', 4096); os.fsync(log)",
        "assert os.pread(log.fileno(), 4, 0) == b'lost'",
    ]);
    let mut rig = rig.lose(Keep::Synced);
    rig.check(&["read = open('log', 'rb').read(); assert read == bytes(4096) + b'kept' + bytes(4092), read[:8]"]);
}

fn power_can_fail_again_and_again() {
    let Some(mut rig) = Rig::new(Durability::Strict) else { return };
    rig.check(&["open('log', 'w').close(); os.fsync(os.open('.', os.O_RDONLY))"]);
    for round in 0..10 {
        rig.check(&[
            &format!("assert os.path.getsize('log') == {round}; log = open('log', 'ab', buffering=0)"),
            "log.write(b'x'); os.fsync(log); log.write(b'y'); open('other', 'w').write('gone')",
        ]);
        rig = rig.lose(Keep::Synced);
    }
    assert_eq!(fs::read(rig.data().join("log")).unwrap(), b"x".repeat(10));
}

fn damage_stays_through_a_power_loss() {
    let Some(mut rig) = Rig::new(Durability::Strict) else { return };
    rig.check(&["file = open('a', 'w+b', buffering=0); file.write(bytes(10000)); open('b', 'w').write('0123456789')"]);
    rig.disk.settle().unwrap();
    // Not synced, so that the block is also among those which a loss would restore.
    rig.check(&["os.pwrite(file.fileno(), b'lost', 0)"]);
    let data = rig.data();
    let flips = rig.disk.damage(|| flip_bits(&data, &Selection::new("a").unwrap(), 64, 3)).unwrap();
    let cut = rig.disk.damage(|| truncate(&data, &Selection::new("b").unwrap(), 4, 3)).unwrap();
    assert_eq!((cut.old_length, cut.new_length), (10, 6));
    let seen = flips.iter().find(|flip| flip.offset >= 4).unwrap();
    let bits = flips.iter().filter(|flip| flip.offset == seen.offset).fold(0, |bits, flip| bits | 1 << flip.bit);
    rig.check(&[&format!("assert os.pread(file.fileno(), 1, {}) == bytes([{bits}])", seen.offset)]);
    let rig = rig.lose(Keep::Synced);
    let mut expected = vec![0_u8; 10000];
    for flip in flips.iter().filter(|flip| flip.offset >= 4) {
        expected[usize::try_from(flip.offset).unwrap()] ^= 1 << flip.bit;
    }
    let found = fs::read(rig.data().join("a")).unwrap();
    assert_eq!(found[4..], expected[4..]);
    assert_eq!(fs::read(rig.data().join("b")).unwrap(), b"012345");
}

fn what_is_settled_survives() {
    let directory = tempfile::tempdir().unwrap();
    let mut disk = MountDisk::mount(directory.path(), Durability::Strict).unwrap();
    fs::write(directory.path().join("prepared"), b"by hand").unwrap();
    disk.settle().unwrap();
    fs::write(directory.path().join("later"), b"gone").unwrap();
    let loss = disk.power_loss(Keep::Synced).unwrap();
    assert_eq!((loss.files, loss.names), (1, 1));
    assert_eq!(fs::read(directory.path().join("prepared")).unwrap(), b"by hand");
    assert!(!directory.path().join("later").exists());
}
