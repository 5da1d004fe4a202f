//! Registers to simulate: one whose values are unique, one of few values, and a thousand with a key each.

use chaos_check::linear::models::{ABSENT, RegisterOp};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::Kind;
use super::simulation::Object;

/// What is asked of a register.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Question {
    /// The content. `stale` was certainly overwritten when this was asked.
    Read { stale: Option<u32> },
    /// To hold this.
    Write(u32),
    /// To hold `new` if it holds `expect`.
    Cas { expect: u32, new: u32 },
}

/// One register.
pub(crate) struct Register {
    /// `None`: a new value for each write.
    values: Option<u32>,
    /// Of a hundred operations the reads, and the reads and writes; the rest are swaps.
    shares: (u32, u32),
    state: u32,
    written: u32,
    /// A value that was written and when its write was answered.
    acknowledged: (u32, u64),
    /// A value that was acknowledged before the write of another began that was acknowledged, too.
    overwritten: Option<u32>,
}

impl Register {
    pub(crate) fn new(kind: Kind) -> Self {
        let (values, shares) = match kind {
            Kind::Rw | Kind::Kv => (None, (50, 100)),
            Kind::Casu => (None, (50, 60)),
            Kind::Cas5 => (Some(5), (33, 66)),
            Kind::Lock | Kind::Fence | Kind::Lease => unreachable!("a lock is no register"),
        };
        Self { values, shares, state: ABSENT, written: ABSENT, acknowledged: (ABSENT, 0), overwritten: None }
    }

    fn value(&mut self, random: &mut ChaCha8Rng) -> u32 {
        self.written += 1;
        self.values.map_or(self.written, |values| ABSENT + random.random_range(1..=values))
    }
}

impl Object for Register {
    type Op = RegisterOp;
    type Question = Question;

    fn ask(&mut self, _client: u32, _process: u32, random: &mut ChaCha8Rng) -> Question {
        let percent = random.random_range(0..100_u32);
        if percent < self.shares.0 {
            // With few values an overwritten one may have come back.
            let stale = self.overwritten.filter(|_| self.values.is_none());
            Question::Read { stale }
        } else if percent < self.shares.1 {
            Question::Write(self.value(random))
        } else {
            let new = self.value(random);
            // Somebody who has just read: with many clients half of them come too late.
            let expect = self.values.map_or(self.state, |values| ABSENT + random.random_range(1..=values));
            Question::Cas { expect, new }
        }
    }

    fn take(&mut self, question: &Question) -> Option<RegisterOp> {
        Some(match *question {
            Question::Read { .. } => RegisterOp::Read(self.state),
            Question::Write(new) => {
                self.state = new;
                RegisterOp::Write(new)
            }
            Question::Cas { expect, new } if expect == self.state => {
                self.state = new;
                RegisterOp::Cas { expect, new }
            }
            Question::Cas { expect, .. } => RegisterOp::Refused { unlike: expect },
        })
    }

    fn lie(&mut self, question: &Question) -> Option<RegisterOp> {
        match *question {
            Question::Read { stale } => stale.map(RegisterOp::Read),
            Question::Write(_) | Question::Cas { .. } => None,
        }
    }

    fn answered(&mut self, _client: u32, op: &RegisterOp, invoked: u64, now: u64) {
        if let Some(value) = op.writes()
            && invoked > self.acknowledged.1
        {
            self.overwritten = Some(self.acknowledged.0);
            self.acknowledged = (value, now);
        }
    }

    fn crashed(&mut self, _client: u32, question: &Question) -> Option<(RegisterOp, f64)> {
        match *question {
            Question::Read { .. } => None,
            Question::Write(new) => Some((RegisterOp::Write(new), 0.5)),
            Question::Cas { expect, new } => Some((RegisterOp::Cas { expect, new }, 0.5)),
        }
    }
}

/// Many registers, each operation on a random one.
pub(crate) struct Registers(Vec<Register>);

impl Registers {
    pub(crate) fn new(keys: u32) -> Self {
        Self((0..keys).map(|_| Register::new(Kind::Kv)).collect())
    }
}

impl Object for Registers {
    type Op = (u32, RegisterOp);
    type Question = (u32, Question);

    fn ask(&mut self, client: u32, process: u32, random: &mut ChaCha8Rng) -> (u32, Question) {
        let key = random.random_range(0..self.0.len());
        let number = u32::try_from(key).expect("the number of keys was a u32");
        (number, self.0[key].ask(client, process, random))
    }

    fn take(&mut self, (key, question): &(u32, Question)) -> Option<(u32, RegisterOp)> {
        Some((*key, self.0[*key as usize].take(question)?))
    }

    fn lie(&mut self, (key, question): &(u32, Question)) -> Option<(u32, RegisterOp)> {
        Some((*key, self.0[*key as usize].lie(question)?))
    }

    fn answered(&mut self, client: u32, (key, op): &(u32, RegisterOp), invoked: u64, now: u64) {
        self.0[*key as usize].answered(client, op, invoked, now);
    }

    fn crashed(&mut self, client: u32, (key, question): &(u32, Question)) -> Option<((u32, RegisterOp), f64)> {
        let (op, probability) = self.0[*key as usize].crashed(client, question)?;
        Some(((*key, op), probability))
    }
}
