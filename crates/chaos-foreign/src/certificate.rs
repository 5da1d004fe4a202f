//! Certificates: what was decided of a history and why it holds, for a stranger to check again.
//!
//! ```text
//! {"chaos_certificate":1,
//!  "history":{"format":"etcd-log","kind":"cas-register","keys":"none","failed_cas":"saw-another","initial":"nil","operations":84},
//!  "operations_by":"line",
//!  "objects":[{"key":null,"claim":{"violation":{"verified":true,"core":[
//!     {"operation":1,"what":"read nil","process":"0","invoked":1,"answered":7},…]}}}]}
//! ```
//!
//! A linearizable object has an `order`: its operations, by the lines of their invocations (or by their stamps, where a line has
//! several), in an order in which a single object could have done them; operations without an answer that are missing
//! never took effect. A violated one has a `core`: operations that have no legal order by themselves, possibly demanding less
//! than they did. An undecided one says what ran out.
//!
//! [`recheck`] decides nothing: it hands every claim to the independent verifier of `chaos-check`.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use chaos_check::linear::{Entry, Kept, check_all, verify};
use serde::{Deserialize, Serialize};

use crate::judge::{Judged, Outcome};
use crate::object::{Object, Objects, Parsed, Words};

/// The version of the format.
const VERSION: u32 = 1;

/// What was decided of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    chaos_certificate: u32,
    history: Reading,
    operations_by: By,
    objects: Vec<Claim>,
}

/// How the history was read: a claim holds only for the same reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reading {
    format: String,
    kind: String,
    keys: String,
    failed_cas: Option<String>,
    initial: String,
    operations: u64,
}

/// What names an operation of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum By {
    /// The line of its invocation.
    Line,
    /// The stamp of its invocation.
    Stamp,
}

/// What was decided of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    key: Option<String>,
    claim: Proof,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Proof {
    Linearizable { order: Vec<u64> },
    Violation { verified: bool, core: Vec<CoreClaim> },
    Undecided { why: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CoreClaim {
    operation: u64,
    what: String,
    process: String,
    invoked: u64,
    answered: Option<u64>,
}

/// Why a certificate can't be held against a history.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It is none.
    #[error("not a certificate of chaos")]
    NotOne(#[source] serde_json::Error),
    /// It is of a version that this program doesn't know.
    #[error("certificate version {0}, this program reads version {VERSION}")]
    Version(u32),
    /// It is of another history, or of another reading of it.
    #[error("the certificate is of another reading: its {what} is {claimed}, that of this history {found}{remedy}")]
    OtherReading {
        /// What differs.
        what: &'static str,
        /// What it says.
        claimed: String,
        /// What was read.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// Its objects are not those of the history.
    #[error("{0}")]
    OtherObjects(String),
}

/// What became of the claim on one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rechecked {
    /// Its key.
    pub key: Option<String>,
    /// Its operations that say something.
    pub operations: usize,
    /// What the verifier says.
    pub finding: Finding,
}

/// What the verifier says of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Linearizable: the order was re-played; so many operations.
    Replayed(usize),
    /// Not linearizable: all orders of so many operations were tried, and the rest of the history could be left out.
    Refuted(usize),
    /// Claimed not to be linearizable; there are too many orders of so many operations to try.
    TooMany(usize),
    /// The certificate claims nothing: it says why.
    NothingClaimed(String),
    /// The claim doesn't hold: why.
    DoesNotHold(String),
}

impl Certificate {
    /// The certificate of what was decided.
    #[must_use]
    pub fn new(parsed: &Parsed, judged: &[Judged]) -> Self {
        match &parsed.objects {
            Objects::Register(objects) => Self::of(parsed, objects, judged),
            Objects::Mutex(objects) => Self::of(parsed, objects, judged),
            Objects::Set(objects) => Self::of(parsed, objects, judged),
            Objects::Kv(objects) => Self::of(parsed, objects, judged),
        }
    }

    fn of<M: Words>(parsed: &Parsed, objects: &[Object<M>], judged: &[Judged]) -> Self {
        let by = by(objects);
        let claim = |(object, judged): (&Object<M>, &Judged)| Claim {
            key: judged.key.clone(),
            claim: match &judged.outcome {
                Outcome::Linearizable(order) => {
                    Proof::Linearizable { order: order.iter().map(|place| name(object, by, *place as usize)).collect() }
                }
                Outcome::Violation { core, verified, cut_short: _, explanation: _ } => {
                    let core = core.iter().map(|operation| CoreClaim {
                        operation: name(object, by, operation.place as usize),
                        what: operation.what.clone(),
                        process: operation.process.clone(),
                        invoked: operation.invoked,
                        answered: operation.answered,
                    });
                    Proof::Violation { verified: *verified, core: core.collect() }
                }
                Outcome::Undecided { limit: _, why } => Proof::Undecided { why: why.clone() },
            },
        };
        let objects = objects.iter().zip(judged).map(claim).collect();
        Self { chaos_certificate: VERSION, history: reading(parsed), operations_by: by, objects }
    }

    /// The certificate as JSON, with a newline at its end.
    ///
    /// # Panics
    /// Never: nothing in it can't be written.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string(self).expect("it has texts for keys and no numbers but integers");
        text.push('\n');
        text
    }

    /// Reads a certificate.
    ///
    /// # Errors
    /// If it is none, or of another version.
    pub fn from_json(text: &[u8]) -> Result<Self, CertificateError> {
        let certificate: Self = serde_json::from_slice(text).map_err(CertificateError::NotOne)?;
        match certificate.chaos_certificate {
            VERSION => Ok(certificate),
            version => Err(CertificateError::Version(version)),
        }
    }
}

