//! Writes the history as things happen: recorded first, acted upon later.

use std::path::Path;
use std::time::Duration;

use chaos_history::{Event, Header, HistoryError, HistoryWriter, RunNanos};

/// How long an event may stay in the harness's own memory, where `kill -9` can lose it.
const UNFLUSHED_MAX: Duration = Duration::from_millis(50);

/// The owner of a run's history file.
#[derive(Debug)]
pub struct Recorder {
    writer: HistoryWriter,
    flushed: RunNanos,
}

impl Recorder {
    /// Begins a history.
    ///
    /// # Errors
    /// If the file exists or can't be written.
    pub fn create(path: &Path, header: &Header) -> Result<Self, HistoryError> {
        Ok(Self { writer: HistoryWriter::create(path, header)?, flushed: RunNanos::default() })
    }

    /// Appends an event. Fault edges, node lives and landmarks are flushed at once, the rest many times a second.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn record(&mut self, at: RunNanos, event: Event) -> Result<(), HistoryError> {
        let at_once = match event {
            Event::Fault(_) | Event::Node(_) | Event::Note(_) | Event::Replica(_) => true,
            Event::Op(_) | Event::Observation(_) | Event::Stall(_) | Event::View(_) => false,
        };
        self.writer.append(at, event)?;
        if at_once || at.since(self.flushed) >= UNFLUSHED_MAX {
            self.writer.flush()?;
            self.flushed = at;
        }
        Ok(())
    }

    /// Flushes what is older than the bound, for times when nothing is appended.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn flush_if_due(&mut self, now: RunNanos) -> Result<(), HistoryError> {
        if now.since(self.flushed) >= UNFLUSHED_MAX {
            self.writer.flush()?;
            self.flushed = now;
        }
        Ok(())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // Whoever must know that everything is written flushes before; this is for what an error left unfinished.
        let _ = self.writer.flush();
    }
}
