//! The league as GitHub's Markdown. All foreign words go through [`cell`](crate::set::cell), so that none can leave its row.

use std::fmt::Write;

use super::table::{self, LEGEND, Table};
use super::{League, claims};
use crate::set::cell;

pub(super) fn render(league: &League) -> String {
    let mut out = String::from("# League: the same faults over many systems\n\n");
    let facts: Vec<String> = league.facts.iter().map(|(name, value)| format!("{name} {}", cell(value))).collect();
    let _ = writeln!(out, "{}\n", facts.join(" · "));
    for (name, meaning) in LEGEND {
        let _ = writeln!(out, "- **{name}**: {meaning}");
    }
    for section in &league.sections {
        let _ = writeln!(out, "\n## {}\n", cell(&section.fault));
        if !section.about.is_empty() {
            let _ = writeln!(out, "{}\n", cell(&section.about));
        }
        write_table(&table::figures(section), &mut out);
        out.push_str("\n### Versions and settings\n\n");
        write_table(&table::tested(section), &mut out);
    }
    out.push_str("\n## What texts claim, and what was measured\n\n");
    write_table(&claims::table(league), &mut out);
    out
}

fn write_table(table: &Table, out: &mut String) {
    let _ = writeln!(out, "| {} |", table.headings.join(" | "));
    let _ = writeln!(out, "|{}", "---|".repeat(table.headings.len()));
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    for (mark, words) in &table.footnotes {
        let _ = writeln!(out, "\n{mark} {words}");
    }
}
