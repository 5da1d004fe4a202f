//! `chaos explain WORD`: what a word of a plan, a report or an exit status means, in a few paragraphs.
//!
//! Topics are written by hand where there is something to teach (`properties`, `faults`, `figures`, `runs`); every other word of
//! the plan language is explained from the table that the plan's reader uses, so that none can be missing. Words are compared
//! without case, dashes, dots and spaces: `ElectionSafety`, `election-safety` and `election safety` are one.
//!
//! For programs (`--format json`), version 1: `{"schema":"chaos.explain/1","topic":"kill","also":[…],"title":"…","text":"…"}`, or
//! without a word `{"schema":"chaos.explain/1","topics":[{"group":"Faults","topic":"kill","title":"…"}]}`.

mod control;
mod faults;
mod figures;
mod properties;
mod runs;

use std::process::ExitCode;

use anyhow::anyhow;
use election::specimens::{self, Shown, Specimen};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::list::Format;
use crate::{live, show};

/// Prose is easiest to read in lines of this length at most, and not at all in shorter ones than that.
const WIDTH_MAX: usize = 100;
const WIDTH_MIN: usize = 40;

/// Arguments of `chaos explain`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  chaos explain linearizable      a property\n  chaos explain one-way           a fault\n  \
                        chaos explain t4                a phase of a failover\n  chaos explain exit-code 3\n  \
                        chaos explain                   everything that can be explained"
)]
pub(crate) struct ExplainArguments {
    /// The word, or words. Left out: the list of all topics.
    #[arg(value_name = "WORD")]
    words: Vec<String>,
    /// How to tell it: text for people, json for programs.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
}

/// Something that can be explained.
#[derive(Clone, Debug)]
struct Topic {
    group: &'static str,
    /// As people write it.
    name: String,
    /// Other words for it.
    also: Vec<String>,
    /// One line.
    title: String,
    /// Paragraphs of prose, whose lines flow, and indented examples, which don't.
    text: String,
}

