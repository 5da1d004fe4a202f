//! Acknowledged writes that are surely gone.
//!
//! ```text
//!  ─[ write 7 ok ]──[ write 9 ok ]───── all faults over ─────[ final read: 7 ]        9 is lost
//! ```
//!
//! A final read shows the last write that survived. A write that began after that one was acknowledged comes later in every
//! order, so had it survived, the read would have shown it or a newer one. It counts only if every final read of its key that
//! began after its acknowledgement shows such an older value (or no value at all), written by one operation alone.
//!
//! Of sets it is simpler, since they never give an element back: an acknowledged element is surely gone if the last answer of every
//! node that answered a final read after the acknowledgement has not got it, and those nodes are a majority, or all others refused.
//!
//! Refuses to guess: of concurrent writes, unknown outcomes and keys without final reads nothing is said. That makes it a lower
//! bound; `chaos-check` judges, this only tells which failover a loss belongs to.

use std::collections::{BTreeMap, BTreeSet};

use chaos_history::{ClientRole, Completion, NodeId, ObjectKind, OpResult, Operation, RunNanos, Value};

use crate::analysis::{Failover, LostWrite};
use crate::operations::is_acknowledged_write;

/// All of them, in order of invocation, each with the failover that it belongs to.
pub(crate) fn lost_writes(operations: &[Operation], failovers: &[Failover], nodes: usize) -> Vec<LostWrite> {
    let mut finals: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    let mut writers: BTreeMap<(&str, Value), Vec<&Operation>> = BTreeMap::new();
    for operation in operations {
        let key = operation.action.key();
        if let Some(value) = operation.action.written() {
            writers.entry((key, value)).or_default().push(operation);
        } else if operation.role == ClientRole::Final {
            finals.entry(key).or_default().push(operation);
        }
    }
    let gone = |write: &&Operation| {
        let (key, Some(acknowledged)) = (write.action.key(), write.completed) else { return false };
        let after = finals.get(key).map_or(&[][..], Vec::as_slice).iter().filter(|read| read.invoked >= acknowledged);
        let mut shown = after.filter_map(|read| match read.completion {
            Completion::Ok(OpResult::Read { value, .. }) => Some(value),
            Completion::Ok(
                OpResult::Written { .. }
                | OpResult::Cas { .. }
                | OpResult::Elements { .. }
                | OpResult::Acquired { .. }
                | OpResult::Released
                | OpResult::Accessed { .. },
            ) => None,
            Completion::Fail(_) | Completion::Info(_) => None,
        });
        let older = |shown: Option<Value>| match shown.map(|value| writers.get(&(key, value)).map(Vec::as_slice)) {
            None => true,
            Some(Some([writer])) => {
                is_acknowledged_write(writer) && writer.completed.is_some_and(|completed| completed < write.invoked)
            }
            Some(Some(_) | None) => false,
        };
        shown.next().is_some_and(older) && shown.all(older)
    };
    let sets = last_words(operations, nodes);
    let gone = |write: &&Operation| match write.action.object() {
        ObjectKind::Set => sets.get(write.action.key()).is_some_and(|last| is_nowhere(write, last)),
        ObjectKind::Register | ObjectKind::Lock => gone(write),
    };
    let lost = operations.iter().filter(|operation| is_acknowledged_write(operation)).filter(gone);
    lost.filter_map(|write| {
        Some(LostWrite {
            key: write.action.key().to_owned(),
            value: write.action.written()?,
            node: write.node,
            invoked: write.invoked,
            acknowledged: write.completed?,
            fault: owner(write, failovers).map(|failover| failover.fault),
        })
    })
    .collect()
}

/// What a node showed of a set at last, and when it was asked.
struct LastWord {
    asked: RunNanos,
    values: BTreeSet<Value>,
}

/// Per set the last words of its nodes, of those sets of which enough nodes answered, or all others refused.
fn last_words(operations: &[Operation], nodes: usize) -> BTreeMap<&str, BTreeMap<NodeId, LastWord>> {
    let mut sets: BTreeMap<&str, BTreeMap<NodeId, LastWord>> = BTreeMap::new();
    let mut refusing: BTreeSet<(&str, NodeId)> = BTreeSet::new();
    for operation in operations.iter().filter(|operation| operation.role == ClientRole::Final) {
        let (key, node, asked) = (operation.action.key(), operation.node, operation.invoked);
        match &operation.completion {
            Completion::Ok(OpResult::Elements { values, .. }) => {
                let of_set = sets.entry(key).or_default();
                if of_set.get(&node).is_none_or(|earlier| earlier.asked <= asked) {
                    of_set.insert(node, LastWord { asked, values: values.iter().copied().collect() });
                }
            }
            Completion::Fail(_) => {
                refusing.insert((key, node));
            }
            Completion::Ok(_) | Completion::Info(_) => {}
        }
    }
    sets.retain(|key, last| {
        last.len() > nodes / 2
            || NodeId::all(nodes).all(|node| last.contains_key(&node) || refusing.contains(&(key, node)))
    });
    sets
}

/// Whether an acknowledged element is in nobody's last word, all of which were asked for after the acknowledgement.
fn is_nowhere(write: &Operation, last: &BTreeMap<NodeId, LastWord>) -> bool {
    let (Some(value), Some(acknowledged)) = (write.action.written(), write.completed) else { return false };
    !last.is_empty() && last.values().all(|word| word.asked > acknowledged && !word.values.contains(&value))
}

