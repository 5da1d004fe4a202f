//! Clocks: how they go wrong.
//!
//! ```yaml
//! - clock: { node: leader, jump: +60s }
//! - clock: { node: leader, rate: 0.67, monotonic: true }
//! - clock: { node: leader, strobe: { by: 200ms, every: 10ms } }
//! ```
//!
//! Limits are those of `chaos-clock`, which knows no plans.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Field, Fields, Reader};
use crate::error::Mistake;
use crate::parts::ClockFault;
use crate::scalar::{factor_millionths, offset_ns};
use crate::words;

/// A hundred years, either way.
const OFFSET_NS_MAX: i64 = 100 * 366 * 86_400 * 1_000_000_000;
const RATE_MAX_MILLIONTHS: u32 = 64_000_000;
const PERIODS: RangeInclusive<Duration> = Duration::from_micros(100)..=Duration::from_secs(86_400);

impl Reader {
    /// What is wrong with the clocks of a `clock` step.
    pub(super) fn clock(&mut self, verb: Field<'_>, fields: Option<&Fields<'_>>) -> Option<ClockFault> {
        let of = |name| fields.and_then(|fields| fields.get(name));
        let given: Vec<Field<'_>> = ["jump", "rate", "strobe"].into_iter().filter_map(of).collect();
        let monotonic = of("monotonic");
        let Some(first) = given.first() else {
            // What is there instead is a mistake already.
            if fields.is_none_or(|fields| fields.all_known) {
                let help = "for example `clock: { node: leader, jump: +60s }` or `{ node: leader, rate: 0.67 }`";
                self.note(Mistake::at(verb.key, "`clock` that goes wrong in which way?").help(help));
            }
            return None;
        };
        if let Some(second) = given.get(1) {
            let mistake = Mistake::at(second.key, format!("`{}` besides `{}`", second.name, first.name));
            self.note(mistake.label("a clock goes wrong in one way at a time").also(first.key, "here"));
        }
        if let Some(field) = monotonic.filter(|_| first.name != "rate") {
            let mistake = Mistake::at(field.key, format!("`monotonic` beside `{}`", first.name));
            self.note(mistake.label("monotonic clocks never jump, they can only have another `rate`"));
        }
        match first.name {
            "jump" => self.offset(*first).map(|by_ns| ClockFault::Jump { by_ns }),
            "rate" => {
                let millionths = self.rate_of_clock(*first)?;
                let monotonic = monotonic.and_then(|field| self.boolean(field)).unwrap_or(false);
                Some(ClockFault::Rate { millionths, monotonic })
            }
            _ => self.strobe(*first),
        }
    }

    fn offset(&mut self, field: Field<'_>) -> Option<i64> {
        let by_ns = self.parsed(field, "a time ahead or back, for example `+60s`", offset_ns)?;
        if by_ns == 0 || by_ns.unsigned_abs() > OFFSET_NS_MAX.unsigned_abs() {
            let why = if by_ns == 0 { "is no jump" } else { "must be a hundred years at most" };
            self.note(Mistake::at(field.node.place, format!("`{}` {why}", field.name)));
            return None;
        }
        Some(by_ns)
    }

    fn rate_of_clock(&mut self, field: Field<'_>) -> Option<u32> {
        let millionths = self.parsed(field, "a factor, for example `0.67`", factor_millionths)?;
        if millionths > RATE_MAX_MILLIONTHS || millionths == 1_000_000 {
            let why = if millionths == 1_000_000 { "1 is that of a clock that is right" } else { "must be 64 at most" };
            self.note(Mistake::at(field.node.place, format!("`rate` {why}")));
            return None;
        }
        Some(millionths)
    }

    fn strobe(&mut self, field: Field<'_>) -> Option<ClockFault> {
        let fields = self.open(field, &[&words::STROBE])?;
        let (by, every) = (fields.get("by"), fields.get("every"));
        let (Some(by), Some(every)) = (by, every) else {
            if fields.all_known {
                let missing = if by.is_none() { "by" } else { "every" };
                self.missing(field.key, "`strobe`", missing, "for example `strobe: { by: 200ms, every: 10ms }`");
            }
            return None;
        };
        let (by_ns, every) = (self.offset(by), self.duration_within(every, PERIODS));
        Some(ClockFault::Strobe { by_ns: by_ns?, every: every? })
    }
}
