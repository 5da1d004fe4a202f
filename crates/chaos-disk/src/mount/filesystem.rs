//! Each request of the kernel: what the fault says about it, then the tree, then the answer.
//!
//! A request that is to take longer goes to a thread of its own, so that the others are served meanwhile. Refuses to decide what
//! survives a power loss; see [`crate::durable`]. This file is as long as the trait that it implements.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, OpenFlags,
    RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen,
    ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use nix::fcntl::{AT_FDCWD, FallocateFlags, fallocate};
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::statvfs::statvfs;
use nix::unistd::{Whence, lseek};

use super::attributes::{attributes, kind, to_set};
use crate::control::Control;
use crate::durable::{Inode, Tree};
use crate::fault::{Deed, Failure};

/// How long the kernel may remember an answer: nobody else changes the files.
const REMEMBERED_FOR: Duration = Duration::from_secs(3600);

/// How soon a process that is killed while its call is held is let go. The kernel itself would have it wait for the answer.
const LET_GO_EVERY: Duration = Duration::from_millis(20);

/// What the threads that serve a mount share.
#[derive(Debug)]
pub(crate) struct Core {
    /// Gone once the power has failed.
    tree: Mutex<Option<Tree>>,
    root: PathBuf,
    control: Control,
    /// Whether this process is damaging files.
    damaging: AtomicBool,
    /// Names of opened directories, as of when their listing began.
    listings: Mutex<BTreeMap<u64, Vec<Listed>>>,
    next_listing: AtomicU64,
}

type Listed = (Inode, FileType, OsString);

impl Core {
    pub(super) fn new(tree: Tree, root: PathBuf, control: Control) -> Self {
        Self {
            tree: Mutex::new(Some(tree)),
            root,
            control,
            damaging: AtomicBool::new(false),
            listings: Mutex::default(),
            next_listing: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Tree>> {
        // A panic in the middle of a change is a bug that this would only hide.
        self.tree.lock().expect("the tree is whole")
    }

    /// Works on the tree; EIO when it is gone.
    pub(super) fn with_tree<T>(&self, work: impl FnOnce(&mut Tree) -> io::Result<T>) -> io::Result<T> {
        match self.lock().as_mut() {
            Some(tree) => work(tree),
            None => Err(io::Error::from_raw_os_error(libc::EIO)),
        }
    }

    pub(super) fn take_tree(&self) -> Option<Tree> {
        self.lock().take()
    }

    pub(super) fn damaging<T>(&self, work: impl FnOnce() -> T) -> T {
        self.damaging.store(true, Ordering::SeqCst);
        let done = work();
        self.damaging.store(false, Ordering::SeqCst);
        done
    }

    /// Whether a request is damage that this process does.
    fn is_damage(&self, request: &Request) -> bool {
        self.damaging.load(Ordering::SeqCst) && Path::new(&format!("/proc/self/task/{}", request.pid())).exists()
    }

    /// How a call fares that does not have to wait; nothing if it has to.
    fn at_once(&self, deed: Deed) -> Option<Option<Failure>> {
        let behaviour = self.control.now().0.on(deed);
        behaviour.delay.is_zero().then(|| {
            self.control.note(false, behaviour.failure.is_some());
            behaviour.failure
        })
    }

    /// An error if the fault refuses changes of names.
    fn may_name(&self) -> io::Result<()> {
        refused(self.at_once(Deed::Name).flatten())
    }

    fn entry(&self, tree: &Tree, inode: Inode) -> io::Result<fuser::FileAttr> {
        let (metadata, links) = tree.metadata(inode)?;
        Ok(attributes(inode, &metadata, links))
    }

    /// Makes something that gets a name, and describes it.
    fn make(&self, make: impl FnOnce(&mut Tree) -> io::Result<Inode>) -> io::Result<fuser::FileAttr> {
        self.may_name()?;
        self.with_tree(|tree| {
            let inode = make(tree)?;
            self.entry(tree, inode)
        })
    }

    fn sync_file(&self, inode: Inode, data_only: bool) -> io::Result<()> {
        let file = self.with_tree(|tree| {
            let file = tree.file(inode)?;
            tree.sync_file(inode)?;
            Ok(file)
        })?;
        // Without the lock: the real disk may take milliseconds.
        if data_only { file.sync_data() } else { file.sync_all() }
    }

    fn sync_directory(&self, inode: Inode) -> io::Result<()> {
        let path = self.with_tree(|tree| {
            tree.sync_directory(inode)?;
            tree.path(inode)
        })?;
        File::open(path)?.sync_all()
    }

    fn list(&self, inode: Inode) -> io::Result<Vec<Listed>> {
        self.with_tree(|tree| {
            let mut listed = vec![(inode, FileType::Directory, ".".into()), (inode, FileType::Directory, "..".into())];
            for entry in fs::read_dir(tree.path(inode)?)? {
                let entry = entry?;
                let child = tree.child(inode, &entry.file_name())?;
                listed.push((child, kind(&entry.metadata()?), entry.file_name()));
            }
            Ok(listed)
        })
    }
}

/// The file system that the kernel talks to.
#[derive(Debug)]
pub(super) struct PassThrough {
    core: Arc<Core>,
}

impl PassThrough {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Goes on with a call when the disk lets it, with how it fails.
    fn after(&self, deed: Deed, caller: u32, go_on: impl FnOnce(&Core, io::Result<()>) + Send + 'static) {
        let core = Arc::clone(&self.core);
        match core.at_once(deed) {
            Some(failure) => go_on(&core, refused(failure)),
            None => {
                thread::spawn(move || {
                    let failure = core.control.endure(deed, LET_GO_EVERY, || is_dying(caller));
                    go_on(&core, refused(failure));
                });
            }
        }
    }
}

fn refused(failure: Option<Failure>) -> io::Result<()> {
    failure.map_or(Ok(()), |failure| Err(io::Error::from_raw_os_error(failure.errno())))
}

/// Whether a thread is gone, or has a SIGKILL ahead of it.
fn is_dying(thread: u32) -> bool {
    const SIGKILL_BIT: u64 = 1 << (libc::SIGKILL - 1);
    let Ok(status) = fs::read_to_string(format!("/proc/{thread}/status")) else { return true };
    let pending = |name: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).is_some_and(|mask| mask & SIGKILL_BIT != 0)
    };
    pending("SigPnd:") || pending("ShdPnd:")
}

