//! Instants for things whose order is forced: each has a window, and each comes after all of earlier phases.
//!
//! *Claim.* Instants exist iff no window closes before one of an earlier phase, or its own, opens. Give everything the latest
//! opening so far, its own included: instants then never fall from phase to phase, none lies before its window, and one that
//! lies behind its window shows two whose windows leave no room. So one pass decides, and shows the two: O(n).

/// Something that happens at one instant of a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// Items of a lower phase happen before those of a higher, or at the same instant; within one phase there is no order.
    pub(super) phase: u32,
    /// The first instant that is possible.
    pub(super) from: u32,
    /// The last.
    pub(super) until: u32,
}

/// The earliest instants of `items` (ascending by phase), or two of them, earlier and later phase, between which there is no
/// room; they may be one and the same.
pub(super) fn instants(items: &[Item]) -> Result<Vec<u32>, (usize, usize)> {
    let mut instants = Vec::with_capacity(items.len());
    // The latest opening of the phases before this one, and of those with this one.
    let (mut before, mut with): (Option<usize>, Option<usize>) = (None, None);
    let mut phase = 0;
    for (index, item) in items.iter().enumerate() {
        if item.phase != phase {
            (phase, before) = (item.phase, with);
        }
        let latest = before.filter(|&earlier| items[earlier].from > item.from).unwrap_or(index);
        if items[latest].from > item.until {
            return Err((latest, index));
        }
        instants.push(items[latest].from);
        if with.is_none_or(|other| items[other].from < item.from) {
            with = Some(index);
        }
    }
    Ok(instants)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(items: &[(u32, u32, u32)]) -> Vec<Item> {
        items.iter().map(|&(phase, from, until)| Item { phase, from, until }).collect()
    }

    #[test]
    fn a_window_that_closes_before_an_earlier_phase_opens_is_a_conflict() {
        assert_eq!(instants(&items(&[(0, 5, 9), (0, 1, 2), (1, 3, 6), (3, 2, 8)])), Ok(vec![5, 1, 5, 5]));
        assert_eq!(instants(&items(&[(0, 5, 9), (0, 1, 2), (2, 3, 4)])), Err((0, 2)));
        assert_eq!(instants(&items(&[(1, 5, 4)])), Err((0, 0)));
    }
}