fn reading(parsed: &Parsed) -> Reading {
    Reading {
        format: parsed.format.name().to_owned(),
        kind: parsed.kind.to_owned(),
        keys: parsed.keys.name().to_owned(),
        failed_cas: parsed.failed_cas.map(|failed_cas| failed_cas.name().to_owned()),
        initial: parsed.initial.clone(),
        operations: parsed.counts.operations,
    }
}

/// What names operations: their lines, unless two of an object share one.
fn by<M: Words>(objects: &[Object<M>]) -> By {
    let distinct =
        |object: &Object<M>| object.sources.windows(2).all(|pair| pair[0].invoked_line < pair[1].invoked_line);
    if objects.iter().all(distinct) { By::Line } else { By::Stamp }
}

fn name<M: Words>(object: &Object<M>, by: By, place: usize) -> u64 {
    match by {
        By::Line => u64::from(object.sources[place].invoked_line),
        By::Stamp => object.entries[place].invoked,
    }
}

/// Checks every claim of a certificate against a history, with the independent verifier and nothing else.
///
/// # Errors
/// If the certificate is of another history, or of another reading of it.
pub fn recheck(
    parsed: &Parsed,
    certificate: &Certificate,
    threads: NonZeroUsize,
) -> Result<Vec<Rechecked>, CertificateError> {
    same_reading(&certificate.history, &reading(parsed))?;
    match &parsed.objects {
        Objects::Register(objects) => recheck_all(parsed, objects, certificate, threads),
        Objects::Mutex(objects) => recheck_all(parsed, objects, certificate, threads),
        Objects::Set(objects) => recheck_all(parsed, objects, certificate, threads),
        Objects::Kv(objects) => recheck_all(parsed, objects, certificate, threads),
    }
}

fn same_reading(claimed: &Reading, found: &Reading) -> Result<(), CertificateError> {
    let none = || "none".to_owned();
    let fields = [
        ("format", Some("--format"), claimed.format.clone(), found.format.clone()),
        ("model", Some("--model"), claimed.kind.clone(), found.kind.clone()),
        ("place of keys", Some("--keys"), claimed.keys.clone(), found.keys.clone()),
        (
            "meaning of a failed cas",
            Some("--failed-cas"),
            claimed.failed_cas.clone().unwrap_or_else(none),
            found.failed_cas.clone().unwrap_or_else(none),
        ),
        ("initial value", Some("--initial"), claimed.initial.clone(), found.initial.clone()),
        ("number of operations", None, claimed.operations.to_string(), found.operations.to_string()),
    ];
    match fields.into_iter().find(|(_, _, claimed, found)| claimed != found) {
        None => Ok(()),
        Some((what, option, claimed, found)) => {
            let remedy = option.map_or_else(
                || "; it belongs to another file".to_owned(),
                |option| format!("; if that is what you mean, say {option} {claimed}"),
            );
            Err(CertificateError::OtherReading { what, claimed, found, remedy })
        }
    }
}

