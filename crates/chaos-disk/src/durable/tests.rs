//! The tree against a naive one, which keeps two whole copies of everything: what is, and what the disk has.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use nix::fcntl::RenameFlags;
use proptest::prelude::*;

use super::{Durability, Inode, Keep, ROOT, Tree};

/// One step of a workload. Directories and files are meant by their place in the list of those that exist.
#[derive(Debug, Clone)]
enum Step {
    Create(usize, u8),
    MakeDirectory(usize, u8),
    Link(usize, usize, u8),
    Write { file: usize, offset: u16, length: u16, fill: u8 },
    Resize { file: usize, length: u16 },
    Unlink(usize, u8),
    Rename { from: (usize, u8), to: (usize, u8) },
    Exchange { from: (usize, u8), to: (usize, u8) },
    SyncFile(usize),
    FailSync(usize),
    SyncDirectory(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0..4_usize, 0..4_u8);
    prop_oneof![
        3 => place().prop_map(|(directory, name)| Step::Create(directory, name)),
        1 => place().prop_map(|(directory, name)| Step::MakeDirectory(directory, name)),
        1 => (0..6_usize, place()).prop_map(|(file, (directory, name))| Step::Link(file, directory, name)),
        4 => (0..6_usize, 0..14_000_u16, 1..9_000_u16, 1..255_u8)
            .prop_map(|(file, offset, length, fill)| Step::Write { file, offset, length, fill }),
        1 => (0..6_usize, 0..16_000_u16).prop_map(|(file, length)| Step::Resize { file, length }),
        2 => place().prop_map(|(directory, name)| Step::Unlink(directory, name)),
        4 => (place(), place()).prop_map(|(from, to)| Step::Rename { from, to }),
        1 => (place(), place()).prop_map(|(from, to)| Step::Exchange { from, to }),
        2 => (0..6_usize).prop_map(Step::SyncFile),
        1 => (0..6_usize).prop_map(Step::FailSync),
        2 => (0..4_usize).prop_map(Step::SyncDirectory),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    File(usize),
    Directory(usize),
}

/// Something that is one way now and another on the disk.
#[derive(Debug, Clone, Default)]
struct Two<T> {
    now: T,
    disk: T,
}

type Names = BTreeMap<u8, Thing>;

#[derive(Debug)]
struct Model {
    durability: Durability,
    files: Vec<Two<Vec<u8>>>,
    directories: Vec<Two<Names>>,
    /// Names of the disk that were left by a rename.
    moved: BTreeSet<(usize, u8)>,
    /// Blocks of files that have changed since their last sync, and those of which a sync has failed.
    dirty: BTreeSet<(usize, usize)>,
    given_up: BTreeSet<(usize, usize)>,
    /// Files that were renamed over another since their last sync.
    replaced: BTreeSet<usize>,
    /// What the tree calls them.
    file_inodes: Vec<Inode>,
    directory_inodes: Vec<Inode>,
}

impl Model {
    fn new(durability: Durability) -> Self {
        Self {
            durability,
            files: Vec::new(),
            directories: vec![Two::default()],
            moved: BTreeSet::new(),
            dirty: BTreeSet::new(),
            given_up: BTreeSet::new(),
            replaced: BTreeSet::new(),
            file_inodes: Vec::new(),
            directory_inodes: vec![ROOT],
        }
    }

    /// The directories that have a name, in some fixed order.
    fn reachable(&self) -> Vec<usize> {
        let mut found = vec![0];
        let mut place = 0;
        while place < found.len() {
            let below = self.directories[found[place]].now.values();
            found.extend(below.filter_map(|thing| if let Thing::Directory(at) = thing { Some(*at) } else { None }));
            place += 1;
        }
        found
    }

    fn directory(&self, place: usize) -> usize {
        let reachable = self.reachable();
        reachable[place % reachable.len()]
    }

    fn live_file(&self, place: usize) -> Option<usize> {
        let of = |directory: usize| self.directories[directory].now.values();
        let files: BTreeSet<usize> = self
            .reachable()
            .into_iter()
            .flat_map(of)
            .filter_map(|thing| if let Thing::File(at) = thing { Some(*at) } else { None })
            .collect();
        files.iter().nth(place % files.len().max(1)).copied()
    }

