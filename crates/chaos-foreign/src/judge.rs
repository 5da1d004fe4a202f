//! The objects of a history, decided: whatever their kind, one answer for each, in a form that can be printed.

use std::num::NonZeroUsize;

use chaos_check::linear::explain::Explanation;
use chaos_check::linear::{Budget, Decision, Kept, Model, Spent, Undecided, check, check_all};

use crate::object::{Object, Objects, Parsed, Words};
use crate::story::{self, Story};

/// What was decided of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Its key as written; `None` if the history is of one object.
    pub key: Option<String>,
    /// Its operations that say something.
    pub operations: usize,
    /// The verdict.
    pub outcome: Outcome,
}

/// The verdict on one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Linearizable, by an order that the independent verifier re-played: places among the object's entries.
    Linearizable(Vec<u32>),
    /// Not linearizable.
    Violation {
        /// Operations that have no legal order by themselves.
        core: Vec<CoreOperation>,
        /// Whether the verifier refuted them by trying all their orders; otherwise only the engine vouches for it.
        verified: bool,
        /// Whether time was up before the operations were made as few as can be found.
        cut_short: bool,
        /// What they say against each other, in words and in a picture. Values are as written in the file: whoever prints them
        /// must take care of what could steer a terminal.
        explanation: Box<Explanation>,
    },
    /// Not decided.
    Undecided {
        /// What ran out.
        limit: Limit,
        /// What ran out, and how far it came.
        why: String,
    },
}

/// What ran out before an object was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The caller's patience.
    Time,
    /// The memory that searches may use.
    Memory,
    /// The configurations that searches may visit.
    Configurations,
    /// Nothing: a mistake of this checker.
    Mistake,
}

/// An operation of a counterexample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreOperation {
    /// Its place among the object's entries.
    pub place: u32,
    /// What it demands, in words; possibly less than it did.
    pub what: String,
    /// Whether that is less than it did.
    pub weakened: bool,
    /// Its process.
    pub process: String,
    /// Its stamps, possibly wider than recorded; nanoseconds or numbers of events, see [`Parsed::nanoseconds`].
    pub invoked: u64,
    /// When it was answered; `None` if it counts as unanswered.
    pub answered: Option<u64>,
    /// The line of its invocation.
    pub invoked_line: u32,
    /// The line of its end, if it has one.
    pub ended_line: Option<u32>,
}

/// Decides every object, on up to `threads` threads; in the order of the objects.
///
/// # Errors
/// If the stamps of an object are no history's: the key and why.
pub fn judge(parsed: &Parsed, budget: &Budget<'_>, threads: NonZeroUsize) -> Result<Vec<Judged>, String> {
    match &parsed.objects {
        Objects::Register(objects) => judge_all(parsed, objects, budget, threads),
        Objects::Mutex(objects) => judge_all(parsed, objects, budget, threads),
        Objects::Set(objects) => judge_all(parsed, objects, budget, threads),
        Objects::Kv(objects) => judge_all(parsed, objects, budget, threads),
    }
}

fn judge_all<M: Story + Send>(
    parsed: &Parsed,
    objects: &[Object<M>],
    budget: &Budget<'_>,
    threads: NonZeroUsize,
) -> Result<Vec<Judged>, String> {
    check_all(objects, threads, |object| {
        let decision = check(&object.model, &object.entries, budget);
        let decision =
            decision.map_err(|error| format!("{}: {error}", object.key.as_deref().unwrap_or("the history")))?;
        Ok(Judged {
            key: object.key.clone(),
            operations: object.entries.len(),
            outcome: told(parsed, object, decision, budget.stopped()),
        })
    })
    .into_iter()
    .collect()
}

fn told<M: Story>(parsed: &Parsed, object: &Object<M>, decision: Decision<M::Op>, stopped: bool) -> Outcome {
    match decision {
        Decision::Linearizable(order) => Outcome::Linearizable(order),
        Decision::Violation { core, verified } => {
            let explanation = Box::new(story::tell(parsed, object, &core));
            let core = core.iter().map(|kept| core_operation(parsed, object, kept)).collect();
            Outcome::Violation { core, verified, cut_short: stopped, explanation }
        }
        Decision::Undecided(undecided) => {
            Outcome::Undecided { limit: limit(&undecided.spent), why: why(object, &undecided) }
        }
    }
}

fn core_operation<M: Words>(parsed: &Parsed, object: &Object<M>, kept: &Kept<M::Op>) -> CoreOperation {
    let place = kept.index as usize;
    let source = object.sources[place];
    CoreOperation {
        place: kept.index,
        what: object.model.say(&kept.entry.what, &object.names),
        weakened: kept.entry.what != object.entries[place].what,
        process: parsed.processes[source.process as usize].clone(),
        invoked: kept.entry.invoked,
        answered: kept.entry.answered,
        invoked_line: source.invoked_line,
        ended_line: source.ended_line.map(std::num::NonZeroU32::get),
    }
}

fn limit(spent: &Spent) -> Limit {
    match spent {
        Spent::Configurations => Limit::Configurations,
        Spent::Bytes => Limit::Memory,
        Spent::Stopped => Limit::Time,
        Spent::Disagreement(_) => Limit::Mistake,
    }
}

fn why<M: Model>(object: &Object<M>, undecided: &Undecided) -> String {
    let spent = match &undecided.spent {
        Spent::Configurations => "the configurations that may be visited were used up".to_owned(),
        Spent::Bytes => "the memory that searches may use was used up".to_owned(),
        Spent::Stopped => "time was up".to_owned(),
        Spent::Disagreement(how) => format!("a mistake of this checker, please report it: {how}"),
    };
    let source = undecided.reached.and_then(|place| object.sources.get(place as usize));
    let answers = object.entries.iter().filter(|entry| entry.answered.is_some()).count();
    let reached = source.map_or_else(String::new, |source| {
        format!(
            "; {} of {answers} answers are linearizable, and the next, in line {}, was not passed",
            undecided.answers_proved,
            source.ended_line.map_or(source.invoked_line, std::num::NonZeroU32::get),
        )
    });
    format!("{spent} after {} configurations{reached}", undecided.configurations)
}