/// The failover whose old leader acknowledged the write while it was cut off or stopped; otherwise the first that began after the
/// write did, since only a leader that goes takes writes with it.
fn owner<'a>(write: &Operation, failovers: &'a [Failover]) -> Option<&'a Failover> {
    let by_old = |failover: &&Failover| {
        write.node == failover.old.node
            && failover.injected.lo <= write.invoked
            && failover.healed.is_none_or(|healed| write.invoked <= healed.hi)
    };
    let next = || failovers.iter().find(|failover| write.invoked <= failover.injected.hi);
    failovers.iter().rev().find(by_old).or_else(next)
}

#[cfg(test)]
mod tests {
    use chaos_history::{Action, Event, FaultKind, History, OpPhase, Term};

    use super::*;
    use crate::sample::{Sample, at, node};

    /// n1 acknowledges value 0 at 910 and value 1 at 960, is killed at 1000, and final reads begin at 3000.
    fn run(shown: &[Option<u64>]) -> History {
        let mut sample = Sample::new(3);
        sample.all_follow(&[1, 2, 3], 900, 1, 1).write(1, 905, Some(910)).write(1, 955, Some(960));
        sample.fault(1, FaultKind::Kill, 1000, &[1], &[]).all_follow(&[2, 3], 1200, 2, 2);
        for index in 0..shown.len() as u64 {
            sample.read(2, 3000 + 10 * index, Some(3005 + 10 * index));
        }
        let mut history = sample.history();
        let mut values = shown.iter();
        for recorded in history.events.iter_mut().filter(|recorded| recorded.at >= at(3000)) {
            let Event::Op(op) = &mut recorded.event else { continue };
            match &mut op.phase {
                OpPhase::Invoke { role, .. } => *role = ClientRole::Final,
                OpPhase::Ok(result) => {
                    let value = values.next().copied().flatten().map(Value);
                    *result = OpResult::Read { value, revision: None };
                }
                OpPhase::Fail { .. } | OpPhase::Info { .. } => {}
            }
        }
        history
    }

    #[test]
    fn a_write_whose_key_ends_with_an_older_value_is_lost_by_the_failover_after_it() {
        let analysis = crate::analyse(&run(&[Some(0)]), None);
        let lost: Vec<_> = analysis.lost_writes.iter().map(|lost| (lost.value, lost.fault.map(|id| id.0))).collect();
        assert_eq!(lost, [(Value(1), Some(1))]);
        assert_eq!(analysis.failovers[0].lost_writes, 1);
        assert_eq!(analysis.failovers[0].old.node, node(1));
        assert_eq!(analysis.failovers[0].old.term, Term(1));
    }

    #[test]
    fn a_key_that_ends_absent_has_lost_every_acknowledged_write() {
        assert_eq!(crate::analyse(&run(&[None]), None).failovers[0].lost_writes, 2);
    }

    #[test]
    fn nothing_is_lost_where_the_last_write_is_read_or_reads_disagree_or_nobody_read() {
        for shown in [&[Some(1)][..], &[Some(0), Some(1)], &[]] {
            assert_eq!(crate::analyse(&run(shown), None).lost_writes, [], "{shown:?}");
        }
    }

    #[test]
    fn a_value_that_nobody_wrote_proves_no_loss() {
        assert_eq!(crate::analyse(&run(&[Some(77)]), None).lost_writes, []);
    }

    /// n1 acknowledges 0 and 1 of a set, is killed at 1000, and the nodes show in the end what is given; `None`: silent.
    fn set_run(shown: &[Option<&[u64]>]) -> Vec<(Value, Option<u32>)> {
        let mut sample = Sample::new(3);
        let add = |value| Action::Add { key: "s0".to_owned(), value: Value(value) };
        sample.all_follow(&[1, 2, 3], 900, 1, 1).operation(1, add(0), 905, Some(910));
        sample.operation(1, add(1), 955, Some(960));
        sample.fault(1, FaultKind::Kill, 1000, &[1], &[]).all_follow(&[2, 3], 1200, 2, 2);
        for (who, shown) in (1_u16..).zip(shown) {
            let elements = Action::Elements { key: "s0".to_owned() };
            sample.operation(who, elements, 3000, shown.map(|_| 3005));
        }
        let mut history = sample.history();
        let mut shown = shown.iter().flatten();
        for recorded in history.events.iter_mut().filter(|recorded| recorded.at >= at(3000)) {
            let Event::Op(op) = &mut recorded.event else { continue };
            match &mut op.phase {
                OpPhase::Invoke { role, .. } => *role = ClientRole::Final,
                OpPhase::Ok(OpResult::Elements { values, .. }) => {
                    *values = shown.next().unwrap().iter().copied().map(Value).collect();
                }
                OpPhase::Ok(_) | OpPhase::Fail { .. } | OpPhase::Info { .. } => {}
            }
        }
        let lost = crate::analyse(&history, None).lost_writes;
        lost.iter().map(|lost| (lost.value, lost.fault.map(|id| id.0))).collect()
    }

    #[test]
    fn an_element_that_no_nodes_last_answer_has_is_lost_by_the_failover_after_it() {
        assert_eq!(set_run(&[Some(&[0]), Some(&[0]), Some(&[0])]), [(Value(1), Some(1))]);
        assert_eq!(set_run(&[None, Some(&[]), Some(&[])]), [(Value(0), Some(1)), (Value(1), Some(1))]);
    }

    #[test]
    fn an_element_is_not_lost_where_one_node_has_it_or_too_few_answered() {
        assert_eq!(set_run(&[Some(&[0]), Some(&[0, 1]), Some(&[0])]), []);
        assert_eq!(set_run(&[None, Some(&[0]), None]), []);
        assert_eq!(set_run(&[None, None, None]), []);
    }
}
