//! Scripts of the protocol that a person can follow: `scenarios/*.txt`, each a conversation of commands and what they lead to.
//!
//! A line that begins with `>` is a command, the lines after it are its exact output; `#` begins a comment. Nothing happens by
//! itself: time stands still, messages wait, until the script says so. `UPDATE=1 cargo test -p election --test scenarios` writes
//! the outputs anew; read the difference before you commit it. The form follows etcd's rafttest and toyDB's goldenscripts.
//!
//! The commands are documented at [`Stage::command`].

#[path = "scenarios/show.rs"]
mod show;
#[path = "scenarios/stage.rs"]
mod stage;

use std::path::Path;

use stage::Stage;

/// Plays a script and returns it with the outputs that came.
fn play(script: &str) -> String {
    let mut stage = Stage::default();
    let mut played = String::new();
    let mut in_output = false;
    for line in script.lines() {
        let command = line.strip_prefix("> ");
        if command.is_none() && in_output && !line.is_empty() && !line.starts_with('#') {
            continue; // an old output
        }
        in_output = command.is_some();
        played += line;
        played.push('\n');
        for output in command.map(|command| stage.command(command)).unwrap_or_default() {
            played += &format!("  {output}\n");
        }
    }
    played
}

#[test]
fn every_scenario_plays_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut scripts: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    scripts.sort();
    assert!(scripts.len() >= 12, "the scenarios are gone");
    let update = std::env::var_os("UPDATE").is_some();
    let mut differing = Vec::new();
    for path in scripts {
        let written = std::fs::read_to_string(&path).unwrap();
        let played = play(&written);
        if played == written {
            continue;
        }
        if update {
            std::fs::write(&path, &played).unwrap();
        } else {
            let at = played.lines().zip(written.lines()).position(|(a, b)| a != b).unwrap_or(0);
            let [came, expected] =
                [&played, &written].map(|text| text.lines().nth(at).unwrap_or("(the end)").to_owned());
            differing.push(format!("{}:{}\n  expected {expected}\n  came     {came}", path.display(), at + 1));
        }
    }
    assert!(differing.is_empty(), "{}\nUPDATE=1 writes the outputs anew", differing.join("\n"));
}
