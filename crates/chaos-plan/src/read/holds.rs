//! When a fault ends.
//!
//! ```yaml
//! - kill: leader
//!   for: 2s..3s
//! - pause: leader
//!   until: { leader: another, plus: 2s, within: 60s }
//! ```

use std::time::Duration;

use chaos_history::FaultKind;

use super::{Field, Reader};
use crate::error::Mistake;
use crate::fault::{ends_at_once, undone_by};
use crate::model::{DurationRange, Hold, Until};
use crate::words;

/// For how long a fault waits for another leader if the plan doesn't say.
const WITHIN_DEFAULT: Duration = Duration::from_secs(30);

impl Reader {
    /// What stands beside a fault's verb on how long it lasts.
    pub(super) fn hold(
        &mut self,
        (kind, verb): (FaultKind, Field<'_>),
        lasting: Option<Field<'_>>,
        until: Option<Field<'_>>,
    ) -> Hold {
        if ends_at_once(kind) {
            for field in [lasting, until].into_iter().flatten() {
                let mistake = Mistake::at(field.key, format!("`{}` beside `{}`", field.name, kind.name()));
                self.note(mistake.label("it is over as soon as it is done, and nothing takes it back"));
            }
            return Hold::For(DurationRange { min: Duration::ZERO, max: Duration::ZERO });
        }
        if let (Some(lasting), Some(until)) = (lasting, until) {
            let mistake = Mistake::at(until.key, "`until` besides `for`")
                .label("a fault ends by one of them; `within` limits `until`")
                .also(lasting.key, "here");
            self.note(mistake);
        }
        match (lasting, until) {
            (Some(field), _) => self.duration_range(field).map_or(Hold::Open, Hold::For),
            (None, Some(field)) => self.until(field).map_or(Hold::Open, Hold::Until),
            (None, None) => {
                if undone_by(kind).is_none() {
                    let mistake = Mistake::at(verb.key, format!("`{}` without an end", kind.name()))
                        .label("no later step can take it back")
                        .help("say how long it lasts beside it, for example `for: 5s`");
                    self.note(mistake);
                }
                Hold::Open
            }
        }
    }

    fn until(&mut self, field: Field<'_>) -> Option<Until> {
        let fields = self.open(field, &[&words::UNTIL])?;
        match fields.get("leader") {
            Some(leader) => {
                self.one_of(leader, "leader to wait for", &["another"])?;
            }
            None => {
                if fields.all_known {
                    self.missing(field.key, "`until`", "leader", "for example `until: { leader: another, plus: 2s }`");
                }
                return None;
            }
        }
        let plus = fields.get("plus").and_then(|field| self.duration(field)).unwrap_or(Duration::ZERO);
        let within = fields.get("within").and_then(|field| self.duration(field)).unwrap_or(WITHIN_DEFAULT);
        Some(Until { plus, within })
    }
}
