//! One picture of a run in a terminal: a line per node, then what the plan does, then what clients got.
//!
//! ```text
//! n1  leader         term 4
//! n2  follower       term 4  follows n1
//! n3  follower       term 3  [cut off] follows n2
//! n4  –                      [killed]
//! 5 of 15 faults over · isolate leader · 4,812 ok, 12 failed, 3 unknown
//! ```
//!
//! Pure: values in, lines out. No line is longer than the terminal is wide; what matters most stands left, so that a narrow one
//! loses the least. Colours repeat what the words say and are never the only sign.

use chaos_engine::{NodeState, NodeStatus, Progress};
use chaos_history::{ElectionRole, NodeId, TermsFrom};
use console::Style;

/// Lines that a picture needs beside those of the nodes, the bar included.
const OTHER_LINES: usize = 3;

/// Where a picture goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Canvas {
    /// Columns.
    pub(crate) width: usize,
    /// Rows.
    pub(crate) height: usize,
    /// Whether colours may be used.
    pub(crate) color: bool,
    /// What the numbers of leaderships are.
    pub(crate) terms: TermsFrom,
}

/// The picture's lines. Without a row for every node there is none for any: the leader is then named in the first line.
pub(crate) fn lines(nodes: &[NodeStatus], progress: &Progress, canvas: Canvas) -> Vec<String> {
    let fits = nodes.len() + OTHER_LINES <= canvas.height;
    let mut lines: Vec<String> = Vec::new();
    if fits {
        let digits = nodes.iter().filter_map(|node| node.belief).map(|belief| belief.term.to_string().len()).max();
        lines.extend(nodes.iter().map(|node| row(node, nodes, digits.unwrap_or(1), canvas)));
    }
    let word = canvas.terms.word();
    let leader = match progress.leader {
        Some((node, term)) if fits => format!("a majority names {node} in {word} {term}"),
        Some((node, term)) => format!("{node} leads {word} {term}"),
        None => "no leader".to_owned(),
    };
    lines.push(cut(&format!("{leader} · {}", doing(progress)), canvas.width));
    let (faults, counts) = (faults(progress), &progress.operations);
    let clients = format!("{} ok, {} failed, {} unknown", counts.ok, counts.fail, counts.info);
    lines.push(cut(&format!("{faults} · {clients}"), canvas.width));
    lines
}

/// How far the plan is: `5 of 15 faults over`.
pub(crate) fn faults(progress: &Progress) -> String {
    match progress.faults_total {
        Some(total) => format!("{} of {total} faults over", progress.faults_done),
        None => format!("{} faults over", progress.faults_done),
    }
}

/// What is broken, or what is waited for.
fn doing(progress: &Progress) -> String {
    match (progress.active_faults.is_empty(), progress.waiting_for.is_empty()) {
        (false, _) => progress.active_faults.join(", "),
        (true, false) => format!("waiting for {}", progress.waiting_for),
        (true, true) => "running".to_owned(),
    }
}

fn row(status: &NodeStatus, nodes: &[NodeStatus], digits: usize, canvas: Canvas) -> String {
    let belief = status.belief.filter(|_| status.state == NodeState::Up || status.state == NodeState::Paused);
    let (role, ink) = match belief.map(|belief| belief.role) {
        Some(ElectionRole::Leader) => ("leader", Style::new().green().bold()),
        Some(ElectionRole::Candidate) => ("candidate", Style::new().yellow()),
        Some(ElectionRole::PreCandidate) => ("pre-candidate", Style::new().yellow()),
        Some(ElectionRole::Follower) => ("follower", Style::new()),
        None => ("–", Style::new().dim()),
    };
    let word = canvas.terms.word();
    let term = match belief {
        Some(belief) => format!("{word} {:>digits$}", belief.term),
        None => " ".repeat(word.len() + 1 + digits),
    };
    let badge = badge(status, nodes);
    let follows = match belief {
        Some(belief) if belief.leader == Some(status.node) => String::new(),
        Some(belief) => match belief.leader {
            Some(leader) => format!("follows {leader}"),
            None => "knows no leader".to_owned(),
        },
        None => String::new(),
    };
    let paint = |style: Style, text: &str| {
        if canvas.color { style.force_styling(true).apply_to(text).to_string() } else { text.to_owned() }
    };
    let name = format!("{:<3}", status.node.to_string());
    let role = paint(ink, &format!("{role:<13}"));
    let gap = if badge.is_empty() || follows.is_empty() { "" } else { " " };
    let badge = paint(Style::new().red().bold(), &badge);
    cut(&format!("{name} {role}  {term}  {badge}{gap}{follows}"), canvas.width)
}

