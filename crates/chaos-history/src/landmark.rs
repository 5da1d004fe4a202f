//! What a history tells of the run as a whole: its landmarks, its remarks and when the host stood still.
//!
//! Whoever judges or measures asks where the load began and ended, and takes off the time in which the harness did not run.
//! That is picked out here once. All of it comes in the order of the file, which need not be that of the stamps.

use crate::{Event, History, Mark, NoteEvent, RunNanos, Stall};

impl History {
    /// All landmarks and remarks, in the order of the file, each with its moment.
    pub fn notes(&self) -> impl Iterator<Item = (RunNanos, &NoteEvent)> {
        self.events.iter().filter_map(|recorded| match &recorded.event {
            Event::Note(note) => Some((recorded.at, note)),
            Event::Op(_) | Event::Observation(_) | Event::View(_) | Event::Fault(_) | Event::Node(_) => None,
            Event::Stall(_) | Event::Replica(_) => None,
        })
    }

    /// All landmarks, in the order of the file, each with its moment. A mark may be there more than once.
    pub fn landmarks(&self) -> impl Iterator<Item = (RunNanos, Mark)> {
        self.notes().filter_map(|(at, note)| note.mark.map(|mark| (at, mark)))
    }

    /// The moment of a mark, of the first one in the file if it is there more than once.
    #[must_use]
    pub fn landmark(&self, wanted: Mark) -> Option<RunNanos> {
        self.landmarks().find(|(_, mark)| *mark == wanted).map(|(at, _)| at)
    }

    /// When the host did not let the harness run, in the order of the file.
    pub fn stalls(&self) -> impl Iterator<Item = &Stall> {
        self.events.iter().filter_map(|recorded| match &recorded.event {
            Event::Stall(stall) => Some(stall),
            Event::Op(_) | Event::Observation(_) | Event::View(_) | Event::Fault(_) | Event::Node(_) => None,
            Event::Note(_) | Event::Replica(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Header, NodeEvent, NodeId, NodeLife, Recorded, Seed, Testimony};

    fn note(mark: Option<Mark>, text: &str) -> Event {
        Event::Note(NoteEvent { mark, text: text.to_owned() })
    }

    fn stall(from: u64, to: u64) -> Event {
        Event::Stall(Stall { from: RunNanos(from), to: RunNanos(to) })
    }

    fn history(events: Vec<(u64, Event)>) -> History {
        let header = Header {
            chaos_history: 1,
            simulated: None,
            workload: "kill".to_owned(),
            system: "raft".to_owned(),
            nodes: 3,
            seed: Seed(1),
            started: "2026-11-21T02:48:11Z".to_owned(),
            chaos: "0.1.0".to_owned(),
            testimony: Testimony::default(),
        };
        let recorded = |(index, (at, event))| Recorded { line: index + 2, at: RunNanos(at), event };
        History { header, events: events.into_iter().enumerate().map(recorded).collect(), torn: false }
    }

    /// Two marks of one kind, of which the later in the file has the earlier stamp, among a remark, stalls and a node's end.
    fn mixed() -> History {
        let exited = NodeLife::Exited { code: None, signal: Some(9), expected: true };
        history(vec![
            (10, note(None, "etcd is version 3.5.1")),
            (30, note(Some(Mark::LoadBegin), "")),
            (20, note(Some(Mark::LoadBegin), "again")),
            (50, stall(40, 50)),
            (55, Event::Node(NodeEvent { node: NodeId::new(1), incarnation: 1, life: exited })),
            (48, stall(45, 48)),
            (60, note(Some(Mark::RunEnd), "")),
        ])
    }

    #[test]
    fn landmarks_are_the_notes_with_a_mark_in_the_order_of_the_file() {
        let expected = [(30, Mark::LoadBegin), (20, Mark::LoadBegin), (60, Mark::RunEnd)];
        assert_eq!(mixed().landmarks().collect::<Vec<_>>(), expected.map(|(at, mark)| (RunNanos(at), mark)));
        assert_eq!(history(vec![(1, note(None, "load_begin")), (2, stall(1, 2))]).landmarks().next(), None);
    }

    #[test]
    fn a_landmark_is_at_its_first_mark_in_the_file_or_nowhere() {
        assert_eq!(mixed().landmark(Mark::LoadBegin), Some(RunNanos(30)));
        assert_eq!(mixed().landmark(Mark::RunEnd), Some(RunNanos(60)));
        assert_eq!(mixed().landmark(Mark::LoadEnd), None);
    }

    #[test]
    fn remarks_are_notes_too() {
        let texts: Vec<(RunNanos, String)> = mixed().notes().map(|(at, note)| (at, note.text.clone())).collect();
        let expected = [(10, "etcd is version 3.5.1"), (30, ""), (20, "again"), (60, "")];
        assert_eq!(texts, expected.map(|(at, text)| (RunNanos(at), text.to_owned())));
    }

    #[test]
    fn stalls_come_in_the_order_of_the_file() {
        let expected = [(40, 50), (45, 48)].map(|(from, to)| Stall { from: RunNanos(from), to: RunNanos(to) });
        assert_eq!(mixed().stalls().copied().collect::<Vec<_>>(), expected);
    }
}
