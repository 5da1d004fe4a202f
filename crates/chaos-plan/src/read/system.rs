//! The system under test: which one, and what is tuned of it.

use std::path::PathBuf;

use super::{Field, Fields, Reader};
use crate::error::Mistake;
use crate::model::{DurationRange, RaftOptions, ReadConsistency, System};
use crate::words;
use crate::yaml::NodeKind;

/// What every node can be given; the kernel's own limits are far above.
const ARGUMENTS_MAX: usize = 100;
const ARGUMENT_BYTES_MAX: usize = 4_096;

impl Reader {
    pub(super) fn system(&mut self, field: Field<'_>) -> Option<System> {
        if let NodeKind::Scalar(text) = &field.node.kind {
            if text == "raft" {
                return Some(System::Raft(RaftOptions::default()));
            }
            return self.defined(field, None);
        }
        let fields = self.open(field, &[&words::SYSTEMS])?;
        let kinds: Vec<Field<'_>> = ["raft", "use", "definition"].iter().filter_map(|name| fields.get(name)).collect();
        let kind = match kinds.as_slice() {
            [kind] => *kind,
            [] => {
                if fields.all_known {
                    let mistake = Mistake::at(fields.place, "a system that isn't named")
                        .help("write `system: raft`, or `system: { use: etcd, profile: fast }`");
                    self.note(mistake);
                }
                return None;
            }
            [first, second, ..] => {
                let message = format!("two systems, `{}` and `{}`", first.name, second.name);
                self.note(Mistake::at(second.key, message).label("one too many").also(first.key, "the first"));
                return None;
            }
        };
        if kind.name != "raft" {
            return self.defined(kind, Some(&fields));
        }
        for beside in
            fields.iter().filter(|beside| words::SYSTEMS.has(beside.name) && !matches!(beside.name, "raft" | "nodes"))
        {
            let mistake = Mistake::at(beside.key, format!("`{}` beside `raft`", beside.name))
                .label("this belongs to a system that is described by data");
            self.note(mistake.help("what is tuned of the reference node stands under `raft:`"));
        }
        let default = RaftOptions::default();
        let options = match kind.node.kind {
            NodeKind::Null => Some(default),
            NodeKind::Scalar(_) | NodeKind::List(_) | NodeKind::Map(_) => self.raft(kind, &words::RAFT, default),
        };
        let nodes = fields.get("nodes").map(|field| self.nodes_of_raft(field, options.clone().unwrap_or_default()));
        Some(System::Raft(RaftOptions { nodes: nodes.unwrap_or_default(), ..options? }))
    }

    /// The options of all nodes, or of one, by the words of `table`; `default` has what is left out.
    pub(super) fn raft(
        &mut self,
        field: Field<'_>,
        table: &'static words::Table,
        default: RaftOptions,
    ) -> Option<RaftOptions> {
        let fields = self.open(field, &[table])?;
        let read = fields.get("read").and_then(|field| self.read_consistency(field)).unwrap_or(default.read);
        let options = RaftOptions {
            program: match fields.get("program") {
                Some(field) => self.argument(field).map(PathBuf::from),
                None => default.program,
            },
            election_timeout: fields
                .get("election-timeout")
                .and_then(|field| self.duration_range(field))
                .unwrap_or(default.election_timeout),
            heartbeat: fields.get("heartbeat").and_then(|field| self.duration(field)).unwrap_or(default.heartbeat),
            pre_vote: self.flag(&fields, "pre-vote", default.pre_vote),
            check_quorum: self.flag(&fields, "check-quorum", default.check_quorum),
            stickiness: self.flag(&fields, "stickiness", default.stickiness),
            lease_reads: self.flag(&fields, "lease-reads", default.lease_reads || read == ReadConsistency::Lease),
            read,
            request_timeout: fields
                .get("request-timeout")
                .and_then(|field| self.duration(field))
                .unwrap_or(default.request_timeout),
            specimen: match fields.get("specimen") {
                Some(field) if matches!(&field.node.kind, NodeKind::Scalar(text) if text == "none") => None,
                Some(field) => self.specimen(field),
                None => default.specimen,
            },
            arguments: fields.get("arguments").map_or(default.arguments, |field| self.arguments(field)),
            record: self.flag(&fields, "record", default.record),
            nodes: default.nodes,
        };
        self.raft_makes_sense(&fields, &options);
        Some(options)
    }

    fn flag(&mut self, fields: &Fields<'_>, name: &str, default: bool) -> bool {
        fields.get(name).and_then(|field| self.boolean(field)).unwrap_or(default)
    }

    fn read_consistency(&mut self, field: Field<'_>) -> Option<ReadConsistency> {
        Some(match self.one_of(field, "read consistency", &["linearizable", "lease", "local"])? {
            "lease" => ReadConsistency::Lease,
            "local" => ReadConsistency::Local,
            _ => ReadConsistency::Linearizable,
        })
    }

    /// Which specimens there are is known to the node alone; here a name only has to look like one.
    fn specimen(&mut self, field: Field<'_>) -> Option<String> {
        let text = self.text(field, "a specimen's name")?;
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !text.is_empty() && text.len() <= 64 && text.chars().all(fits) {
            return Some(text.to_owned());
        }
        let label = "small letters, digits and `-` only, for example `double-vote`";
        self.note(Mistake::at(field.node.place, format!("`{text}` can't be a specimen's name")).label(label));
        None
    }

    fn arguments(&mut self, field: Field<'_>) -> Vec<String> {
        let items = self.list(field, "a list of texts").unwrap_or_default();
        if items.len() > ARGUMENTS_MAX {
            self.note(Mistake::at(field.node.place, format!("more than {ARGUMENTS_MAX} arguments")));
        }
        items.iter().filter_map(|item| self.argument(Field::unnamed("arguments", item))).collect()
    }

    /// A text that can be handed to a program.
    pub(super) fn argument(&mut self, field: Field<'_>) -> Option<String> {
        let text = self.text(field, "a text")?;
        if text.len() > ARGUMENT_BYTES_MAX {
            self.note(Mistake::at(field.node.place, format!("a text of more than {ARGUMENT_BYTES_MAX} bytes")));
        }
        if text.contains('\0') || (text.is_empty() && field.name == "program") {
            self.note(
                Mistake::at(field.node.place, "no program can be given this").label("it is empty or holds a NUL"),
            );
            return None;
        }
        Some(text.to_owned())
    }

    /// What each option allows by itself may still make no sense together.
    fn raft_makes_sense(&mut self, fields: &Fields<'_>, options: &RaftOptions) {
        let DurationRange { min, max: _ } = options.election_timeout;
        if min <= options.heartbeat {
            let written = fields.get("election-timeout").or(fields.get("heartbeat"));
            let place = written.map_or(fields.place, |field| field.node.place);
            let heartbeat = crate::scalar::write_duration(options.heartbeat);
            let timeout = crate::scalar::write_duration(min);
            let mistake = Mistake::at(place, "an election timeout that isn't above the heartbeat")
                .label(format!("the timeout begins at {timeout}, the heartbeat is {heartbeat}"))
                .help(
                    "followers would campaign although the leader is well: take a timeout of at least three heartbeats",
                );
            self.note(mistake);
        }
        if options.read == ReadConsistency::Lease
            && !options.lease_reads
            && let Some(field) = fields.get("lease-reads")
        {
            let mistake = Mistake::at(field.node.place, "clients read from the lease, but no lease is kept")
                .label("this must be true for `read: lease`");
            self.note(mistake);
        }
    }
}