fn recheck_all<M: Words + Send>(
    parsed: &Parsed,
    objects: &[Object<M>],
    certificate: &Certificate,
    threads: NonZeroUsize,
) -> Result<Vec<Rechecked>, CertificateError> {
    let mut claims: BTreeMap<Option<&str>, &Proof> = BTreeMap::new();
    for claim in &certificate.objects {
        if claims.insert(claim.key.as_deref(), &claim.claim).is_some() {
            let key = claim.key.as_deref().unwrap_or("the one object");
            return Err(CertificateError::OtherObjects(format!("the certificate speaks of {key} twice")));
        }
    }
    if let Some(other) = claims.keys().find(|key| objects.iter().all(|object| object.key.as_deref() != **key)) {
        let key = other.unwrap_or("an object without a key");
        return Err(CertificateError::OtherObjects(format!(
            "the certificate speaks of {key}, which the history does not have"
        )));
    }
    let by = certificate.operations_by;
    Ok(check_all(objects, threads, |object| Rechecked {
        key: object.key.clone(),
        operations: object.entries.len(),
        finding: match claims.get(&object.key.as_deref()) {
            Some(proof) => finding(parsed, object, by, proof),
            None => Finding::NothingClaimed("the certificate does not speak of it".to_owned()),
        },
    }))
}

/// An operation as people find it: `process 1's read 1 (line 5)`.
fn told<M: Words>(parsed: &Parsed, object: &Object<M>, place: usize) -> Option<String> {
    let (entry, source) = (object.entries.get(place)?, object.sources.get(place)?);
    let what = object.model.say(&entry.what, &object.names);
    Some(format!("process {}'s {what} (line {})", parsed.processes[source.process as usize], source.invoked_line))
}

/// The verifier knows operations by their places only; what it says of one begins with `operation 7`.
fn objection<M: Words>(parsed: &Parsed, object: &Object<M>, why: String) -> String {
    let named = || {
        let (place, rest) = why.strip_prefix("operation ")?.split_once(' ')?;
        Some(format!("{} {rest}", told(parsed, object, place.parse().ok()?)?))
    };
    named().unwrap_or(why)
}

fn finding<M: Words>(parsed: &Parsed, object: &Object<M>, by: By, proof: &Proof) -> Finding {
    let mut places: BTreeMap<u64, u32> = BTreeMap::new();
    for place in 0..object.entries.len() {
        let number = u32::try_from(place).expect("an object has fewer than 2^32 operations");
        if places.insert(name(object, by, place), number).is_some() {
            return Finding::DoesNotHold("its names for operations are not unique in this history".to_owned());
        }
    }
    let place = |operation: u64| {
        let unit = match by {
            By::Line => "line",
            By::Stamp => "stamp",
        };
        places
            .get(&operation)
            .copied()
            .ok_or_else(|| format!("no operation of the object begins at {unit} {operation}"))
    };
    let held = match proof {
        Proof::Undecided { why } => return Finding::NothingClaimed(why.clone()),
        Proof::Linearizable { order } => {
            order.iter().map(|operation| place(*operation)).collect::<Result<Vec<_>, _>>().and_then(|order| {
                verify::replays(&object.model, &object.entries, &order)
                    .map_err(|why| objection(parsed, object, why))?;
                Ok(Finding::Replayed(order.len()))
            })
        }
        Proof::Violation { verified: _, core } => core
            .iter()
            .map(|claim| kept(parsed, object, claim, place(claim.operation)?))
            .collect::<Result<Vec<_>, _>>()
            .and_then(|core| {
                let refuted = verify::refutes(&object.model, &object.entries, &core)
                    .map_err(|why| objection(parsed, object, why))?;
                Ok(if refuted { Finding::Refuted(core.len()) } else { Finding::TooMany(core.len()) })
            }),
    };
    held.unwrap_or_else(Finding::DoesNotHold)
}

fn kept<M: Words>(parsed: &Parsed, object: &Object<M>, claim: &CoreClaim, index: u32) -> Result<Kept<M::Op>, String> {
    let original = &object.entries[index as usize].what;
    let what = object.model.said(original, &claim.what, &object.names).ok_or_else(|| {
        let did = told(parsed, object, index as usize).unwrap_or_default();
        format!("{did} can't be taken for `{}`", claim.what)
    })?;
    Ok(Kept { index, entry: Entry { what, invoked: claim.invoked, answered: claim.answered } })
}
