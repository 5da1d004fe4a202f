//! One of every operation, as a load would send it, and whether the answer is what it must be.
//!
//! Each is sent to the leader first and then to the others in turn, until one says `ok` or patience ends; every answer is told
//! with its words. An operation that the driver has no words for was not declared and isn't missing.

use std::time::Duration;

use chaos_history::{Action, NodeId, OpPhase, OpResult, Value};
use chaos_systems::{Answer, Driver};

use super::findings::{Outcome, shortened};
use super::trial::{Abort, Trial};

/// How long one operation may take.
const OPERATION_WITHIN: Duration = Duration::from_secs(3);
/// How long a system is left alone between two attempts.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Tells from a result whether it is right; what is wrong, if it isn't.
type Judge = fn(&OpResult) -> Result<String, String>;

/// An operation with what must come of it.
struct Attempt {
    name: &'static str,
    action: Action,
    judge: Judge,
}

fn attempts(key: &str) -> Vec<Attempt> {
    let (register, set, lock) = (format!("{key}-register"), format!("{key}-set"), format!("{key}-lock"));
    let read = |key: &str| Action::Read { key: key.to_owned() };
    let cas = |expect, value| Action::Cas { key: register.clone(), expect: Some(Value(expect)), value: Value(value) };
    vec![
        Attempt {
            name: "read of nothing",
            action: read(&format!("{key}-nothing")),
            judge: |result| holds(result, None),
        },
        Attempt {
            name: "write",
            action: Action::Write { key: register.clone(), value: Value(1) },
            judge: |result| acknowledged(result, "a write"),
        },
        Attempt { name: "read", action: read(&register), judge: |result| holds(result, Some(Value(1))) },
        Attempt { name: "cas", action: cas(1, 2), judge: |result| swapped(result, true) },
        Attempt { name: "cas of another", action: cas(1, 3), judge: |result| swapped(result, false) },
        Attempt {
            name: "cas of nothing",
            action: Action::Cas { key: format!("{key}-absent"), expect: None, value: Value(4) },
            judge: |result| swapped(result, true),
        },
        Attempt {
            name: "add",
            action: Action::Add { key: set.clone(), value: Value(7) },
            judge: |result| acknowledged(result, "an addition"),
        },
        Attempt {
            name: "elements",
            action: Action::Elements { key: set },
            judge: |result| {
                let OpResult::Elements { values, .. } = result else {
                    return Err(no_answer(result, "a question for elements"));
                };
                let found = values == &[Value(7)];
                if found {
                    Ok("found what was added".to_owned())
                } else {
                    Err(format!("7 was added, {values:?} was found"))
                }
            },
        },
        Attempt {
            name: "acquire",
            action: Action::Acquire { key: lock.clone() },
            judge: |result| {
                let OpResult::Acquired { token } = result else { return Err(no_answer(result, "an acquisition")) };
                let token =
                    token.map_or_else(|| "no fencing token".to_owned(), |token| format!("fencing token {token}"));
                Ok(format!("held, {token}"))
            },
        },
        Attempt {
            name: "release",
            action: Action::Release { key: lock },
            judge: |result| {
                let given_back = *result == OpResult::Released;
                if given_back { Ok("given back".to_owned()) } else { Err(no_answer(result, "a release")) }
            },
        },
    ]
}

fn holds(result: &OpResult, expected: Option<Value>) -> Result<String, String> {
    let words = |value: Option<Value>| value.map_or_else(|| "nothing".to_owned(), |value| value.0.to_string());
    let OpResult::Read { value, .. } = result else { return Err(no_answer(result, "a read")) };
    if *value == expected {
        Ok(format!("read {}", words(*value)))
    } else {
        Err(format!("read {} where {} should be", words(*value), words(expected)))
    }
}

fn acknowledged(result: &OpResult, what: &str) -> Result<String, String> {
    let done = matches!(result, OpResult::Written { .. });
    if done { Ok("acknowledged".to_owned()) } else { Err(no_answer(result, what)) }
}

fn no_answer(result: &OpResult, to: &str) -> String {
    format!("{result:?} is no answer to {to}")
}

fn swapped(result: &OpResult, expected: bool) -> Result<String, String> {
    let OpResult::Cas { swapped, .. } = result else { return Err(no_answer(result, "a compare-and-set")) };
    match (*swapped, expected) {
        (true, true) => Ok("swapped what it expected".to_owned()),
        (false, false) => Ok("left what it did not expect".to_owned()),
        (true, false) => Err("swapped a value that it did not expect".to_owned()),
        (false, true) => Err("refused the very value that it expected".to_owned()),
    }
}

/// Tries everything; `first` is asked first.
pub(super) fn try_all(trial: &mut Trial, first: NodeId, key: &str) -> Result<(), Abort> {
    let Some(client) = trial.definition().client.clone() else {
        trial.findings.untried("client", "not declared: only leadership can be tested");
        return Ok(());
    };
    let mut known = 0;
    for attempt in attempts(key) {
        let outcome = one(trial, first, &attempt, &client.driver)?;
        known += usize::from(!matches!(outcome, Outcome::Untried(_)));
        trial.findings.add(format!("client {}", attempt.name), outcome);
    }
    if known == 0 {
        let remedy = "declare at least one operation under `client.http`, or take another `client.driver`";
        trial.findings.broken("client", "it has words for nothing", remedy);
    }
    Ok(())
}

