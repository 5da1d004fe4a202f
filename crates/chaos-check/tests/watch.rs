//! The watch against the checkers, on every history there is: an alarm is always a violation, and no refutation by two answers
//! escapes it.

use std::fs;
use std::path::{Path, PathBuf};

use chaos_check::{Budget, Property, Verdict, Watch, check};
use chaos_history::{Event, History};

const WATCHED: [Property; 4] =
    [Property::ElectionSafety, Property::SingleVote, Property::TermMonotonic, Property::Linearizable];

fn histories() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories");
    let entries = fs::read_dir(directory).expect("the histories are committed");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a directory entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    paths
}

#[test]
fn the_watch_raises_an_alarm_exactly_where_a_checker_refutes() {
    let (mut alarms, mut calm) = (0, 0);
    for path in histories() {
        let history = History::read(&path).expect("a history");
        let renews = history.events.iter().any(|recorded| match &recorded.event {
            Event::Fault(fault) => fault.kind.renews_nodes(),
            Event::Op(_)
            | Event::Observation(_)
            | Event::Node(_)
            | Event::Stall(_)
            | Event::Note(_)
            | Event::Replica(_)
            | Event::View(_) => false,
        });
        for property in WATCHED {
            let mut watch = Watch::new(&[property], history.header.nodes).of(history.header.testimony);
            watch = watch.renewing(renews);
            let alarm = history.events.iter().find_map(|recorded| watch.event(&recorded.event));
            let verdict = check(&history, property, &Budget::default()).verdict;
            let name = format!("{}: {property}", path.display());
            match alarm {
                Some(alarm) => {
                    assert!(matches!(verdict, Verdict::Invalid(_)), "{name}: {alarm:?}, but {verdict:?}");
                    assert_eq!(alarm.property, property, "{name}");
                    alarms += 1;
                }
                None => {
                    // Views are the checker's to weigh.
                    let viewed = history.events.iter().any(|recorded| matches!(recorded.event, Event::View(_)));
                    let certain = property != Property::Linearizable && !viewed && !renews;
                    assert!(!certain || !matches!(verdict, Verdict::Invalid(_)), "{name}: no alarm, but {verdict:?}");
                    calm += 1;
                }
            }
        }
    }
    assert!(alarms > 12 && calm > 50, "{alarms} alarms, {calm} without");
}
