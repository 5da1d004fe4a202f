//! Refusals of a lock, placed jointly with its sections.
//!
//! A refused try-acquire must have seen the lock held. Every section that lasts is stretched as far as it can be: its acquire
//! to the first moment and its end to the last that the neighbours (who must be held then) leave to it.
//!
//! ```text
//!   acquire ├─────╌╌╌╌═════════════╌╌╌╌╌╌┤ release      ═ must be held   ╌ can be held
//!                                 refused  ├──┤ finds nobody who could hold the lock
//! ```
//!
//! *Claim.* If all sections last and each release is of one whose acquire was answered, there is a legal order if and only
//! if there is one without the refusals and each refusal overlaps some stretched section. *Proof.* Sections that last follow
//! each other in one order only, so the neighbours' limits are the same in every legal order, and no order holds a section at
//! a moment at which it is not stretched to. Between two neighbours the stretches don't hinder each other: where they meet,
//! the first ends and at the same moment the second begins. An acquire without an answer or an end can hold the lock from
//! its invocation, but only when all others have ended; the one invoked first can do what any can. If there are ends
//! without an answer of such acquires, one more section might fit in somewhere, which is tried only by the engine
//! ([`Shortcut::Pass`]), and only if a refusal needs it.
//!
//! Cost: O(n log n).

use super::hold::Groups;
use super::sections::{self, Part, Role, Section};
use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;

/// When a section is held that is stretched as far as it goes. Gaps are numbered by the rank before them.
struct Stretch {
    acquire: u32,
    /// The gap in which the acquire takes effect.
    begin: u32,
    /// The end, and the gap in which it takes effect.
    end: Option<(u32, u32)>,
}

impl Stretch {
    /// The last gap in which the lock is held for some time.
    fn last(&self) -> u32 {
        self.end.map_or(u32::MAX, |(_, gap)| gap)
    }
}

/// Decides `ops`, of which some are `refused`: answered, and read-only.
pub(super) fn decide<T: Part + Clone>(ops: &[Op<T>], refused: impl Fn(&Op<T>) -> bool) -> Shortcut {
    match sections::decide(ops, 1) {
        Shortcut::Order(_) => {}
        other @ (Shortcut::Pass | Shortcut::Conflict(_)) => return other,
    }
    let groups = Groups::new(ops, |what| what.part().map(|(hold, _)| hold));
    let mut lasting: Vec<Section<'_>> = Vec::new();
    // Acquires without an answer, by what may end them.
    let (mut endless, mut passing): (Option<u32>, bool) = (None, false);
    for group in groups.iter() {
        match Section::new(ops, group) {
            Ok(Some(section)) if section.lasts() => lasting.push(section),
            Ok(Some(_)) | Err(_) => return Shortcut::Pass,
            Ok(None) => {
                let is = |role: Role| {
                    group.iter().copied().find(|&it| ops[it as usize].what.part().is_some_and(|it| it.1 == role))
                };
                match (is(Role::Acquire), is(Role::End)) {
                    (Some(_), Some(_)) => passing = true,
                    (Some(acquire), None) => endless = Some(endless.map_or(acquire, |other| other.min(acquire))),
                    (None, _) => {}
                }
            }
        }
    }
    lasting.sort_unstable_by_key(|section| section.from);
    let stretches = stretched(ops, &lasting, endless);
    // In each gap: 0 for refusals by the section that was there before, 1 its end, 2 the next acquire, 3 refusals by that.
    let mut order: Vec<(u32, u8, u32)> = Vec::with_capacity(ops.len());
    for (place, op) in (0_u32..).zip(ops).filter(|(_, op)| refused(op)) {
        let holder = stretches.partition_point(|stretch| stretch.last() < op.call);
        match stretches.get(holder).filter(|stretch| stretch.begin < op.deadline()) {
            Some(stretch) if stretch.begin < op.call => order.push((op.call, 0, place)),
            Some(stretch) => order.push((stretch.begin, 3, place)),
            None if passing => return Shortcut::Pass,
            None => {
                // The neighbours keep everybody else from being there.
                let neighbours = &lasting[holder.saturating_sub(1).min(lasting.len())..(holder + 1).min(lasting.len())];
                let evidence = neighbours.iter().flat_map(|section| section.evidence(ops));
                return Shortcut::Conflict(evidence.chain([place]).collect());
            }
        }
    }
    for stretch in &stretches {
        order.push((stretch.begin, 2, stretch.acquire));
        order.extend(stretch.end.map(|(end, gap)| (gap, 1, end)));
    }
    order.sort_unstable();
    Shortcut::Order(order.into_iter().map(|(_, _, place)| place).collect())
}

/// The sections, ascending, as long as they can be; behind them the acquire that nothing has to end.
fn stretched<T: Part>(ops: &[Op<T>], lasting: &[Section<'_>], endless: Option<u32>) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::with_capacity(lasting.len() + 1);
    let next_from = lasting.iter().skip(1).map(|next| next.from).chain([u32::MAX]);
    let mut free_from = 0;
    for (section, next_from) in lasting.iter().zip(next_from) {
        let begin = ops[section.acquire as usize].call.max(free_from);
        let end = section.end.map(|end| (end, ops[end as usize].deadline().min(next_from) - 1));
        stretches.push(Stretch { acquire: section.acquire, begin, end });
        free_from = end.map_or(u32::MAX, |(_, gap)| gap);
    }
    let Some(endless) = endless else { return stretches };
    // It can hold the lock as soon as the last section's end was invoked; that end then comes as early as it can.
    if let (Some(last), Some(section)) = (stretches.last_mut(), lasting.last()) {
        let begin = ops[endless as usize].call.max(section.to);
        if let Some((end, gap)) = last.end {
            let gap = gap.min(begin.max(section.to));
            last.end = Some((end, gap));
            stretches.push(Stretch { acquire: endless, begin, end: None });
        }
    } else {
        stretches.push(Stretch { acquire: endless, begin: ops[endless as usize].call, end: None });
    }
    stretches
}
