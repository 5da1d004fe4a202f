//! Who asks every node all the time who leads, and who listens.
//!
//! The reader of `/status` gets what was true when the last batch was through. If the node owes a step (it was stopped, say), the
//! answer waits for it a moment, as the real one does. A listener of `/events` hears of every change as soon as it is durable.

use std::time::Duration;

use chaos_engine::Event;
use chaos_history::{self as history, Belief, NodeId, Observation, ObservationOutcome, ObservationSource, RunNanos};

use election::Protocol as _;

use crate::happening::{Happening, Leaving};
use crate::node::Life;
use crate::program::Program;
use crate::random::nanos;
use crate::record::Sink;
use crate::world::{Departure, SimWorld, number};

/// How long an answer waits for a node's thread at most.
const PATIENCE: u64 = 100_000_000;

impl<P: Program, S: Sink> SimWorld<'_, P, S> {
    /// The first question to a node.
    pub(crate) fn begin_to_observe(&mut self, node: usize) {
        let sent = self.now + self.nodes[node].leg.below(nanos(self.observe.every));
        self.plan_question(node, sent);
    }

    fn plan_question(&mut self, node: usize, sent: u64) {
        let state = &mut self.nodes[node];
        let took = self.timings.question.draw(&mut state.leg);
        let took = state.paced(took);
        state.question = Some(sent);
        state.question_waits = false;
        self.plan(sent + took, Happening::Ask { node: number(node), sent });
    }

    /// A question comes back, or finds out that it can't.
    pub(crate) fn ask(&mut self, node: usize, sent: u64) {
        let now = self.now;
        let in_vain = sent + nanos(self.observe.timeout);
        let state = &mut self.nodes[node];
        if state.question != Some(sent) {
            return;
        }
        if now >= in_vain {
            return self.ask_in_vain(node, sent);
        }
        if !state.leg_cut && !state.listens() {
            return self.silent(node, sent, "Connection refused (os error 111)");
        }
        if !state.leg_cut && state.started_at > sent {
            return self.silence(node, sent, "restarted while it was asked".to_owned());
        }
        if state.leg_cut || state.stopped_since.is_some() || state.life == Life::Failing {
            state.question_waits = true;
            return self.plan(in_vain, Happening::AskInVain { node: number(node), sent });
        }
        if state.busy_until <= now {
            let belief = state.belief(now);
            return self.told_when_asked(node, sent, belief);
        }
        // What is published is of the last batch. A node that owes a step is waited for.
        let shown = state.clock.at(now);
        let owes =
            state.protocol.as_ref().is_some_and(|protocol| protocol.deadline() + Duration::from_millis(2) < shown);
        let patience_ends = sent + PATIENCE;
        match &state.before {
            Some(before) if !owes || now >= patience_ends => {
                let before = Some(before.clone());
                self.told_when_asked(node, sent, before);
            }
            Some(_) => {
                let again = state.busy_until.min(patience_ends);
                self.plan(again, Happening::Ask { node: number(node), sent });
            }
            None => {
                let again = state.busy_until;
                self.plan(again, Happening::Ask { node: number(node), sent });
            }
        }
    }

    fn told_when_asked(&mut self, node: usize, sent: u64, belief: Option<Belief>) {
        let outcome = match belief {
            Some(belief) => ObservationOutcome::Answered(belief),
            None => ObservationOutcome::Silent("no answer: connection closed before message completed".to_owned()),
        };
        self.observed(node, sent, ObservationSource::Poll, outcome);
        self.ask_next(node, sent);
    }

    /// Nobody waits for the answer any longer.
    pub(crate) fn ask_in_vain(&mut self, node: usize, sent: u64) {
        if self.nodes[node].question == Some(sent) {
            let text = format!("none within {:?}", self.observe.timeout);
            self.silent(node, sent, &text);
        }
    }

    /// The process that was asked has ended.
    pub(crate) fn observer_loses(&mut self, node: usize) {
        let state = &self.nodes[node];
        if let Some(sent) = state.question.filter(|_| state.question_waits && !state.leg_cut) {
            self.silent(node, sent, "connection closed before message completed");
        }
    }

    fn silent(&mut self, node: usize, sent: u64, why: &str) {
        self.silence(node, sent, format!("no answer: {why}"));
    }

    fn silence(&mut self, node: usize, sent: u64, why: String) {
        self.observed(node, sent, ObservationSource::Poll, ObservationOutcome::Silent(why));
        self.ask_next(node, sent);
    }

    fn ask_next(&mut self, node: usize, sent: u64) {
        let next = (sent + nanos(self.observe.every)).max(self.now);
        self.plan_question(node, next);
    }

    /// Has a listener try to get through to a node that has just come up.
    pub(crate) fn plan_listening(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        let at = self.now + state.leg.below(nanos(self.timings.listen_again));
        let incarnation = state.incarnation;
        self.plan(at, Happening::Listen { node: number(node), incarnation });
    }

    /// A listener gets through, and hears the node's present view at once.
    pub(crate) fn listen(&mut self, node: usize, incarnation: u32) {
        let now = self.now;
        let state = &mut self.nodes[node];
        if state.incarnation != incarnation || !state.is_up() {
            return;
        }
        if state.stopped_since.is_some() || state.leg_cut {
            let at = now + nanos(self.timings.listen_again);
            return self.plan(at, Happening::Listen { node: number(node), incarnation });
        }
        state.is_heard = true;
        // What is published: of the batch under way once it is durable, and of the last one where that takes longer than anybody waits.
        let (left, belief) = match &state.before {
            Some(before) if state.busy_until > now + PATIENCE => (now + PATIENCE, Some(before.clone())),
            Some(_) | None => (now.max(state.busy_until), state.belief(now)),
        };
        self.tell(node, left, belief.into_iter().collect());
    }

    /// What a batch has changed, told to whoever listens.
    pub(crate) fn tell(&mut self, node: usize, left: u64, told: Vec<Belief>) {
        let sent = self.now;
        for belief in told {
            let leaving = self.leaving(node, left);
            // Half a question: the answer's way.
            let took = self.timings.question.draw(&mut self.nodes[node].leg) / 2;
            let belief = Box::new(belief);
            self.plan(left + took, Happening::Told { leaving, sent, belief });
        }
    }

    /// A listener hears what a node has come to.
    pub(crate) fn told(&mut self, leaving: Leaving, sent: u64, belief: Box<Belief>) {
        let node = usize::from(leaving.node);
        match self.departure(leaving) {
            Departure::Left => {}
            Departure::Never => return,
            Departure::Withheld => {
                self.nodes[node].withheld.push(Happening::Told { leaving, sent, belief });
                return;
            }
        }
        let state = &mut self.nodes[node];
        if state.leg_cut {
            state.leg_stalled.push((self.now, Happening::Told { leaving, sent, belief }));
        } else if state.incarnation == leaving.incarnation && state.is_up() {
            self.observed(node, sent, ObservationSource::Push, ObservationOutcome::Answered(*belief));
        }
    }

    fn observed(&mut self, node: usize, sent: u64, source: ObservationSource, outcome: ObservationOutcome) {
        let received = RunNanos(self.now);
        if let ObservationOutcome::Answered(belief) = &outcome {
            self.answered(node, received);
            self.claimed(node, belief);
        }
        let incarnation = self.nodes[node].incarnation.into();
        let node = NodeId::from_index(node);
        let observation = Observation { node, incarnation, source, sent: RunNanos(sent), received, outcome };
        let event = history::Event::Observation(observation.clone());
        self.record(received, event, Some(Event::Observed(observation)));
    }
}
