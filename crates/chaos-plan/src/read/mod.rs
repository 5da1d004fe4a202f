//! From the tree to the model: the meaning of every word, one file per part of the language.
//!
//! A [`Reader`] notes every mistake and goes on with a default, so that the whole file is always read.

mod changes;
mod checks;
mod clients;
mod clocks;
mod control;
mod defined;
mod definition;
mod disks;
mod expectations;
mod faults;
mod fields;
mod holds;
mod links;
mod mixed;
mod steps;
mod system;
mod targets;
mod wires;
mod workload;

pub(crate) use defined::{GivenDefinition, named_definition};
pub(crate) use fields::{Field, Fields};
pub(crate) use steps::ReadPlan;
pub(crate) use workload::{FaultSource, WorkloadFields};

use crate::error::{Mistake, Mistakes};
use crate::model::Changes;
use crate::source::{Place, Sources};

/// What is common to all reading of one workload.
pub(crate) struct Reader {
    /// Noted so far.
    pub(crate) mistakes: Mistakes,
    /// The texts read so far.
    pub(crate) sources: Sources,
    /// How many nodes the cluster has; what nodes are named depends on it.
    pub(crate) nodes: usize,
    /// The definition of the system under test, if it is one that is described by data.
    pub(crate) definition: Option<GivenDefinition>,
    /// Where the system under test is named.
    system_place: Option<Place>,
    /// How many service nodes stand beside them, numbered after them.
    pub(crate) service: usize,
    /// What the system calls its processes; `None` if it could not be read.
    pub(crate) processes: Option<Vec<String>>,
    /// What the system can be told while it runs; `None` if it could not be read.
    pub(crate) changes: Option<Changes>,
    /// What the trial of the definition's templates has taken so far, in steps and bytes.
    rendering_took: u64,
    /// Where the verb of each step of the fault plan stands, by the step's number.
    step_places: Vec<Place>,
    /// How deep in other steps the step being read stands.
    step_nesting: usize,
    /// Whether a step of the fault plan could not be told.
    dropped_step: bool,
    /// How many `repeat`s stand around the step being read.
    repeats: usize,
    /// What steps of the fault plan have named so far, and where.
    step_names: Vec<(String, Place)>,
}

impl Reader {
    /// A reader that has read nothing.
    pub(crate) fn new(sources: Sources) -> Self {
        Self {
            mistakes: Mistakes::default(),
            sources,
            nodes: workload::NODES_DEFAULT,
            definition: None,
            system_place: None,
            service: 0,
            processes: None,
            changes: None,
            rendering_took: 0,
            step_places: Vec::new(),
            step_nesting: 0,
            dropped_step: false,
            repeats: 0,
            step_names: Vec::new(),
        }
    }

    /// A file's or plan's name: what may stand in a path on every system, and reads well there.
    fn name(&mut self, field: Field<'_>) -> Option<String> {
        let text = self.text(field, "a text")?;
        if let Some(why) = name_trouble(text) {
            self.note(Mistake::at(field.node.place, format!("`{text}` can't be a name")).label(why));
            return None;
        }
        Some(text.to_owned())
    }

    /// A sentence or two for people.
    fn about(&mut self, fields: &Fields<'_>) -> String {
        let Some(field) = fields.get("about") else { return String::new() };
        let text = self.text(field, "a text").unwrap_or_default();
        if text.len() > ABOUT_BYTES_MAX {
            let message = format!("`about` of more than {ABOUT_BYTES_MAX} bytes");
            self.note(
                Mistake::at(field.node.place, message).label("a sentence or two is enough; the rest is a comment"),
            );
        }
        text.trim().to_owned()
    }

    /// The format's version, where it is written down.
    fn version(&mut self, fields: &Fields<'_>) {
        if let Some(field) = fields.get("version")
            && let Some(version) = self.parsed(field, "a version, `1`", crate::scalar::whole)
            && version != VERSION
        {
            let mistake = Mistake::at(field.node.place, format!("version {version} of the plan language"))
                .label(format!("this chaos reads version {VERSION}"))
                .help("use a newer chaos for this file");
            self.note(mistake);
        }
    }

    /// Notes that a mapping lacks something it can't do without.
    fn missing(&mut self, place: Place, owner: &str, name: &str, help: &str) {
        self.note(Mistake::at(place, format!("{owner} without `{name}`")).help(help));
    }
}

/// The version of the plan language that this crate reads and writes.
pub const VERSION: u64 = 1;

/// Reports show what a plan says of itself on a line or two.
const ABOUT_BYTES_MAX: usize = 1_000;

/// Why a text can't be a name, if it can't.
pub(crate) fn name_trouble(text: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() {
        Some("it is empty")
    } else if text.len() > 64 {
        Some("it is longer than 64 characters")
    } else if !text.chars().all(allowed) {
        Some("letters, digits, `-`, `_` and `.` only: it names a directory")
    } else if text.starts_with(['.', '-']) {
        Some("it begins with a letter or a digit")
    } else {
        None
    }
}
