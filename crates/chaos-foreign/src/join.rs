//! From events to calls: every invocation with its end.
//!
//! The order of the file is the order of time, as for Knossos and Porcupine: events are numbered as they stand, and these
//! numbers are the stamps. A file whose events are numbered by themselves (`:index`) must stand in that order.
//!
//! A process does one thing at a time, and what ended in `:info` never answers any more. A second invocation, or an end without an
//! invocation, means that the file is damaged or was cut at its head, and is refused: guessing would make verdicts of it.

use std::collections::BTreeMap;

use crate::edn::Edn;
use crate::error::ParseError;
use crate::event::{Event, Kind};

/// How a call ended.
#[derive(Clone, Debug)]
pub(crate) enum Ended<'a> {
    /// It happened, with this answer.
    Ok(Edn<'a>),
    /// It was refused; `error`: with an error.
    Fail {
        /// Whether the event told of an error.
        error: bool,
    },
    /// Nobody knows, or the history ends before.
    Unknown,
}

/// A client's operation.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) f: &'a str,
    /// The key, where the invocation has one beside its value.
    pub(crate) key: Option<Edn<'a>>,
    pub(crate) value: Edn<'a>,
    pub(crate) ended: Ended<'a>,
    /// A place in [`Calls::processes`].
    pub(crate) process: u32,
    pub(crate) invoked: u64,
    pub(crate) invoked_line: usize,
    /// Stamp and line of the end, whatever it was.
    pub(crate) answered: Option<(u64, usize)>,
}

/// All calls of a history, in the order of their invocations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls<'a> {
    pub(crate) calls: Vec<Call<'a>>,
    /// The names of the processes.
    pub(crate) processes: Vec<&'a str>,
    /// Events, also those of others.
    pub(crate) events: u64,
    /// Events that are no client's.
    pub(crate) foreign: u64,
    numbers: BTreeMap<&'a str, u32>,
    /// For each process the call that is under way.
    under_way: Vec<Option<usize>>,
    index: Option<i64>,
}

impl<'a> Calls<'a> {
    /// Takes the next event of the file.
    ///
    /// # Errors
    /// If it can't be the next event of a history.
    pub(crate) fn take(&mut self, event: Event<'a>) -> Result<(), ParseError> {
        self.events += 1;
        let line = event.line;
        let not = |what: String| Err(ParseError::NotAHistory { line, what });
        if let Some(index) = event.index
            && let Some(before) = self.index.replace(index).filter(|before| *before >= index)
        {
            return not(format!(
                "event {index} stands after event {before}: the order of the file is taken for the order of time; \
                 sort it by :index"
            ));
        }
        let Some(process) = event.process else {
            self.foreign += 1;
            return Ok(());
        };
        let process = *self.numbers.entry(process).or_insert_with(|| {
            self.processes.push(process);
            self.under_way.push(None);
            u32::try_from(self.processes.len() - 1).expect("a text of 4 GiB has fewer processes")
        });
        let under_way = &mut self.under_way[process as usize];
        if event.kind == Kind::Invoke {
            if let Some(before) = under_way.replace(self.calls.len()) {
                return not(format!(
                    "process {} invokes :{}, and its :{} of line {} is still under way",
                    event.process.unwrap_or_default(),
                    event.f,
                    self.calls[before].f,
                    self.calls[before].invoked_line
                ));
            }
            self.calls.push(Call {
                f: event.f,
                key: event.key,
                value: event.value,
                ended: Ended::Unknown,
                process,
                invoked: self.events,
                invoked_line: line,
                answered: None,
            });
            return Ok(());
        }
        let name = event.process.unwrap_or_default();
        let Some(call) = under_way.take() else {
            return not(format!(
                "process {name} ends :{}, and has none under way: is the head of the file missing?",
                event.f
            ));
        };
        let call = &mut self.calls[call];
        if call.f != event.f {
            return not(format!(
                "process {name} ends :{}, and what it has under way is the :{} of line {}",
                event.f, call.f, call.invoked_line
            ));
        }
        if let (Some(asked), Some(told)) = (&call.key, &event.key)
            && asked.canonical() != told.canonical()
        {
            let (asked, told) = (asked.canonical(), told.canonical());
            return not(format!("the answer is for key {told}, and line {} asked for {asked}", call.invoked_line));
        }
        call.answered = Some((self.events, line));
        call.ended = match event.kind {
            Kind::Invoke | Kind::Info => Ended::Unknown,
            Kind::Ok => Ended::Ok(event.value),
            Kind::Fail => Ended::Fail { error: event.error },
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event;

    fn joined(text: &str) -> Result<Vec<(u64, Option<u64>)>, String> {
        let mut calls = Calls::default();
        for (line, text) in (1..).zip(text.lines()) {
            calls.take(event::of_line(line, text).unwrap().unwrap()).map_err(|error| error.to_string())?;
        }
        Ok(calls.calls.iter().map(|call| (call.invoked, call.answered.map(|(at, _)| at))).collect())
    }

    #[test]
    fn each_invocation_gets_its_end() {
        let text =
            "0 :invoke :read nil\n:nemesis :info :start nil\n1 :invoke :write 3\n0 :ok :read 3\n2 :invoke :read nil";
        assert_eq!(joined(text), Ok(vec![(1, Some(4)), (3, None), (5, None)]));
    }

    #[test]
    fn what_one_process_cannot_do_is_refused() {
        for (text, what) in [
            ("0 :invoke :read nil\n0 :invoke :read nil", "line 2: process 0 invokes :read, and its :read of line 1"),
            ("0 :ok :read nil", "line 1: process 0 ends :read, and has none under way"),
            (
                "0 :invoke :read nil\n0 :ok :write 1",
                "line 2: process 0 ends :write, and what it has under way is the :read",
            ),
            ("0 :invoke :read nil\n0 :info :read nil\n0 :ok :read 1", "line 3: process 0 ends"),
        ] {
            let error = joined(text).unwrap_err();
            assert!(error.starts_with(what), "{error}");
        }
    }
}
