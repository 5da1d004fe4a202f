//! A workload as a person would write it: what holds anyway is left out.
//!
//! [`resolved_yaml`](chaos_plan::resolved_yaml) writes every default and every step's place, as the record of a run should. Here each
//! line of it is left out without which the text reads back to the same workload, so that what is left is what matters. The places of
//! steps are then those of the new text.

use chaos_plan::{Step, Workload, load_source, resolved_yaml};

/// How often a text may be read while lines of it are tried; a plan of ordinary length needs a tenth.
const READS_MAX: usize = 600;

/// Writes the workload, without what would hold anyway. Reads back to an equal one but for the places of its steps.
#[must_use]
pub fn readable_yaml(workload: &Workload) -> String {
    let wanted = placeless(workload.clone());
    let full = resolved_yaml(workload);
    let same = |lines: &[&str]| read(&lines.join("\n")).is_some_and(|read| read == wanted);
    let mut lines: Vec<&str> = full.lines().filter(|line| !line.trim_start().starts_with("place: \"")).collect();
    if !same(&lines) {
        // A definition's text may hold such a line too: then the whole record it is.
        return full;
    }
    let (mut index, mut reads) = (0, 0);
    while index < lines.len() && reads < READS_MAX {
        let line = lines[index];
        let says_more =
            line.trim_start().starts_with("- ") || line.starts_with("faults:") || line.starts_with("checks:");
        if !says_more {
            let mut fewer = lines.clone();
            fewer.remove(index);
            reads += 1;
            if same(&fewer) {
                lines = fewer;
                continue;
            }
        }
        index += 1;
    }
    let text = shorter(&lines.join("\n")) + "\n";
    if read(&text).is_some_and(|read| read == wanted) { text } else { lines.join("\n") + "\n" }
}

/// Forms that say the same in fewer words.
fn shorter(text: &str) -> String {
    let mut text = text.replace("await: { leader: true, within: 10s }", "await: leader");
    text = text.replace("restart: all", "restart").replace("resume: all", "resume").replace("heal: all", "heal");
    for (long, short) in [("system:\n  raft:\n", "system: raft\n"), ("- register:\n", "- register\n")] {
        text = match text.split_once(long) {
            // Where nothing deeper follows.
            Some((before, after)) if !after.starts_with("    ") => format!("{before}{short}{after}"),
            Some(_) | None => text,
        };
    }
    text
}

fn read(text: &str) -> Option<Workload> {
    let nothing = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let source = chaos_plan::Source { name: "plan.yaml".to_owned(), text: text.to_owned() };
    Some(placeless(load_source(source, &[], &nothing).ok()?.workload))
}

/// The workload with all steps at one place, for comparing.
#[must_use]
pub fn placeless(mut workload: Workload) -> Workload {
    fn clear(steps: &mut [Step]) {
        for step in steps {
            step.place = chaos_history::SourcePlace { file: "-".to_owned(), line: 1, column: 1 };
            step.action.nested_mut().into_iter().for_each(clear);
        }
    }
    clear(&mut workload.faults.steps);
    workload
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(text: &str) -> Workload {
        let nothing = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        let source = chaos_plan::Source { name: "x.yaml".to_owned(), text: text.to_owned() };
        load_source(source, &[], &nothing).unwrap_or_else(|errors| panic!("{errors}")).workload
    }

    #[test]
    fn what_holds_anyway_is_left_out() {
        let text = "\
name: x
about: something
system:
  raft:
    pre-vote: false
nodes: 3
checks:
  - election-safety
faults:
  name: z
  steps:
    - await: leader
    - kill: leader
    - wait: 50ms
    - restart
";
        assert_eq!(readable_yaml(&loaded(text)), text.replace("checks:", "clients:\n  - register\nchecks:"));
    }

    #[test]
    fn the_sound_node_is_named_in_a_word() {
        let text = "name: x\nsystem: raft\nnodes: 3\nfaults: none\n";
        let written = readable_yaml(&loaded(text));
        assert!(written.contains("system: raft\n"), "{written}");
        assert_eq!(placeless(loaded(&written)), placeless(loaded(text)));
    }
}
