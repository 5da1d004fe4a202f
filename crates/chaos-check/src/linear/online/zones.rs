//! Zones that grow with the history.
//!
//! Blocks are those of the [`models::Register`](crate::linear::models::Register): f is a block's first answer, s its last
//! invocation, and two blocks A and B exclude each other iff f(A) < s(B) and f(B) < s(A). Each block keeps its *limit*, the
//! smallest f(A) of all others with s(A) > f(B): once s(B) passes the limit, there is a violation. Answers come in order of
//! time, so f(B) is known from the block's first answer on, and nobody's s is behind it then; from there on the limit changes
//! only when some s(A) grows.
//!
//! *Who must be told* that s(A) has grown? Blocks with f < s(A) and a limit above f(A). Walking down from the latest f, let B be
//! the first whose limit is f(X) ≤ f(A) already, for some X. Then s(X) > f(B), so every block with a smaller f than B has a
//! limit of f(X) at most, except X itself. So the walk ends there, with a look at X.
//!
//! O(log n) per growth, amortised over the blocks whose limits are lowered.

use std::collections::BTreeMap;

/// A block's name: the rank of its first answer.
pub(super) type First = u64;

/// What is known of a block.
#[derive(Clone, Copy, Debug)]
struct Zone {
    /// The rank of the last invocation.
    last_call: u64,
    /// The rank that the last invocation must not pass.
    limit: u64,
}

/// The blocks of which somebody may still read.
#[derive(Clone, Debug, Default)]
pub(super) struct Zones {
    zones: BTreeMap<First, Zone>,
}

impl Zones {
    /// Adds a block whose first answer is now.
    pub(super) fn open(&mut self, first: First) {
        self.zones.insert(first, Zone { last_call: 0, limit: u64::MAX });
    }

    /// The rank behind which nobody can have begun to observe a block.
    pub(super) fn limit(&self, block: First) -> u64 {
        self.zones.get(&block).map_or(0, |zone| zone.limit)
    }

    /// Forgets all but some.
    pub(super) fn retain(&mut self, keep: impl Fn(First) -> bool) {
        self.zones.retain(|first, _| keep(*first));
    }

    /// Adds an operation invoked at `call` to a block; false if there is no order any more.
    pub(super) fn grow(&mut self, block: First, call: u64) -> bool {
        let Some(zone) = self.zones.get_mut(&block) else { return false };
        if call <= zone.last_call {
            return true;
        }
        zone.last_call = call;
        let mut possible = call <= zone.limit;
        let mut lower = |zone: &mut Zone| {
            zone.limit = zone.limit.min(block);
            possible &= zone.last_call <= zone.limit;
        };
        let mut culprit = None;
        for (first, zone) in self.zones.range_mut(..call).rev() {
            if *first == block {
                continue;
            }
            if zone.limit <= block {
                culprit = Some(zone.limit);
                break;
            }
            lower(zone);
        }
        if let Some(first) = culprit.filter(|first| *first != block && *first < call)
            && let Some(zone) = self.zones.get_mut(&first)
        {
            lower(zone);
        }
        possible
    }
}
