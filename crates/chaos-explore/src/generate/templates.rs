//! Hand-written scenarios with drawn times: what takes several steps in the right order, which no random mixture finds.
//!
//! Each is a fault plan beside this file, with two forms that plans don't have: `@(5..60)` is a number drawn from that range
//! by its order of
//! magnitude, `@(kill|pause)` one of the words. Every place draws on its own.

use chaos_plan::{Step, load_source};

use crate::draw::Draws;

/// The least number of nodes that they are for.
const NODES_MIN: usize = 3;

/// All scenarios by name.
const ALL: [(&str, &str); 16] = [
    ("contested", include_str!("templates/contested.yaml")),
    ("crash-on-vote", include_str!("templates/crash-on-vote.yaml")),
    ("wake-together", include_str!("templates/wake-together.yaml")),
    ("kill-during-election", include_str!("templates/kill-during-election.yaml")),
    ("rolling-leaders", include_str!("templates/rolling-leaders.yaml")),
    ("figure-8", include_str!("templates/figure-8.yaml")),
    ("half-open-leader", include_str!("templates/half-open-leader.yaml")),
    ("broken-triangle", include_str!("templates/broken-triangle.yaml")),
    ("promise-breaker", include_str!("templates/promise-breaker.yaml")),
    ("swizzle-clog", include_str!("templates/swizzle-clog.yaml")),
    ("ping-pong", include_str!("templates/ping-pong.yaml")),
    ("bridge", include_str!("templates/bridge.yaml")),
    ("asymmetric-cut", include_str!("templates/asymmetric-cut.yaml")),
    ("pause-past-lease", include_str!("templates/pause-past-lease.yaml")),
    ("late-handover", include_str!("templates/late-handover.yaml")),
    ("split", include_str!("templates/split.yaml")),
];

/// A scenario for a cluster of so many nodes, with its name; nothing if the drawn one does not fit.
pub(super) fn draw(nodes: usize, draws: &mut Draws) -> Option<(&'static str, Vec<Step>)> {
    let (name, text) = draws.one_of(&ALL);
    if nodes < NODES_MIN {
        return None;
    }
    Some((name, read(&filled(text, draws), nodes)?))
}

fn read(text: &str, nodes: usize) -> Option<Vec<Step>> {
    let workload = format!("name: template\nsystem: raft\nnodes: {nodes}\nlimit: 10min\nfaults: template.yaml\n");
    let source = chaos_plan::Source { name: "workload.yaml".to_owned(), text: workload };
    let given = |name: &str| match name {
        "template.yaml" => Ok(text.to_owned()),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    Some(load_source(source, &[], &given).ok()?.workload.faults.steps)
}

/// The text with everything in `@(…)` drawn.
fn filled(text: &str, draws: &mut Draws) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("@(") {
        let Some((form, after)) = after.split_once(')') else { break };
        filled.push_str(before);
        match form.split_once("..").map(|(low, high)| (low.parse(), high.parse())) {
            Some((Ok(low), Ok(high))) => {
                filled.push_str(&draws.millis_by_magnitude(low, high).as_millis().to_string());
            }
            Some(_) | None => {
                let words: Vec<&str> = form.split('|').collect();
                filled.push_str(draws.one_of(&words));
            }
        }
        rest = after;
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use chaos_history::Seed;

    use super::*;

    #[test]
    fn every_template_is_a_plan_whatever_is_drawn() {
        for (name, text) in ALL {
            assert!(text.starts_with('#'), "{name} says where it comes from");
            for seed in 0..40 {
                let mut draws = Draws::of(Seed(seed), name);
                let text = filled(text, &mut draws);
                assert!(!text.contains("@("), "{name}: {text}");
                for nodes in [NODES_MIN, 5] {
                    let steps = read(&text, nodes);
                    assert!(steps.is_some_and(|steps| steps.len() > 1), "{name} with {nodes} nodes:\n{text}");
                }
            }
        }
    }

    #[test]
    fn forms_are_drawn_from_what_they_say() {
        for seed in 0..200 {
            let text = filled("a @(3..5) @(x|y) b", &mut Draws::of(Seed(seed), ""));
            let words: Vec<&str> = text.split(' ').collect();
            assert!(["3", "4", "5"].contains(&words[1]) && ["x", "y"].contains(&words[2]), "{text}");
        }
    }
}
