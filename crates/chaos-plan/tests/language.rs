//! The language's own documentation is true: its examples load, and its reference knows every word that a user may write.

use std::io;

use chaos_plan::{Loaded, PlanErrors, Source, load_source, reference, system_reference};

/// The fenced YAML blocks of a Markdown text.
fn yaml_blocks(markdown: &str) -> Vec<String> {
    markdown.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// Loads a workload, or a fault plan under a workload made for it.
fn loaded(yaml: &str) -> Result<Loaded, PlanErrors> {
    let source = |text: &str| Source { name: "example.yaml".to_owned(), text: text.to_owned() };
    if yaml.contains("observers:") {
        let workload = source("system: ./this\nnodes: 3\nfaults: none\n");
        return load_source(workload, &[], &|_| Ok(yaml.to_owned()));
    }
    if yaml.contains("system:") {
        return load_source(source(yaml), &[], &|_| Err(io::ErrorKind::NotFound.into()));
    }
    let workload = source("system: raft\nnodes: 5\nfaults: this\n");
    load_source(workload, &[], &|name| {
        if name == "this" { Ok(yaml.to_owned()) } else { Err(io::ErrorKind::NotFound.into()) }
    })
}

#[test]
fn the_examples_of_the_documentation_load() {
    let blocks = yaml_blocks(include_str!("../src/language.md"));
    assert_eq!(blocks.len(), 4);
    for block in blocks {
        loaded(&block).unwrap_or_else(|errors| panic!("{errors}"));
    }
}

#[test]
fn the_examples_of_the_reference_load() {
    // Examples are indented by two and parted from the rest by empty lines.
    let mut paragraphs = reference().split("\n\n").filter(|paragraph| paragraph.starts_with("  name: "));
    for _ in 0..2 {
        let example = paragraphs.next().expect("two examples");
        let yaml: String =
            example.lines().map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line))).collect();
        loaded(&yaml).unwrap_or_else(|errors| panic!("{errors}"));
    }
}

#[test]
fn the_example_of_the_definitions_reference_loads() {
    let mut paragraphs = system_reference().split("\n\n").filter(|paragraph| paragraph.starts_with("  version: "));
    let example = paragraphs.next().expect("an example");
    let yaml: String = example.lines().map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line))).collect();
    loaded(&yaml).unwrap_or_else(|errors| panic!("{errors}"));
    for word in ["processes", "unix-json-rpc", "acknowledged-writes", "swapped", "voted-for", "retry-for"] {
        assert!(system_reference().contains(&format!("\n  {word}: ")), "{word}");
    }
}

#[test]
fn the_reference_knows_every_word_of_the_largest_example() {
    let everything = include_str!("valid/everything.yaml");
    let words = everything.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).filter(|word| word.len() > 2);
    let keys = words
        .filter(|word| everything.contains(&format!("{word}:")) && word.starts_with(|c: char| c.is_ascii_lowercase()));
    for key in keys.filter(|key| !["p50", "p90", "p99", "min", "max", "total", "count", "term"].contains(key)) {
        assert!(reference().contains(&format!("\n  {key}")), "`{key}` is missing");
    }
}

#[test]
fn the_reference_fits_a_terminal() {
    for line in reference().lines().chain(system_reference().lines()) {
        assert!(line.chars().count() <= 132, "{line}");
    }
}
