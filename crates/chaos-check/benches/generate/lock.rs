//! A lock to simulate: every client acquires, holds (renews, if it is a lease), releases, thinks, and does it again.
//!
//! An acquire that crashes is never granted (though nobody but the simulation knows that): were it granted, nobody would ever
//! release. A release that crashes always takes effect, possibly late, for the same reason; a lease then runs out.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::simulation::Object;

/// What was done to a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// A section begins.
    Acquire,
    /// It goes on.
    Renew,
    /// It ends.
    Release,
}

/// One operation on a lock, granted or done if it was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sectioned {
    /// The number of the section: each acquire begins another.
    pub(crate) hold: u32,
    /// What was done.
    pub(crate) what: Section,
    /// Of an acquire that was granted, the number of the grant, from 1.
    pub(crate) token: u64,
}

/// What is asked of a lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    hold: u32,
    what: Section,
    /// The lock was granted to this section although another held it.
    usurped: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Nothing,
    Lock,
    /// Only by a lie.
    Usurped,
}

/// A lock.
pub(crate) struct Lock {
    renews: bool,
    held: bool,
    token: u64,
    sections: u32,
    /// What each client holds or believes to hold, and the number of its section.
    clients: Vec<(Holds, u32)>,
    /// Whether somebody has been told that the lock is his and has not begun to give it back.
    certain: bool,
}

impl Lock {
    pub(crate) fn new(clients: u32, renews: bool) -> Self {
        let clients = vec![(Holds::Nothing, 0); clients as usize];
        Self { renews, held: false, token: 0, sections: 0, clients, certain: false }
    }

    fn grant(&mut self, question: &Question) -> Sectioned {
        self.token += 1;
        Sectioned { hold: question.hold, what: question.what, token: self.token }
    }
}

impl Object for Lock {
    type Op = Sectioned;
    type Question = Question;

    fn ask(&mut self, client: u32, _process: u32, random: &mut ChaCha8Rng) -> Question {
        let (holds, hold) = self.clients[client as usize];
        let usurped = holds == Holds::Usurped;
        if holds == Holds::Nothing {
            self.sections += 1;
            self.clients[client as usize].1 = self.sections;
            Question { hold: self.sections, what: Section::Acquire, usurped }
        } else if self.renews && random.random_bool(0.5) {
            Question { hold, what: Section::Renew, usurped }
        } else {
            self.certain &= usurped;
            self.clients[client as usize].0 = Holds::Nothing;
            Question { hold, what: Section::Release, usurped }
        }
    }

    fn take(&mut self, question: &Question) -> Option<Sectioned> {
        match question.what {
            Section::Acquire if self.held => return None,
            Section::Acquire => {
                self.held = true;
                return Some(self.grant(question));
            }
            Section::Renew => {}
            Section::Release => self.held &= question.usurped,
        }
        Some(Sectioned { hold: question.hold, what: question.what, token: 0 })
    }

    fn lie(&mut self, question: &Question) -> Option<Sectioned> {
        (self.certain && question.what == Section::Acquire).then(|| self.grant(question))
    }

    fn answered(&mut self, client: u32, op: &Sectioned, _invoked: u64, _now: u64) {
        if op.what == Section::Acquire {
            self.clients[client as usize].0 = if self.certain { Holds::Usurped } else { Holds::Lock };
            self.certain = true;
        }
    }

    fn crashed(&mut self, _client: u32, question: &Question) -> Option<(Sectioned, f64)> {
        let Question { hold, what, .. } = *question;
        let probability = match what {
            Section::Acquire => 0.0,
            Section::Renew => 0.5,
            Section::Release => 1.0,
        };
        Some((Sectioned { hold, what, token: 0 }, probability))
    }
}
