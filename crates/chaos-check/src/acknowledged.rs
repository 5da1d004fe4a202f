//! `NoAcknowledgedWriteLost`: the final reads show nothing older than an acknowledged write.
//!
//! Once all faults are over and the load has stopped, every key is read (role `final`). Such a read r of a key loses the
//! acknowledged write w (a write or a swap, over before r was sent) if
//!
//! * r found the key absent (there is no delete), or
//! * r found a value whose write was *over* before w was invoked: the older value came back.
//!
//! ```text
//!   ─[ write 7 ]──[ write 9 ok ]─── … ───[ final read: 7 ]     9 is lost
//!   ─[ write 7      ]─────────────
//!        ─[ write 9 ok ]────────── … ───[ final read: 7 ]      concurrent: 7 may be the newer one
//! ```
//!
//! A write is over when it was answered, or, if its value has no other writer, when somebody had seen the value. A final
//! read of a value that no write can have left is a violation, too. One pass per key, O(n). Any one write per final read
//! can be proved lost; the sentence also says how many acknowledged writes are newer than the value found, each of which is
//! lost or was overwritten by a lost one. Sets have a rule of their own ([`lost`]). A key with acknowledged writes but no final read after them is unknown.

use std::collections::BTreeMap;

use chaos_history::{
    Action, ClientRole, Completion, History, ObjectKind, OpResult, Operation, RunNanos, Value, operations,
};

use crate::set::{SetKey, lost};
use crate::text::{count, grouped};
use crate::verdict::{Verdict, Witness};

/// The final reads show nothing older than an acknowledged write.
pub(crate) fn no_acknowledged_write_lost(history: &History) -> (Verdict, String) {
    let operations = match operations(&history.events) {
        Ok(operations) => operations,
        Err(error) => return (Verdict::Unknown(error.to_string()), "malformed operations".to_owned()),
    };
    let mut keys: BTreeMap<(&str, ObjectKind), Vec<&Operation>> = BTreeMap::new();
    for operation in &operations {
        if operation.completed.is_some_and(|completed| completed < operation.invoked) {
            let reason = format!("line {}: an operation was answered before it was invoked", operation.invoke_line);
            return (Verdict::Unknown(reason), "malformed operations".to_owned());
        }
        let (key, kind) = (operation.action.key(), operation.action.object());
        if kind != ObjectKind::Lock {
            keys.entry((key, kind)).or_default().push(operation);
        }
    }
    let (mut writes, mut reads, mut violated, mut lost_elements) = (0, 0, 0, 0);
    let mut violation: Option<Witness> = None;
    let mut unknown: Option<String> = None;
    let mut remarks: Vec<String> = Vec::new();
    for (&(key, kind), of_key) in &keys {
        let (broken, unread) = if kind == ObjectKind::Set {
            let key = SetKey::new(key, of_key);
            writes += key.added.len();
            reads += key.finals.len();
            let lost::Finding { violation, unknown, lost, remark } = lost::judge(&key, history.header.nodes);
            lost_elements += lost;
            remarks.extend(remark);
            (violation, unknown)
        } else {
            let key = KeyWrites::new(key, of_key);
            writes += key.acknowledged.len();
            reads += key.finals.len();
            (key.finals.iter().find_map(|read| key.lost_by(read)), key.unread())
        };
        violated += usize::from(broken.is_some());
        unknown = unknown.or(unread);
        violation = violation.or(broken);
    }
    let mut basis = format!(
        "{}, {} of {}",
        count(writes, "acknowledged write"),
        count(reads, "final read"),
        count(keys.len(), "key")
    );
    if violated > 1 {
        basis.push_str(&format!(", {} violated", count(violated, "key")));
    }
    if lost_elements > 0 {
        basis.push_str(&format!(", {} of the acknowledged additions lost", grouped(lost_elements)));
    }
    for remark in remarks {
        basis.push_str(&format!("; {remark}"));
    }
    let verdict = match (violation, unknown) {
        (Some(witness), _) => Verdict::Invalid(witness),
        (None, Some(reason)) => Verdict::Unknown(reason),
        (None, None) if writes == 0 => Verdict::Unknown("no write was acknowledged".to_owned()),
        (None, None) => Verdict::Valid,
    };
    (verdict, basis)
}

/// A final read that was answered.
struct FinalRead<'a> {
    operation: &'a Operation,
    value: Option<Value>,
    /// When it was answered, and on which line.
    end: (RunNanos, usize),
}

/// An acknowledged write or swap.
struct Acknowledged<'a> {
    operation: &'a Operation,
    value: Value,
    end: (RunNanos, usize),
}

/// When a value's writes were over, and on which line that shows.
#[derive(Clone, Copy)]
struct Writers {
    count: usize,
    /// `None` if one of them is not known to have ended.
    answered: Option<(RunNanos, usize)>,
}

struct KeyWrites<'a> {
    key: &'a str,
    acknowledged: Vec<Acknowledged<'a>>,
    finals: Vec<FinalRead<'a>>,
    writers: BTreeMap<Value, Writers>,
    /// When a value was first seen for certain.
    seen: BTreeMap<Value, (RunNanos, usize)>,
    /// The line on which a write of the value failed.
    failed: BTreeMap<Value, usize>,
}

