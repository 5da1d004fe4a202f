//! `chaos explore` and `chaos replay` from outside, in the simulator: a broken node is found, its plan is an ordinary workload
//! that shows it
//! again, and the sound node under the same plan is acquitted.
#![allow(clippy::unwrap_used, reason = "a test that can't set itself up fails")]

use std::fs;

use crate::support::{chaos, output, stderr};

#[test]
fn a_broken_node_is_found_and_its_plan_shows_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("found");
    let out_text = out.to_str().unwrap();
    let words = ["explore", "--specimen", "double-vote", "--seed", "1", "--seeds", "400", "--quiet", "--out", out_text];
    let found = output(&mut chaos(&words));
    assert_eq!(found.status.code(), Some(1), "{}", stderr(&found));
    let report: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(out.join("explore.json")).unwrap()).unwrap();
    assert_eq!(report["schema"], "chaos.explore/1");
    let bug = &report["bugs"][0];
    assert!(bug["faults"].as_u64().unwrap() <= 3, "{bug}");
    let file = out.join(bug["file"].as_str().unwrap());
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("violation: [") && !text.contains("place:"), "{text}");

    let file = file.to_str().unwrap();
    let runs = folder.path().join("runs");
    let again = output(&mut chaos(&["replay", file, "--world", "sim", "--out", runs.to_str().unwrap()]));
    let printed = String::from_utf8_lossy(&again.stdout).into_owned();
    assert_eq!(again.status.code(), Some(0), "the violation is expected: {printed}\n{text}");
    assert!(printed.contains("attempt 1 of 1") && printed.contains("shows what is expected"), "{printed}");

    let sound = folder.path().join("sound");
    let words = ["replay", file, "--world", "sim", "--until-violation", "--attempts", "3", "--out"];
    let words = [&words[..], &[sound.to_str().unwrap(), "--set", "system.raft.specimen=none"]].concat();
    let acquitted = output(&mut chaos(&words));
    let printed = String::from_utf8_lossy(&acquitted.stdout).into_owned();
    assert_eq!(acquitted.status.code(), Some(3), "{printed}\n{}", stderr(&acquitted));
    assert!(printed.contains("attempt 3 of 3"), "{printed}");
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("found");
    let out_text = out.to_str().unwrap();
    let cases: [(&[&str], &str); 4] = [
        (&["explore", "--specimen", "double-vot", "--out", out_text], "did you mean `double-vote`?"),
        (&["explore", "--set", "nodes=3", "--out", out_text], "name one"),
        (&["replay", "kill", "--attempts", "0", "--until-violation"], "a number above 0"),
        (&["replay", "kill", "--attempts", "3"], "--until-violation"),
    ];
    for (words, expected) in cases {
        let refused = output(&mut chaos(words));
        assert_eq!(refused.status.code(), Some(254), "{words:?}");
        assert!(stderr(&refused).contains(expected), "{words:?}: {}", stderr(&refused));
        assert!(!out.exists(), "{words:?}");
    }
}
