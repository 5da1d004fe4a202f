//! Every file under `tests/invalid` is refused with exactly the text beside it.
//!
//! `UPDATE=1 cargo test -p chaos-plan --test invalid` writes the texts anew; read the difference before committing it.

use std::fs;
use std::path::{Path, PathBuf};

use chaos_plan::load;

fn cases() -> Vec<PathBuf> {
    // Relative, because the path stands in the messages: tests run in the crate's own directory.
    let mut cases: Vec<PathBuf> = fs::read_dir("tests/invalid")
        .expect("the corpus can be listed")
        .map(|entry| entry.expect("the corpus can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    cases.sort();
    cases
}

#[test]
fn each_invalid_file_is_refused_with_the_text_beside_it() {
    let update = std::env::var_os("UPDATE").is_some();
    let cases = cases();
    assert!(cases.len() >= 40, "the corpus is there");
    let mut wrong = Vec::new();
    for case in &cases {
        let errors = match load(case, &[]) {
            Ok(_) => panic!("{} is accepted", case.display()),
            Err(errors) => errors,
        };
        let rendered = errors.render(false);
        assert!(!rendered.contains('\u{1b}'), "{}: an escape sequence reaches the terminal", case.display());
        let beside = case.with_extension("txt");
        if update {
            fs::write(&beside, &rendered).unwrap();
        } else if fs::read_to_string(&beside).unwrap_or_default() != rendered {
            wrong.push(format!("== {} ==\n{rendered}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "not as expected; UPDATE=1 writes them anew:\n{}", wrong.join("\n"));
}

#[test]
fn every_expected_text_has_its_file() {
    for entry in fs::read_dir("tests/invalid").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            assert!(path.with_extension("yaml").is_file(), "{} is left over", path.display());
        }
    }
}

#[test]
fn colour_is_there_only_when_asked_for() {
    let errors = load(Path::new("tests/invalid/unknown-fault.yaml"), &[]).unwrap_err();
    assert!(errors.render(true).contains('\u{1b}'));
    assert_eq!(errors.to_string(), errors.render(false));
}

#[test]
fn every_mistake_is_told_with_its_line() {
    let errors = load(Path::new("tests/invalid/unknown-fields.yaml"), &[]).unwrap_err();
    let lines: Vec<usize> = errors.messages().map(|(place, _)| place.unwrap().line).collect();
    assert_eq!(lines, [1, 5, 7, 7, 9]);
    assert_eq!(errors.count(), 5);
}