    fn contains(&self, outer: usize, inner: usize) -> bool {
        outer == inner
            || self.directories[outer].now.values().any(|thing| match thing {
                Thing::Directory(below) => self.contains(*below, inner),
                Thing::File(_) => false,
            })
    }

    /// Notes that a name is about to be changed, by a rename of what it names or otherwise.
    fn note(&mut self, (directory, name): (usize, u8), moved: bool) {
        let names = &self.directories[directory];
        if names.now.get(&name) == names.disk.get(&name) {
            if moved {
                self.moved.insert((directory, name));
            } else {
                self.moved.remove(&(directory, name));
            }
        }
    }

    fn settle(&mut self, directory: usize, name: u8) {
        let names = &mut self.directories[directory];
        let (now, disk) = (names.now.get(&name).copied(), names.disk.get(&name).copied());
        if now == disk {
            return;
        }
        match now {
            Some(thing) => names.disk.insert(name, thing),
            None => names.disk.remove(&name),
        };
        let was_moved = self.moved.remove(&(directory, name));
        let all: Vec<(usize, u8)> =
            (0..self.directories.len()).flat_map(|at| (0..4).map(move |name| (at, name))).collect();
        if let Some(left) = disk.filter(|_| was_moved) {
            for &(at, name) in &all {
                if self.directories[at].now.get(&name) == Some(&left) {
                    self.settle(at, name);
                }
            }
        }
        if let Some(came) = now {
            for &(at, name) in &all {
                let names = &mut self.directories[at];
                let differs = names.now.get(&name) != names.disk.get(&name);
                if differs && names.disk.get(&name) == Some(&came) && self.moved.remove(&(at, name)) {
                    names.disk.remove(&name);
                }
            }
        }
    }

    fn commit(&mut self) {
        if self.durability == Durability::Journalled {
            for file in std::mem::take(&mut self.replaced) {
                self.files[file].disk = self.files[file].now.clone();
                self.given_up.retain(|(of, _)| *of != file);
                self.dirty.retain(|(of, _)| *of != file);
            }
            for directory in 0..self.directories.len() {
                (0..4).for_each(|name| self.settle(directory, name));
            }
        }
    }

    /// What is found after a power loss: the bytes of each file by its path, and nothing for directories.
    fn survivors(&self) -> BTreeMap<String, Option<Vec<u8>>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![(String::new(), 0)];
        while let Some((path, at)) = folders.pop() {
            for (name, thing) in &self.directories[at].disk {
                let path = format!("{path}/{name}");
                match thing {
                    Thing::File(file) => drop(found.insert(path, Some(self.files[*file].disk.clone()))),
                    Thing::Directory(below) => {
                        found.insert(path.clone(), None);
                        folders.push((path, *below));
                    }
                }
            }
        }
        found
    }

    /// Does the same to both; what the model says is impossible the tree must refuse.
    fn carry_out(&mut self, tree: &mut Tree, step: &Step) {
        match *step {
            Step::Create(at, name) => {
                let at = self.directory(at);
                let created = tree.create(self.directory_inodes[at], &text(name), 0o600);
                assert_eq!(created.is_ok(), !self.directories[at].now.contains_key(&name), "{created:?}");
                if let Ok(inode) = created {
                    self.add(at, name, Thing::File(self.files.len()));
                    self.files.push(Two::default());
                    self.file_inodes.push(inode);
                }
            }
            Step::MakeDirectory(at, name) => {
                let at = self.directory(at);
                let made = tree.make_directory(self.directory_inodes[at], &text(name), 0o700);
                assert_eq!(made.is_ok(), !self.directories[at].now.contains_key(&name), "{made:?}");
                if let Ok(inode) = made {
                    self.add(at, name, Thing::Directory(self.directories.len()));
                    self.directories.push(Two::default());
                    self.directory_inodes.push(inode);
                }
            }
            Step::Link(file, at, name) => {
                let (Some(file), at) = (self.live_file(file), self.directory(at)) else { return };
                let linked = tree.link(self.file_inodes[file], self.directory_inodes[at], &text(name));
                assert_eq!(linked.is_ok(), !self.directories[at].now.contains_key(&name), "{linked:?}");
                if linked.is_ok() {
                    self.add(at, name, Thing::File(file));
                }
            }
            Step::Write { file, offset, length, fill } => {
                let Some(file) = self.live_file(file) else { return };
                let data = vec![fill; usize::from(length)];
                tree.write(self.file_inodes[file], u64::from(offset), &data).expect("written");
                let now = &mut self.files[file].now;
                let end = usize::from(offset) + data.len();
                now.resize(now.len().max(end), 0);
                now[usize::from(offset)..end].copy_from_slice(&data);
                self.touch(file, usize::from(offset) / 4096..end.div_ceil(4096));
            }
            Step::Resize { file, length } => {
                let Some(file) = self.live_file(file) else { return };
                tree.resize(self.file_inodes[file], u64::from(length)).expect("resized");
                self.files[file].now.resize(usize::from(length), 0);
                self.touch(file, usize::from(length) / 4096..20);
            }
            Step::SyncFile(file) => {
                let Some(file) = self.live_file(file) else { return };
                tree.sync_file(self.file_inodes[file]).expect("synced");
                self.sync_content(file);
                self.replaced.remove(&file);
                self.commit();
            }
            Step::FailSync(file) => {
                let Some(file) = self.live_file(file) else { return };
                tree.fail_sync(self.file_inodes[file]).expect("failed");
                let dirty: Vec<_> = self.dirty.extract_if(.., |(of, _)| *of == file).collect();
                self.given_up.extend(dirty);
            }
            Step::SyncDirectory(at) => {
                let at = self.directory(at);
                tree.sync_directory(self.directory_inodes[at]).expect("synced");
                (0..4).for_each(|name| self.settle(at, name));
                self.commit();
            }
            Step::Unlink(..) | Step::Rename { .. } | Step::Exchange { .. } => self.move_names(tree, step),
        }
    }

