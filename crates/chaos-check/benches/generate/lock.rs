//! A mutex to simulate: every client acquires, holds, releases, thinks, and does it again.
//!
//! An acquire that crashes is never granted (though nobody but the simulation knows that): were it granted, nobody would ever
//! release. A release that crashes always takes effect, possibly late, for the same reason.

use rand_chacha::ChaCha8Rng;

use super::simulation::Object;

/// What was done to a mutex, granted or done if it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Section {
    /// A section begins.
    Acquire,
    /// A section ends.
    Release,
}

/// What is asked of a mutex.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    process: u32,
    what: Section,
    /// The mutex was granted to this process although another held it.
    usurped: bool,
}

/// A mutex.
pub(crate) struct Mutex {
    held: bool,
    /// Of each client: whether it holds the mutex or thinks so, and whether it does only by a lie.
    holds: Vec<(bool, bool)>,
    /// Whether somebody has been told that the mutex is his and has not begun to give it back.
    certain: bool,
}

impl Mutex {
    pub(crate) fn new(clients: u32) -> Self {
        Self { held: false, holds: vec![(false, false); clients as usize], certain: false }
    }
}

impl Object for Mutex {
    type Op = (u32, Section);
    type Question = Question;

    fn ask(&mut self, client: u32, process: u32, _random: &mut ChaCha8Rng) -> Question {
        let (holds, usurped) = self.holds[client as usize];
        if holds {
            self.certain &= usurped;
            self.holds[client as usize] = (false, false);
            Question { process, what: Section::Release, usurped }
        } else {
            Question { process, what: Section::Acquire, usurped: false }
        }
    }

    fn take(&mut self, question: &Question) -> Option<(u32, Section)> {
        match question.what {
            Section::Acquire if self.held => return None,
            Section::Acquire => self.held = true,
            Section::Release => self.held &= question.usurped,
        }
        Some((question.process, question.what))
    }

    fn lie(&mut self, question: &Question) -> Option<(u32, Section)> {
        (self.certain && question.what == Section::Acquire).then_some((question.process, question.what))
    }

    fn answered(&mut self, client: u32, (_, what): &(u32, Section), _invoked: u64, _now: u64) {
        if *what == Section::Acquire {
            self.holds[client as usize] = (true, self.certain);
            self.certain = true;
        }
    }

    fn crashed(&mut self, _client: u32, question: &Question) -> Option<((u32, Section), f64)> {
        let probability = match question.what {
            Section::Acquire => 0.0,
            Section::Release => 1.0,
        };
        Some(((question.process, question.what), probability))
    }
}
