//! The report as values: `chaos.report/1`.
//!
//! ```json
//! {"schema":"chaos.report/1","chaos":"0.1.0","verdict":"pass","exit_code":0,"sentence":"…",
//!  "run":{"workload":"partition","system":"raft","nodes":5,"seed":7,"started":"…","duration_ns":62400000000,…},
//!  "checks":[{"property":"ElectionSafety","group":"safety","verdict":"valid","basis":"…"}],
//!  "faults":[{"id":1,"kind":"partition","label":"isolate leader","nodes":["n2"],"span":[3000102377,6000120450]}],
//!  "measured":{"failovers":[…],"distributions":[…],"floor":{…},"outages":[…],…},
//!  "expectations":[{"text":"outage.max < 3s","judgement":{"met":{"value":{"time_ns":612000000}}}}],
//!  "host":[{"name":"kernel","value":"6.8.0"}],"warnings":[]}
//! ```
//!
//! Times are integers of nanoseconds since the run began, intervals are `[lo, hi]`, shares are parts per million; there is no
//! floating-point number. Adding a key is no new version; a change of meaning is.

use chaos_check::linear::picture::Picture;
use chaos_failover::{Analysis, Interval, Judgement};
use chaos_history::{FaultId, FaultKind, NodeId, RunNanos, Seed, SourcePlace};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ReportError;

/// The format's name and version.
pub const SCHEMA: &str = "chaos.report/1";

/// The summary of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// The version of chaos that ran it.
    pub chaos: String,
    /// The verdict over everything.
    pub verdict: Verdict,
    /// The exit code that goes with it: 0 pass or violated as expected, 1 fail, 2 unknown, 3 missed; and 4 unless it is a fail, if the wrapped
    /// command failed.
    pub exit_code: u8,
    /// The verdict as one sentence.
    pub sentence: String,
    /// What was run.
    pub run: RunFacts,
    /// Every check.
    pub checks: Vec<Check>,
    /// Every fault that was injected.
    pub faults: Vec<FaultSummary>,
    /// What was measured.
    pub measured: Analysis,
    /// Every expectation.
    pub expectations: Vec<ExpectationResult>,
    /// The machine and what it could do.
    pub host: Vec<Fact>,
    /// What a reader should know before trusting the figures.
    pub warnings: Vec<String>,
    /// What else went on that no other line tells: stalls of the host, leaders without a fault, outages without a failover.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The command of the user's that the run accompanied, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrapped: Option<crate::Wrapped>,
    /// The resolved plan, for the HTML's appendix; the run directory has it as a file of its own.
    #[serde(skip)]
    pub plan: String,
}

impl Report {
    /// The report for programs, indented, with a newline at its end.
    ///
    /// # Errors
    /// If a value can't be written, which none of these types should cause.
    pub fn to_json(&self) -> Result<String, ReportError> {
        let mut json = serde_json::to_string_pretty(self)?;
        json.push('\n');
        Ok(json)
    }

    /// The report for people: one HTML file that needs nothing else.
    ///
    /// # Errors
    /// If the template can't be filled.
    pub fn to_html(&self) -> Result<String, ReportError> {
        crate::html::render(self)
    }

    /// The last lines of a run in a terminal.
    #[must_use]
    pub fn to_terminal(&self, color: bool, width: usize) -> String {
        let style = if color { crate::Style::Color } else { crate::Style::Plain };
        crate::to_terminal(self, style, width)
    }
}

/// The verdict over everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every check holds and every expectation is met.
    Pass,
    /// A check does not hold.
    Fail,
    /// A check, or an expectation, can't be told (and none is known not to hold).
    Unknown,
    /// Every check holds (but for those whose violation is expected), and an expectation was missed.
    Missed,
    /// Every check does not hold whose violation the plan expects, no other is known not to hold, and every other expectation is
    /// met: a demonstration that worked. The checks' own verdicts stay `invalid`.
    AsExpected,
}

impl Verdict {
    /// 0 pass and as expected, 1 fail, 2 unknown, 3 missed.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass | Self::AsExpected => 0,
            Self::Fail => 1,
            Self::Unknown => 2,
            Self::Missed => 3,
        }
    }

    /// The word of the verdict bar.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Unknown => "UNKNOWN",
            Self::Missed => "MISSED",
            Self::AsExpected => "VIOLATION, as expected",
        }
    }

    /// The word of programs: `pass`, `fail`, `unknown`, `missed`, `as_expected`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
            Self::Missed => "missed",
            Self::AsExpected => "as_expected",
        }
    }
}

/// What was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunFacts {
    /// The workload's name.
    pub workload: String,
    /// The workload's own words about itself.
    pub about: String,
    /// The fault plan's name.
    pub fault_plan: String,
    /// The system under test.
    pub system: String,
    /// Which way it was broken on purpose; `None` for the sound system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specimen: Option<String>,
    /// How many nodes.
    pub nodes: usize,
    /// The seed.
    pub seed: Seed,
    /// Wall time of the start, RFC 3339.
    pub started: String,
    /// How long it lasted, in nanoseconds.
    pub duration_ns: u64,
    /// The command line that runs it again with the same seed, from the saved plan.
    pub command: String,
    /// The command line as it was given, with the seed filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<String>,
    /// The run directory.
    pub directory: String,
    /// Whether it ran to its end: `None` if so, otherwise what ended it.
    pub cut_short: Option<String>,
    /// What faults between nodes acted on.
    #[serde(default, skip_serializing_if = "ActedOn::is_packets")]
    pub acted_on: ActedOn,
    /// Version and settings of the system under test; `None` in reports of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tested: Option<Tested>,
}