    /// Notes that blocks of a file are written to.
    fn touch(&mut self, file: usize, blocks: std::ops::Range<usize>) {
        for block in blocks {
            self.dirty.insert((file, block));
            self.given_up.remove(&(file, block));
        }
    }

    fn sync_content(&mut self, file: usize) {
        let Two { now, disk } = &mut self.files[file];
        let old = std::mem::replace(disk, now.clone());
        for (_, block) in self.given_up.iter().filter(|(of, _)| *of == file) {
            for (place, byte) in disk.iter_mut().enumerate().skip(block * 4096).take(4096) {
                *byte = old.get(place).copied().unwrap_or(0);
            }
        }
        self.dirty.retain(|(of, _)| *of != file);
    }

    fn add(&mut self, at: usize, name: u8, thing: Thing) {
        self.note((at, name), false);
        self.directories[at].now.insert(name, thing);
    }

    fn move_names(&mut self, tree: &mut Tree, step: &Step) {
        let (Step::Rename { from, to } | Step::Exchange { from, to }) = *step else {
            let Step::Unlink(at, name) = *step else { unreachable!("only names are left") };
            let at = self.directory(at);
            let unlinked = tree.unlink(self.directory_inodes[at], &text(name));
            let possible = match self.directories[at].now.get(&name) {
                Some(Thing::Directory(below)) => self.directories[*below].now.is_empty(),
                Some(Thing::File(_)) => true,
                None => false,
            };
            assert_eq!(unlinked.is_ok(), possible, "{unlinked:?}");
            if possible {
                self.note((at, name), false);
                self.directories[at].now.remove(&name);
            }
            return;
        };
        let (from, to) = ((self.directory(from.0), from.1), (self.directory(to.0), to.1));
        let there = self.directories[to.0].now.get(&to.1).copied();
        let Some(thing) = self.directories[from.0].now.get(&from.1).copied() else { return };
        // The kernel refuses loops before it asks a file system.
        let swallows =
            |thing: Option<Thing>, at| matches!(thing, Some(Thing::Directory(outer)) if self.contains(outer, at));
        let exchanges = matches!(step, Step::Exchange { .. });
        if swallows(Some(thing), to.0) || (swallows(there, from.0)) {
            return;
        }
        let flags = if exchanges { RenameFlags::RENAME_EXCHANGE } else { RenameFlags::empty() };
        let place = |(at, name): (usize, u8)| (self.directory_inodes[at], text(name));
        let renamed = tree.rename(place(from), place(to), flags);
        let possible = match (thing, there) {
            (_, None) => !exchanges,
            (Thing::Directory(_), Some(Thing::Directory(below))) => {
                exchanges || from == to || self.directories[below].now.is_empty()
            }
            (Thing::File(_), Some(Thing::File(_))) => true,
            (Thing::Directory(_), Some(Thing::File(_))) | (Thing::File(_), Some(Thing::Directory(_))) => exchanges,
        };
        assert_eq!(renamed.is_ok(), possible, "{renamed:?} {thing:?} {there:?}");
        if !possible || there == Some(thing) {
            return;
        }
        self.note(from, true);
        self.note(to, exchanges);
        self.directories[from.0].now.remove(&from.1);
        if let Some(other) = there {
            if exchanges {
                self.directories[from.0].now.insert(from.1, other);
            } else if let Thing::File(file) = thing {
                self.replaced.insert(file);
            }
        }
        self.directories[to.0].now.insert(to.1, thing);
    }
}

