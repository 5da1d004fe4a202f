//! Every specimen is alive: a script under which it does something else than the sound node, and both are written down.
//!
//! `museum/NAME.txt` is a script like the others. Where both nodes do the same, it is written once; where they differ, lines with `sound |`
//! say what the sound one does and lines with `broken |` what the specimen does. Messages hold still, so whatever a specimen does
//! otherwise comes from its one wrong rule. `UPDATE=1` writes the outputs anew here too.

use std::fs;
use std::path::Path;

use election::specimens::{self, ClockKind, Specimen};

use crate::sound;
use crate::stage::Stage;

/// Plays a script with sound nodes and with broken ones.
fn play_both(script: &str, specimen: &Specimen) -> String {
    let mut stages = [Stage::new(sound, ClockKind::Monotonic), Stage::new(specimen.start, specimen.clock)];
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
        let Some(command) = command else { continue };
        let [sound, broken] = &mut stages;
        let (sound, broken) = (sound.command(command), broken.command(command));
        let same = sound.iter().zip(&broken).take_while(|(sound, broken)| sound == broken).count();
        let common = sound[..same].iter().map(|line| format!("  {line}\n"));
        let of_sound = sound[same..].iter().map(|line| format!("  sound  | {line}\n"));
        let of_broken = broken[same..].iter().map(|line| format!("  broken | {line}\n"));
        played.extend(common.chain(of_sound).chain(of_broken));
    }
    played
}

#[test]
fn every_specimen_has_a_script_under_which_it_differs_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/museum");
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for specimen in specimens::ALL {
        let path = folder.join(format!("{specimen}.txt"));
        let Ok(written) = fs::read_to_string(&path) else {
            wrong.push(format!("{specimen} has no script {}", path.display()));
            continue;
        };
        let played = play_both(&written, specimen);
        if !played.contains("  broken | ") {
            wrong.push(format!("{specimen} does the same as the sound node in {}", path.display()));
        } else if played != written && !update {
            wrong.push(format!("{} is not what came", path.display()));
        }
        if update {
            fs::write(&path, &played).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{}\nUPDATE=1 writes the outputs anew", wrong.join("\n"));
}

#[test]
fn every_script_of_the_museum_is_of_a_specimen() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/museum");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(Specimen::named(name).is_ok(), "{}", path.display());
    }
}
