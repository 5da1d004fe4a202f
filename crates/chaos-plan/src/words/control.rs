//! The words of what sets steps off, of what ends a repetition, and of targets that are made of others.

use super::{Table, Word, word};

const LEADER: Word = word("leader", "elected", "a majority names a leader anew, `another` node, or no longer: `lost`");
const VOTE: Word = word("vote", "granted", "a node is seen to have voted for another one in a newer term");
const TERM: Word = word("term", "5", "a node is in this term; `+2`: two after the newest");
const OPERATIONS: Word = word("operations", "500", "so many are acknowledged");
const LEASE: Word =
    word("lease", "{ below: 50ms }", "the leader says that less is left until it steps down or its lease ends");

/// Exactly one of these.
pub(crate) static ON: Table = Table { owner: "`on`", words: &[LEADER, VOTE, TERM, OPERATIONS, LEASE] };

pub(crate) static LEASE_BOUND: Table = Table {
    owner: "`lease`",
    words: &[word("below", "50ms", "what is left, by the leader's own word, is less than this")],
};

/// Exactly one of the first five.
pub(crate) static STOP: Table = Table {
    owner: "`until` beside `repeat`",
    words: &[
        LEADER,
        VOTE,
        TERM,
        OPERATIONS,
        LEASE,
        word("within", "60s", "after this no other round begins either [as many as `repeat` says]"),
    ],
};

/// Targets that go on behind their words; for the reference.
pub(crate) static SELECTORS: Table = Table {
    owner: "targets made of others",
    words: &[
        word("all but leader", "", "everybody else; hyphens and spaces in targets are the same"),
        word("$first", "", "the nodes that the step with `name: first` hit"),
    ],
};
