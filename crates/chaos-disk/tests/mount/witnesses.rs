//! Databases as independent witnesses: they say themselves what survives a power loss, and check themselves afterwards.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chaos_disk::{DiskFault, Durability, Keep, MountDisk};

use crate::Case;
use crate::faults::Rig;
use crate::program::eventually;

pub(crate) const CASES: &[Case] = &[
    ("sqlite_keeps_what_it_has_committed", sqlite_keeps_what_it_has_committed),
    ("sqlite_may_lose_a_commit_where_it_says_so", sqlite_may_lose_a_commit_where_it_says_so),
    ("etcd_keeps_what_it_has_acknowledged", etcd_keeps_what_it_has_acknowledged),
    ("sqlite_is_never_torn_by_a_partial_loss", sqlite_is_never_torn_by_a_partial_loss),
];

/// Commits rows of two tables that must agree, and prints nothing: the test asks how many were committed.
const COMMITS: &str = "exec('for i in range(committed + 1, committed + 41):\\n  base.execute(\"begin\")\\n  \
     base.execute(\"insert into one values (?, ?)\", (i, \"x\" * (i * 37 % 3000)))\\n  \
     base.execute(\"insert into two values (?)\", (i,))\\n  base.execute(\"commit\")\\n  committed = i')";

fn open(journal: &str, synchronous: &str) -> String {
    format!(
        "import sqlite3; base = sqlite3.connect('base', isolation_level=None); \
         base.execute('pragma journal_mode={journal}'); base.execute('pragma synchronous={synchronous}')"
    )
}

/// Commits, begins a transaction that it doesn't end, and returns the state of the program when the power fails.
fn commit_and_lose(mut rig: Rig, opening: &str, keep: Keep, create: bool) -> Rig {
    rig.program.check(opening, "ok");
    if create {
        rig.program.check("base.execute('create table one (i integer primary key, text)')", "ok");
        rig.program.check("base.execute('create table two (i integer primary key)'); committed = 0", "ok");
        // Where SQLite promises less than durability, the tables are there all the same.
        rig.disk.settle().unwrap();
    }
    rig.program.check(COMMITS, "ok");
    rig.program.check("base.execute('begin'); base.execute('insert into two values (1000000)')", "ok");
    rig.lose(keep)
}

const WHOLE: &str = "assert base.execute('pragma integrity_check').fetchall() == [('ok',)]; \
     one, two = [[i for i, in base.execute(f'select i from {t} order by i')] for t in ('one', 'two')]; \
     assert one == two == list(range(1, len(one) + 1)), (one[-3:], two[-3:])";

fn sqlite_keeps_what_it_has_committed() {
    // Of synchronous=FULL with a journal that is deleted SQLite promises less: see the test below.
    for (journal, synchronous) in [("delete", "extra"), ("truncate", "full"), ("wal", "full")] {
        let Some(rig) = Rig::new(Durability::Strict) else { return };
        let opening = open(journal, synchronous);
        let mut rig = commit_and_lose(rig, &opening, Keep::Synced, true);
        rig.program.check(&opening, "ok");
        rig.program.check(WHOLE, "ok");
        rig.program.check("assert len(one) == 40, len(one)", "ok");
    }
}

/// "EXTRA provides additional durability if the commit is followed closely by a power loss", says SQLite's manual: with FULL, nobody
/// syncs the directory after the journal was deleted, so that the journal may be back, and takes the last commit back.
fn sqlite_may_lose_a_commit_where_it_says_so() {
    let Some(rig) = Rig::new(Durability::Strict) else { return };
    let opening = open("delete", "full");
    let mut rig = commit_and_lose(rig, &opening, Keep::Synced, true);
    rig.program.check(&opening, "ok");
    rig.program.check(WHOLE, "ok");
    rig.program.check("assert len(one) == 39, len(one)", "ok");
}

/// Where the installer puts etcd.
const ETCD: &str = ".cache/chaos/systems/etcd";

/// The newest etcd that is installed, if it keeps its promise: a single member of 3.5.0 to 3.5.4 acknowledges what it has not synced
/// (etcd-io/etcd#14370).
fn etcd() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from)?;
    let versions = fs::read_dir(home.join(ETCD)).ok()?.flatten();
    let number = |name: &str| name.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>();
    let known = versions.filter_map(|version| Some((number(version.file_name().to_str()?)?, version.path())));
    let sound = known.filter(|(version, _)| *version >= vec![3, 5, 5]);
    sound
        .map(|(version, prefix)| (version, prefix.join("bin/etcd")))
        .filter(|(_, program)| program.exists())
        .max()
        .map(|(_, program)| program)
}

