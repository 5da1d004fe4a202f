//! A lane per node: colour for the role, the term where there is room, hatching for pauses, a gap where there is no process;
//! and the faults as bands across all lanes.

use chaos_failover::{FaultBand, Lane, LifeState};
use chaos_history::{ElectionRole, FaultKind, Impact, TermsFrom};

use super::axis::Axis;
use super::svg::{Anchor, Rect, Svg};
use crate::words::{duration, role};

/// In which row each fault's label stands, so that labels of concurrent faults don't cover each other.
#[derive(Debug)]
pub(crate) struct FaultRows {
    rows: Vec<usize>,
    count: usize,
}

impl FaultRows {
    pub(crate) fn height(&self, row: f64) -> f64 {
        self.count as f64 * row
    }
}

/// More rows than these are folded onto the last.
const ROWS_MAX: usize = 4;

pub(crate) fn fault_rows(faults: &[FaultBand]) -> FaultRows {
    let mut ends = Vec::new();
    let mut rows = Vec::new();
    for fault in faults {
        let free = ends.iter().position(|end| *end <= fault.span.lo);
        let row = free.unwrap_or(ends.len()).min(ROWS_MAX - 1);
        if row == ends.len() {
            ends.push(fault.span.hi);
        } else {
            ends[row] = ends[row].max(fault.span.hi);
        }
        rows.push(row);
    }
    FaultRows { rows, count: ends.len() }
}

/// The bands behind everything.
pub(crate) fn draw_fault_bands(svg: &mut Svg, axis: &Axis, faults: &[FaultBand], top: f64, bottom: f64) {
    for fault in faults {
        let (x, to) = (axis.at(fault.span.lo), axis.at(fault.span.hi));
        let rect = Rect { x, y: top, width: (to - x).max(1.0), height: bottom - top };
        svg.rect(&format!("band {}", ink(fault.kind)), rect, &title(fault));
    }
}

/// The labels above the lanes.
pub(crate) fn draw_fault_labels(
    svg: &mut Svg,
    axis: &Axis,
    faults: &[FaultBand],
    rows: &FaultRows,
    top: f64,
    row_height: f64,
) {
    for (fault, row) in faults.iter().zip(&rows.rows) {
        let (x, to) = (axis.at(fault.span.lo), axis.at(fault.span.hi));
        let y = top + *row as f64 * row_height;
        let rect = Rect { x, y, width: (to - x).max(2.0), height: row_height - 3.0 };
        svg.rounded(&format!("fault {}", ink(fault.kind)), rect, 2.5, &title(fault));
        let room = to - x - 8.0;
        let shown = fitting(&format!("{} {}", fault.id.0, fault.label), room)
            .or_else(|| fitting(&fault.id.0.to_string(), room + 4.0));
        if let Some(text) = shown {
            svg.text("fault-label", (x + 4.0, y + row_height - 6.5), Anchor::Start, &text);
        }
    }
}

/// The colour of a fault, which tells what it does to its nodes.
pub(crate) fn ink(kind: FaultKind) -> &'static str {
    match kind.impact() {
        Impact::Ends => "kill",
        Impact::Stops => "pause",
        Impact::Spares => "partition",
        Impact::Hinders => "hinder",
    }
}

fn title(fault: &FaultBand) -> String {
    let nodes: Vec<String> = fault.nodes.iter().map(ToString::to_string).collect();
    let (from, lasted) = (fault.span.lo, duration(fault.span.length()));
    format!(
        "fault {}: {} ({}: {}) at {from} for {lasted}",
        fault.id.0,
        fault.label,
        fault.kind.name(),
        nodes.join(", ")
    )
}

/// The text if about 6 units a character fit into `room`.
fn fitting(text: &str, room: f64) -> Option<String> {
    (text.chars().count() as f64 * 5.9 <= room).then(|| text.to_owned())
}

/// One node's lane.
pub(crate) fn draw_lane(svg: &mut Svg, axis: &Axis, lane: &Lane, (top, height): (f64, f64), terms: TermsFrom) {
    let middle = top + height / 2.0;
    svg.text("lane-name", (super::timeline::LEFT - 10.0, middle + 4.0), Anchor::End, &lane.node.to_string());
    svg.line("lane-ground", (super::timeline::LEFT, middle), (super::timeline::RIGHT, middle));
    for segment in &lane.roles {
        let (x, to) = (axis.at(segment.from), axis.at(segment.to));
        let (class, inset) = match segment.role {
            ElectionRole::Leader => ("leader", 0.0),
            ElectionRole::Candidate => ("candidate", 3.0),
            ElectionRole::PreCandidate => ("pre-candidate", 3.0),
            ElectionRole::Follower if segment.leader.is_none() => ("leaderless", 7.5),
            ElectionRole::Follower => ("follower", 7.5),
        };
        let names = segment.leader.map_or("nobody".to_owned(), |leader| leader.to_string());
        let (from, term, role) = (segment.from, segment.term, role(segment.role));
        let title = format!("{}: {role}, {} {term}, names {names}; {from} to {}", lane.node, terms.word(), segment.to);
        let rect = Rect { x, y: top + inset, width: (to - x).max(0.8), height: height - 2.0 * inset };
        svg.rect(class, rect, &title);
        let label = format!("{}{term}", terms.letter());
        if segment.role == ElectionRole::Leader && to - x > label.len() as f64 * 7.0 + 6.0 {
            svg.text("term", (x + 5.0, middle + 4.0), Anchor::Start, &label);
        }
    }
    for life in &lane.life {
        let (x, to) = (axis.at(life.from), axis.at(life.to));
        let width = (to - x).max(1.0);
        let lasted = duration(life.to.since(life.from));
        match life.state {
            LifeState::Down => {
                let rect = Rect { x, y: top - 1.0, width, height: height + 2.0 };
                svg.rect("down", rect, &format!("{}: down for {lasted}", lane.node));
                svg.line("down-line", (x, middle), (x + width, middle));
            }
            LifeState::Paused => {
                let rect = Rect { x, y: top, width, height };
                svg.rect("paused", rect, &format!("{}: paused for {lasted}", lane.node));
            }
            LifeState::Cut => {
                let rect = Rect { x, y: top + 0.5, width, height: height - 1.0 };
                svg.rect("cut", rect, &format!("{}: cut off from a majority for {lasted}", lane.node));
            }
        }
    }
}
