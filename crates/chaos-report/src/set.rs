//! Several runs of one workload, each with a seed of its own, and what they say together: `chaos.set/1`.
//!
//! ```json
//! {"schema":"chaos.set/1","chaos":"0.1.0","workload":"kill","system":"raft","nodes":5,"seed":7,"asked":20,"ended":"complete",
//!  "verdict":"pass","exit_code":0,"runs":[{"number":1,"directory":"001","seed":7,"exit_code":0,"sentence":"…","failovers":10}],
//!  "distributions":[…],"floor":{…},"failovers":200,"never_elected":0,"outage_max_ns":612000000}
//! ```
//!
//! Repeats are statistics, not retries: the verdict of a set is its worst run's. One violation in fifty runs is a violation, and
//! a set that was ended early is unknown at best. The file is `set.json`, beside the run directories that it names; it is written
//! anew after every run, so that whatever ends the set, what was done is there.

use std::fmt::Write as _;
use std::time::Duration;

use chaos_failover::{Distribution, Failover, Floor, PhaseOutcome, distributions};
use chaos_history::Seed;
use serde::{Deserialize, Serialize};

use crate::ReportError;
use crate::model::{Report, Verdict};
use crate::words::{Lines, count, duration, visible};

/// The format's name and version.
pub const SET_SCHEMA: &str = "chaos.set/1";

/// Several runs of one workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSet {
    /// [`SET_SCHEMA`].
    pub schema: String,
    /// The version of chaos that ran it.
    pub chaos: String,
    /// The workload's name.
    pub workload: String,
    /// The system under test.
    pub system: String,
    /// How many nodes.
    pub nodes: usize,
    /// The first run's seed, from which the others' are derived.
    pub seed: Seed,
    /// Wall time of the start, RFC 3339.
    pub started: String,
    /// How many runs were asked for.
    pub asked: usize,
    /// Why there are no more runs.
    pub ended: SetEnd,
    /// The worst verdict.
    pub verdict: Verdict,
    /// The exit code: 1 if any run violated safety, 255 or 254 if any could not be judged, else 2, 3 or 0 by the verdict.
    pub exit_code: u8,
    /// The runs, in order.
    pub runs: Vec<SetRun>,
    /// One distribution per kind and phase over the failovers of all runs.
    pub distributions: Vec<Distribution>,
    /// What the system's own timeouts allow.
    pub floor: Option<Floor>,
    /// How many failovers in all.
    pub failovers: u64,
    /// In how many of them nobody was elected.
    pub never_elected: u64,
    /// The longest time without service of any run, in nanoseconds.
    pub outage_max_ns: Option<u64>,
}

/// One run of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRun {
    /// From 1.
    pub number: usize,
    /// Its run directory, inside of the set's.
    pub directory: String,
    /// Its seed.
    pub seed: Seed,
    /// How it ended.
    pub exit_code: u8,
    /// Its verdict in a sentence, or why it has none.
    pub sentence: String,
    /// How many failovers it had.
    pub failovers: u64,
    /// Whether it showed the violation that its plan expects.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub as_expected: bool,
}

/// Why a set has no more runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetEnd {
    /// There are more to come, or the harness was killed.
    Running,
    /// All were run.
    Complete,
    /// One violated safety.
    Violation,
    /// One could not be run.
    Broken,
    /// Somebody asked for the end.
    Interrupted,
}

/// What a set is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetFacts {
    /// The workload's name.
    pub workload: String,
    /// The system under test.
    pub system: String,
    /// How many nodes.
    pub nodes: usize,
    /// The first run's seed.
    pub seed: Seed,
    /// Wall time of the start, RFC 3339.
    pub started: String,
    /// How many runs are asked for.
    pub asked: usize,
}

impl RunSet {
    /// A set without runs, which says nothing yet.
    #[must_use]
    pub fn new(facts: SetFacts) -> Self {
        let SetFacts { workload, system, nodes, seed, started, asked } = facts;
        Self {
            schema: SET_SCHEMA.to_owned(),
            chaos: env!("CARGO_PKG_VERSION").to_owned(),
            workload,
            system,
            nodes,
            seed,
            started,
            asked,
            ended: SetEnd::Running,
            verdict: Verdict::Unknown,
            exit_code: 2,
            runs: Vec::new(),
            distributions: Vec::new(),
            floor: None,
            failovers: 0,
            never_elected: 0,
            outage_max_ns: None,
        }
    }

