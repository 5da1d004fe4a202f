//! The live view: a line per node and a bar in a terminal, plain lines elsewhere.
//!
//! Shows what the engine says of itself and decides nothing. Lines for faults and leader changes are the same in both. Drawn at
//! most ten times a second, on standard error; where there is no terminal, a line every ten seconds says that the run is alive.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use chaos_engine::{Engine, Event};
use chaos_history::{FaultEdge, FaultEvent, NodeId, NodeLife, RunDir, RunNanos, Term, TermsFrom};
use chaos_report::Report;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::follow::{Follow, Started};
use crate::frame::{self, Canvas};
use crate::show;

/// How often the view is drawn anew, a second.
const REDRAWS: u8 = 10;
const REDRAW_EVERY: Duration = Duration::from_millis(100);
/// How often a plain line tells that the run is alive.
const PLAIN_LINE_EVERY: Duration = Duration::from_secs(10);
const BAR_STEPS: u64 = 1000;

/// Where the summary goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SummaryTo {
    /// Standard output: it is what the command is for.
    Stdout,
    /// Standard error: standard output belongs to another program.
    Stderr,
}

/// Whether results may be colored.
pub(crate) fn stdout_is_colored() -> bool {
    std::io::stdout().is_terminal() && colors_are_wanted()
}

fn colors_are_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The width of the terminal in columns; 100 where there is none.
pub(crate) fn width() -> usize {
    // `console` is what indicatif draws with.
    width_of(&console::Term::stdout())
}

fn width_of(terminal: &console::Term) -> usize {
    terminal.size_checked().map_or(100, |(_, columns)| usize::from(columns))
}

/// Follows one run, for people.
pub(crate) struct Live {
    bar: Option<ProgressBar>,
    quiet: bool,
    color: bool,
    summary_to: SummaryTo,
    drawn: RunNanos,
    leader: Option<(NodeId, Term)>,
    terms: TermsFrom,
}

impl Live {
    /// A view on standard error, unless `quiet`. Where another program writes to the terminal too, there is no bar to disturb.
    pub(crate) fn new(quiet: bool, summary_to: SummaryTo) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let color = terminal && colors_are_wanted();
        let bar = (terminal && !quiet && summary_to == SummaryTo::Stdout).then(|| {
            let bar = ProgressBar::with_draw_target(Some(BAR_STEPS), ProgressDrawTarget::stderr_with_hz(REDRAWS));
            let template = if color { "{msg}\n{wide_bar:.cyan/dim} {prefix}" } else { "{msg}\n{wide_bar} {prefix}" };
            let style = ProgressStyle::with_template(template);
            bar.set_style(style.expect("a constant template").progress_chars("█▉▊▋▌▍▎▏░"));
            bar
        });
        Self { bar, quiet, color, summary_to, drawn: RunNanos::default(), leader: None, terms: TermsFrom::System }
    }

    fn leader_line(&mut self, now: RunNanos, leader: Option<(NodeId, Term)>) {
        if leader.is_some() && leader != self.leader {
            self.leader = leader;
            if let Some((node, term)) = leader {
                self.line(now, &format!("{node} leads {} {term}", self.terms.word()));
            }
        }
    }

    fn draw(&mut self, now: RunNanos, engine: &Engine) {
        self.drawn = now;
        let progress = engine.progress();
        let Some(bar) = &self.bar else {
            // One line, whatever the width: it goes to a file or a log.
            let canvas = Canvas { width: usize::MAX, height: 0, color: false, terms: self.terms };
            return self.line(now, &frame::lines(&[], &progress, canvas).join(" · "));
        };
        // Asked anew each time: people resize their windows.
        let (height, width) = console::Term::stderr().size();
        let (width, height) = (width.into(), height.into());
        let canvas = Canvas { width, height, color: self.color, terms: self.terms };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
        let position = (progress.fraction.clamp(0.0, 1.0) * BAR_STEPS as f64) as u64;
        bar.set_prefix(format!("{:.0}s", now.as_secs_f64()));
        bar.set_position(position);
        bar.set_message(frame::lines(&engine.node_statuses(), &progress, canvas).join("\n"));
    }

    /// Prints what is left when the run is over.
    fn print(&self, text: &str) {
        match self.summary_to {
            SummaryTo::Stdout => show::print(text),
            // A reader that has gone away is no failure.
            SummaryTo::Stderr => drop(std::io::stderr().write_all(text.as_bytes())),
        }
    }

    fn line(&self, now: RunNanos, text: &str) {
        let line = format!("[{:7.2}s] {text}", now.as_secs_f64());
        match &self.bar {
            Some(bar) => bar.println(line),
            // `eprintln!` would panic where the reader has gone away (`chaos run … 2>&1 | head -1`), and end the run.
            None => drop(writeln!(std::io::stderr(), "{line}")),
        }
    }
}

