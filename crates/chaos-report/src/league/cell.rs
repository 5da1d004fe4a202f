//! One figure of a row: samples, and how often there was none, for which reason.
//!
//! ```text
//! 244 ms / – / 571 ms               p50 / p90 / max of five or more; `–`: too few for that percentile
//! 2.01 s, 2.20 s                    fewer than five: each of them
//! 244 ms / – / 571 ms, 2 never      two failovers never reached it
//! never (5)                         none did
//! –ᵃ                                nobody could have told, see the footnote
//! ```

use std::time::Duration;

use chaos_failover::{Figures, PhaseOutcome, Why};

use crate::words::duration;

/// Below this, samples are listed.
const LISTED_BELOW: usize = 5;

/// Samples of one figure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    /// What was measured.
    values: Vec<Duration>,
    /// How many times it never came, while somebody watched.
    never: u64,
    /// Why nobody could tell, for each time that this was so.
    untold: Vec<Untold>,
}

/// Why a run can't tell a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Untold {
    /// Nodes speak only of themselves, so that nobody tells when others gave the leader up.
    NotTold,
    /// No client asked anything.
    NoClients,
}

impl Untold {
    pub(crate) const ALL: [Self; 2] = [Self::NotTold, Self::NoClients];

    /// The footnote's mark.
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Self::NotTold => "ᵃ",
            Self::NoClients => "ᵇ",
        }
    }

    /// The footnote.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::NotTold => "nodes speak only of themselves: nobody tells when the others gave the leader up",
            Self::NoClients => "no clients: there is no driver for this system, or the workload has none",
        }
    }
}

impl Cell {
    pub(crate) fn add(&mut self, value: Duration) {
        self.values.push(value);
    }

    pub(crate) fn add_untold(&mut self, why: Untold) {
        self.untold.push(why);
    }

    /// A phase: the upper bound of its time.
    pub(crate) fn add_phase(&mut self, outcome: &PhaseOutcome) {
        match outcome {
            PhaseOutcome::Reached(reached) => self.values.push(reached.after.hi),
            PhaseOutcome::NotReached(missing) => match missing.why {
                Why::NotTold => self.untold.push(Untold::NotTold),
                Why::NoClients => self.untold.push(Untold::NoClients),
                Why::FaultEnded | Why::NextFault | Why::RunEnded | Why::NoMajority | Why::NotElected => self.never += 1,
            },
        }
    }

    pub(crate) fn figures(&self) -> Option<Figures> {
        Figures::of(&self.values)
    }

    /// How many samples there are.
    pub(crate) fn n(&self) -> usize {
        self.values.len()
    }

    /// The footnote that the text refers to.
    pub(crate) fn footnote(&self) -> Option<Untold> {
        let is_alone = self.values.is_empty() && self.never == 0;
        self.untold.iter().min().copied().filter(|_| is_alone)
    }

    pub(crate) fn text(&self) -> String {
        let measured = match self.figures() {
            Some(figures) if self.values.len() >= LISTED_BELOW => {
                let or_dash = |value: Option<Duration>| value.map_or("–".to_owned(), duration);
                format!("{} / {} / {}", or_dash(figures.p50), or_dash(figures.p90), duration(figures.max))
            }
            Some(_) => {
                let mut values = self.values.clone();
                values.sort_unstable();
                values.into_iter().map(duration).collect::<Vec<String>>().join(", ")
            }
            None if self.never > 0 => return format!("never ({})", self.never),
            None => return format!("–{}", self.footnote().map_or("", Untold::mark)),
        };
        if self.never > 0 { format!("{measured}, {} never", self.never) } else { measured }
    }
}

#[cfg(test)]
mod tests {
    use chaos_failover::NotReached;

    use super::*;

    fn of(millis: &[u64]) -> Cell {
        let mut cell = Cell::default();
        millis.iter().for_each(|ms| cell.add(Duration::from_millis(*ms)));
        cell
    }

    fn missing(why: Why) -> PhaseOutcome {
        PhaseOutcome::NotReached(NotReached { why, watched: Duration::from_secs(1) })
    }

    #[test]
    fn few_samples_are_listed_and_have_no_percentile() {
        assert_eq!(of(&[220, 201]).text(), "201 ms, 220 ms");
        assert_eq!(of(&[10, 20, 30, 40]).text(), "10 ms, 20 ms, 30 ms, 40 ms");
    }

    #[test]
    fn percentiles_stand_only_where_the_sample_supports_them() {
        assert_eq!(of(&[10, 20, 30, 40, 50]).text(), "30 ms / – / 50 ms");
        let many: Vec<u64> = (1..=29).map(|n| n * 10).collect();
        let text = of(&many).text();
        assert!(text.starts_with("150 ms / 27") && text.ends_with("/ 290 ms"), "{text}");
    }

    #[test]
    fn what_never_came_is_counted_and_not_left_out() {
        let mut cell = of(&[10, 20, 30, 40, 50]);
        cell.add_phase(&missing(Why::FaultEnded));
        assert_eq!(cell.text(), "30 ms / – / 50 ms, 1 never");
        let mut cell = Cell::default();
        cell.add_phase(&missing(Why::RunEnded));
        cell.add_phase(&missing(Why::NotElected));
        assert_eq!((cell.text().as_str(), cell.footnote()), ("never (2)", None));
    }

    #[test]
    fn what_nobody_could_tell_is_a_dash_with_its_footnote() {
        let mut cell = Cell::default();
        cell.add_phase(&missing(Why::NotTold));
        assert_eq!((cell.text().as_str(), cell.footnote()), ("–ᵃ", Some(Untold::NotTold)));
        cell.add(Duration::from_millis(7));
        assert_eq!((cell.text().as_str(), cell.footnote()), ("7.0 ms", None));
        assert_eq!(Cell::default().text(), "–");
    }
}