    /// Takes in a run: its report, if it got as far as one.
    pub fn add(&mut self, mut run: SetRun, report: Option<&Report>, pooled: &mut Vec<Failover>) {
        if let Some(report) = report {
            let measured = &report.measured;
            run.as_expected = report.verdict == Verdict::AsExpected;
            pooled.extend(measured.failovers.iter().cloned());
            self.floor = self.floor.or(measured.floor);
            let outage = measured.outage_max().map(|longest| u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX));
            self.outage_max_ns = self.outage_max_ns.max(outage);
        }
        self.runs.push(run);
        self.runs.sort_by_key(|run| run.number);
        self.failovers = pooled.len() as u64;
        let nobody = |failover: &&Failover| matches!(failover.phases.elected, PhaseOutcome::NotReached(_));
        self.never_elected = pooled.iter().filter(nobody).count() as u64;
        self.distributions = distributions(&pooled.iter().collect::<Vec<_>>());
        self.judge();
    }

    /// Says why there are no more runs.
    pub fn end(&mut self, ended: SetEnd) {
        self.ended = ended;
        self.judge();
    }

    fn judge(&mut self) {
        let short = match self.ended {
            SetEnd::Complete | SetEnd::Violation => false,
            SetEnd::Running | SetEnd::Broken | SetEnd::Interrupted => true,
        };
        // A set without its last runs is half a set: what they would have shown might have failed.
        let whole = if short || self.runs.is_empty() { 2 } else { 0 };
        self.exit_code = self.runs.iter().map(|run| run.exit_code).fold(whole, worse);
        self.verdict = match self.exit_code {
            0 if self.runs.iter().any(|run| run.as_expected) => Verdict::AsExpected,
            0 => Verdict::Pass,
            1 => Verdict::Fail,
            3 => Verdict::Missed,
            _ => Verdict::Unknown,
        };
    }

    /// For programs, indented, with a newline at its end.
    ///
    /// # Errors
    /// If a value can't be written, which none of these types should cause.
    pub fn to_json(&self) -> Result<String, ReportError> {
        let mut json = serde_json::to_string_pretty(self)?;
        json.push('\n');
        Ok(json)
    }

    /// `3 of 20 runs violated safety.`
    #[must_use]
    pub fn sentence(&self) -> String {
        let with = |code: u8| self.runs.iter().filter(|run| run.exit_code == code).count();
        let runs = count(self.runs.len() as u64, "run");
        let mut sentence = match self.verdict {
            Verdict::Pass => format!("Every check holds in {runs}."),
            Verdict::AsExpected => {
                let shown = self.runs.iter().filter(|run| run.as_expected).count();
                format!("{shown} of {runs} violated what the plan expects to be violated, and nothing else.")
            }
            Verdict::Fail => format!("{} of {runs} violated safety.", with(1)),
            Verdict::Missed => format!("Every check holds in {runs}, but {} missed an expectation.", with(3)),
            Verdict::Unknown => {
                let unknown = self.runs.iter().filter(|run| !matches!(run.exit_code, 0 | 1 | 3)).count();
                if unknown == 0 { format!("{runs} so far.") } else { format!("{unknown} of {runs} can't be judged.") }
            }
        };
        let left = self.asked.saturating_sub(self.runs.len());
        let why = match self.ended {
            SetEnd::Complete => None,
            SetEnd::Running => Some("the set has no end"),
            SetEnd::Violation => Some("it ended at the violation"),
            SetEnd::Broken => Some("it ended at a run that could not be judged"),
            SetEnd::Interrupted => Some("it was interrupted"),
        };
        if let Some(why) = why.filter(|_| left > 0) {
            sentence.push_str(&format!(" {} of {} not run: {why}.", count(left as u64, "run"), self.asked));
        }
        sentence
    }

    /// The last lines of a set in a terminal.
    #[must_use]
    pub fn to_terminal(&self) -> String {
        let mut out = String::new();
        let shown = |text: &str| visible(text, Lines::One);
        let facts = format!(
            "{} × {} · {}, {} · first seed {}",
            self.runs.len(),
            shown(&self.workload),
            shown(&self.system),
            count(self.nodes as u64, "node"),
            self.seed
        );
        let _ = writeln!(out, "{}  {facts}\n  {}", self.verdict.word(), self.sentence());
        for run in self.runs.iter().filter(|run| run.exit_code != 0) {
            let (directory, sentence) = (&run.directory, shown(&run.sentence));
            let _ = writeln!(out, "  run {directory}    exit {}, seed {}: {sentence}", run.exit_code, run.seed);
        }
        for row in self.table() {
            let [name, n, p50, p90, p99, max, floor] = row;
            let line = format!("  {name:<22}{n:>7}{p50:>9}{p90:>9}{p99:>9}{max:>9}{floor:>9}");
            let _ = writeln!(out, "{}", line.trim_end());
        }
        if self.never_elected > 0 {
            let (never, all) = (self.never_elected, count(self.failovers, "failover"));
            let _ = writeln!(out, "  nobody was elected in {never} of {all}");
        }
        if let Some(longest) = self.outage_max_ns {
            let _ = writeln!(out, "  longest outage {}", duration(Duration::from_nanos(longest)));
        }
        out
    }

    /// The same for a page: GitHub's Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut out = format!("### {} · {} × {}\n\n", self.verdict.word(), self.runs.len(), cell(&self.workload));
        let _ = writeln!(out, "{}\n", cell(&self.sentence()));
        for (index, row) in self.table().iter().enumerate() {
            let _ = writeln!(out, "| {} |", row.join(" | "));
            if index == 0 {
                out.push_str("|---|--:|--:|--:|--:|--:|--:|\n");
            }
        }
        out.push_str("\n| run | seed | exit | failovers | |\n|---|--:|--:|--:|---|\n");
        for run in &self.runs {
            let (directory, sentence) = (&run.directory, cell(&run.sentence));
            let _ =
                writeln!(out, "| {directory} | {} | {} | {} | {sentence} |", run.seed, run.exit_code, run.failovers);
        }
        out
    }

    /// The pooled distributions: a head, then a row for each.
    fn table(&self) -> Vec<[String; 7]> {
        if self.distributions.is_empty() {
            return Vec::new();
        }
        let or_dash = |value: Option<Duration>| value.map_or("–".to_owned(), duration);
        let mut rows = vec![["failover", "n", "p50", "p90", "p99", "max", "floor"].map(str::to_owned)];
        for row in &self.distributions {
            let figures = row.figures;
            let floor =
                self.floor.as_ref().and_then(|floor| floor.of_failovers(row.kind, row.phase)).map(|floor| floor.min);
            rows.push([
                format!("{} {}", row.kind.name(), row.phase.name()),
                figures.n.to_string(),
                or_dash(figures.p50),
                or_dash(figures.p90),
                or_dash(figures.p99),
                duration(figures.max),
                or_dash(floor),
            ]);
        }
        rows
    }
}

