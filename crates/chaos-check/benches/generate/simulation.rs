//! Clients, an object, and the time between question and answer: a discrete-event simulation of a linearizable system.
//!
//! Every client invokes, waits for the answer, thinks for a fifth of the mean latency and invokes again, so that it is in
//! flight for five sixths of the time. An operation takes effect at a random instant between question and answer, and in
//! that order the object is told, which is why the history is linearizable. An operation that crashes is never answered; it
//! takes effect with probability one half, possibly long after its client has gone on under a new process number. All
//! instants differ.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use chaos_check::linear::Entry;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::Spec;

/// The mean time between question and answer, in nanoseconds.
const LATENCY_MEAN_NS: u64 = 1_000_000;

/// A simulated object.
pub(crate) trait Object {
    /// What was done, question and answer together.
    type Op: Clone;
    /// What is asked.
    type Question: Copy;

    /// What `client` asks next; `process` is its number as long as all its operations are answered.
    fn ask(&mut self, client: u32, process: u32, random: &mut ChaCha8Rng) -> Self::Question;

    /// Takes effect now. `None` if that must wait until some other operation has.
    fn take(&mut self, question: &Self::Question) -> Option<Self::Op>;

    /// A wrong answer to be given at once, if there is one now that nothing can explain.
    fn lie(&mut self, question: &Self::Question) -> Option<Self::Op>;

    /// `op` was answered now, and asked at `invoked`. Instants only grow.
    fn answered(&mut self, client: u32, op: &Self::Op, invoked: u64, now: u64);

    /// What a crashed operation is known to be, and the probability that it takes effect. `None`: not worth recording.
    fn crashed(&mut self, client: u32, question: &Self::Question) -> Option<(Self::Op, f64)>;
}

/// What happened to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening<Op, Question> {
    /// It was invoked.
    Invoked(Question),
    /// It was answered.
    Answered(Op),
    /// Its client has given up. `None`: it could have had no effect.
    Crashed(Option<Op>),
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event<Op, Question> {
    /// The operation's number: 0, 1, 2, … in the order of invocation.
    pub(crate) op: u32,
    /// When, in nanoseconds.
    pub(crate) at: u64,
    /// What.
    pub(crate) what: Happening<Op, Question>,
}

/// What happens to an object.
pub(crate) type EventOf<O> = Event<<O as Object>::Op, <O as Object>::Question>;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Ask {
        client: u32,
    },
    Effect {
        client: u32,
    },
    Answer {
        client: u32,
    },
    GiveUp {
        client: u32,
    },
    /// What a crashed operation leaves behind; its place in `ghosts`.
    Ghost {
        ghost: usize,
    },
}

struct Running<O: Object> {
    op: u32,
    process: u32,
    invoked: u64,
    question: O::Question,
    answer: Option<O::Op>,
}

/// A history as it comes to be.
pub(crate) struct Simulation<O: Object> {
    object: O,
    random: ChaCha8Rng,
    crash: f64,
    ops_left: u32,
    ops_begun: u32,
    processes: u32,
    now: u64,
    /// The operation from which on a wrong answer is due.
    lie_from: Option<u32>,
    steps: BinaryHeap<Reverse<(u64, Step)>>,
    clients: Vec<Option<Running<O>>>,
    /// Who waits for another operation to take effect, first come first.
    waiting: VecDeque<Step>,
    ghosts: Vec<Option<O::Question>>,
}

impl<O: Object> Simulation<O> {
    pub(crate) fn new(spec: &Spec, object: O, random: ChaCha8Rng) -> Self {
        let steps = (0..spec.clients).map(|client| Reverse((1, Step::Ask { client }))).collect();
        Self {
            object,
            random,
            crash: spec.crash,
            ops_left: spec.ops,
            ops_begun: 0,
            processes: spec.clients,
            now: 0,
            lie_from: spec.violation.then_some(spec.ops / 2),
            steps,
            clients: (0..spec.clients).map(|_| None).collect(),
            waiting: VecDeque::new(),
            ghosts: Vec::new(),
        }
    }

    fn after(&mut self, delay_ns_max: u64, step: Step) {
        let at = self.now + self.random.random_range(1..=delay_ns_max);
        self.steps.push(Reverse((at, step)));
    }

    fn running(&mut self, client: u32) -> &mut Running<O> {
        self.clients[client as usize].as_mut().expect("a client's steps follow its question")
    }