impl Follow for Live {
    fn started(&mut self, started: &Started<'_>) {
        self.terms = started.workload.system.testimony().terms;
        if !self.quiet {
            let (name, seed, nodes) = (&started.workload.name, started.seed, started.workload.nodes);
            let directory = started.directory.root().display();
            self.line(RunNanos::default(), &format!("{name}, {nodes} nodes, seed {seed}: {directory}"));
        }
    }

    fn update(&mut self, now: RunNanos, event: &Event, engine: &Engine) {
        if self.quiet {
            return;
        }
        match event {
            Event::FaultDone(fault) => self.line(now, &fault_line(fault)),
            Event::Node { node, life: NodeLife::Exited { expected: false, code, signal } } => {
                self.line(now, &format!("{node} ENDED BY ITSELF (exit code {code:?}, signal {signal:?})"));
            }
            Event::Node { node, life: NodeLife::ProcessExited { process, expected: false, code, signal } } => {
                let how = format!("exit code {code:?}, signal {signal:?}");
                self.line(now, &format!("{node}'s process {process} ENDED BY ITSELF ({how})"));
            }
            Event::Interrupt { why } => {
                self.line(now, &format!("interrupted {why}: faults are taken back, then what happened is judged"));
            }
            Event::Conclude { why } => {
                self.line(now, &format!("{why}: faults are taken back, then what happened is judged"));
            }
            Event::Observed(_) => self.leader_line(now, engine.leader()),
            Event::Tick | Event::Completed(_) | Event::Compared { .. } | Event::Node { .. } => {}
        }
        let every = if self.bar.is_some() { REDRAW_EVERY } else { PLAIN_LINE_EVERY };
        if now.since(self.drawn) >= every {
            self.draw(now, engine);
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn remark(&mut self, text: &str) {
        self.print(&format!("{text}\n"));
    }

    fn judged(&mut self, report: &Report, _directory: &RunDir) {
        let (color, width) = match self.summary_to {
            SummaryTo::Stdout => (stdout_is_colored(), width()),
            SummaryTo::Stderr => (self.color, width_of(&console::Term::stderr())),
        };
        self.print(&report.to_terminal(color, width));
    }

    fn failed(&mut self, _exit_code: u8, _message: &str) {
        // `main` tells people.
        self.finish();
    }
}

fn fault_line(fault: &FaultEvent) -> String {
    let nodes: Vec<String> = fault.nodes.iter().map(ToString::to_string).collect();
    let edge = match fault.edge {
        FaultEdge::Begin => "begins",
        FaultEdge::End => "ends",
    };
    let place = fault.source.as_ref().map_or(String::new(), |place| format!("  ({}:{})", place.file, place.line));
    let error = fault.error.as_ref().map_or(String::new(), |error| format!("  FAILED: {error}"));
    format!("{} {edge}: {} [{}]{place}{error}", fault.kind.name(), fault.label, nodes.join(" "))
}
