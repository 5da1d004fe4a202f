//! The labelled histories that the baseline's package brings along: 103 Jepsen logs of etcd, 6 of a key-value store.
//!
//! The labels of the etcd logs are those of the package's own tests. Log 95 is empty (etcd didn't start) and has none. Lines
//! that are not understood are errors: a log of which nothing is read would be "valid".

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use chaos_check::linear::Entry;
use chaos_check::linear::models::{ABSENT, Call, RegisterOp};

/// Where the package lies; also the variable by which a measurement's process learns it.
pub(crate) const PLACE: &str = "CHAOS_CORPUS";

/// The folder of the baseline's package.
pub(crate) struct Corpus {
    folder: PathBuf,
    labels: BTreeMap<u32, bool>,
}

/// One operation of an etcd log; stamps are line numbers.
#[derive(Clone, Debug)]
pub(crate) struct EtcdOp {
    /// What was asked.
    pub(crate) asked: Asked,
    /// The line of the question.
    pub(crate) invoked: u64,
    /// The line of the answer, and the answer.
    pub(crate) answered: Option<(u64, Answer)>,
}

/// What was asked of etcd's register.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    Read,
    Write(u32),
    Cas(u32, u32),
}

/// What it answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Saw(Option<u32>),
    Done,
    Refused,
}

impl EtcdOp {
    /// The operation in this crate's words; `None` if it says nothing.
    pub(crate) fn entry(&self) -> Option<Entry<RegisterOp>> {
        // 0 is a value in the logs.
        let content = |value: u32| ABSENT + 1 + value;
        let what = match (self.asked, self.answered.map(|(_, answer)| answer)) {
            (Asked::Read, Some(Answer::Saw(value))) => RegisterOp::Read(value.map_or(ABSENT, content)),
            (Asked::Read, _) => return None,
            (Asked::Write(value), _) => RegisterOp::Write(content(value)),
            (Asked::Cas(expect, _), Some(Answer::Refused)) => RegisterOp::Refused { unlike: content(expect) },
            (Asked::Cas(expect, new), _) => RegisterOp::Cas { expect: content(expect), new: content(new) },
        };
        Some(Entry { what, invoked: self.invoked, answered: self.answered.map(|(at, _)| at) })
    }
}

/// One operation of a key-value log; stamps are line numbers, and each was answered.
#[derive(Clone, Debug)]
pub(crate) struct KvOp {
    /// Whose.
    pub(crate) key: String,
    /// What was asked, and what a get saw.
    pub(crate) what: KvWhat,
    /// The line of the question.
    pub(crate) invoked: u64,
    /// The line of the answer.
    pub(crate) answered: u64,
}

impl KvOp {
    /// The operation in this crate's words.
    pub(crate) fn call(&self) -> Call<'_> {
        match &self.what {
            KvWhat::Get(text) => Call::Get(text),
            KvWhat::Put(text) => Call::Put(text),
            KvWhat::Append(text) => Call::Append(text),
        }
    }
}

/// What was done to a key.
#[derive(Clone, Debug)]
pub(crate) enum KvWhat {
    Get(String),
    Put(String),
    Append(String),
}

impl Corpus {
    /// Asks cargo where the package is.
    pub(crate) fn find() -> Result<Self, String> {
        let folder = match std::env::var_os(PLACE) {
            Some(folder) => PathBuf::from(folder),
            None => ask_cargo()?,
        };
        let tests = read(&folder.join("tests/etcd_jepsen.rs"))?;
        let labels: BTreeMap<u32, bool> = tests
            .lines()
            .filter_map(|line| line.strip_prefix("etcd_test!(")?.strip_suffix(");")?.split_once(", "))
            .filter_map(|(number, label)| Some((number.parse().ok()?, label.parse().ok()?)))
            .collect();
        if labels.len() != 102 {
            return Err(format!("{} labels found, not 102", labels.len()));
        }
        Ok(Self { folder, labels })
    }

    /// The package's folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The logs that have a label.
    pub(crate) fn etcd_logs(&self) -> impl Iterator<Item = u32> {
        self.labels.keys().copied()
    }

    /// Whether a log is linearizable.
    pub(crate) fn etcd_label(&self, number: u32) -> Result<bool, String> {
        self.labels.get(&number).copied().ok_or_else(|| format!("etcd log {number} has no label"))
    }

    /// An etcd log's text.
    pub(crate) fn read_etcd(&self, number: u32) -> Result<String, String> {
        read(&self.folder.join(format!("test_data/jepsen/etcd_{number:03}.log")))
    }

    /// A key-value log's text.
    pub(crate) fn read_kv(&self, name: &str) -> Result<String, String> {
        read(&self.folder.join(format!("test_data/kv/{name}.txt")))
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("can't read {}: {error}", path.display()))
}