impl<'a> KeyWrites<'a> {
    fn new(key: &'a str, operations: &[&'a Operation]) -> Self {
        let mut this = Self {
            key,
            acknowledged: Vec::new(),
            finals: Vec::new(),
            writers: BTreeMap::new(),
            seen: BTreeMap::new(),
            failed: BTreeMap::new(),
        };
        for &operation in operations {
            this.add(operation);
        }
        this
    }

    fn add(&mut self, operation: &'a Operation) {
        let end = operation.completed.zip(operation.complete_line);
        match (&operation.completion, end) {
            (Completion::Fail(_), Some((_, line))) => {
                self.failed.extend(operation.action.written().map(|value| (value, line)));
            }
            (Completion::Ok(OpResult::Read { value, .. }), Some(end)) => {
                self.saw(*value, end);
                if operation.role == ClientRole::Final {
                    self.finals.push(FinalRead { operation, value: *value, end });
                }
            }
            (Completion::Ok(OpResult::Cas { swapped: false, observed, .. }), Some(end)) => {
                self.saw(observed.flatten(), end);
            }
            (Completion::Ok(OpResult::Written { .. } | OpResult::Cas { swapped: true, .. }), Some(end)) => {
                if let Action::Cas { expect, .. } = &operation.action {
                    self.saw(*expect, end);
                }
                if let Some(value) = operation.action.written() {
                    self.wrote(value, Some(end));
                    self.acknowledged.push(Acknowledged { operation, value, end });
                }
            }
            (Completion::Ok(_) | Completion::Fail(_) | Completion::Info(_), _) => {
                if let Some(value) = operation.action.written() {
                    self.wrote(value, None);
                }
            }
        }
    }

    fn saw(&mut self, value: Option<Value>, end: (RunNanos, usize)) {
        if let Some(value) = value {
            let first = self.seen.entry(value).or_insert(end);
            *first = end.min(*first);
        }
    }

    fn wrote(&mut self, value: Value, end: Option<(RunNanos, usize)>) {
        let writers = self.writers.entry(value).or_insert(Writers { count: 0, answered: end });
        writers.count += 1;
        writers.answered = writers.answered.zip(end).map(|(one, other)| one.max(other));
    }

    /// The moment at which every write of the value was over, and the line that shows it.
    fn over(&self, value: Value) -> Option<(RunNanos, usize)> {
        let writers = self.writers.get(&value)?;
        let seen = self.seen.get(&value).copied().filter(|_| writers.count == 1);
        match (writers.answered, seen) {
            (Some(answered), Some(seen)) => Some(answered.min(seen)),
            (one, other) => one.or(other),
        }
    }

    /// Why the final read is wrong, if it is.
    fn lost_by(&self, read: &FinalRead<'_>) -> Option<Witness> {
        let before: Vec<&Acknowledged<'_>> =
            self.acknowledged.iter().filter(|write| write.end.0 < read.operation.invoked).collect();
        let Some(found) = read.value else {
            let newest = before.iter().max_by_key(|write| write.end)?;
            let found = format!("found key {} absent", self.key);
            return Some(self.witness(read, newest, &found, before.len(), None));
        };
        if !self.writers.contains_key(&found) {
            return Some(self.unwritten(read, found));
        }
        let over = self.over(found)?;
        let newer: Vec<&Acknowledged<'_>> =
            before.into_iter().filter(|write| over.0 < write.operation.invoked && write.value != found).collect();
        let newest = newer.iter().max_by_key(|write| write.end)?;
        Some(self.witness(
            read,
            newest,
            &format!("read {found} for key {}", self.key),
            newer.len(),
            Some((found, over)),
        ))
    }

    fn witness(
        &self,
        read: &FinalRead<'_>,
        lost: &Acknowledged<'_>,
        found: &str,
        newer: usize,
        over: Option<(Value, (RunNanos, usize))>,
    ) -> Witness {
        let (reader, writer) = (read.operation.node, lost.operation.node);
        let mut lines = vec![lost.end.1, read.end.1];
        let mut steps = Vec::new();
        if let Some((found, (at, line))) = over {
            lines.push(line);
            steps.push(format!("line {line}: by {at} the write of {found} to key {} was over", self.key));
        }
        steps.push(format!(
            "line {}: {writer} acknowledged {} for key {} at {}, invoked at {} (line {})",
            lost.end.1, lost.value, self.key, lost.end.0, lost.operation.invoked, lost.operation.invoke_line
        ));
        steps.push(format!(
            "line {}: {reader} {found} at {}, asked at {} (line {}), after the load had ended",
            read.end.1, read.end.0, read.operation.invoked, read.operation.invoke_line
        ));
        let sentence = format!(
            "{writer} acknowledged {} for key {} (line {}), but in the end {reader} {found}: {} lost or overwritten by lost ones",
            lost.value,
            self.key,
            lost.end.1,
            count(newer, "acknowledged write")
        );
        Witness::new(sentence, lines, steps, read.end.0, vec![reader, writer])
    }

    fn unwritten(&self, read: &FinalRead<'_>, found: Value) -> Witness {
        let reader = read.operation.node;
        let mut steps = vec![format!("line {}: {reader} read {found} for key {}", read.end.1, self.key)];
        let mut lines = vec![read.end.1];
        let fate = match self.failed.get(&found) {
            Some(&line) => {
                lines.push(line);
                steps.push(format!("line {line}: the write of {found} had failed for certain"));
                "the only write of which had failed for certain"
            }
            None => "which nobody wrote",
        };
        let sentence = format!("in the end {reader} read {found} for key {}, {fate}", self.key);
        Witness::new(sentence, lines, steps, read.end.0, vec![reader])
    }

    /// Why the final reads say too little about the key, if they do.
    fn unread(&self) -> Option<String> {
        let last = self.acknowledged.iter().max_by_key(|write| write.end)?;
        let asked = self.finals.iter().map(|read| read.operation.invoked).max();
        if asked.is_some_and(|asked| asked > last.end.0) {
            return None;
        }
        let key = self.key;
        Some(format!("key {key} has no final read after its last acknowledged write (line {})", last.end.1))
    }
}
