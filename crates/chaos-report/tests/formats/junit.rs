//! JUnit XML, read back by `quick-xml`.

use chaos_report::formats::Format;
use chaos_report::{Report, Wrapped};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::{HOSTILE, convicted, empty, hostile, long, shown, sound, untold, written};

/// An element, its attributes unescaped.
#[derive(Debug)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Element {
    fn get(&self, name: &str) -> &str {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map_or_else(|| panic!("no {name} in {self:?}"), |(_, value)| value.as_str())
    }
}

fn element(start: &BytesStart<'_>) -> Element {
    let attributes = start.attributes().map(|attribute| {
        let attribute = attribute.expect("attributes are well-formed");
        let value = quick_xml::escape::unescape(&attribute.value).expect("references are known").into_owned();
        (attribute.key.as_ref().to_owned(), value)
    });
    Element { name: start.name().as_ref().to_owned(), attributes: attributes.collect() }
}

/// All elements in order; fails where the text is not well-formed XML 1.0.
fn elements(xml: &str) -> Vec<Element> {
    let legal = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}');
    assert!(xml.chars().all(legal), "a character that XML 1.0 has not");
    let mut reader = Reader::from_str(xml);
    let (mut elements, mut depth) = (Vec::new(), 0);
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Start(start) => {
                depth += 1;
                elements.push(element(&start));
            }
            Event::Empty(start) => elements.push(element(&start)),
            Event::End(_) => depth -= 1,
            Event::Eof => break,
            Event::CData(_) | Event::Comment(_) | Event::PI(_) | Event::DocType(_) => panic!("nothing of this is ours"),
            Event::Decl(_) | Event::GeneralRef(_) | Event::Text(_) => {}
        }
    }
    assert_eq!(depth, 0, "every element is closed");
    elements
}

fn read(reports: &[Report]) -> Vec<Element> {
    elements(&written(Format::Junit, reports))
}

fn count(elements: &[Element], name: &str) -> usize {
    elements.iter().filter(|element| element.name == name).count()
}

#[test]
fn a_violation_and_a_miss_are_failures_with_their_sentences() {
    let elements = read(&[convicted()]);
    let failures: Vec<&Element> = elements.iter().filter(|element| element.name == "failure").collect();
    assert_eq!(failures[0].get("message"), "n3 and n5 both led term 8");
    assert_eq!((failures[0].get("type"), failures[1].get("type")), ("violated", "missed"));
    assert_eq!(failures[1].get("message"), "measured 4.20 s");
    assert_eq!(elements[0].get("failures"), "2");
    let missed = elements.iter().find(|element| element.name == "testcase" && element.get("name") == "outage.max < 3s");
    assert_eq!(missed.unwrap().get("line"), "24");
}

#[test]
fn a_sound_run_has_no_failure_and_no_error() {
    let elements = read(&[sound()]);
    assert_eq!((count(&elements, "failure"), count(&elements, "error")), (0, 0));
    assert_eq!(count(&elements, "testcase"), 4, "two checks, an expectation, the run");
    assert_eq!((elements[0].get("tests"), elements[0].get("failures")), ("4", "0"));
}

#[test]
fn what_is_unknown_or_empty_is_an_error_and_never_green() {
    for (report, message) in [(untold(), "no final reads"), (empty(), "the history has no end")] {
        let elements = read(&[report]);
        let error = elements.iter().find(|element| element.name == "error").expect("an error");
        assert_eq!((error.get("type"), error.get("message")), ("unknown", message));
        assert_eq!(elements[0].get("errors"), "1");
    }
}

#[test]
fn hostile_words_stay_words_and_change_no_structure() {
    let tame = read(&[hostile("tame")]);
    for words in [HOSTILE.to_owned(), long()] {
        let elements = read(&[hostile(&words)]);
        assert_eq!(
            elements.iter().map(|element| &element.name).collect::<Vec<_>>(),
            tame.iter().map(|element| &element.name).collect::<Vec<_>>()
        );
        let failure = elements.iter().find(|element| element.name == "failure").unwrap();
        // Line breaks and tabs come back as they were, everything else that acts on a reader is visible.
        let kept = |text: &str| shown(text).replace("\\u{a}", "\n").replace("\\u{9}", "\t");
        let unwritable = |text: String| text.replace('\u{fffe}', "\\u{fffe}").replace('\u{ffff}', "\\u{ffff}");
        assert_eq!(failure.get("message"), unwritable(kept(&words)));
    }
}

#[test]
fn several_runs_are_several_suites_whose_counts_add_up() {
    let elements = read(&[sound(), convicted(), untold()]);
    assert_eq!(count(&elements, "testsuite"), 3);
    let sum = |name: &str| -> usize {
        let suites = elements.iter().filter(|element| element.name == "testsuite");
        suites.map(|suite| suite.get(name).parse::<usize>().unwrap()).sum()
    };
    for name in ["tests", "failures", "errors"] {
        assert_eq!(sum(name).to_string(), elements[0].get(name));
    }
    assert_eq!(count(&elements, "testcase"), sum("tests"));
}

#[test]
fn the_document_is_pinned() {
    insta::assert_snapshot!(written(Format::Junit, &[convicted()]));
}

#[test]
fn a_wrapped_command_is_a_case_of_its_own_and_fails_with_its_words() {
    let wrapped = |exit_code| Wrapped {
        command: vec!["make".to_owned(), HOSTILE.to_owned()],
        exit_code: Some(exit_code),
        signal: None,
        lasted_ns: 1_500_000_000,
        leftovers: 0,
        once: false,
    };
    let good = read(&[sound().with_wrapped(wrapped(0))]);
    assert_eq!(count(&good, "failure"), 0);
    assert_eq!(count(&good, "testcase"), count(&read(&[sound()]), "testcase") + 1);
    let bad = read(&[sound().with_wrapped(wrapped(7))]);
    let failure = bad.iter().find(|element| element.name == "failure").expect("the command failed");
    assert!(failure.get("message").contains("exit code 7"), "{failure:?}");
}
