//! Where a workload's expectations are written, for who wants to point at the line of one that was missed.
//!
//! A loaded [`Expectation`](crate::expect::Expectation) has no place, and needs none until then; so the text is read once more.

use chaos_history::SourcePlace;

use crate::error::Mistakes;
use crate::source::{Source, Sources};
use crate::yaml::{self, NodeKind};

/// Each expectation of a workload's text, as reports write it (`outage.max < 3s`), with its place. Empty for a text that is no
/// workload.
#[must_use]
pub fn expectation_places(source: &Source) -> Vec<(String, SourcePlace)> {
    let mut sources = Sources::default();
    let index = sources.add(source.clone());
    let Some(root) = yaml::parse(index, &source.text, &mut Mistakes::default()) else { return Vec::new() };
    let NodeKind::Map(entries) = root.kind else { return Vec::new() };
    let expect = entries.into_iter().find(|(key, _)| key.value == "expect").map(|(_, value)| value.kind);
    let Some(NodeKind::Map(expectations)) = expect else { return Vec::new() };
    let place = |(key, value): (yaml::Spanned<String>, yaml::Node)| {
        let texts: Vec<String> = match value.kind {
            NodeKind::Scalar(text) => vec![text],
            NodeKind::List(items) => items.into_iter().filter_map(scalar).collect(),
            NodeKind::Null | NodeKind::Map(_) => Vec::new(),
        };
        let place = sources.locate(key.place);
        texts.into_iter().map(move |text| (format!("{} {}", key.value, text.trim()), place.clone())).collect::<Vec<_>>()
    };
    expectations.into_iter().flat_map(place).collect()
}

fn scalar(node: yaml::Node) -> Option<String> {
    match node.kind {
        NodeKind::Scalar(text) => Some(text),
        NodeKind::Null | NodeKind::List(_) | NodeKind::Map(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_expectation_is_found_at_its_line() {
        let text = "nodes: 5\nexpect:\n  outage.max: < 3s\n  failovers.count: at least 8\n".to_owned();
        let places = expectation_places(&Source { name: "w.yaml".to_owned(), text });
        let place = |line| SourcePlace { file: "w.yaml".to_owned(), line, column: 3 };
        assert_eq!(
            places,
            [("outage.max < 3s".to_owned(), place(3)), ("failovers.count at least 8".to_owned(), place(4))]
        );
    }

    #[test]
    fn each_expected_violation_is_found_under_its_key() {
        let text = "expect:\n  violation: [no-lost-writes, linearizable]\n".to_owned();
        let places = expectation_places(&Source { name: "w.yaml".to_owned(), text });
        let texts: Vec<(&str, usize)> = places.iter().map(|(text, place)| (text.as_str(), place.line)).collect();
        assert_eq!(texts, [("violation no-lost-writes", 2), ("violation linearizable", 2)]);
    }

    #[test]
    fn a_text_without_expectations_has_no_places() {
        for text in ["nodes: 5\n", "expect: [a]\n", "- a\n", ": [", ""] {
            assert!(expectation_places(&Source { name: "w.yaml".to_owned(), text: text.to_owned() }).is_empty());
        }
    }
}