/// What faults between nodes acted on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActedOn {
    /// All packets (`network: netns`).
    #[default]
    Packets,
    /// The bytes of TCP connections, and nothing else (`network: proxy`).
    TcpStreams,
    /// Messages in virtual time: there were no processes (`--world sim`).
    Simulation,
}

impl ActedOn {
    fn is_packets(&self) -> bool {
        *self == Self::Packets
    }
}

/// Which variant of a system was tested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tested {
    /// The version, if it is known.
    pub version: Option<String>,
    /// The tuning profile.
    pub profile: String,
    /// The profile's values, with what the workload changed of them.
    pub settings: Vec<Fact>,
    /// What its programs said of their versions when they were asked.
    pub programs: Vec<Fact>,
    /// The nodes that ran otherwise, each with what was different.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<TestedNode>,
}

/// What was different with one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestedNode {
    /// Which node.
    pub node: NodeId,
    /// Version, profile, settings and specimen, as far as they are not those of the others.
    pub settings: Vec<Fact>,
    /// What its programs said of their versions when they were asked.
    pub programs: Vec<Fact>,
}

impl Tested {
    /// `3.5.35, profile fast (election 200, heartbeat 20)`.
    #[must_use]
    pub(crate) fn in_words(&self) -> String {
        let version = self.version.as_deref().unwrap_or("version unknown");
        let settings = self.settings_in_words();
        let settings = if settings.is_empty() { String::new() } else { format!(" ({settings})") };
        format!("{version}, profile {}{settings}", self.profile)
    }

    /// `election 200, heartbeat 20; n3: version 3.5.35, election 400`.
    #[must_use]
    pub(crate) fn settings_in_words(&self) -> String {
        let words = |facts: &[Fact]| {
            facts.iter().map(|fact| format!("{} {}", fact.name, fact.value)).collect::<Vec<String>>().join(", ")
        };
        let nodes = self.nodes.iter().map(|own| format!("{}: {}", own.node, words(&own.settings)));
        let all = Some(words(&self.settings)).filter(|words| !words.is_empty());
        all.into_iter().chain(nodes).collect::<Vec<String>>().join("; ")
    }
}

impl RunFacts {
    /// `raft, 5 nodes`, or with `faults on TCP streams only` behind it, or `raft (broken on purpose: double-vote), 5 nodes`.
    #[must_use]
    pub(crate) fn system_in_words(&self) -> String {
        let nodes = crate::words::count(self.nodes as u64, "node");
        let acted_on = match self.acted_on {
            ActedOn::Packets => "",
            ActedOn::TcpStreams => ", faults on TCP streams only (network: proxy)",
            ActedOn::Simulation => ", simulated in virtual time (--world sim)",
        };
        match &self.specimen {
            Some(specimen) => format!("{} (broken on purpose: {specimen}), {nodes}{acted_on}", self.system),
            None => format!("{}, {nodes}{acted_on}", self.system),
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// The property, with its bound.
    pub property: String,
    /// What sort of property.
    pub group: CheckGroup,
    /// What was concluded.
    pub verdict: CheckVerdict,
    /// Whether the plan expects the property to be violated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub violation_expected: bool,
    /// From how much.
    pub basis: String,
    /// Why nothing can be said; only where the verdict is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why the property does not hold; only where the verdict is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<WitnessSummary>,
}

impl Check {
    /// Whether it is violated, and the plan expects that.
    #[must_use]
    pub fn is_violated_as_expected(&self) -> bool {
        self.violation_expected && self.verdict == CheckVerdict::Invalid
    }

    /// From how much it was concluded, and whether a violation is what the plan expects.
    pub(crate) fn basis_in_words(&self) -> String {
        let basis = self.reason.as_ref().unwrap_or(&self.basis);
        if self.is_violated_as_expected() { format!("{basis}; violated, as the plan expects") } else { basis.clone() }
    }
}

/// What sort of property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckGroup {
    /// Nothing bad happens.
    Safety,
    /// Something good happens in time.
    Liveness,
}

/// What a check concluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckVerdict {
    /// The property holds for everything that the history shows.
    Valid,
    /// It does not.
    Invalid,
    /// Nothing can be said.
    Unknown,
}

/// Why a property does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WitnessSummary {
    /// One English sentence.
    pub sentence: String,
    /// The argument.
    pub steps: Vec<String>,
    /// The lines of the history that refute the property.
    pub lines: Vec<QuotedLine>,
    /// When the violation was complete.
    pub at: RunNanos,
    /// The nodes concerned.
    pub nodes: Vec<NodeId>,
    /// The faults under way at that moment.
    pub faults: Vec<FaultId>,
    /// The operations concerned, drawn; the JSON has them as steps only.
    #[serde(skip)]
    pub picture: Option<Picture>,
}

/// A line of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuotedLine {
    /// Its number in `history.jsonl`, from 1.
    pub line: usize,
    /// Its text, if the caller had it at hand.
    pub text: Option<String>,
}

/// A fault that was injected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultSummary {
    /// Its number.
    pub id: FaultId,
    /// Its kind.
    pub kind: FaultKind,
    /// The plan's words.
    pub label: String,
    /// Whom it was aimed at.
    pub nodes: Vec<NodeId>,
    /// The plan's line that asked for it; `None` for the harness's own clean-up, and in reports of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourcePlace>,
    /// From its confirmed effect to its end.
    pub span: Interval,
}

/// An expectation and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExpectationResult {
    /// As the user wrote it.
    pub text: String,
    /// Met, missed or not told.
    pub judgement: Judgement,
    /// Where it is written; `None` if nobody could tell, and in reports of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourcePlace>,
}

/// A fact about the host, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fact {
    /// What.
    pub name: String,
    /// How much or which.
    pub value: String,
}
