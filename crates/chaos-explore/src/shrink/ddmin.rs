//! Delta debugging: the smallest part of a list that still fails.
//!
//! Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (IEEE TSE 2002), `ddmin`: halves first, then
//! their complements,
//! then finer. The result is 1-minimal: without any single part that is left, it fails no more. Logarithmic in the best case, quadratic
//! in the worst.

/// The parts of `all` that are left when nothing more can be taken away. `all` fails; `fails` tells of a part whether it does, and may
/// answer no when it is tired of answering.
pub fn ddmin<T: Clone>(all: &[T], fails: &mut dyn FnMut(&[T]) -> bool) -> Vec<T> {
    let mut left = all.to_vec();
    if !left.is_empty() && fails(&[]) {
        return Vec::new();
    }
    let mut pieces = 2;
    while left.len() >= 2 {
        let size = left.len().div_ceil(pieces);
        let starts: Vec<usize> = (0..left.len()).step_by(size).collect();
        let piece = |start: usize| start..(start + size).min(left.len());
        // With two pieces, each is the other's complement.
        let alone = starts.iter().map(|start| left[piece(*start)].to_vec());
        let others = starts.iter().filter(|_| starts.len() > 2).map(|start| {
            let mut others = left[..piece(*start).start].to_vec();
            others.extend_from_slice(&left[piece(*start).end..]);
            others
        });
        let count = starts.len();
        let smaller: Vec<(bool, Vec<T>)> =
            alone.map(|part| (true, part)).chain(others.map(|part| (false, part))).collect();
        let mut found = None;
        for (is_piece, part) in smaller {
            if fails(&part) {
                found = Some((is_piece, part));
                break;
            }
        }
        match found {
            Some((true, part)) => (left, pieces) = (part, 2),
            Some((false, part)) => (left, pieces) = (part, (count - 1).max(2)),
            None if size == 1 => break,
            None => pieces = (2 * pieces).min(left.len()),
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_needed_is_what_is_left(length in 1_usize..40, needed in proptest::collection::btree_set(0_usize..40, 0..6)) {
            let needed: BTreeSet<usize> = needed.into_iter().filter(|part| *part < length).collect();
            let all: Vec<usize> = (0..length).collect();
            let mut asked = 0;
            let left = ddmin(&all, &mut |part| {
                asked += 1;
                needed.iter().all(|one| part.contains(one))
            });
            prop_assert_eq!(left, needed.into_iter().collect::<Vec<_>>());
            prop_assert!(asked <= length * length + 3 * length + 2, "{} of {}", asked, length);
        }

        #[test]
        fn what_is_left_fails_and_nothing_of_it_can_go(seed in any::<u64>(), length in 1_usize..14) {
            // Any rule whatever, monotone or not: a table drawn by hashing.
            let rule = |part: &[usize]| {
                let mask = part.iter().fold(0_u64, |mask, one| mask | 1 << one);
                part.len() == length || chaos_history::mixing::mix(seed ^ mask).is_multiple_of(3)
            };
            let all: Vec<usize> = (0..length).collect();
            let left = ddmin(&all, &mut |part| rule(part));
            prop_assert!(rule(&left));
            if left.len() > 1 {
                for index in 0..left.len() {
                    let mut fewer = left.clone();
                    fewer.remove(index);
                    prop_assert!(!rule(&fewer), "{:?} without {}", left, index);
                }
            }
        }
    }
}