fn text(name: u8) -> OsString {
    name.to_string().into()
}

/// The bytes of each file by its path, and nothing for directories.
fn found_in(root: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(String::new(), root.to_owned())];
    while let Some((path, folder)) = folders.pop() {
        for entry in fs::read_dir(folder).expect("listed") {
            let entry = entry.expect("listed");
            let path = format!("{path}/{}", entry.file_name().into_string().expect("a digit"));
            if entry.file_type().expect("known").is_dir() {
                found.insert(path.clone(), None);
                folders.push((path, entry.path()));
            } else {
                found.insert(path, Some(fs::read(entry.path()).expect("read")));
            }
        }
    }
    found
}

/// Carries out the steps, checks that nothing differs before the power fails, and returns what is left then.
fn after_loss(durability: Durability, steps: &[Step], keep: Keep) -> (Model, BTreeMap<String, Option<Vec<u8>>>) {
    let directory = tempfile::tempdir().expect("a directory");
    let (root, held) = (directory.path().join("data"), directory.path().join("held"));
    fs::create_dir(&root).expect("made");
    let mut tree = Tree::new(&root, &held, durability).expect("a tree");
    let mut model = Model::new(durability);
    for step in steps {
        model.carry_out(&mut tree, step);
    }
    tree.lose(keep).expect("lost");
    assert_eq!(fs::read_dir(&held).expect("there").count(), 0, "nothing is held any more");
    (model, found_in(&root))
}

proptest! {
    #[test]
    fn exactly_what_the_strict_model_promises_survives(steps in prop::collection::vec(step(), 1..60)) {
        let (model, found) = after_loss(Durability::Strict, &steps, Keep::Synced);
        prop_assert_eq!(found, model.survivors());
    }

    #[test]
    fn exactly_what_a_journal_promises_survives(steps in prop::collection::vec(step(), 1..60)) {
        let (model, found) = after_loss(Durability::Journalled, &steps, Keep::Synced);
        prop_assert_eq!(found, model.survivors());
    }

    #[test]
    fn what_is_kept_by_chance_is_new_old_or_zero(steps in prop::collection::vec(step(), 1..60), seed: u64) {
        let (model, found) = after_loss(Durability::Strict, &steps, Keep::Some { seed });
        let (_, again) = after_loss(Durability::Strict, &steps, Keep::Some { seed });
        prop_assert_eq!(&found, &again);
        for bytes in found.values().flatten() {
            // By which of the model's files it could be: each byte is the present one, the disk's, or was never written.
            let fits = |file: &Two<Vec<u8>>| {
                let longest = file.now.len().max(file.disk.len());
                bytes.len() <= longest && bytes.iter().enumerate().all(|(place, byte)| {
                    *byte == 0 || file.now.get(place) == Some(byte) || file.disk.get(place) == Some(byte)
                })
            };
            prop_assert!(model.files.iter().any(fits));
        }
    }
}

#[test]
fn nothing_is_lost_of_what_is_synced_even_by_chance() {
    let steps = [
        Step::Create(0, 1),
        Step::Write { file: 0, offset: 0, length: 9000, fill: 7 },
        Step::SyncFile(0),
        Step::SyncDirectory(0),
        Step::Write { file: 0, offset: 8000, length: 5000, fill: 8 },
    ];
    let mut contents = BTreeSet::new();
    for seed in 0..100 {
        let (_, found) = after_loss(Durability::Strict, &steps, Keep::Some { seed });
        let bytes = found["/1"].clone().expect("a file");
        assert!(bytes.len() >= 9000 && bytes[..7680].iter().all(|&byte| byte == 7), "seed {seed}");
        contents.insert(bytes);
    }
    assert!(contents.len() > 10, "a power loss leaves more than {} versions", contents.len());
}