/// Answers with an entry.
fn tell(reply: ReplyEntry, made: io::Result<fuser::FileAttr>) {
    match made {
        Ok(attributes) => reply.entry(&REMEMBERED_FOR, &attributes, Generation(0)),
        Err(error) => reply.error(error.into()),
    }
}

/// Answers with nothing.
fn done(reply: ReplyEmpty, done: io::Result<()>) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error.into()),
    }
}

fn inode(number: INodeNo) -> Inode {
    Inode(number.0)
}

impl Filesystem for PassThrough {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let core = &self.core;
        tell(
            reply,
            core.with_tree(|tree| {
                let child = tree.child(inode(parent), name)?;
                core.entry(tree, child)
            }),
        );
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.core.with_tree(|tree| self.core.entry(tree, inode(number))) {
            Ok(attributes) => reply.attr(&REMEMBERED_FOR, &attributes),
            Err(error) => reply.error(error.into()),
        }
    }

    fn setattr(
        &self,
        request: &Request,
        number: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let is_damage = self.core.is_damage(request);
        let change = move |core: &Core, allowed: io::Result<()>| {
            let changed = core.with_tree(|tree| {
                match size {
                    Some(size) if is_damage => tree.damage_length(inode(number), size)?,
                    Some(size) => allowed.and_then(|()| tree.resize(inode(number), size))?,
                    None => allowed?,
                }
                let path = tree.path(inode(number))?;
                if let Some(mode) = mode {
                    set_mode(&path, mode)?;
                }
                if uid.is_some() || gid.is_some() {
                    std::os::unix::fs::lchown(&path, uid, gid)?;
                }
                if atime.is_some() || mtime.is_some() {
                    let (atime, mtime) = (to_set(atime), to_set(mtime));
                    utimensat(AT_FDCWD, &path, &atime, &mtime, UtimensatFlags::NoFollowSymlink)?;
                }
                core.entry(tree, inode(number))
            });
            match changed {
                Ok(attributes) => reply.attr(&REMEMBERED_FOR, &attributes),
                Err(error) => reply.error(error.into()),
            }
        };
        match size {
            _ if is_damage => change(&self.core, Ok(())),
            Some(_) => self.after(Deed::Resize, request.pid(), change),
            None => change(&self.core, self.core.may_name()),
        }
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        match self.core.with_tree(|tree| fs::read_link(tree.path(inode(number))?)) {
            Ok(target) => reply.data(target.as_os_str().as_bytes()),
            Err(error) => reply.error(error.into()),
        }
    }

    fn mknod(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, _: u32, reply: ReplyEntry) {
        tell(reply, self.core.make(|tree| tree.make_special(inode(parent), name, mode)));
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        tell(reply, self.core.make(|tree| tree.make_directory(inode(parent), name, mode)));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let core = &self.core;
        done(reply, core.may_name().and_then(|()| core.with_tree(|tree| tree.unlink(inode(parent), name))));
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.unlink(request, parent, name, reply);
    }

    fn symlink(&self, _: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        tell(reply, self.core.make(|tree| tree.make_link_to(inode(parent), name, target)));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let flags = nix::fcntl::RenameFlags::from_bits_truncate(flags.bits());
        let (old, new) = ((inode(parent), name.to_owned()), (inode(new_parent), new_name.to_owned()));
        let core = &self.core;
        done(reply, core.may_name().and_then(|()| core.with_tree(|tree| tree.rename(old, new, flags))));
    }

    fn link(&self, _: &Request, number: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let make = |tree: &mut Tree| tree.link(inode(number), inode(parent), name).map(|()| inode(number));
        tell(reply, self.core.make(make));
    }

    fn open(&self, request: &Request, number: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let reads = flags.0 & libc::O_ACCMODE == libc::O_RDONLY;
        let allowed = if reads || self.core.is_damage(request) { Ok(()) } else { self.core.may_name() };
        match allowed.and_then(|()| self.core.with_tree(|tree| tree.open(inode(number)))) {
            Ok(_) => reply.opened(FileHandle(number.0), FopenFlags::FOPEN_KEEP_CACHE),
            Err(error) => reply.error(error.into()),
        }
    }

    fn create(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, _: i32, reply: ReplyCreate) {
        let made = self.core.make(|tree| {
            let created = tree.create(inode(parent), name, mode)?;
            tree.open(created)?;
            Ok(created)
        });
        match made {
            Ok(attributes) => {
                let handle = FileHandle(attributes.ino.0);
                reply.created(&REMEMBERED_FOR, &attributes, Generation(0), handle, FopenFlags::FOPEN_KEEP_CACHE);
            }
            Err(error) => reply.error(error.into()),
        }
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = || {
            let file = self.core.with_tree(|tree| tree.file(inode(number)))?;
            let mut data = vec![0; size as usize];
            let mut filled = 0;
            while filled < data.len() {
                match file.read_at(&mut data[filled..], offset + filled as u64)? {
                    0 => break,
                    read => filled += read,
                }
            }
            data.truncate(filled);
            Ok::<_, io::Error>(data)
        };
        match read() {
            Ok(data) => reply.data(&data),
            Err(error) => reply.error(error.into()),
        }
    }

    fn write(
        &self,
        request: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let answer = |reply: ReplyWrite, length: usize, written: io::Result<()>| match written {
            Ok(()) => reply.written(u32::try_from(length).expect("the kernel asks for less than 16 MiB")),
            Err(error) => reply.error(error.into()),
        };
        if self.core.is_damage(request) {
            let written = self.core.with_tree(|tree| tree.damage(inode(number), offset, data));
            return answer(reply, data.len(), written);
        }
        let full = self.core.control.now().0.writes.failure == Some(Failure::Full);
        let end = offset.saturating_add(data.len() as u64);
        let grows = full && self.core.with_tree(|tree| tree.would_grow(inode(number), end)).unwrap_or(true);
        let deed = Deed::Write { grows };
        let write = move |core: &Core, data: &[u8], allowed: io::Result<()>| {
            let written = allowed.and_then(|()| core.with_tree(|tree| tree.write(inode(number), offset, data)));
            answer(reply, data.len(), written);
        };
        // The bytes are copied only for who has to wait.
        match self.core.at_once(deed) {
            Some(failure) => write(&self.core, data, refused(failure)),
            None => {
                let data = data.to_vec();
                self.after(deed, request.pid(), move |core, allowed| write(core, &data, allowed));
            }
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        done(reply, self.core.with_tree(|tree| tree.close(inode(number))));
    }

    fn fsync(&self, request: &Request, number: INodeNo, _: FileHandle, data_only: bool, reply: ReplyEmpty) {
        self.after(Deed::Sync, request.pid(), move |core, allowed| {
            let synced = match allowed {
                // Linux gives up what it can't write back, and tells it once.
                Err(error) => core.with_tree(|tree| tree.fail_sync(inode(number))).and(Err(error)),
                Ok(()) => core.sync_file(inode(number), data_only),
            };
            done(reply, synced);
        });
    }

    fn fsyncdir(&self, request: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.after(Deed::Sync, request.pid(), move |core, allowed| {
            done(reply, allowed.and_then(|()| core.sync_directory(inode(number))));
        });
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(self.core.next_listing.fetch_add(1, Ordering::Relaxed)), FopenFlags::empty());
    }

    fn readdir(&self, _: &Request, number: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let mut listings = self.core.listings.lock().unwrap_or_else(PoisonError::into_inner);
        // A listing that goes on must not miss what others remove meanwhile before its place.
        if offset == 0 {
            match self.core.list(inode(number)) {
                Ok(listed) => drop(listings.insert(handle.0, listed)),
                Err(error) => return reply.error(error.into()),
            }
        }
        let listed = listings.get(&handle.0).map_or([].as_slice(), Vec::as_slice);
        for (place, (child, kind, name)) in (1..).zip(listed).skip(usize::try_from(offset).unwrap_or(usize::MAX)) {
            if reply.add(INodeNo(child.0), place, *kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.core.listings.lock().unwrap_or_else(PoisonError::into_inner).remove(&handle.0);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        match statvfs(&self.core.root) {
            Ok(space) => reply.statfs(
                space.blocks(),
                space.blocks_free(),
                space.blocks_available(),
                space.files(),
                space.files_free(),
                u32::try_from(space.block_size()).unwrap_or(4096),
                u32::try_from(space.name_max()).unwrap_or(255),
                u32::try_from(space.fragment_size()).unwrap_or(4096),
            ),
            Err(errno) => reply.error(Errno::from_i32(errno as i32)),
        }
    }

    fn fallocate(
        &self,
        request: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let mode = FallocateFlags::from_bits_truncate(mode);
        let shifts = FallocateFlags::FALLOC_FL_COLLAPSE_RANGE | FallocateFlags::FALLOC_FL_INSERT_RANGE;
        let clears = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_ZERO_RANGE;
        let end = offset.saturating_add(length);
        let changed = match () {
            () if mode.intersects(shifts) => offset..u64::MAX,
            () if mode.intersects(clears) => offset..end,
            () => offset..offset,
        };
        let beyond = self.core.with_tree(|tree| tree.would_grow(inode(number), end)).unwrap_or(true);
        let inserts = mode.contains(FallocateFlags::FALLOC_FL_INSERT_RANGE);
        let grows = inserts || (beyond && !mode.intersects(shifts | clears));
        self.after(Deed::Write { grows }, request.pid(), move |core, allowed| {
            let allocated = allowed.and_then(|()| {
                core.with_tree(|tree| {
                    let file = tree.before_change(inode(number), changed)?;
                    Ok(fallocate(&*file, mode, offset.cast_signed(), length.cast_signed())?)
                })
            });
            done(reply, allocated);
        });
    }

    fn lseek(&self, _: &Request, number: INodeNo, _: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        let whence = if whence == libc::SEEK_DATA { Whence::SeekData } else { Whence::SeekHole };
        let found = self.core.with_tree(|tree| Ok(lseek(&*tree.file(inode(number))?, offset, whence)?));
        match found {
            Ok(offset) => reply.offset(offset),
            Err(error) => reply.error(error.into()),
        }
    }
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode & 0o7777))
}
