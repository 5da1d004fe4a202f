//! A picture as text of at most a hundred columns.
//!
//! ```text
//!    1 n1 ├─write 9─┤                10 – 20
//!    ✘ n2              ├─read 7─┤    30 – 40
//!   order   1
//! ```
//!
//! `1` is the first of the longest partial order, `✘` the answer that can't be placed; `?` ends what was never answered. The
//! last line shows at which instants the numbered operations take effect.

use std::fmt::Write;

use super::{Bar, Picture, Place};

/// The widest line.
const WIDTH: usize = 100;
/// The widest name of a lane.
const LANE: usize = 14;
/// The widest label.
const LABEL: usize = 28;
/// Columns behind the last instant, for what was never answered.
const TAIL: usize = 4;
/// The narrowest drawing, however long the words beside it are.
const DRAWING_MIN: usize = 24;

impl Picture {
    /// The picture as lines of text of at most 100 columns; ends with a newline.
    #[must_use]
    pub fn to_ascii(&self) -> String {
        self.to_ascii_within(WIDTH)
    }

    /// The picture as lines of text of at most `width` columns, or of as many as names, times and a small drawing need.
    #[must_use]
    pub fn to_ascii_within(&self, width: usize) -> String {
        let lanes = self.bars.iter().map(|bar| short(&bar.lane, LANE).chars().count()).max().unwrap_or(0);
        let beside = self.bars.iter().map(|bar| times(bar).chars().count()).max().unwrap_or(0);
        let lead = lanes + 6;
        let room = width.saturating_sub(lead + beside + 2).max(DRAWING_MIN);
        let columns = self.columns(room);
        let width = columns.last().map_or(0, |last| last + TAIL);
        let mut text = String::new();
        let mut lane_before = "";
        for bar in &self.bars {
            // Nobody has to look for the owner of the answer that fits nowhere.
            let above = lane_before == bar.lane && bar.place != Place::Culprit;
            let lane = if above { String::new() } else { short(&bar.lane, LANE) };
            lane_before = &bar.lane;
            let (drawn, inside) = drawn(bar, &columns, width);
            let label = if inside { String::new() } else { format!("  {}", short(&bar.label, LABEL)) };
            let line = format!(" {:>3} {lane:<lanes$} {drawn}  {}{label}", mark(bar), times(bar));
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let points = self.points(&columns, width);
        if !points.trim().is_empty() {
            let _ = writeln!(text, "{:<lead$}{}", "order", points.trim_end());
        }
        if self.omitted > 0 {
            let _ = writeln!(text, "{:lead$}and {} more", "", self.omitted);
        }
        text
    }

    /// The column of each instant: room for the points first, then for the labels of the bars that end first.
    fn columns(&self, room: usize) -> Vec<usize> {
        let points: Vec<usize> = (0..self.instants).map(|instant| self.points_after(instant).len()).collect();
        let mut gaps: Vec<usize> = points.iter().map(|points| 1 + 2 * points).collect();
        let total = |gaps: &[usize]| gaps.iter().sum::<usize>() + TAIL;
        if total(&gaps) > room {
            gaps.iter_mut().zip(&points).for_each(|(gap, points)| *gap = 1 + points);
        }
        let mut bars: Vec<&Bar> = self.bars.iter().collect();
        bars.sort_by_key(|bar| bar.end.unwrap_or(self.instants));
        for bar in bars {
            let end = bar.end.unwrap_or(self.instants);
            let has: usize = gaps[bar.begin..end].iter().sum();
            let needs = short(&bar.label, LABEL).chars().count() + 5;
            let lacks = needs.saturating_sub(has);
            if total(&gaps) + lacks <= room {
                gaps[end - 1] += lacks;
            }
        }
        let mut column = 0;
        gaps.iter()
            .map(|gap| {
                let here = column;
                column += gap;
                here
            })
            .collect()
    }

    /// The line of numbers.
    fn points(&self, columns: &[usize], width: usize) -> String {
        let mut line = vec![' '; width + 2];
        for (instant, &from) in columns.iter().enumerate() {
            let to = columns.get(instant + 1).copied().unwrap_or(width);
            let numbers = self.points_after(instant);
            for (index, number) in numbers.iter().enumerate() {
                let at = from + 1 + index * (to - from).saturating_sub(1) / numbers.len();
                for (offset, digit) in number.to_string().chars().enumerate() {
                    line[(at + offset).min(width + 1)] = digit;
                }
            }
        }
        line.into_iter().collect()
    }
}

/// A bar in its columns, padded to `width`, and whether its label is in it.
fn drawn(bar: &Bar, columns: &[usize], width: usize) -> (String, bool) {
    let from = columns[bar.begin];
    let to = bar.end.map_or(width.saturating_sub(1), |end| columns[end]);
    let mut line: Vec<char> = vec![' '; width.max(to + 1)];
    let dash = if bar.place == Place::Background { '┄' } else { '─' };
    line[from..=to].fill(dash);
    line[from] = '├';
    line[to] = if bar.end.is_some() { '┤' } else { '?' };
    let label = short(&bar.label, LABEL);
    let inside = to - from > label.chars().count() + 2;
    if inside {
        let begin = from + 1 + (to - from - 1 - label.chars().count()) / 2;
        line.splice(begin..begin + label.chars().count(), label.chars());
    }
    (line.into_iter().collect(), inside)
}

fn mark(bar: &Bar) -> String {
    match bar.place {
        Place::At { number, .. } => number.to_string(),
        Place::Culprit => "✘".to_owned(),
        Place::Left => "·".to_owned(),
        Place::Background => String::new(),
    }
}

fn times(bar: &Bar) -> String {
    format!("{} – {}", bar.asked, bar.answered.as_deref().unwrap_or("?"))
}

/// A text cut to so many characters, harmless to a terminal.
fn short(text: &str, most: usize) -> String {
    let plain = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    if text.chars().count() <= most {
        return text.chars().map(plain).collect();
    }
    text.chars().take(most - 1).map(plain).chain(['…']).collect()
}
