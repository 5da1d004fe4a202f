//! All histories that Porcupine is tested with get the verdict that its own tests demand.
//!
//! They are in the package `porcupine-rs` (MIT, a port of anishathalye/porcupine), a dependency of these tests, from where
//! cargo has unpacked it. The labels are those of its `tests/etcd_jepsen.rs` and `tests/kv_log.rs`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use chaos_check::linear::{Budget, Decision, Model, check};
use chaos_foreign::{Format, Object, Objects, Options, ParseError, parse};

/// The etcd logs that are linearizable; the empty one, 95, is none of them.
const ETCD_LINEARIZABLE: [u32; 23] =
    [2, 5, 7, 18, 25, 31, 38, 45, 48, 49, 51, 53, 56, 67, 75, 76, 80, 87, 92, 98, 100, 101, 102];

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it prints text")
}

/// The folder of the histories.
fn corpus() -> PathBuf {
    // Without the filter cargo wants packages of other systems, which nobody has fetched.
    let version = run("rustc", &["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let metadata = run(env!("CARGO"), &["metadata", "--format-version", "1", "--offline", "--filter-platform", host]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let package = packages.iter().find(|package| package["name"] == "porcupine-rs").expect("it is a dependency");
    let manifest = PathBuf::from(package["manifest_path"].as_str().expect("a path"));
    manifest.with_file_name("test_data")
}

/// Whether all objects are linearizable. If not, at least one violation is verified, so that the file's verdict is proved.
fn linearizable<M: Model>(objects: &[Object<M>]) -> bool {
    let (mut proved, mut trusted) = (0, 0);
    for object in objects {
        match check(&object.model, &object.entries, &Budget::default()).expect("stamps are in order") {
            Decision::Linearizable(_) => {}
            Decision::Violation { verified: true, .. } => proved += 1,
            Decision::Violation { verified: false, .. } => trusted += 1,
            Decision::Undecided(undecided) => panic!("key {:?}: {undecided:?}", object.key),
        }
    }
    assert!(proved > 0 || trusted == 0, "no violation was re-checked");
    proved == 0
}

fn verdict(objects: &Objects) -> bool {
    match objects {
        Objects::Register(objects) => linearizable(objects),
        Objects::Mutex(objects) => linearizable(objects),
        Objects::Set(objects) => linearizable(objects),
        Objects::Kv(objects) => linearizable(objects),
    }
}

#[test]
fn the_etcd_logs_get_their_labels() {
    let folder = corpus().join("jepsen");
    let (mut valid, mut invalid, mut wrong) = (0, 0, Vec::new());
    for number in 0..103 {
        let name = format!("etcd_{number:03}.log");
        let text = fs::read(folder.join(&name)).expect("the log is there");
        if number == 95 {
            // The cluster did not start: Porcupine calls nothing valid, we call it nothing.
            assert_eq!(parse(&text, &Options::default()).unwrap_err(), ParseError::Empty);
            continue;
        }
        let parsed = parse(&text, &Options::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((parsed.format, parsed.kind), (Format::EtcdLog, "cas-register"), "{name}");
        assert_eq!(parsed.counts.other_lines, 0, "{name}: every line is understood");
        let found = verdict(&parsed.objects);
        *(if found { &mut valid } else { &mut invalid }) += 1;
        if found != ETCD_LINEARIZABLE.contains(&number) {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "wrong: {wrong:?}");
    assert_eq!((valid, invalid), (23, 79));
}

#[test]
fn the_kv_logs_get_their_labels() {
    for name in ["c01-ok", "c01-bad", "c10-ok", "c10-bad", "c50-ok", "c50-bad"] {
        let text = fs::read(corpus().join("kv").join(name).with_extension("txt")).expect("the log is there");
        let parsed = parse(&text, &Options::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((parsed.format, parsed.kind), (Format::PorcupineKv, "kv"), "{name}");
        assert_eq!(verdict(&parsed.objects), name.ends_with("ok"), "{name}");
    }
}