fn ask_cargo() -> Result<PathBuf, String> {
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        let output = output.map_err(|error| format!("can't run {program}: {error}"))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr)))
        }
    };
    // Without the filter cargo wants packages of other systems, which nobody has fetched.
    let version = run("rustc", &["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc doesn't name its host")?;
    let arguments = ["metadata", "--format-version", "1", "--offline", "--filter-platform", host];
    let metadata = run(env!("CARGO"), &arguments)?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata).map_err(|error| error.to_string())?;
    let packages = metadata["packages"].as_array().ok_or("cargo names no packages")?;
    let package = packages.iter().find(|package| package["name"] == "porcupine-rs");
    let manifest = package.and_then(|package| package["manifest_path"].as_str());
    manifest
        .and_then(|manifest| Some(PathBuf::from(manifest).parent()?.to_owned()))
        .ok_or("porcupine-rs is not there".into())
}

/// The operations of an etcd log: `INFO  jepsen.util - 3 :invoke :cas [1 2]`, divided by tabs or blanks.
pub(crate) fn etcd(log: &str) -> Result<Vec<EtcdOp>, String> {
    let mut ops: Vec<EtcdOp> = Vec::new();
    let mut pending: BTreeMap<u32, usize> = BTreeMap::new();
    for (line, at) in log.lines().zip(1..) {
        let bad = || format!("line {at}: `{line}` is not understood");
        let words: Vec<&str> = line.split_whitespace().skip(3).collect();
        let [process, phase, f, value @ ..] = &words[..] else { return Err(bad()) };
        let (Ok(process), value) = (process.parse::<u32>(), value.join(" ")) else {
            // What the nemesis did is no operation.
            continue;
        };
        let number = |text: &str| text.parse::<u32>().map_err(|_| bad());
        if *phase == ":invoke" {
            let asked = match *f {
                ":read" => Asked::Read,
                ":write" => Asked::Write(number(&value)?),
                ":cas" => {
                    let pair = value.strip_prefix('[').and_then(|pair| pair.strip_suffix(']')?.split_once(' '));
                    let (expect, new) = pair.ok_or_else(bad)?;
                    Asked::Cas(number(expect)?, number(new)?)
                }
                _ => return Err(bad()),
            };
            if pending.insert(process, ops.len()).is_some() {
                return Err(bad());
            }
            ops.push(EtcdOp { asked, invoked: at, answered: None });
            continue;
        }
        let op = pending.remove(&process).ok_or_else(bad)?;
        ops[op].answered = match (*phase, *f) {
            (":ok", ":read") if value == "nil" => Some((at, Answer::Saw(None))),
            (":ok", ":read") => Some((at, Answer::Saw(Some(number(&value)?)))),
            (":ok", ":write" | ":cas") => Some((at, Answer::Done)),
            (":fail", ":cas") if value.starts_with('[') => Some((at, Answer::Refused)),
            (":fail", ":read") | (":info", _) => None,
            _ => return Err(bad()),
        };
    }
    Ok(ops)
}

/// The operations of a key-value log: `{:process 6, :type :invoke, :f :append, :key "0", :value "x 6 0 y"}`.
pub(crate) fn kv(log: &str) -> Result<Vec<KvOp>, String> {
    let mut ops: Vec<KvOp> = Vec::new();
    let mut pending: BTreeMap<&str, usize> = BTreeMap::new();
    for (line, at) in log.lines().zip(1..) {
        let bad = || format!("line {at}: `{line}` is not understood");
        let field = |name: &str| {
            let rest = line.split_once(name).ok_or_else(bad)?.1;
            rest.split([',', '}']).next().ok_or_else(bad)
        };
        let text = |name: &str| Ok::<_, String>(field(name)?.trim_matches('"').to_owned());
        let (process, f) = (field(":process ")?, field(":f ")?);
        match field(":type ")? {
            ":invoke" => {
                let what = match f {
                    ":get" => KvWhat::Get(String::new()),
                    ":put" => KvWhat::Put(text(":value ")?),
                    ":append" => KvWhat::Append(text(":value ")?),
                    _ => return Err(bad()),
                };
                if pending.insert(process, ops.len()).is_some() {
                    return Err(bad());
                }
                ops.push(KvOp { key: text(":key ")?, what, invoked: at, answered: 0 });
            }
            ":ok" => {
                let op = &mut ops[pending.remove(process).ok_or_else(bad)?];
                op.answered = at;
                if let KvWhat::Get(saw) = &mut op.what {
                    *saw = text(":value ")?;
                }
            }
            _ => return Err(bad()),
        }
    }
    if pending.is_empty() && !ops.is_empty() { Ok(ops) } else { Err("a log without end or beginning".to_owned()) }
}
