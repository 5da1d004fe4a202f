//! Specimens that real processes can't show, on trial by walks without time: they need messages that are doubled, overtaken or lost one by
//! one. The sound node is led along the same walks.

use std::num::{NonZeroU32, NonZeroU64};

use election::specimens::Specimen;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::walk::{Found, Search};

/// After so many walks a specimen gets away. Few of them have the setting that it needs.
const WALKS_MAX: NonZeroU64 = NonZeroU64::new(20_000).expect("not zero");
const STEPS: NonZeroU32 = NonZeroU32::new(6_000).expect("not zero");

/// What became of a specimen.
pub(super) struct WalkTrial {
    /// How many walks it took, or were made in vain.
    walks: u64,
    found: Option<Found>,
    /// What was found on the same walks wrong with the sound node.
    sound: Option<Found>,
}

/// Leads a specimen along walks until it is convicted, and the sound node along the same.
pub(super) fn hold(specimen: &Specimen) -> Result<WalkTrial, Failure> {
    let search =
        |specimen, walks| Search { specimen, walks, steps: STEPS, seed: 0, nodes: None, threads: None }.carry_out();
    let (found, walks) = search(Some(specimen.name), WALKS_MAX)?;
    let (sound, _) = search(None, NonZeroU64::new(walks).unwrap_or(NonZeroU64::MIN))?;
    Ok(WalkTrial { walks, found, sound })
}

impl WalkTrial {
    /// As of the whole command.
    pub(super) fn exit_code(&self) -> u8 {
        match (&self.found, &self.sound) {
            (_, Some(_)) => 1,
            (None, None) => 3,
            (Some(_), None) => 0,
        }
    }

    fn sound(&self) -> String {
        let convicted = |found: &Found| format!("CONVICTED ({}: {})", found.property, found.why);
        self.sound.as_ref().map_or_else(|| "acquitted".to_owned(), convicted)
    }

    /// On one line, without the name.
    pub(super) fn line(&self) -> String {
        let verdict = match &self.found {
            Some(found) => {
                let moves = found.story.len();
                format!("convicted   {:<23} in walk {} without time, in {moves} moves", found.property, self.walks)
            }
            None => format!("NOT convicted in {} walks", self.walks),
        };
        format!("{verdict}; sound node {}", self.sound())
    }

    /// The cells of a Markdown table: what is violated, the walk, the moves, the sound node.
    pub(super) fn cells(&self) -> String {
        let (property, walk, moves) = match &self.found {
            Some(found) => (found.property, self.walks.to_string(), found.story.len().to_string()),
            None => ("**not convicted**", format!("> {}", self.walks), "–".to_owned()),
        };
        format!("{property} | {walk} | {moves} | {}", self.sound().replace('|', "\\|"))
    }

    pub(super) fn object(&self) -> Value {
        let found = |found: &Found| json!({"property": found.property, "why": found.why, "moves": found.story.len()});
        json!({
            "walks": self.walks,
            "found": self.found.as_ref().map(found),
            "sound": self.sound.as_ref().map(found),
        })
    }
}
