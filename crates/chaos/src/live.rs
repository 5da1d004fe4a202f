//! The live view: one bar that follows the run in a terminal, plain lines elsewhere.
//!
//! Shows what the engine says of itself and decides nothing. Lines for faults and leader changes are the same in both.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use chaos_engine::{Engine, Event, Progress};
use chaos_history::{FaultEdge, FaultEvent, NodeId, NodeLife, RunNanos, Term};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the bar is drawn anew.
const REDRAW_EVERY: Duration = Duration::from_millis(100);
/// How often a plain line tells that the run is alive.
const PLAIN_LINE_EVERY: Duration = Duration::from_secs(10);
const BAR_STEPS: u64 = 1000;

/// Whether results may be colored.
pub(crate) fn stdout_is_colored() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// The width of the terminal in columns; 100 where there is none.
pub(crate) fn width() -> usize {
    // `console` is what indicatif draws with.
    console::Term::stdout().size_checked().map_or(100, |(_, columns)| usize::from(columns))
}

/// Follows one run.
pub(crate) struct Live {
    bar: Option<ProgressBar>,
    quiet: bool,
    drawn: RunNanos,
    leader: Option<(NodeId, Term)>,
}

impl Live {
    /// A view on standard error, unless `quiet`.
    pub(crate) fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = (terminal && !quiet).then(|| {
            let bar = ProgressBar::with_draw_target(Some(BAR_STEPS), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{msg}\n{wide_bar:.cyan/dim} {prefix}");
            bar.set_style(style.expect("a constant template").progress_chars("█▉▊▋▌▍▎▏░"));
            bar
        });
        Self { bar, quiet, drawn: RunNanos::default(), leader: None }
    }

    /// Shows an event and, now and then, where the run stands.
    pub(crate) fn update(&mut self, now: RunNanos, event: &Event, engine: &Engine) {
        if self.quiet {
            return;
        }
        match event {
            Event::FaultDone(fault) => self.line(now, &fault_line(fault)),
            Event::Node { node, life: NodeLife::Exited { expected: false, code, signal } } => {
                self.line(now, &format!("{node} ENDED BY ITSELF (exit code {code:?}, signal {signal:?})"));
            }
            Event::Interrupt { why } => {
                self.line(now, &format!("interrupted {why}: faults are taken back, then what happened is judged"));
            }
            Event::Tick | Event::Observed(_) | Event::Completed(_) | Event::Node { .. } => {}
        }
        let every = if self.bar.is_some() { REDRAW_EVERY } else { PLAIN_LINE_EVERY };
        let due = now.since(self.drawn) >= every;
        if !due && !matches!(event, Event::Observed(_)) {
            return;
        }
        // Asking costs little, but not nothing: observations come a thousand times a second.
        if due || now.since(self.drawn) >= REDRAW_EVERY {
            let progress = engine.progress();
            self.leader_line(now, progress.leader);
            if due {
                self.draw(now, &progress);
            }
        }
    }

    /// Ends the view.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn leader_line(&mut self, now: RunNanos, leader: Option<(NodeId, Term)>) {
        if leader.is_some() && leader != self.leader {
            self.leader = leader;
            if let Some((node, term)) = leader {
                self.line(now, &format!("{node} leads term {term}"));
            }
        }
    }

    fn draw(&mut self, now: RunNanos, progress: &Progress) {
        self.drawn = now;
        let leader = match progress.leader {
            Some((node, term)) => format!("{node} leads term {term}"),
            None => "no leader".to_owned(),
        };
        let faults = match progress.faults_total {
            Some(total) => format!("{} of {total} faults over", progress.faults_done),
            None => format!("{} faults over", progress.faults_done),
        };
        let counts = &progress.operations;
        let active = match (progress.active_faults.is_empty(), progress.waiting_for.is_empty()) {
            (false, _) => format!(" · {}", progress.active_faults.join(", ")),
            (true, false) => format!(" · waiting for {}", progress.waiting_for),
            (true, true) => String::new(),
        };
        let text = format!(
            "{leader} · {faults} · operations {} ok, {} failed, {} unknown{active}",
            counts.ok, counts.fail, counts.info
        );
        match &self.bar {
            Some(bar) => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
                bar.set_position((progress.fraction.clamp(0.0, 1.0) * BAR_STEPS as f64) as u64);
                bar.set_prefix(format!("{:.0}s", now.as_secs_f64()));
                bar.set_message(text);
            }
            None => self.line(now, &text),
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
