//! Annotations, read back as GitHub's runner reads them: `::command key=value,…::message` per line, then unescaped.

use chaos_report::formats::{ANNOTATIONS_MAX, Format};
use chaos_report::{CheckVerdict, Report};

use super::{HOSTILE, convicted, empty, hostile, long, shown, sound, untold, written};

struct Annotation {
    level: String,
    properties: Vec<(String, String)>,
    message: String,
}

impl Annotation {
    fn get(&self, name: &str) -> Option<&str> {
        self.properties.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

fn data(text: &str) -> String {
    text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
}

fn read(report: &Report) -> Vec<Annotation> {
    let annotation = |line: &str| {
        let (head, message) = line.strip_prefix("::").and_then(|rest| rest.split_once("::")).expect("a command");
        let (level, properties) = head.split_once(' ').expect("a title at least");
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').expect("a property");
            (name.to_owned(), data(&value.replace("%3A", ":").replace("%2C", ",")))
        };
        let properties = properties.split(',').map(pair).collect();
        Annotation { level: level.to_owned(), properties, message: data(message) }
    };
    written(Format::Github, std::slice::from_ref(report)).lines().map(annotation).collect()
}

#[test]
fn a_violation_stands_at_the_line_of_the_fault_under_way_and_a_miss_at_its_own() {
    let annotations = read(&convicted());
    let [violated, missed] = annotations.as_slice() else { panic!("{} annotations", annotations.len()) };
    assert_eq!((violated.level.as_str(), violated.get("file")), ("error", Some("faults/mixed.yaml")));
    assert_eq!((violated.get("line"), violated.get("col")), (Some("8"), Some("9")));
    assert_eq!(violated.get("title"), Some("partition: ElectionSafety"));
    assert_eq!(violated.message, "n3 and n5 both led term 8 (violated, seed 7)");
    assert_eq!((missed.get("file"), missed.get("line")), (Some("workloads/partition.yaml"), Some("24")));
    assert_eq!(missed.message, "measured 4.20 s (missed, seed 7)");
}

#[test]
fn a_sound_run_has_none_and_an_unknown_one_warns() {
    assert!(read(&sound()).is_empty());
    for report in [untold(), empty()] {
        let annotations = read(&report);
        assert_eq!(annotations.len(), 1);
        assert_eq!(annotations[0].level, "warning");
    }
}

#[test]
fn hostile_words_give_no_command_of_their_own() {
    let annotations = read(&hostile(HOSTILE));
    assert_eq!(annotations.len(), 3, "a violation, an expectation and the run");
    let kept = shown(HOSTILE).replace("\\u{a}", "\n").replace("\\u{9}", "\t");
    assert_eq!(annotations[0].get("file"), Some(kept.as_str()));
    assert_eq!(annotations[0].message, format!("{kept} (violated, seed 7)"));
    assert_eq!(annotations[0].get("line"), Some("8"), "the properties behind the hostile one are whole");
    let of_long = written(Format::Github, &[hostile(&long())]);
    assert!(of_long.lines().all(|line| line.len() < 300_000));
}

#[test]
fn no_more_than_ten_are_written_the_gravest_first_and_the_rest_is_counted() {
    let mut report = convicted();
    let violated = report.checks[0].clone();
    report.checks.insert(0, chaos_report::Check { verdict: CheckVerdict::Unknown, witness: None, ..violated.clone() });
    report.checks.extend((0..10).map(|_| violated.clone()));
    let annotations = read(&report);
    assert_eq!(annotations.len(), ANNOTATIONS_MAX);
    assert!(annotations[..9].iter().all(|annotation| annotation.message.contains("(violated")));
    assert_eq!(annotations[9].message, "and 4 findings more: see the report");
    report.checks.truncate(10);
    assert_eq!(read(&report).len(), ANNOTATIONS_MAX);
}

#[test]
fn the_commands_are_pinned() {
    insta::assert_snapshot!(written(Format::Github, &[convicted()]));
}
