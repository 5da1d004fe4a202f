//! JUnit XML: what every CI server shows as test results.
//!
//! ```xml
//! <testsuites name="chaos" tests="2" failures="1" errors="0">
//!   <testsuite name="partition, seed 7" tests="2" failures="1" errors="0" skipped="0" time="62.400" timestamp="…">
//!     <testcase classname="partition.safety" name="ElectionSafety" time="0">
//!       <failure type="violated" message="n3 and n5 both led term 8">line 12: …</failure>
//!     </testcase>
//! ```
//!
//! A suite per run, a case per check and expectation, and one for the run itself, so that an empty run is not a green one.
//! Unknown is an `error`, not a `skipped`: servers show skipped tests as passed.
//!
//! Source: the Jenkins XML schema (junit-10.xsd). XML 1.0 (§2.2) has no way to write most control characters, not even as
//! references; they appear as `\u{1b}`.

use std::fmt::Write;

use super::finding::{Finding, Found, findings};
use crate::Report;
use crate::words::{Lines, visible};

pub(super) fn render(reports: &[Report]) -> String {
    let mut suites = String::new();
    let mut total = Counts::default();
    for report in reports {
        suite(&mut suites, report, &mut total);
    }
    let mut out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let _ = writeln!(out, "<testsuites name=\"chaos\" {}>", total.attributes());
    out.push_str(&suites);
    out.push_str("</testsuites>\n");
    out
}

#[derive(Clone, Copy, Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
}

impl Counts {
    fn add(&mut self, found: Found) {
        self.tests += 1;
        match found {
            Found::Good | Found::ViolatedAsExpected => {}
            Found::Violated | Found::Missed => self.failures += 1,
            Found::Unknown => self.errors += 1,
        }
    }

    fn attributes(self) -> String {
        format!("tests=\"{}\" failures=\"{}\" errors=\"{}\"", self.tests, self.failures, self.errors)
    }
}

fn suite(out: &mut String, report: &Report, total: &mut Counts) {
    let run = &report.run;
    let findings = findings(report);
    let mut counts = Counts::default();
    for finding in &findings {
        counts.add(finding.found);
        total.add(finding.found);
    }
    let name = attribute(&format!("{}, seed {}", run.workload, run.seed));
    let (seconds, millis) = (run.duration_ns / 1_000_000_000, run.duration_ns / 1_000_000 % 1_000);
    let (counts, started) = (counts.attributes(), attribute(&run.started));
    let _ = writeln!(
        out,
        "  <testsuite name=\"{name}\" {counts} skipped=\"0\" time=\"{seconds}.{millis:03}\" timestamp=\"{started}\">"
    );
    out.push_str("    <properties>\n");
    let again = run.given.as_ref().unwrap_or(&run.command).clone();
    let facts = [("system", run.system_in_words()), ("fault plan", run.fault_plan.clone()), ("again", again)];
    for (name, value) in facts {
        let _ = writeln!(out, "      <property name=\"{name}\" value=\"{}\"/>", attribute(&value));
    }
    out.push_str("    </properties>\n");
    for finding in &findings {
        case(out, &run.workload, finding);
    }
    let _ = writeln!(out, "    <system-out>{}</system-out>", content(&report.sentence));
    out.push_str("  </testsuite>\n");
}

fn case(out: &mut String, workload: &str, finding: &Finding<'_>) {
    let class = attribute(&format!("{workload}.{}", finding.group));
    let _ = write!(out, "    <testcase classname=\"{class}\" name=\"{}\" time=\"0\"", attribute(finding.name));
    if let Some(place) = finding.place {
        let _ = write!(out, " file=\"{}\" line=\"{}\"", attribute(&place.file), place.line);
    }
    let element = match finding.found {
        Found::Good => {
            out.push_str("/>\n");
            return;
        }
        // It passes, and says loudly what it shows.
        Found::ViolatedAsExpected => {
            let (word, sentence) = (finding.found.word(), content(&finding.sentence));
            let _ = write!(out, ">\n      <system-out>{word}: {sentence}");
            for step in finding.steps {
                let _ = write!(out, "\n{}", content(step));
            }
            out.push_str("</system-out>\n    </testcase>\n");
            return;
        }
        Found::Violated | Found::Missed => "failure",
        Found::Unknown => "error",
    };
    let (word, message) = (finding.found.word(), attribute(&finding.sentence));
    let _ = write!(out, ">\n      <{element} type=\"{word}\" message=\"{message}\">{}", content(&finding.sentence));
    for step in finding.steps {
        let _ = write!(out, "\n{}", content(step));
    }
    if let Some(place) = finding.place {
        let _ = write!(out, "\n{}:{}", content(&place.file), place.line);
    }
    let _ = write!(out, "</{element}>\n    </testcase>\n");
}

/// Text between tags.
fn content(text: &str) -> String {
    escaped(text, false)
}

/// Text between double quotes: a line break there would be read as a space (XML 1.0 §3.3.3).
fn attribute(text: &str) -> String {
    escaped(text, true)
}

fn escaped(text: &str, attribute: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for character in visible(text, Lines::Several).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' if attribute => out.push_str("&#10;"),
            '\t' if attribute => out.push_str("&#9;"),
            // Not characters of XML 1.0.
            '\u{fffe}' | '\u{ffff}' => out.extend(character.escape_unicode()),
            other => out.push(other),
        }
    }
    out
}
