//! Two tests without an approximation: Fisher's for shares, Holm's for many tests at once.
//!
//! * Fisher's exact test (1935), two-sided by adding up all tables that are no likelier than the one seen: right for 0 of 10
//!   against 3 of 12, where every normal approximation is wrong.
//! * Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6 (1979): holds the
//!   chance of *any* false alarm over a whole table at the level of one test, whatever depends on what. Phases of one failover
//!   depend on each other very much, which costs power and never validity.

/// The probability, if both sides had one share, of a table that is no likelier than this one: `with_a` of `n_a` against `with_b`
/// of `n_b`. 1 where a side is empty.
///
/// # Panics
/// If more have it than there are.
pub(crate) fn fisher(with_a: u64, n_a: u64, with_b: u64, n_b: u64) -> f64 {
    assert!(with_a <= n_a && with_b <= n_b, "a share of more than all");
    let with = with_a + with_b;
    let log_probability = |k: u64| log_choose(n_a, k) + log_choose(n_b, with - k) - log_choose(n_a + n_b, with);
    let seen = log_probability(with_a);
    // Equal tables differ by rounding; a millionth is far above that and far below a step between tables.
    let as_unlikely = |log: &f64| *log <= seen + 1e-6;
    let possible = with.saturating_sub(n_b)..=with.min(n_a);
    possible.map(log_probability).filter(as_unlikely).map(f64::exp).sum::<f64>().min(1.0)
}

/// `ln (n over k)`, by adding up: n is a number of failovers, so at most some thousands.
fn log_choose(n: u64, k: u64) -> f64 {
    let k = k.min(n - k);
    (0..k).map(|i| ((n - i) as f64 / (k - i) as f64).ln()).sum()
}

/// The adjusted p-values, in the order given: each may be held against the level as if it were alone.
pub(crate) fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|left, right| p[*left].total_cmp(&p[*right]));
    let mut adjusted = vec![1.0; p.len()];
    let mut least = 0.0_f64;
    for (done, index) in order.into_iter().enumerate() {
        least = least.max((p.len() - done) as f64 * p[index]).min(1.0);
        adjusted[index] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-6
    }

    #[test]
    fn fishers_test_agrees_with_the_published_figures() {
        // The lady tasting tea (Fisher 1935), and the two-sided figures of R's fisher.test.
        assert!(close(fisher(3, 4, 1, 4), 0.485_714_28));
        assert!(close(fisher(4, 4, 0, 4), 0.028_571_42));
        assert!(close(fisher(1, 10, 11, 14), 0.002_759_456));
        assert!(close(fisher(0, 10, 0, 20), 1.0));
        assert!(close(fisher(0, 0, 3, 5), 1.0));
    }

    #[test]
    fn fishers_test_is_symmetric_and_bears_large_tables() {
        assert!(close(fisher(7, 300, 31, 280), fisher(31, 280, 7, 300)));
        assert!(fisher(0, 4000, 40, 4000) < 1e-9);
    }

    #[test]
    fn holm_multiplies_the_smallest_by_all_and_never_lets_a_larger_one_pass_it() {
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        let expected = [0.03, 0.06, 0.06, 0.02];
        assert!(adjusted.iter().zip(expected).all(|(got, expected)| close(*got, expected)), "{adjusted:?}");
        assert!(holm(&[]).is_empty());
        assert!(close(holm(&[0.9, 0.8])[1], 1.0));
    }
}
