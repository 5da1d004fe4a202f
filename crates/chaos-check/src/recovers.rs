//! `Recovers`: once everything has been healed for `within`, clients' changes are acknowledged again, and go on being.
//!
//! *Premise.* An epoch of the [topology](crate::topology) in which the cluster is whole: every node up and unpaused, no link cut, no
//! fault under way. Only the time while the load runs counts, and the clock starts anew with every epoch.
//!
//! *Demand.* No stretch of such an epoch longer than `within` without a change (a write, an addition, a swap that was decided, a lock
//! taken) that was *invoked* in it and is acknowledged. The first stretch begins with the epoch: that is the recovery. Each
//! acknowledgement begins the next one: a cluster that acknowledges what it had under way and nothing more has not recovered. (Only
//! the first was asked for until the museum's `rejection-advances-match` got away with 170 ms of service and six seconds of none.)
//!
//! ```text
//!   heal                                        within
//!   ──┤══════════════════ whole ══════════════════╪════════
//!     w───x  w────────?   w─x   w─────────?  w───x            asked all the time, never acknowledged: violated
//! ```
//!
//! *What convicts.* Silence of clients that asked. At least one change must have been invoked at *every* node in the second half of
//! the bound (a client that only asks a node which doesn't lead proves nothing), and its patience must have ended within the
//! epoch; otherwise the epoch is unknown. So is one in which the host stalled for more than a tenth of the bound. A system that
//! acknowledges reads only has not recovered. Liveness in the sense of Alpern and Schneider ("Defining Liveness", 1985), bounded so
//! that a finite history can refute it. O(epochs × operations).

use std::collections::BTreeSet;
use std::time::Duration;

use chaos_history::{ClientRole, Completion, History, Mark, NodeId, OpResult, Operation, RunNanos, operations};

use crate::text::{brief, count};
use crate::topology::{Epoch, Topology, stalled};
use crate::verdict::{Verdict, Witness};

/// Which part of the bound the host may stall before nothing is certain any more.
const DOUBT_SHARE: u32 = 10;

/// Changes are acknowledged within the bound after each heal.
pub(crate) fn recovers(history: &History, within: Duration) -> (Verdict, String) {
    let operations = match operations(&history.events) {
        Ok(operations) => operations,
        Err(error) => return (Verdict::Unknown(error.to_string()), "malformed operations".to_owned()),
    };
    let changes: Vec<&Operation> = operations.iter().filter(|operation| is_change(operation)).collect();
    let Some((begin, end)) = load(history) else {
        return (Verdict::Unknown("the load never began".to_owned()), "no load".to_owned());
    };
    let topology = Topology::of(history);
    let (mut judged, mut slowest): (usize, Option<Duration>) = (0, None);
    let (mut violation, mut unknown) = (None, None);
    for epoch in topology.epochs.iter().filter(|epoch| epoch.is_whole(topology.nodes)) {
        let epoch = Epoch { from: epoch.from.max(begin), to: epoch.to.min(end), ..epoch.clone() };
        if epoch.to <= epoch.from || epoch.length() <= within {
            continue;
        }
        judged += 1;
        let acknowledged = acknowledged_in(&changes, &epoch);
        slowest = slowest.max(acknowledged.first().map(|at| at.since(epoch.from)));
        let ends = acknowledged.iter().copied().chain([epoch.to]);
        for (from, to) in std::iter::once(epoch.from).chain(acknowledged.iter().copied()).zip(ends) {
            if to.since(from) <= within {
                continue;
            }
            match judge(history, &changes, &Epoch { from, to, ..epoch.clone() }, within, topology.nodes) {
                Verdict::Valid => {}
                Verdict::Invalid(witness) => violation = violation.or(Some(witness)),
                Verdict::Unknown(reason) => unknown = unknown.or(Some(reason)),
            }
        }
    }
    let basis = format!(
        "{} (bound {within:?}), {} without a fault and longer than the bound, {}",
        slowest.map_or_else(|| "no recovery".to_owned(), |slowest| format!("slowest recovery {}", brief(slowest))),
        count(judged, "period"),
        count(changes.len(), "change")
    );
    let verdict = match (violation, unknown) {
        (Some(witness), _) => Verdict::Invalid(witness),
        (None, Some(reason)) => Verdict::Unknown(reason),
        (None, None) if judged == 0 => Verdict::Unknown(format!(
            "the cluster was never whole for longer than {within:?} while clients asked: raise `settle`, or leave more time \
             between faults"
        )),
        (None, None) => Verdict::Valid,
    };
    (verdict, basis)
}

