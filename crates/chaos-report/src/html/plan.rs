//! The plan's own words for a fault, found in the resolved plan by the place that every step of it carries.
//!
//! ```yaml
//!         - kill: leader
//!           for: 3200ms..3700ms
//!           place: "faults/kill-leader.yaml:9:9"
//! ```
//!
//! Quoted from the plan that lies in the run directory, not from the file that the user wrote: that one may have changed since.

use chaos_history::SourcePlace;

/// A step of the resolved plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QuotedStep {
    /// Its first line's number in `plan.yaml`, from 1.
    pub(crate) line: usize,
    /// Its lines, without what they are indented by and without its place.
    pub(crate) lines: Vec<String>,
}

/// More lines than these are not a fault but a block of them.
const LINES_MAX: usize = 8;

/// The step of `plan` that comes from `place`; `None` if the plan has no such step.
pub(crate) fn step(plan: &str, place: &SourcePlace) -> Option<QuotedStep> {
    let wanted = format!("{}:{}:{}", place.file, place.line, place.column);
    let lines: Vec<&str> = plan.lines().collect();
    let is_wanted = |line: &&str| {
        let value = line.trim_start().trim_start_matches("- ").strip_prefix("place:").map(str::trim);
        value.is_some_and(|value| value.trim_matches(['"', '\'']) == wanted)
    };
    let at = lines.iter().position(is_wanted)?;
    // The step's first line is the nearest one above that opens a list's item and is indented less than the place's own key.
    let column = key_column(lines[at]);
    let first = (0..=at).rev().find(|index| opens_item(lines[*index]) && key_column(lines[*index]) == column)?;
    let of_step = |line: &&&str| indent(line) >= column || line.trim().is_empty();
    let rest = lines[first + 1..].iter().take_while(of_step);
    let own = std::iter::once(&lines[first]).chain(rest).filter(|line| !is_wanted(line));
    let dash = indent(lines[first]);
    let quoted = own.take(LINES_MAX).map(|line| line.get(dash..).unwrap_or_default().to_owned());
    Some(QuotedStep { line: first + 1, lines: quoted.collect() })
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn opens_item(line: &str) -> bool {
    line.trim_start().starts_with("- ")
}

/// Where the line's first key stands, behind the dash of a list's item.
fn key_column(line: &str) -> usize {
    indent(line) + if opens_item(line) { 2 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"faults:
  name: kill-leader
  steps:
    - await: { leader: true, within: 10s }
      place: "faults/kill-leader.yaml:6:5"
    - repeat: 10
      place: "faults/kill-leader.yaml:7:5"
      steps:
        - kill: leader
          for: 3200ms..3700ms
          place: "faults/kill-leader.yaml:9:9"
        - wait: 700ms..1300ms
          place: "faults/kill-leader.yaml:12:9"
"#;

    fn quoted(line: usize, column: usize) -> Option<QuotedStep> {
        step(PLAN, &SourcePlace { file: "faults/kill-leader.yaml".to_owned(), line, column })
    }

    #[test]
    fn a_fault_is_quoted_with_its_line_in_the_resolved_plan() {
        let lines = ["- kill: leader", "  for: 3200ms..3700ms"].map(str::to_owned).to_vec();
        assert_eq!(quoted(9, 9), Some(QuotedStep { line: 9, lines }));
    }

    #[test]
    fn the_last_step_and_one_with_steps_of_its_own_are_found_too() {
        assert_eq!(quoted(12, 9).unwrap().lines, ["- wait: 700ms..1300ms"]);
        let repeated = quoted(7, 5).unwrap();
        assert_eq!((repeated.line, repeated.lines[0].as_str()), (6, "- repeat: 10"));
    }

    #[test]
    fn a_place_that_the_plan_does_not_have_is_not_invented() {
        assert_eq!(quoted(9, 8), None);
        assert_eq!(quoted(99, 9), None);
        assert_eq!(step("", &SourcePlace { file: String::new(), line: 1, column: 1 }), None);
    }
}
