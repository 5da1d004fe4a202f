//! The drawing of a counterexample, for the page and for the terminal.
//!
//! ```text
//!   n1 · write 9                    1.204s – 1.210s
//!   ▐████①█████▌
//!   n2 · read 7                     1.230s – 1.241s
//!                ▐██████████▌
//! ```
//!
//! A row per operation, its words above its bar, so that nothing depends on how long a bar is: 360 units wide, it is readable
//! on a telephone. True to the order of instants and not to scale. Colours are the style sheet's.

use chaos_check::linear::picture::{Bar, Picture, Place};

use crate::html::svg::{Anchor, Rect, Svg};
use crate::words::{Lines, visible};

/// The drawing's width in its own units.
const WIDTH: f64 = 360.0;
/// Left and right of it.
const MARGIN: f64 = 8.0;
/// The room behind the last instant, for what was never answered.
const TAIL: f64 = 18.0;
/// The height of a row: words, bar, space.
const ROW: f64 = 46.0;
/// Where in a row the words' baseline is, and the bar's top.
const BASELINE: f64 = 15.0;
const BAR_TOP: f64 = 22.0;
const BAR_HEIGHT: f64 = 14.0;
/// A point's radius, and the room that it takes from its neighbours.
const RADIUS: f64 = 7.5;
const POINT_ROOM: f64 = 17.0;

/// The picture for the terminal, without trailing newlines, harmless.
pub(crate) fn to_lines(picture: &Picture, width: usize) -> Vec<String> {
    picture.to_ascii_within(width).lines().map(|line| visible(line, Lines::One)).collect()
}

/// The picture for the page.
pub(crate) fn to_svg(picture: &Picture) -> String {
    let columns = columns(picture);
    let mut svg = Svg::default();
    let height = picture.bars.len() as f64 * ROW + if picture.omitted > 0 { 20.0 } else { 4.0 };
    for x in &columns {
        svg.line("pic-guide", (*x, 2.0), (*x, picture.bars.len() as f64 * ROW));
    }
    for (row, bar) in picture.bars.iter().enumerate() {
        draw(&mut svg, picture, &columns, bar, row as f64 * ROW);
    }
    if picture.omitted > 0 {
        let text = format!("and {} more", picture.omitted);
        svg.text("pic-time", (MARGIN, height - 6.0), Anchor::Start, &text);
    }
    svg.finish(&described(picture), WIDTH, height)
}

/// The picture for those who can't see it.
fn described(picture: &Picture) -> String {
    let bar = |bar: &Bar| {
        let place = match bar.place {
            Place::At { number, .. } => format!("number {number} of the longest legal order"),
            Place::Culprit => "fits nowhere".to_owned(),
            Place::Left => "not in the order".to_owned(),
            Place::Background => "before all that".to_owned(),
        };
        format!("{} {} ({place})", bar.lane, bar.label)
    };
    let bars: Vec<String> = picture.bars.iter().map(bar).collect();
    format!("Operations of the counterexample: {}", bars.join("; "))
}

/// Where each instant is: as much room as its points need, and the rest evenly.
fn columns(picture: &Picture) -> Vec<f64> {
    let gaps = picture.instants.saturating_sub(1).max(1) as f64;
    let points: Vec<f64> = (0..picture.instants).map(|at| picture.points_after(at).len() as f64 * POINT_ROOM).collect();
    let inside: f64 = points.iter().rev().skip(1).sum();
    let rest = ((WIDTH - 2.0 * MARGIN - TAIL - inside) / gaps).max(3.0);
    let mut x = MARGIN;
    let mut columns = Vec::new();
    for points in points {
        columns.push(x);
        x += points + rest;
    }
    // More points than there is room for are drawn closer together.
    let end = columns.last().copied().unwrap_or(MARGIN);
    let scale = ((WIDTH - 2.0 * MARGIN - TAIL) / (end - MARGIN).max(1.0)).min(1.0);
    columns.iter().map(|x| MARGIN + (x - MARGIN) * scale).collect()
}

fn draw(svg: &mut Svg, picture: &Picture, columns: &[f64], bar: &Bar, top: f64) {
    let (class, mark) = match bar.place {
        Place::At { .. } => ("placed", ""),
        Place::Culprit => ("culprit", "✘ "),
        Place::Left => ("left", ""),
        Place::Background => ("background", ""),
    };
    let words = format!("{mark}{} · {}", bar.lane, bar.label);
    let times = format!("{} – {}", bar.asked, bar.answered.as_deref().unwrap_or("?"));
    let title = format!("{words}, {times}");
    let room = (WIDTH - 2.0 * MARGIN - times.chars().count() as f64 * 5.8 - 8.0) / 7.4;
    svg.text(&format!("pic-label {class}"), (MARGIN, top + BASELINE), Anchor::Start, &cut(&words, room));
    svg.text("pic-time", (WIDTH - MARGIN, top + BASELINE), Anchor::End, &times);
    let (x, y) = (columns[bar.begin], top + BAR_TOP);
    let to = bar.end.map_or(WIDTH - MARGIN - TAIL, |end| columns[end]);
    let rect = Rect { x, y, width: (to - x).max(3.0), height: BAR_HEIGHT };
    svg.rounded(&format!("pic-bar {class}"), rect, 3.0, &title);
    if bar.end.is_none() {
        let middle = y + BAR_HEIGHT / 2.0;
        svg.line(&format!("pic-open {class}"), (to, middle), (WIDTH - MARGIN - 8.0, middle));
        svg.text("pic-label", (WIDTH - MARGIN, middle + 4.5), Anchor::End, "?");
    }
    if let Place::At { number, after } = bar.place {
        let from = columns[after];
        let next = columns.get(after + 1).copied().unwrap_or(WIDTH - MARGIN - TAIL);
        let numbers = picture.points_after(after);
        let index = numbers.iter().position(|other| *other == number).unwrap_or_default();
        let x = from + (next - from) * (index as f64 + 0.5) / numbers.len().max(1) as f64;
        let center = (x, y + BAR_HEIGHT / 2.0);
        svg.circle("pic-point", center, RADIUS, &format!("number {number} of the longest legal order"));
        svg.text("pic-number", (x, center.1 + 4.0), Anchor::Middle, &number.to_string());
    }
}

/// A text cut to about so many characters.
fn cut(text: &str, room: f64) -> String {
    let room = (0..200).take_while(|count| f64::from(*count) < room).count().max(8);
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room - 1).chain(['…']).collect()
}