/// What a fault does to the node, or that it is gone. That it misses a node which is cut off from everybody stands at that one.
fn badge(status: &NodeStatus, nodes: &[NodeStatus]) -> String {
    let state = match status.state {
        NodeState::Up => None,
        NodeState::Paused => Some("[paused]".to_owned()),
        NodeState::Killed => Some("[killed]".to_owned()),
        NodeState::Ended => Some("[ended]".to_owned()),
    };
    let is_cut_off = |status: &NodeStatus| nodes.len() > 2 && status.cut_from.len() + 1 == nodes.len();
    let here = |from: &&NodeId| !nodes.iter().any(|other| other.node == **from && is_cut_off(other));
    let from: Vec<String> = status.cut_from.iter().filter(here).map(ToString::to_string).collect();
    let cut = if is_cut_off(status) {
        Some("[cut off]".to_owned())
    } else {
        (!from.is_empty()).then(|| format!("[cut from {}]", from.join(" ")))
    };
    [state, cut].into_iter().flatten().collect::<Vec<String>>().join(" ")
}

/// At most so many columns, one less than the terminal has: some wrap when the last one is written.
fn cut(line: &str, width: usize) -> String {
    console::truncate_str(line.trim_end(), width.saturating_sub(1).max(1), "…").into_owned()
}

#[cfg(test)]
mod tests {
    use chaos_engine::{Counts, NodeBelief, Phase};
    use chaos_history::Term;

    use super::*;

    fn status(number: u16, state: NodeState, role: ElectionRole, leader: u16, cut_from: &[u16]) -> NodeStatus {
        let belief = NodeBelief { role, term: Term(4), leader: Some(NodeId::new(leader)) };
        let cut_from = cut_from.iter().copied().map(NodeId::new).collect();
        NodeStatus { node: NodeId::new(number), state, cut_from, belief: Some(belief) }
    }

    fn progress() -> Progress {
        Progress {
            phase: Phase::Faults,
            leader: Some((NodeId::new(1), Term(4))),
            faults_done: 5,
            faults_total: Some(15),
            active_faults: vec!["isolate leader".to_owned()],
            operations: Counts { ok: 4812, fail: 12, info: 3, ..Counts::default() },
            operations_waiting: 0,
            waiting_for: String::new(),
            fraction: 0.3,
        }
    }

    fn cluster() -> Vec<NodeStatus> {
        vec![
            status(1, NodeState::Up, ElectionRole::Leader, 1, &[2, 3]),
            status(2, NodeState::Paused, ElectionRole::Follower, 1, &[1, 3]),
            status(3, NodeState::Up, ElectionRole::Follower, 1, &[1, 2, 4]),
            status(4, NodeState::Killed, ElectionRole::Follower, 1, &[3]),
        ]
    }

    const WIDE: Canvas = Canvas { width: 100, height: 30, color: false, terms: TermsFrom::System };

    #[test]
    fn every_node_has_a_line_that_says_in_words_what_colours_would() {
        let lines = lines(&cluster(), &progress(), WIDE);
        let expected = [
            "n1  leader         term 4  [cut from n2]",
            "n2  follower       term 4  [paused] [cut from n1] follows n1",
            "n3  follower       term 4  [cut off] follows n1",
            "n4  –                      [killed]",
            "a majority names n1 in term 4 · isolate leader",
            "5 of 15 faults over · 4812 ok, 12 failed, 3 unknown",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn no_line_is_longer_than_the_terminal_is_wide_with_or_without_colours() {
        for color in [false, true] {
            for width in [1, 20, 37, 60] {
                for line in lines(&cluster(), &progress(), Canvas { width, color, ..WIDE }) {
                    assert!(console::measure_text_width(&line) <= width, "{width}: {line}");
                }
            }
        }
        let narrow = lines(&cluster(), &progress(), Canvas { width: 38, ..WIDE });
        assert_eq!(narrow[2], "n3  follower       term 4  [cut off]…");
    }

    #[test]
    fn a_terminal_without_room_for_every_node_shows_the_summary_alone() {
        let lines = lines(&cluster(), &progress(), Canvas { height: 6, ..WIDE });
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("n1 leads term 4"), "{lines:?}");
    }

    #[test]
    fn colours_are_left_out_on_request() {
        assert!(lines(&cluster(), &progress(), WIDE).iter().all(|line| !line.contains('\u{1b}')));
        assert!(
            lines(&cluster(), &progress(), Canvas { color: true, ..WIDE }).iter().any(|line| line.contains('\u{1b}'))
        );
    }
}
