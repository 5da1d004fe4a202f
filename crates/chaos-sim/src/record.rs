//! Where a simulated run's history goes: into memory, into a file, or nowhere but the checks that look on.

use std::convert::Infallible;

use chaos_history::{Event, HistoryError, HistoryWriter, Recorded, RunNanos};

/// Takes in what happens, as it happens.
pub trait Sink {
    /// Why it can't.
    type Error;

    /// Records one event.
    ///
    /// # Errors
    /// If it can't be kept; the world then stops.
    fn record(&mut self, at: RunNanos, event: &Event) -> Result<(), Self::Error>;
}

/// Keeps the whole history, numbered as if it stood in a file.
#[derive(Debug, Default)]
pub struct Memory(pub Vec<Recorded>);

impl Sink for Memory {
    type Error = Infallible;

    fn record(&mut self, at: RunNanos, event: &Event) -> Result<(), Infallible> {
        // Line 1 is the header's.
        self.0.push(Recorded { line: self.0.len() + 2, at, event: event.clone() });
        Ok(())
    }
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nowhere;

impl Sink for Nowhere {
    type Error = Infallible;

    fn record(&mut self, _at: RunNanos, _event: &Event) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Sink for HistoryWriter {
    type Error = HistoryError;

    fn record(&mut self, at: RunNanos, event: &Event) -> Result<(), HistoryError> {
        self.append(at, event.clone()).map(drop)
    }
}
