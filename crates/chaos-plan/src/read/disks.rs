//! Disks: how they fail, what they forget, and how files on them are damaged.
//!
//! ```yaml
//! - disk: { node: leader, sync-delay: 100ms }    # or `sync: EIO`, `write: EIO`, `full: true`, `read-only: true`
//! - power-loss: { node: leader, keep: random, file-system: posix }
//! - corrupt-file: { node: follower, file: "**/*.log", flip-bits: 3 }   # or `truncate: 100B`
//! ```

use std::time::Duration;

use globset::GlobBuilder;

use super::{Field, Fields, Reader};
use crate::error::Mistake;
use crate::parts::{CallFault, Damage, DiskFailure, DiskFault, FileSystem, Keep};
use crate::scalar::bytes;
use crate::words;

/// Each of them stands in the history.
const FLIPS_MAX: u64 = 1_000;

impl Reader {
    /// What is wrong with the disks of a `disk` step.
    pub(super) fn disk(&mut self, verb: Field<'_>, fields: Option<&Fields<'_>>) -> Option<DiskFault> {
        let of = |name| fields.and_then(|fields| fields.get(name));
        if !words::DISK.names().any(|name| name != "node" && of(name).is_some()) {
            // What is there instead is a mistake already.
            if fields.is_none_or(|fields| fields.all_known) {
                let help = "for example `disk: { node: leader, sync-delay: 100ms }` or `{ node: leader, write: EIO }`";
                self.note(Mistake::at(verb.key, "`disk` with nothing wrong").help(help));
            }
            return None;
        }
        let mut delay = |name| of(name).map_or(Some(Duration::ZERO), |field| self.duration(field));
        let (sync_delay, write_delay) = (delay("sync-delay"), delay("write-delay"));
        let sync = of("sync").map_or(Some(None), |field| self.failure(field).map(Some));
        let writes: Vec<Field<'_>> = ["write", "full", "read-only"].into_iter().filter_map(of).collect();
        let write = match writes.first() {
            Some(first) => self.failure_of_writes(*first).map(Some),
            None => Some(None),
        };
        if let [first, second, ..] = writes[..] {
            let mistake = Mistake::at(second.key, format!("`{}` besides `{}`", second.name, first.name));
            self.note(mistake.label("writes fail in one way at a time").also(first.key, "here"));
        }
        Some(DiskFault {
            sync: CallFault { delay: sync_delay?, failure: sync? },
            write: CallFault { delay: write_delay?, failure: write? },
        })
    }

    fn failure(&mut self, field: Field<'_>) -> Option<DiskFailure> {
        let name = self.one_of(field, "error of a disk", &DiskFailure::ALL.map(DiskFailure::name))?;
        DiskFailure::ALL.into_iter().find(|failure| failure.name() == name)
    }

    fn failure_of_writes(&mut self, field: Field<'_>) -> Option<DiskFailure> {
        if field.name == "write" {
            return self.failure(field);
        }
        if !self.boolean(field)? {
            self.note(Mistake::at(field.node.place, format!("`{}: false` says nothing", field.name)));
            return None;
        }
        Some(if field.name == "full" { DiskFailure::Full } else { DiskFailure::ReadOnly })
    }

    /// What a power loss leaves.
    pub(super) fn keep(&mut self, fields: Option<&Fields<'_>>) -> Keep {
        let given = fields.and_then(|fields| fields.get("keep"));
        let word = given.and_then(|field| self.one_of(field, "thing to keep", &["synced", "random"]));
        if word == Some("random") { Keep::Random } else { Keep::Synced }
    }

    /// What a sync promises on the file system that loses its power.
    pub(super) fn file_system(&mut self, fields: Option<&Fields<'_>>) -> FileSystem {
        let given = fields.and_then(|fields| fields.get("file-system"));
        let known = [FileSystem::Journalled, FileSystem::Posix];
        let name = given.and_then(|field| self.one_of(field, "kind of file system", &known.map(FileSystem::name)));
        known.into_iter().find(|kind| Some(kind.name()) == name).unwrap_or_default()
    }

    /// Which files a `corrupt-file` step damages, and how.
    pub(super) fn damage(&mut self, verb: Field<'_>, fields: Option<&Fields<'_>>) -> Option<(String, Damage)> {
        let of = |name| fields.and_then(|fields| fields.get(name));
        let example = "for example `corrupt-file: { node: follower, file: \"**/*.log\", flip-bits: 3 }`";
        let all_known = fields.is_none_or(|fields| fields.all_known);
        let file = match of("file") {
            Some(field) => self.glob(field),
            None => {
                if all_known {
                    self.missing(verb.key, "`corrupt-file`", "file", example);
                }
                None
            }
        };
        let damage = match (of("flip-bits"), of("truncate")) {
            (Some(bits), None) => {
                let bits = self.count(bits, 1..=FLIPS_MAX)?;
                Some(Damage::FlipBits(u32::try_from(bits).expect("it is below the limit")))
            }
            (None, Some(field)) => {
                let bytes = self.parsed(field, "a size, for example `100B`", bytes)?;
                if bytes == 0 {
                    self.note(Mistake::at(field.node.place, "`truncate` by nothing"));
                }
                Some(Damage::Truncate { bytes })
            }
            (Some(bits), Some(bytes)) => {
                let mistake = Mistake::at(bytes.key, "`truncate` besides `flip-bits`");
                self.note(mistake.label("a step does one of them").also(bits.key, "here"));
                None
            }
            (None, None) => {
                if all_known && of("file").is_some() {
                    self.note(Mistake::at(verb.key, "`corrupt-file` in which way?").help(example));
                }
                None
            }
        };
        Some((file?, damage?))
    }

    /// A glob on paths below a node's data directory.
    fn glob(&mut self, field: Field<'_>) -> Option<String> {
        let text = self.text(field, "a glob, for example `\"**/*.log\"`")?;
        if let Err(error) = GlobBuilder::new(text).literal_separator(true).build() {
            self.note(Mistake::at(field.node.place, format!("`file` is no glob: {}", error.kind())));
            return None;
        }
        if text.is_empty() || text.starts_with('/') || text.split('/').any(|part| part == "..") {
            let mistake = Mistake::at(field.node.place, "`file` matches nothing in a node's data directory");
            self.note(mistake.label("a path in there, without `/` at its beginning or `..`"));
            return None;
        }
        Some(text.to_owned())
    }
}