/// A topic that is written by hand: name, other words, title, text.
type Written = (&'static str, &'static [&'static str], &'static str, &'static str);

/// Explains, lists, or says what was probably meant.
pub(crate) fn explain(arguments: &ExplainArguments) -> Result<ExitCode, Failure> {
    let topics = topics();
    if arguments.words.is_empty() {
        show::print(&match arguments.format {
            Format::Text => listed(&topics),
            Format::Json => format!("{}\n", listed_json(&topics)),
        });
        return Ok(ExitCode::SUCCESS);
    }
    let word = arguments.words.join(" ");
    let found = find(&topics, &word);
    if found.is_empty() {
        return Err(unknown(&topics, &word));
    }
    for (index, topic) in found.into_iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        show::print(&match arguments.format {
            Format::Text => format!("{gap}{}", told(topic)),
            Format::Json => format!("{}\n", object(topic)),
        });
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything that can be explained, group by group.
fn topics() -> Vec<Topic> {
    let groups: [(&'static str, &[Written]); 7] = [
        ("Properties", properties::PROPERTIES),
        ("Faults and steps", faults::FAULTS),
        ("What steers steps", control::CONTROL),
        ("Targets", faults::TARGETS),
        ("Phases and figures", figures::FIGURES),
        ("Runs and reports", runs::RUNS),
        ("Exit codes", runs::EXIT_CODES),
    ];
    let mut topics: Vec<Topic> = Vec::new();
    for (group, written) in groups {
        topics.extend(written.iter().map(|(name, also, title, text)| Topic {
            group,
            name: (*name).to_owned(),
            also: also.iter().map(|word| (*word).to_owned()).collect(),
            title: (*title).to_owned(),
            text: text.trim_matches('\n').to_owned(),
        }));
    }
    topics.extend(specimens::ALL.iter().copied().map(specimen));
    topics.extend(words_of_plans(&topics));
    topics
}

/// A broken node.
fn specimen(specimen: &Specimen) -> Topic {
    let Specimen { name, about, configuration, plan, property, .. } = specimen;
    let mut text = format!(
        "The reference node, but {about}.\n\nIn place of: {}.\n\nShows with: {configuration}.\n\n",
        specimen.replaces
    );
    match specimen.shown {
        Shown::ByProcesses => text.push_str(&format!(
            "To see it convicted of a violation of {property}:\n\n  chaos museum {name}\n\nIn detail: {plan}."
        )),
        Shown::ByWalks(why) => text.push_str(&format!(
            "It would violate {property}, and real processes can't show it: {why}. Walks without time do:\n\n  chaos walk --specimen {name}"
        )),
        Shown::ByScript(why) => text.push_str(&format!(
            "It would violate {property}, and real processes can't show it: {why}. The script that does is \
             crates/election/tests/scenarios/museum/{name}.txt."
        )),
    }
    text.push_str("\n\nIt happened in:\n");
    for link in specimen.instances {
        text.push_str(&format!("\n  {link}"));
    }
    let (name, title) = ((*name).to_owned(), (*about).to_owned());
    Topic { group: "Broken nodes", name, also: Vec::new(), title, text }
}

/// Every word of the language that no topic is about yet; one topic per word, whatever it belongs to.
fn words_of_plans(known: &[Topic]) -> Vec<Topic> {
    let mut topics: Vec<Topic> = Vec::new();
    for table in chaos_plan::vocabulary() {
        for word in table.words {
            if known.iter().any(|topic| topic.is_called(word.name)) {
                continue;
            }
            let form =
                if word.form.is_empty() { word.name.to_owned() } else { format!("{}: {}", word.name, word.form) };
            let text = format!("In {}:\n\n  {form}\n\n{}", table.owner.replace('`', ""), word.about);
            if let Some(topic) = topics.iter_mut().find(|topic| topic.name == word.name) {
                topic.text.push_str("\n\n");
                topic.text.push_str(&text);
                continue;
            }
            let title = word.about.to_owned();
            let (name, also) = (word.name.to_owned(), Vec::new());
            topics.push(Topic { group: "Other words of plans", name, also, title, text });
        }
    }
    topics
}

impl Topic {
    fn words(&self) -> impl Iterator<Item = &str> {
        [self.name.as_str()].into_iter().chain(self.also.iter().map(String::as_str))
    }

    fn is_called(&self, word: &str) -> bool {
        self.words().any(|known| plain(known) == plain(word))
    }
}

/// The word without what people vary.
fn plain(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The topics of that name; without one, those that have it as another word.
fn find<'t>(topics: &'t [Topic], word: &str) -> Vec<&'t Topic> {
    let named: Vec<&Topic> = topics.iter().filter(|topic| plain(&topic.name) == plain(word)).collect();
    if !named.is_empty() || plain(word).is_empty() {
        return named;
    }
    topics.iter().filter(|topic| topic.is_called(word)).collect()
}

fn unknown(topics: &[Topic], word: &str) -> Failure {
    let words: Vec<&str> = topics.iter().flat_map(Topic::words).collect();
    let meant = chaos_plan::nearest(word, words).map(|near| format!(": did you mean `{near}`?"));
    Failure::Refused(anyhow!(
        "nothing is known of `{word}`{}\n`chaos explain` lists every topic",
        meant.unwrap_or_default()
    ))
}

fn told(topic: &Topic) -> String {
    let width = live::width().clamp(WIDTH_MIN, WIDTH_MAX);
    let also = match topic.also.len() {
        0 => String::new(),
        _ => format!(" (also: {})", topic.also.join(", ")),
    };
    format!("{}{also}\n{}\n\n{}\n", topic.name, topic.title, flowed(&topic.text, width))
}

fn object(topic: &Topic) -> Value {
    json!({
        "schema": "chaos.explain/1",
        "group": topic.group,
        "topic": topic.name,
        "also": topic.also,
        "title": topic.title,
        "text": topic.text,
    })
}

fn listed(topics: &[Topic]) -> String {
    let mut text = String::new();
    let mut group = "";
    for topic in topics {
        if topic.group != group {
            text.push_str(&format!("{}{}\n", if group.is_empty() { "" } else { "\n" }, topic.group));
            group = topic.group;
        }
        text.push_str(&format!("  {:<24}  {}\n", topic.name, topic.title));
    }
    text.push_str("\n`chaos explain WORD` says more of each.\n");
    text
}

fn listed_json(topics: &[Topic]) -> Value {
    let one =
        |topic: &Topic| json!({"group": topic.group, "topic": topic.name, "also": topic.also, "title": topic.title});
    json!({"schema": "chaos.explain/1", "topics": topics.iter().map(one).collect::<Vec<Value>>()})
}

/// Prose in lines of at most `width` characters, broken between words; what is indented is an example, and stays as it is.
fn flowed(text: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut prose = String::new();
    let flush = |prose: &mut String, lines: &mut Vec<String>| {
        if !prose.is_empty() {
            lines.push(std::mem::take(prose));
        }
    };
    for line in text.lines() {
        if line.is_empty() || line.starts_with(' ') {
            flush(&mut prose, &mut lines);
            lines.push(line.to_owned());
            continue;
        }
        for word in line.split_whitespace() {
            if !prose.is_empty() && prose.chars().count() + 1 + word.chars().count() > width {
                flush(&mut prose, &mut lines);
            }
            if !prose.is_empty() {
                prose.push(' ');
            }
            prose.push_str(word);
        }
    }
    flush(&mut prose, &mut lines);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_word_stands_for_two_topics_and_no_line_is_too_long_for_a_terminal() {
        let topics = topics();
        // One topic may have two spellings of a word, to show both.
        let spellings = |topic: &Topic| topic.words().map(plain).collect::<BTreeSet<String>>();
        let mut words: Vec<String> = topics.iter().flat_map(spellings).collect();
        words.sort();
        let twice: Vec<&[String]> = words.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert_eq!(twice, Vec::<&[String]>::new());
        for topic in &topics {
            assert!(topic.text.len() > 10 && !topic.title.ends_with('.'), "{}", topic.name);
            for line in topic.text.lines().filter(|line| line.starts_with(' ')) {
                assert!(line.chars().count() <= WIDTH_MAX, "{}: {line}", topic.name);
            }
        }
    }

    #[test]
    fn every_word_of_the_language_every_check_and_every_specimen_is_explained() {
        let topics = topics();
        for word in chaos_plan::vocabulary().iter().flat_map(|table| table.words) {
            assert!(!find(&topics, word.name).is_empty(), "{}", word.name);
        }
        for specimen in specimens::ALL {
            assert_eq!(find(&topics, specimen.name).len(), 1);
        }
        for property in [
            "ElectionSafety",
            "SingleVote",
            "TermMonotonic",
            "Linearizable",
            "NoAcknowledgedWriteLost",
            "BoundedReelection",
            "Recovers",
            "NoStaleLeaderAfterHeal",
            "OneLeaderAtATime",
        ] {
            assert_eq!(find(&topics, property)[0].group, "Properties", "{property}");
        }
    }

    #[test]
    fn prose_flows_and_examples_stay_as_they_are() {
        let text = "one two\nthree four five\n\n  chaos run a-long-example-that-is-not-broken\nsix";
        let expected = "one two\nthree four\nfive\n\n  chaos run a-long-example-that-is-not-broken\nsix";
        assert_eq!(flowed(text, 12), expected);
    }
}