/// A single etcd on the disk, with ports of its own.
struct Etcd {
    child: Child,
    client: u16,
}

impl Etcd {
    fn start(program: &Path, data: &Path) -> Self {
        let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (client, peer) = (port(), port());
        let urls = [format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}")];
        let mut command = Command::new(program);
        command.args(["--name", "n1", "--listen-client-urls", &urls[0], "--advertise-client-urls", &urls[0]]);
        command.args(["--listen-peer-urls", &urls[1], "--initial-advertise-peer-urls", "http://127.0.0.1:1"]);
        command.args(["--initial-cluster", "n1=http://127.0.0.1:1", "--data-dir"]).arg(data.join("etcd"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let etcd = Self { child, client };
        eventually("etcd answers", || etcd.ask("put", r#"{"key":"AA==","value":"AA=="}"#).is_some());
        etcd
    }

    /// What etcd says to this; nothing if it doesn't.
    fn ask(&self, what: &str, body: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.client)).ok()?;
        let head = format!("POST /v3/kv/{what} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.contains(" 200 ").then_some(answer)
    }

    fn put(&self, number: u32) {
        let key = base64(&number.to_string());
        assert!(self.ask("put", &format!(r#"{{"key":"{key}","value":"{key}"}}"#)).is_some());
    }

    fn has(&self, number: u32) -> bool {
        let key = base64(&number.to_string());
        self.ask("range", &format!(r#"{{"key":"{key}"}}"#)).unwrap().contains(&format!(r#""value":"{key}""#))
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn base64(text: &str) -> String {
    const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let of_three = |bytes: &[u8]| -> String {
        let word = bytes.iter().chain(&[0; 2]).take(3).fold(0_usize, |word, &byte| word << 8 | usize::from(byte));
        let sign = |place: usize| char::from(SIGNS[word >> (18 - 6 * place) & 63]);
        (0..4).map(|place| if place <= bytes.len() { sign(place) } else { '=' }).collect()
    };
    text.as_bytes().chunks(3).map(of_three).collect()
}

fn etcd_keeps_what_it_has_acknowledged() {
    let Some(program) = etcd() else {
        println!("SKIPPED: this test needs etcd 3.5.5 or later (scripts/systems/install etcd@3.6)");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let mut disk = MountDisk::mount(directory.path(), Durability::Strict).unwrap();
    let first = Etcd::start(&program, directory.path());
    // Its files are old by the time that the power fails.
    disk.settle().unwrap();
    (1000..1050).for_each(|number| first.put(number));
    drop(first);
    let loss = disk.power_loss(Keep::Synced).unwrap();
    println!("etcd lost {loss:?}");
    let second = Etcd::start(&program, directory.path());
    assert!((1000..1050).all(|number| second.has(number)));
    disk.set(DiskFault::slow_syncs(Duration::from_millis(100)));
    let begin = Instant::now();
    second.put(2000);
    assert!(begin.elapsed() >= Duration::from_millis(100), "a put waits for its sync");
    disk.clear();
    drop(second);
    disk.power_loss(Keep::Some { seed: 1 }).unwrap();
    let third = Etcd::start(&program, directory.path());
    assert!((1000..1050).chain([2000]).all(|number| third.has(number)));
    drop(third);
}

fn sqlite_is_never_torn_by_a_partial_loss() {
    for (journal, synchronous) in [("delete", "full"), ("delete", "extra"), ("wal", "normal"), ("wal", "full")] {
        for seed in 0..6 {
            let Some(rig) = Rig::new(Durability::Strict) else { return };
            let opening = open(journal, synchronous);
            let mut rig = commit_and_lose(rig, &opening, Keep::Synced, true);
            rig.program.check(&opening, "ok");
            rig.program.check(WHOLE, "ok");
            rig.program.check("committed = len(one)", "ok");
            let mut rig = commit_and_lose(rig, "pass", Keep::Some { seed }, false);
            rig.program.check(&opening, "ok");
            rig.program.check(WHOLE, "ok");
        }
    }
}
