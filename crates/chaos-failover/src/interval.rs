//! Bounds instead of moments.
//!
//! An answer was true at *some* instant between the question's leaving and the answer's arrival, and no more than that is
//! known. So every derived moment is an interval, and every duration between two of them is one too.

use std::borrow::Cow;
use std::time::Duration;

use chaos_history::RunNanos;
use chaos_plan::expect::Phase;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment that lies somewhere in `[lo, hi]`. Written `[lo, hi]` in nanoseconds since the run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(into = "(RunNanos, RunNanos)", from = "(RunNanos, RunNanos)")]
pub struct Interval {
    /// Not earlier than this.
    pub lo: RunNanos,
    /// Not later than this.
    pub hi: RunNanos,
}

impl Interval {
    /// The interval; bounds given in the wrong order (a lower bound that a later, better upper bound undercut) meet at `hi`.
    #[must_use]
    pub fn new(lo: RunNanos, hi: RunNanos) -> Self {
        Self { lo: lo.min(hi), hi }
    }

    /// The middle, where a drawing puts it.
    #[must_use]
    pub fn middle(self) -> RunNanos {
        RunNanos(self.lo.0 + (self.hi.0 - self.lo.0) / 2)
    }

    /// The same moment, known not to be before `bound`.
    #[must_use]
    pub fn not_before(self, bound: RunNanos) -> Self {
        Self { lo: self.lo.max(bound), hi: self.hi.max(bound) }
    }

    /// The time between `earlier` and this moment: at least `lo − earlier.hi`, at most `hi − earlier.lo`, never below zero.
    #[must_use]
    pub fn since(self, earlier: Self) -> Elapsed {
        Elapsed { lo: self.lo.since(earlier.hi), hi: self.hi.since(earlier.lo) }
    }

    /// Whether two stretches of time share an instant.
    #[must_use]
    pub fn meets(self, other: Self) -> bool {
        self.lo <= other.hi && other.lo <= self.hi
    }

    /// What two stretches of time share, if anything.
    #[must_use]
    pub fn shared(self, other: Self) -> Option<Self> {
        let (lo, hi) = (self.lo.max(other.lo), self.hi.min(other.hi));
        (lo <= hi).then_some(Self { lo, hi })
    }

    /// The length of a stretch of time.
    #[must_use]
    pub fn length(self) -> Duration {
        self.hi.since(self.lo)
    }
}

impl From<(RunNanos, RunNanos)> for Interval {
    fn from((lo, hi): (RunNanos, RunNanos)) -> Self {
        Self::new(lo, hi)
    }
}

impl From<Interval> for (RunNanos, RunNanos) {
    fn from(interval: Interval) -> Self {
        (interval.lo, interval.hi)
    }
}

/// A duration that lies somewhere in `[lo, hi]`. Written `[lo, hi]` in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(into = "(u64, u64)", from = "(u64, u64)")]
pub struct Elapsed {
    /// At least this.
    pub lo: Duration,
    /// At most this: the figure that reports quote.
    pub hi: Duration,
}

impl From<(u64, u64)> for Elapsed {
    fn from((lo, hi): (u64, u64)) -> Self {
        // As with intervals: bounds in the wrong order meet at the upper one.
        Self { lo: Duration::from_nanos(lo.min(hi)), hi: Duration::from_nanos(hi) }
    }
}

impl From<Elapsed> for (u64, u64) {
    fn from(elapsed: Elapsed) -> Self {
        (nanos(elapsed.lo), nanos(elapsed.hi))
    }
}

/// A duration as nanoseconds; five centuries and more become the largest number.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Durations as integers of nanoseconds in JSON. A type and no module, so that `#[serde(with = …)]` gives both the words for serde
/// and the shape for the JSON Schema.
#[expect(non_camel_case_types, reason = "it is named where serde expects a module")]
pub(crate) struct as_nanos;

impl as_nanos {
    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(nanos(*duration))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_nanos)
    }
}

impl JsonSchema for as_nanos {
    fn schema_name() -> Cow<'static, str> {
        "Nanoseconds".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        u64::json_schema(generator)
    }

    fn inline_schema() -> bool {
        true
    }
}

/// The same for durations that may be missing.
#[expect(non_camel_case_types, reason = "it is named where serde expects a module")]
pub(crate) struct as_nanos_option;

impl as_nanos_option {
    pub(crate) fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        duration.map(nanos).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_nanos))
    }
}

impl JsonSchema for as_nanos_option {
    fn schema_name() -> Cow<'static, str> {
        "NanosecondsOrNull".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Option::<u64>::json_schema(generator)
    }

    fn inline_schema() -> bool {
        true
    }
}

/// Phases by their word in plans, `writable`.
#[expect(non_camel_case_types, reason = "it is named where serde expects a module")]
pub(crate) struct as_word;

impl as_word {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(phase: &Phase, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(phase.name())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Phase, D::Error> {
        let word = Cow::<'de, str>::deserialize(deserializer)?;
        let known = Phase::ALL.into_iter().find(|phase| phase.name() == word);
        known.ok_or_else(|| serde::de::Error::custom(format!("unknown phase `{word}`")))
    }
}

impl JsonSchema for as_word {
    fn schema_name() -> Cow<'static, str> {
        "Phase".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = Phase::ALL.into_iter().map(Phase::name).collect();
        json_schema!({ "type": "string", "enum": words })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(lo: u64, hi: u64) -> Interval {
        Interval::new(RunNanos(lo), RunNanos(hi))
    }

    #[test]
    fn a_duration_is_as_uncertain_as_both_of_its_ends() {
        let elapsed = interval(100, 120).since(interval(10, 15));
        assert_eq!((elapsed.lo.as_nanos(), elapsed.hi.as_nanos()), (85, 110));
    }

    #[test]
    fn overlapping_ends_give_a_duration_that_may_be_zero() {
        let elapsed = interval(12, 120).since(interval(10, 15));
        assert_eq!((elapsed.lo.as_nanos(), elapsed.hi.as_nanos()), (0, 110));
    }

    #[test]
    fn intervals_are_pairs_in_json() {
        assert_eq!(serde_json::to_string(&interval(1, 2)).unwrap(), "[1,2]");
        assert_eq!(serde_json::from_str::<Interval>("[1,2]").unwrap(), interval(1, 2));
    }
}