    fn ask(&mut self, client: u32) -> Option<EventOf<O>> {
        self.ops_left = self.ops_left.checked_sub(1)?;
        let op = self.ops_begun;
        self.ops_begun += 1;
        let process = self.clients[client as usize].as_ref().map_or(client, |last| last.process);
        let question = self.object.ask(client, process, &mut self.random);
        let invoked = self.now;
        self.clients[client as usize] = Some(Running { op, process, invoked, question, answer: None });
        if self.random.random_bool(self.crash) {
            self.after(2 * LATENCY_MEAN_NS, Step::GiveUp { client });
        } else {
            self.after(LATENCY_MEAN_NS, Step::Effect { client });
        }
        Some(Event { op, at: invoked, what: Happening::Invoked(question) })
    }

    fn effect(&mut self, client: u32) {
        let (question, op) = (self.running(client).question, self.running(client).op);
        if self.lie_from.is_some_and(|from| op >= from)
            && let Some(answer) = self.object.lie(&question)
        {
            self.lie_from = None;
            self.running(client).answer = Some(answer);
            self.steps.push(Reverse((self.now, Step::Answer { client })));
            return;
        }
        match self.object.take(&question) {
            None => self.waiting.push_back(Step::Effect { client }),
            Some(answer) => {
                self.running(client).answer = Some(answer);
                self.after(LATENCY_MEAN_NS, Step::Answer { client });
                self.wake();
            }
        }
    }

    /// Something took effect: who has waited longest for that tries again.
    fn wake(&mut self) {
        let waiter = self.waiting.pop_front();
        self.steps.extend(waiter.map(|step| Reverse((self.now, step))));
    }

    fn answer(&mut self, client: u32) -> EventOf<O> {
        let now = self.now;
        let running = self.running(client);
        let (op, invoked) = (running.op, running.invoked);
        let answer = running.answer.take().expect("an answer follows its effect");
        self.object.answered(client, &answer, invoked, now);
        self.after(LATENCY_MEAN_NS * 2 / 5, Step::Ask { client });
        Event { op, at: now, what: Happening::Answered(answer) }
    }

    fn give_up(&mut self, client: u32) -> EventOf<O> {
        let running = self.running(client);
        let (op, question) = (running.op, running.question);
        let known = self.object.crashed(client, &question);
        if let Some((_, probability)) = &known
            && self.random.random_bool(*probability)
        {
            self.ghosts.push(Some(question));
            let delay_ns_max = if self.random.random_bool(0.5) { LATENCY_MEAN_NS } else { 50 * LATENCY_MEAN_NS };
            self.after(delay_ns_max, Step::Ghost { ghost: self.ghosts.len() - 1 });
        }
        let successor = self.processes;
        self.running(client).process = successor;
        self.processes += 1;
        self.after(LATENCY_MEAN_NS * 2 / 5, Step::Ask { client });
        Event { op, at: self.now, what: Happening::Crashed(known.map(|(what, _)| what)) }
    }

    /// All of it, ascending by invocation.
    ///
    /// # Panics
    /// If a violation was asked for and none found a place.
    pub(crate) fn into_entries(mut self) -> Vec<Entry<O::Op>> {
        let mut entries: Vec<(u64, Option<u64>, Option<O::Op>)> = Vec::new();
        for Event { op, at, what } in self.by_ref() {
            match what {
                Happening::Invoked(_) => entries.push((at, None, None)),
                Happening::Answered(what) => {
                    let entry = &mut entries[op as usize];
                    (entry.1, entry.2) = (Some(at), Some(what));
                }
                Happening::Crashed(what) => entries[op as usize].2 = what,
            }
        }
        assert!(self.lie_from.is_none(), "the violation found no place");
        let known = entries.into_iter();
        known.filter_map(|(invoked, answered, what)| what.map(|what| Entry { what, invoked, answered })).collect()
    }
}

impl<O: Object> Iterator for Simulation<O> {
    type Item = EventOf<O>;

    fn next(&mut self) -> Option<EventOf<O>> {
        while let Some(Reverse((at, step))) = self.steps.pop() {
            // All instants differ, so that a violation is one and nobody can call it a coincidence.
            self.now = at.max(self.now + 1);
            let event = match step {
                Step::Ask { client } => self.ask(client),
                Step::Effect { client } => {
                    self.effect(client);
                    None
                }
                Step::Answer { client } => Some(self.answer(client)),
                Step::GiveUp { client } => Some(self.give_up(client)),
                Step::Ghost { ghost } => {
                    let question = self.ghosts[ghost].take();
                    if let Some(question) = question
                        && self.object.take(&question).is_some()
                    {
                        self.wake();
                    }
                    None
                }
            };
            if event.is_some() {
                return event;
            }
        }
        None
    }
}