/// A write after the failover: whoever leads now takes it.
pub(super) fn write_again(trial: &mut Trial, first: NodeId, key: &str) -> Result<(), Abort> {
    let Some(client) = trial.definition().client.clone() else { return Ok(()) };
    for attempt in attempts(key).into_iter().filter(|attempt| matches!(attempt.name, "write" | "add")) {
        let outcome = one(trial, first, &attempt, &client.driver)?;
        if !matches!(outcome, Outcome::Untried(_)) {
            trial.findings.add(format!("client {} after that", attempt.name), outcome);
        }
    }
    Ok(())
}

fn one(trial: &mut Trial, first: NodeId, attempt: &Attempt, driver: &str) -> Result<Outcome, Abort> {
    let mut nodes = vec![first];
    nodes.extend(trial.nodes().filter(|&node| node != first));
    let (give_up, mut tries, mut last) = (trial.now() + trial.settle, 0, Outcome::Untried(String::new()));
    loop {
        for &node in &nodes {
            tries += 1;
            let Some(answer) = send(trial, node, &attempt.action)? else {
                last = broken(format!("{node}: info: no answer within {OPERATION_WITHIN:?} (try {tries})"), driver);
                continue;
            };
            let hint = answer.leader_hint.map_or_else(String::new, |leader| format!(", which names {leader}"));
            last = match answer.phase {
                OpPhase::Ok(result) => match (attempt.judge)(&result) {
                    Ok(words) => return Ok(Outcome::Works(format!("{node}: ok: {words}"))),
                    // A read of a system that promises less may come too early; the others never become right.
                    Err(words) => broken(format!("{node}: ok, but {words} (try {tries})"), driver),
                },
                OpPhase::Fail { error } if has_no_words(&attempt.action, &error) => {
                    return Ok(Outcome::Untried(shortened(&error, 100)));
                }
                OpPhase::Fail { error } => {
                    broken(format!("{node}: fail: {}{hint} (try {tries})", shortened(&error, 200)), driver)
                }
                OpPhase::Info { error } => {
                    broken(format!("{node}: info: {}{hint} (try {tries})", shortened(&error, 200)), driver)
                }
                OpPhase::Invoke { .. } => unreachable!("no answer is an invocation"),
            };
            // Whether an unclear write, addition or acquisition happened is open, so that another could be a second one.
            let once = matches!(attempt.action, Action::Cas { .. } | Action::Acquire { .. } | Action::Release { .. });
            if once && !matches!(&last, Outcome::Broken { why, .. } if why.contains(": fail: ")) {
                return Ok(last);
            }
        }
        if trial.now() >= give_up {
            return Ok(last);
        }
        trial.pause(TRY_AGAIN_AFTER)?;
    }
}

fn broken(why: String, driver: &str) -> Outcome {
    let remedy = if driver == "http" {
        "look at `client.http` (`path`, `body`, `ok`, `fail`, `value`) and at `client.port`"
    } else {
        "look at `client.port` and `client.options`"
    };
    Outcome::Broken { why, remedy: remedy.to_owned() }
}

/// Drivers say so in these words; locks they refuse in various ones, and a lock that nobody has taken is refused for no other reason.
fn has_no_words(action: &Action, error: &str) -> bool {
    error.contains("no words")
        || error.starts_with("the definition has no `")
        || matches!(action, Action::Acquire { .. } | Action::Release { .. })
}

fn send(trial: &mut Trial, node: NodeId, action: &Action) -> Result<Option<Answer>, Abort> {
    let operation = trial.driver.invoke(node, action);
    trial.beside(operation, OPERATION_WITHIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_accepts_its_right_answer_and_no_other() {
        let right = |name: &str| match name {
            "read of nothing" => OpResult::Read { value: None, revision: None },
            "read" => OpResult::Read { value: Some(Value(1)), revision: None },
            "cas" | "cas of nothing" => OpResult::Cas { swapped: true, observed: None, revision: None },
            "cas of another" => OpResult::Cas { swapped: false, observed: None, revision: None },
            "elements" => OpResult::Elements { values: vec![Value(7)], revision: None },
            "acquire" => OpResult::Acquired { token: Some(3) },
            "release" => OpResult::Released,
            _ => OpResult::Written { revision: None },
        };
        let attempts = attempts("k");
        for attempt in &attempts {
            for other in &attempts {
                let same = right(other.name) == right(attempt.name);
                assert_eq!((attempt.judge)(&right(other.name)).is_ok(), same, "{} by {}", attempt.name, other.name);
            }
        }
        let stale = OpResult::Elements { values: vec![], revision: None };
        let elements = attempts.iter().find(|attempt| attempt.name == "elements").unwrap();
        assert!((elements.judge)(&stale).is_err());
    }
}
