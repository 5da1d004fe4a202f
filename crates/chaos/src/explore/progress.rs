//! How far a search is: a bar in a terminal, a line every ten seconds elsewhere. And how long each stage took.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use chaos_explore::{Found, Seconds, Stage};
use chaos_history::Seed;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a plain line tells that the search is alive.
const PLAIN_LINE_EVERY: Duration = Duration::from_secs(10);

/// Follows one search, for people.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
    began: Instant,
    told: Instant,
    bugs: usize,
    stage: Stage,
    since: Instant,
    spent: [Duration; 3],
}

impl Progress {
    pub(super) fn new(quiet: bool, most: Option<u64>, name: &str, seed: Seed) -> Self {
        let bar = (std::io::stderr().is_terminal() && !quiet).then(|| {
            let bar = ProgressBar::with_draw_target(most, ProgressDrawTarget::stderr());
            let template = match most {
                Some(_) => "{wide_bar:.cyan/dim} {pos} of {len} plans, {elapsed} gone  {msg}",
                None => "{spinner} {pos} plans, {elapsed} gone  {msg}",
            };
            bar.set_style(ProgressStyle::with_template(template).expect("a constant template"));
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        let now = Instant::now();
        let progress = Self {
            bar,
            quiet,
            began: now,
            told: now,
            bugs: 0,
            stage: Stage::Searching,
            since: now,
            spent: [Duration::ZERO; 3],
        };
        progress.line(&format!("{name}, search with seed {seed}"));
        progress
    }

    pub(super) fn tell(&mut self, found: &Found, stage: Stage) {
        let now = Instant::now();
        self.pass_to(stage, now);
        let what = match stage {
            Stage::Searching => format!("{} states, {} bugs", found.states.len(), found.bugs.len()),
            Stage::Shrinking(check) => format!("shrinking a violation of {check}"),
            Stage::Amplifying(check) => format!("making {check} fail more often"),
        };
        if let Some(bar) = &self.bar {
            bar.set_position(found.trials);
            bar.set_message(what.clone());
        }
        for bug in found.bugs.iter().skip(self.bugs) {
            self.line(&format!("plan {} violates {}: {}", bug.trial, bug.check.name(), bug.sentence));
        }
        self.bugs = found.bugs.len();
        if self.bar.is_none() && now - self.told >= PLAIN_LINE_EVERY {
            self.told = now;
            self.line(&format!("[{:.0}s] {} plans, {what}", (now - self.began).as_secs_f64(), found.trials));
        }
    }

    fn pass_to(&mut self, stage: Stage, now: Instant) {
        let index = match self.stage {
            Stage::Searching => 0,
            Stage::Shrinking(_) => 1,
            Stage::Amplifying(_) => 2,
        };
        self.spent[index] += now - self.since;
        (self.stage, self.since) = (stage, now);
    }

    /// Takes the bar away, and says how long each stage took.
    pub(super) fn finish(mut self) -> Seconds {
        self.pass_to(Stage::Searching, Instant::now());
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let [searching, shrinking, amplifying] = self.spent.map(|time| time.as_secs_f64());
        Seconds { searching, shrinking, amplifying }
    }

    fn line(&self, text: &str) {
        if self.quiet {
            return;
        }
        let shown = crate::failure::printable(text);
        match &self.bar {
            Some(bar) => bar.println(shown),
            // A reader that has gone away is no failure.
            None => drop(writeln!(std::io::stderr(), "{shown}")),
        }
    }
}