/// When changes that were invoked in the epoch were acknowledged in it, in order.
fn acknowledged_in(changes: &[&Operation], epoch: &Epoch) -> Vec<RunNanos> {
    let invoked = changes.iter().filter(|change| change.invoked >= epoch.from && is_acknowledged(change));
    let mut at: Vec<RunNanos> = invoked.filter_map(|change| change.completed).filter(|at| *at <= epoch.to).collect();
    at.sort_unstable();
    at
}

/// Whether a stretch without an acknowledgement, longer than the bound, is one that convicts.
fn judge(history: &History, changes: &[&Operation], epoch: &Epoch, within: Duration, nodes: usize) -> Verdict {
    let bound = epoch.from + within;
    let asked = || changes.iter().filter(|change| change.invoked >= epoch.from && change.invoked < bound);
    let stall = stalled(history, epoch.from, bound);
    if stall > within / DOUBT_SHARE {
        let what = format!("the host stalled for {} of {}", brief(stall), place(epoch, bound));
        return Verdict::Unknown(what);
    }
    let late = epoch.from + within / 2;
    let in_vain = asked()
        .filter(|change| change.invoked >= late && change.completed.is_some_and(|completed| completed <= epoch.to));
    let in_vain: Vec<&&Operation> = in_vain.collect();
    let at: BTreeSet<NodeId> = in_vain.iter().map(|change| change.node).collect();
    if let Some(missing) = NodeId::all(nodes).find(|node| !at.contains(node)) {
        let what = format!("no client asked {missing} for a change late in {}", place(epoch, bound));
        return Verdict::Unknown(what);
    }
    Verdict::Invalid(witness(epoch, bound, asked().count(), &in_vain))
}

fn witness(epoch: &Epoch, bound: RunNanos, asked: usize, in_vain: &[&&Operation]) -> Witness {
    let sentence = format!(
        "the cluster was whole from {} on, and of {} until {} none was acknowledged",
        epoch.from,
        count(asked, "change"),
        bound
    );
    let mut lines: Vec<usize> = epoch.line.into_iter().collect();
    let mut steps: Vec<String> = epoch
        .line
        .map(|line| format!("line {line}: from here on every node is up and no link is cut"))
        .into_iter()
        .collect();
    let mut told = BTreeSet::new();
    for change in in_vain.iter().rev() {
        let (Some(line), true) = (change.complete_line, told.insert(change.node)) else { continue };
        let how = match &change.completion {
            Completion::Ok(_) => "decided against".to_owned(),
            Completion::Fail(error) => format!("refused: {error}"),
            Completion::Info(error) => format!("of unknown outcome: {error}"),
        };
        lines.push(line);
        steps.push(format!("line {line}: a change asked of {} at {} is {how}", change.node, change.invoked));
    }
    Witness::new(sentence, lines, steps, bound, told.into_iter().collect())
}

/// The stretch of an epoch that is judged, for people.
fn place(epoch: &Epoch, bound: RunNanos) -> String {
    format!("the time from {} to {}", epoch.from, bound)
}

/// Whether it asks for a change, and is of the load.
fn is_change(operation: &Operation) -> bool {
    let of_load = match operation.role {
        ClientRole::Roaming | ClientRole::Pinned => true,
        ClientRole::Final => false,
    };
    of_load && operation.action.written().is_some()
}

fn is_acknowledged(operation: &Operation) -> bool {
    match &operation.completion {
        Completion::Ok(OpResult::Written { .. } | OpResult::Cas { .. }) => true,
        Completion::Ok(
            OpResult::Read { .. }
            | OpResult::Elements { .. }
            | OpResult::Acquired { .. }
            | OpResult::Released
            | OpResult::Accessed { .. },
        )
        | Completion::Fail(_)
        | Completion::Info(_) => false,
    }
}

/// When the load began and ended.
fn load(history: &History) -> Option<(RunNanos, RunNanos)> {
    let begin = history.landmark(Mark::LoadBegin)?;
    Some((begin, history.landmark(Mark::LoadEnd).unwrap_or_else(|| history.end())))
}
