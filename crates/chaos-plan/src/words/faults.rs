//! The words of the faults: what stands behind each verb of a kind of fault, where that is more than a target.

use super::{Table, word};

pub(crate) static KILL: Table = Table {
    owner: "`kill`",
    words: &[
        word("node", "leader", "whose processes"),
        word("process", "agent", "which, by the name in the system's definition [all of the node]"),
        word("with-children", "true", "whether the descendants of that process are hit too [false]"),
        word("signal", "TERM", "any that ends a process by default: TERM, ABRT, SEGV, … [KILL]"),
    ],
};

pub(crate) static PAUSE: Table = Table {
    owner: "`pause`",
    words: &[
        word("node", "leader", "whose processes"),
        word("process", "agent", "which, by the name in the system's definition [all of the node]"),
        word("with-children", "true", "whether the descendants of that process are hit too [false]"),
    ],
};

pub(crate) static PARTITION: Table = Table {
    owner: "`partition`",
    words: &[
        word("isolate", "leader", "these on one side, everybody else on the other"),
        word("halves", "true", "two halves, drawn; or just `partition: halves`"),
        word("groups", "[[n1, n2], [n3]]", "each sees only itself; nodes not named form one more"),
        word("one-way", "{ from: leader, to: followers }", "packets that way are dropped, the way back is open"),
        word("majorities-ring", "true", "every node sees a majority, no two the same; 4 nodes or more"),
        word("bridge", "n3", "two halves that share this node; 3 nodes or more"),
        word("cut", "[leader -> n2, n3 <-> follower]", "just these links, one way or both"),
        word("drop", "hold", "packets wait for the heal (`hold`), or come back to their sender (`reject`) [lose]"),
        word("heal", "kick", "TCP goes on at once (`kick`), or its connections are destroyed (`reset`) [natural]"),
    ],
};

pub(crate) static ONE_WAY: Table = Table {
    owner: "`one-way`",
    words: &[word("from", "leader", "whose packets"), word("to", "followers", "to whom [everybody else]")],
};

pub(crate) static CRASH_LOOP: Table = Table {
    owner: "`crash-loop`",
    words: &[
        word("node", "leader", "whom"),
        word("up", "100ms..300ms", "for how long each stays up, drawn anew each time [100ms..300ms]"),
        word("down", "50ms", "for how long each stays down [50ms]"),
    ],
};

pub(crate) static SLOW: Table = Table {
    owner: "`slow`",
    words: &[
        word("node", "leader", "whom"),
        word("run", "1ms", "for how long of each period its threads run, at least 100us [1ms]"),
        word("every", "10ms", "the period, at most 1min [10ms]"),
    ],
};

pub(crate) static STARVE: Table = Table {
    owner: "`starve`",
    words: &[
        word("node", "leader", "whom"),
        word("share", "10%", "about what is left of one processor to one busy thread, 2% to 50% [10%]"),
    ],
};

pub(crate) static LIMIT: Table = Table {
    owner: "`limit`",
    words: &[
        word("node", "leader", "whom"),
        word("open-files", "32", "descriptors that each process may have, those that are open included"),
        word("memory", "64MB", "address space that each process may have beyond what it has when the fault begins"),
    ],
};

pub(crate) static LINK: Table = Table {
    owner: "`link`",
    words: &[
        word("between", "[leader -> followers]", "which links, one way or both; `all`"),
        word("delay", "50ms", "every packet takes so much longer"),
        word("jitter", "10ms", "the delay varies; `{ by: 20ms, like: pareto }`"),
        word("loss", "10%", "so many packets are lost; in bursts: `{ share: 20%, burst: 4 }`"),
        word("duplicate", "1%", "so many arrive twice"),
        word("reorder", "5%", "so many are overtaken by others; `{ share: 5%, by: 10ms }`"),
        word("corrupt", "1%", "so many have a bit flipped, which the receiver's checksum shows"),
        word("rate", "1mbit/s", "no more than this passes"),
    ],
};

pub(crate) static JITTER: Table = Table {
    owner: "`jitter`",
    words: &[
        word("by", "20ms", "how much"),
        word("like", "pareto", "how likely which variation is: normal, uniform or pareto [normal]"),
    ],
};

pub(crate) static LOSS: Table = Table {
    owner: "`loss`",
    words: &[word("share", "20%", "how many packets"), word("burst", "4", "how many in a row, on average [1]")],
};

pub(crate) static REORDER: Table = Table {
    owner: "`reorder`",
    words: &[word("share", "5%", "how many packets"), word("by", "10ms", "how long they are held back [5ms]")],
};

pub(crate) static CLOCK: Table = Table {
    owner: "`clock`",
    words: &[
        word("node", "leader", "whose wall clock goes wrong; at the end it shows true time again"),
        word("jump", "+60s", "by how much it is off; `-60s` is back"),
        word("rate", "0.67", "or: how fast it goes, 0 (it stands still) to 64"),
        word("strobe", "{ by: 200ms, every: 10ms }", "or: it jumps away and back by turns"),
        word(
            "monotonic",
            "true",
            "a rate that is also that of monotonic clocks: dangerous, see `chaos explain clock` [false]",
        ),
    ],
};

pub(crate) static STROBE: Table = Table {
    owner: "`strobe`",
    words: &[
        word("by", "200ms", "how far it jumps; `-200ms` is back"),
        word("every", "10ms", "the time between two jumps, 100us to 24h"),
    ],
};

pub(crate) static DISK: Table = Table {
    owner: "`disk`",
    words: &[
        word("node", "leader", "whose disk is slow or fails; at the end it is well again"),
        word("sync-delay", "100ms", "by how much each sync takes longer; what is held at the end goes on"),
        word("sync", "EIO", "the error of each sync: EIO, ENOSPC or EROFS"),
        word("write-delay", "10ms", "by how much each write takes longer"),
        word("write", "EIO", "the error of each write; ENOSPC only where a file would get longer"),
        word("full", "true", "the same as `write: ENOSPC`"),
        word("read-only", "true", "the same as `write: EROFS`: names can't be changed either"),
    ],
};

pub(crate) static POWER_LOSS: Table = Table {
    owner: "`power-loss`",
    words: &[
        word("node", "leader", "who is killed and loses what was not synced; at the end it is started again"),
        word("keep", "random", "what else stays: nothing, or a part of it, drawn, torn and in any order [synced]"),
        word(
            "file-system",
            "posix",
            "journalled: a sync takes earlier changes of names along; posix: it doesn't [journalled]",
        ),
    ],
};

pub(crate) static CORRUPT_FILE: Table = Table {
    owner: "`corrupt-file`",
    words: &[
        word("node", "follower", "whose files, whether it runs or not"),
        word("file", "\"**/*.log\"", "which, by a glob on paths in its data directory; `*` stays within one directory"),
        word("flip-bits", "3", "how many bits are turned over, drawn among all of those files, 1 to 1000"),
        word("truncate", "100B", "or: how much is cut off the end of one of them, drawn"),
    ],
};

pub(crate) static TRANSFER: Table = Table {
    owner: "`transfer`",
    words: &[
        word("node", "leader", "who hands over: the leader, nobody else has anything to"),
        word("to", "follower", "to whom, one node [whom the system chooses or, where it wants to be told, a follower]"),
    ],
};
