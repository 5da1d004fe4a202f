//! The house rules, as a test: which crate may know which, how long a file may be, where `unsafe` may stand.
//!
//! ARCHITECTURE.md says why each rule is there. A rule that nobody enforces is a wish.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of this length is a defect; from 600 lines on a file says in its header why it isn't split.
const FILE_LINES_MAX: usize = 600;

/// What a crate never depends on, directly: the absences that ARCHITECTURE.md promises.
const NEVER: &[(&str, &[&str])] = &[
    ("chaos-history", &["tokio", "nix", "libc", "rand", "chaos-*"]),
    ("chaos-plan", &["tokio", "nix", "libc", "rand", "chaos-engine", "chaos-net", "chaos-cluster", "chaos-check"]),
    ("chaos-check", &["tokio", "nix", "libc", "rand", "tracing", "chaos-engine", "chaos-failover", "chaos-report"]),
    (
        "chaos-explore",
        &["tokio", "nix", "libc", "rand", "chaos-sim", "chaos-cluster", "chaos-net", "chaos-systems", "chaos-report"],
    ),
    ("chaos-foreign", &["tokio", "nix", "libc", "rand", "tracing", "chaos-engine", "chaos-report", "chaos-failover"]),
    ("chaos-failover", &["tokio", "nix", "libc", "rand", "tracing", "chaos-check", "chaos-report", "chaos-engine"]),
    ("chaos-report", &["tokio", "nix", "libc", "rand", "chaos-engine", "chaos-cluster", "chaos-net", "chaos-systems"]),
    ("chaos-engine", &["tokio", "nix", "libc", "serde-saphyr", "reqwest", "chaos-net", "chaos-cluster"]),
    ("chaos-clock", &["chaos-*", "election", "tokio", "reqwest"]),
    ("chaos-net", &["chaos-*", "election", "tokio", "reqwest"]),
    ("chaos-disk", &["chaos-*", "election", "tokio", "reqwest"]),
    ("chaos-cluster", &["chaos-check", "chaos-failover", "chaos-report", "election", "reqwest"]),
    (
        "chaos-sim",
        &["tokio", "nix", "libc", "rand", "tracing", "chaos-net", "chaos-cluster", "chaos-systems", "chaos-report"],
    ),
    ("chaos-systems", &["chaos-net", "chaos-cluster", "chaos-engine", "nix", "libc"]),
    ("election", &["tokio", "nix", "libc", "tracing", "chaos-*"]),
    ("election-node", &["chaos-*"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace is there")
}

fn metadata() -> serde_json::Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo prints JSON")
}

/// Direct dependencies of each crate, those of its tests left out.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
            let normal = dependencies.filter(|dependency| dependency["kind"].is_null());
            (text(&package["name"]), normal.map(|dependency| text(&dependency["name"])).collect())
        })
        .collect()
}

fn rust_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() > 50, "only {} files found: this test looks in the wrong place", found.len());
    found
}

/// Fails with every offence at once.
fn assert_none(offences: &[String]) {
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn crates_know_only_whom_they_may() {
    let dependencies = dependencies();
    let mut offences = Vec::new();
    for (name, never) in NEVER {
        let has = dependencies.get(*name).unwrap_or_else(|| panic!("there is no crate {name}"));
        for banned in *never {
            let matches = |dependency: &&String| match banned.strip_suffix('*') {
                Some(prefix) => dependency.starts_with(prefix),
                None => dependency == banned,
            };
            offences.extend(has.iter().filter(matches).map(|dependency| format!("{name} depends on {dependency}")));
        }
    }
    assert_none(&offences);
}

#[test]
fn every_crate_has_rules() {
    let ruled: Vec<&str> = NEVER.iter().map(|(name, _)| *name).chain(["chaos"]).collect();
    let offences: Vec<String> = dependencies().into_keys().filter(|name| !ruled.contains(&name.as_str())).collect();
    assert_none(&offences);
}

#[test]
fn yaml_is_read_in_one_module() {
    let offences: Vec<String> = rust_files()
        .iter()
        .filter(|path| !path.ends_with("chaos-plan/src/yaml.rs") && !path.ends_with("cli/tidy.rs"))
        .filter(|path| fs::read_to_string(path).expect("readable").contains("serde_saphyr::"))
        .map(|path| format!("{} uses the YAML library", path.display()))
        .collect();
    assert_none(&offences);
}

#[test]
fn files_open_with_their_idea_and_stay_short() {
    let mut offences = Vec::new();
    for path in rust_files() {
        let text = fs::read_to_string(&path).expect("readable");
        if !text.starts_with("//!") {
            offences.push(format!("{}: does not open with `//!`", path.display()));
        }
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            offences.push(format!("{}: {lines} lines", path.display()));
        }
    }
    assert_none(&offences);
}

#[test]
fn unsafe_code_stands_in_sys_only() {
    let mut offences = Vec::new();
    for path in rust_files() {
        if path.ends_with("cli/tidy.rs") || path.file_name().is_some_and(|name| name == "sys.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("readable");
        for (index, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if code.contains("unsafe {") || code.contains("unsafe fn") || code.contains("unsafe impl") {
                offences.push(format!("{}:{}: {}", path.display(), index + 1, line.trim()));
            }
        }
    }
    assert_none(&offences);
}

#[test]
fn nothing_is_left_unfinished() {
    // Put together here, so that this file doesn't find itself.
    let marks = ["TO", "FIX", "XX"].map(|start| {
        format!(
            "{start}{}",
            match start {
                "TO" => "DO",
                "FIX" => "ME",
                _ => "X",
            }
        )
    });
    let macros = [format!("todo{}", "!("), format!("unimplemented{}", "!("), format!("#[{}", "ignore")];
    let mut offences = Vec::new();
    for path in rust_files() {
        let text = fs::read_to_string(&path).expect("readable");
        for (index, line) in text.lines().enumerate() {
            if marks.iter().chain(&macros).any(|mark| line.contains(mark.as_str())) {
                offences.push(format!("{}:{}: {}", path.display(), index + 1, line.trim()));
            }
        }
    }
    assert_none(&offences);
}

#[test]
fn shipped_plans_are_listed_in_the_readme_or_used_by_a_workload() {
    let root = root();
    let readme = fs::read_to_string(root.join("README.md")).expect("README.md is there");
    let mut plans: Vec<PathBuf> = Vec::new();
    for folder in ["workloads", "faults"] {
        plans.extend(fs::read_dir(root.join(folder)).expect("readable").map(|entry| entry.expect("readable").path()));
    }
    assert!(plans.len() >= 14, "six workloads and eight fault plans are shipped");
    let offences: Vec<String> = plans
        .iter()
        .filter(|path| {
            let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
            !readme.contains(name)
        })
        .map(|path| format!("{} is not in README.md", path.display()))
        .collect();
    assert_none(&offences);
}
