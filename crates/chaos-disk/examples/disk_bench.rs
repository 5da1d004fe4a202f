//! What each layer costs while nothing is wrong: a program writes and syncs, natively and under a layer by turns.
//!
//! ```text
//! disk_bench [COUNT] [DIRECTORY…]      as root, or inside of namespaces in which it may mount
//! ```
//!
//! Pairs, since a busy machine changes from minute to minute: each round measures all variants, and each is shown beside the native
//! figure of its own rounds. The measured program is this one, started anew with `--measure`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use chaos_disk::{CallDisk, DiskError, Durability, MountDisk, Reach};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

const ROUNDS: usize = 5;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// 4 KiB are written and fdatasync is called.
    Sync,
    /// 4 KiB are overwritten in a file of 4 MiB that was synced before, with a sync after every 64th.
    Overwrite,
    /// A byte goes through a pipe.
    Pipe,
}

const WORKS: [(Work, &str); 3] =
    [(Work::Sync, "write + fdatasync"), (Work::Overwrite, "overwrite"), (Work::Pipe, "write to a pipe")];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    Native,
    Calls(Reach),
    Mount,
}

const LAYERS: [(Layer, &str); 4] = [
    (Layer::Native, "native"),
    (Layer::Calls(Reach::Syncs), "calls: syncs"),
    (Layer::Calls(Reach::SyncsAndWrites), "calls: syncs and writes"),
    (Layer::Mount, "mount"),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, work, count] = arguments.as_slice()
        && word == "--measure"
    {
        let (work, _) = WORKS[work.parse::<usize>().expect("a number")];
        return measure(work, count.parse().expect("a number"));
    }
    let count = arguments.first().map_or("2000", String::as_str);
    let mut directories: Vec<PathBuf> = arguments.iter().skip(1).map(PathBuf::from).collect();
    if directories.is_empty() {
        directories = vec!["/dev/shm".into(), "/tmp".into()];
    }
    if unshare(CloneFlags::CLONE_NEWNS).is_ok() {
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("mounts of our own");
    }
    println!("nanoseconds, p50 / p99 of {ROUNDS} x {count}");
    for directory in &directories {
        for (place, (_, name)) in WORKS.iter().enumerate() {
            println!("{} in {}", name, directory.display());
            let mut found: Vec<Vec<u64>> = vec![Vec::new(); LAYERS.len()];
            for _ in 0..ROUNDS {
                for ((layer, name), times) in LAYERS.iter().zip(&mut found) {
                    match under(*layer, directory, place, count) {
                        Ok(measured) => times.extend(measured),
                        Err(error) => eprintln!("{name}: {error}"),
                    }
                }
            }
            for ((_, name), mut times) in LAYERS.iter().zip(found) {
                times.sort_unstable();
                let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or(0);
                println!("  {name:<24} {:>9} / {:>9}", at(50), at(99));
            }
        }
    }
}

/// Measures in a process under this layer.
fn under(layer: Layer, directory: &Path, work: usize, count: &str) -> Result<Vec<u64>, DiskError> {
    let data = directory.join(format!("disk-bench-{}", std::process::id()));
    fs::create_dir(&data).expect("a directory");
    let disk = match layer {
        Layer::Native => None,
        Layer::Calls(reach) => Some((Some(CallDisk::new(&data, reach)?), None)),
        Layer::Mount => Some((None, Some(MountDisk::mount(&data, Durability::Strict)?))),
    };
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--measure", &work.to_string(), count]).current_dir(&data);
    if let Some((Some(calls), _)) = &disk {
        calls.attach(&mut command).expect("attached");
    }
    let output = command.output().expect("measured");
    drop(disk);
    fs::remove_dir_all(&data).expect("removed");
    let text = String::from_utf8(output.stdout).expect("digits");
    Ok(text.lines().map(|line| line.parse().expect("a number")).collect())
}

/// Measures, and prints a time a line.
fn measure(work: Work, count: usize) {
    let block = [7_u8; 4096];
    let mut file = File::create("file").expect("a file");
    let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
    if work == Work::Overwrite {
        file.write_all(&vec![1; 4 << 20]).expect("written");
        file.sync_all().expect("synced");
    }
    let mut times = Vec::with_capacity(count);
    for index in 0..count {
        let begin = Instant::now();
        match work {
            Work::Sync => {
                file.write_all(&block).expect("written");
                file.sync_data().expect("synced");
            }
            Work::Overwrite => {
                use std::os::unix::fs::FileExt;
                file.write_all_at(&block, (index * 7919 % 1024) as u64 * 4096).expect("written");
            }
            Work::Pipe => {
                writer.write_all(b"x").expect("written");
                std::io::Read::read_exact(&mut reader, &mut [0]).expect("read");
            }
        }
        times.push(begin.elapsed().as_nanos());
        if work == Work::Overwrite && index % 64 == 63 {
            file.sync_data().expect("synced");
        }
    }
    let text: String = times.iter().map(|time| format!("{time}\n")).collect();
    print!("{text}");
}
