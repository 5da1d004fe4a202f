//! The words of single nodes that run otherwise than the others, and of the way in which clocks are moved.

use super::{Table, word};

/// As [`RAFT`](super::RAFT), but how clients read, which is not a node's. What is left out is what all nodes have.
pub(crate) static NODE_OF_RAFT: Table = Table {
    owner: "a node of system raft",
    words: &[
        word("election-timeout", "1s..2s", "from which its own timeouts are drawn [as of all nodes, like all below]"),
        word("heartbeat", "40ms", "how often it shows that it is there while it leads"),
        word("pre-vote", "false", "whether it asks before campaigning"),
        word("check-quorum", "false", "whether it steps down as a leader that hears no majority"),
        word("stickiness", "false", "whether it refuses votes while a leader is heard"),
        word("lease-reads", "false", "whether it serves reads from its lease"),
        word("request-timeout", "900ms", "when it answers that it doesn't know"),
        word("specimen", "double-vote", "the broken variant that it is; `none`: the sound node"),
        word("program", "./my-node", "the node program to start"),
        word("arguments", "[--verbose]", "its further arguments, in place of those of all nodes"),
    ],
};

/// How clocks are moved, if not by a swapped vDSO.
pub(crate) static CLOCKS: Table = Table {
    owner: "`clocks`",
    words: &[word(
        "libfaketime",
        "/opt/libfaketimeMT.so.1",
        "the library [where distributions put it]; or `--bin libfaketime=PATH`",
    )],
};

pub(crate) static NODE_OF_DEFINED: Table = Table {
    owner: "a node of a system",
    words: &[
        word("version", "3.5.35", "one of the definition's `install: versions` [as of all nodes]"),
        word("profile", "fast", "one of the definition's `tune` profiles [as of all nodes]"),
        word("tune", "{ heartbeat: 50 }", "values in place of the profile's, beyond those of all nodes"),
        word("programs", "{ etcd: /opt/etcd }", "programs to take instead of the installed ones"),
    ],
};
