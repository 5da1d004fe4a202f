//! Where workloads and fault plans are looked for, and what is said when they are nowhere.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::Path;

use chaos_plan::{Source, load, load_source};

const PLAN: &str = "steps: [{ wait: 1s }]\n";

fn workload(name: &str, faults: &str) -> Source {
    Source { name: name.to_owned(), text: format!("name: case\nsystem: raft\nnodes: 3\nfaults: {faults}\n") }
}

#[test]
fn a_plan_is_looked_for_as_named_then_beside_the_workload_then_above_then_among_the_built_in() {
    for (there, expected) in [
        (&["x.yaml", "dir/w/x.yaml", "dir/x.yaml"][..], "x.yaml"),
        (&["dir/w/x.yaml", "dir/x.yaml"][..], "dir/w/x.yaml"),
        (&["dir/x.yaml"][..], "dir/x.yaml"),
    ] {
        let read = |name: &str| {
            if there.contains(&name) { Ok(PLAN.to_owned()) } else { Err(io::ErrorKind::NotFound.into()) }
        };
        let loaded = load_source(workload("dir/w/case.yaml", "x.yaml"), &[], &read).unwrap();
        assert_eq!(loaded.workload.faults.name, "x");
        assert_eq!(loaded.workload.faults.steps[0].place.file, expected);
        assert_eq!(loaded.sources[1], Source { name: expected.to_owned(), text: PLAN.to_owned() });
    }
    let asked = RefCell::new(Vec::new());
    let nothing = |name: &str| {
        asked.borrow_mut().push(name.to_owned());
        Err(io::ErrorKind::NotFound.into())
    };
    let loaded = load_source(workload("dir/w/case.yaml", "faults/kill-leader.yaml"), &[], &nothing).unwrap();
    assert_eq!(loaded.workload.faults.name, "kill-leader");
    assert_eq!(
        asked.into_inner(),
        ["faults/kill-leader.yaml", "dir/w/faults/kill-leader.yaml", "dir/faults/kill-leader.yaml"]
    );
}

#[test]
fn a_bare_word_is_the_built_in_and_a_path_is_the_file() {
    let folder = |_: &str| Err(io::ErrorKind::IsADirectory.into());
    assert_eq!(load_source(workload("case.yaml", "random"), &[], &folder).unwrap().workload.faults.name, "random");
    let errors = load_source(workload("case.yaml", "./random"), &[], &folder).unwrap_err();
    assert!(errors.render(false).contains("can't read fault plan `./random`: it is a directory"), "{errors}");
    let nothing = |_: &str| Err(io::ErrorKind::NotFound.into());
    assert!(load_source(workload("case.yaml", "./random"), &[], &nothing).is_err(), "`./` asks for a file");
}

#[test]
fn an_error_other_than_not_found_ends_the_search() {
    let denied = |_: &str| Err(io::ErrorKind::PermissionDenied.into());
    let errors = load_source(workload("case.yaml", "faults/kill-leader.yaml"), &[], &denied).unwrap_err();
    assert!(
        errors.render(false).contains("can't read fault plan `faults/kill-leader.yaml`: permission denied"),
        "{errors}"
    );
}

#[test]
fn files_that_are_no_workloads_are_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("binary.yaml"), [b'n', b'a', b'm', b'e', b'\n', 0xff]).unwrap();
    fs::write(at("large.yaml"), vec![b'#'; (1 << 20) + 1]).unwrap();
    fs::create_dir(at("directory.yaml")).unwrap();
    for (name, expected) in [
        ("binary.yaml", "it is not UTF-8 text: see line 2"),
        ("large.yaml", "it is larger than 1 MiB"),
        ("directory.yaml", "it is a directory, not a file"),
        ("missing.yaml", "no workload"),
        ("binary.yaml/below", "no workload"),
    ] {
        let rendered = load(&at(name), &[]).unwrap_err().render(false);
        assert!(rendered.contains(expected) && rendered.contains(name), "{rendered}");
    }
}

#[test]
fn a_built_in_workload_is_found_by_its_name_and_a_mistyped_one_suggested() {
    assert_eq!(load(Path::new("partition"), &[]).unwrap().workload.name, "partition");
    for (name, meant) in [
        ("partitoin", "partition"),
        ("workloads/partitoin.yaml", "workloads/partition.yaml"),
        ("rolling", "rolling-restart"),
    ] {
        let rendered = load(Path::new(name), &[]).unwrap_err().render(false);
        assert!(rendered.contains(&format!("no workload `{name}`")), "{rendered}");
        assert!(rendered.contains(&format!("did you mean `{meant}`?")), "{rendered}");
        assert!(rendered.contains("built in: partition, kill, pause"), "{rendered}");
    }
}
