//! HdrHistogram's interval log: one histogram per kind of fault and phase, mergeable with those of other runs by any
//! HdrHistogram tool. What it says and how is `chaos-failover`'s, see [`chaos_failover::hlog`].

use super::pool::analysis;
use crate::Report;

pub(super) fn render(reports: &[Report]) -> String {
    analysis(reports).map_or_else(String::new, |analysis| chaos_failover::hlog(&analysis))
}