/// The exit code of two runs together: a violation is one whatever else went wrong, then what could not be judged at all.
#[must_use]
pub fn worse(a: u8, b: u8) -> u8 {
    let rank = |code: u8| match code {
        1 => u16::MAX,
        2 => 4,
        other => other.into(),
    };
    if rank(a) >= rank(b) { a } else { b }
}

/// Foreign text inside of a Markdown table: one line, nothing that Markdown or HTML would act upon.
pub(crate) fn cell(text: &str) -> String {
    let mut shown = String::new();
    for character in visible(text, Lines::One).chars() {
        match character {
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '&' => shown.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '!' | '~' | '#' | '@' => {
                shown.push('\\');
                shown.push(character);
            }
            other => shown.push(other),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(asked: usize) -> RunSet {
        RunSet::new(SetFacts {
            workload: "kill".to_owned(),
            system: "raft".to_owned(),
            nodes: 5,
            seed: Seed(7),
            started: "2026-01-01T00:00:00Z".to_owned(),
            asked,
        })
    }

    fn judged(codes: &[u8], asked: usize, ended: SetEnd) -> RunSet {
        let mut set = set(asked);
        let mut pooled = Vec::new();
        for (index, exit_code) in codes.iter().enumerate() {
            let directory = format!("{:03}", index + 1);
            let sentence = "so | it <ends>".to_owned();
            let run = SetRun {
                number: index + 1,
                directory,
                seed: Seed(7),
                exit_code: *exit_code,
                sentence,
                failovers: 0,
                as_expected: false,
            };
            set.add(run, None, &mut pooled);
        }
        set.end(ended);
        set
    }

    #[test]
    fn the_worst_run_is_the_sets_verdict() {
        for (codes, expected) in
            [(&[0, 0, 0][..], 0), (&[0, 3, 0], 3), (&[0, 3, 2], 2), (&[0, 1, 255], 1), (&[255, 2], 255)]
        {
            assert_eq!(judged(codes, codes.len(), SetEnd::Complete).exit_code, expected, "{codes:?}");
        }
        assert_eq!(judged(&[0, 1], 2, SetEnd::Complete).verdict, Verdict::Fail);
    }

    #[test]
    fn half_a_set_is_unknown_at_best() {
        assert_eq!(judged(&[0, 0], 5, SetEnd::Interrupted).exit_code, 2);
        assert_eq!(judged(&[], 5, SetEnd::Complete).exit_code, 2);
        assert_eq!(judged(&[0, 1], 5, SetEnd::Violation).exit_code, 1);
        let text = judged(&[0, 0], 5, SetEnd::Interrupted).to_terminal();
        assert!(text.contains("3 runs of 5 not run: it was interrupted"), "{text}");
    }

    #[test]
    fn a_set_is_read_back_as_it_was_written() {
        let set = judged(&[0, 1], 2, SetEnd::Complete);
        assert_eq!(serde_json::from_str::<RunSet>(&set.to_json().unwrap()).unwrap(), set);
    }

    #[test]
    fn foreign_text_acts_on_no_table() {
        let markdown = judged(&[2], 1, SetEnd::Complete).to_markdown();
        assert!(markdown.contains(r"so \| it &lt;ends&gt;"), "{markdown}");
    }
}
