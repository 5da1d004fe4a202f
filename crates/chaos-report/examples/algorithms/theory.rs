//! What is known of each algorithm before it runs, with its source.

/// One algorithm.
pub(crate) struct Theory {
    /// As on a command line.
    pub(crate) name: &'static str,
    /// The built-in system that was run.
    pub(crate) system: &'static str,
    pub(crate) promises: &'static str,
    pub(crate) messages: &'static str,
    pub(crate) minority: &'static str,
}

/// All of them; the sources are those of the modules of the crate `election`.
pub(crate) const THEORY: [Theory; 6] = [
    Theory {
        name: "raft",
        system: "raft-node",
        promises: "one leader per term (Ongaro and Ousterhout 2014)",
        messages: "O(n): 2 (n − 1) for a round of votes, as many for the pre-vote, and n − 1 to announce",
        minority: "no leader; an old one steps down",
    },
    Theory {
        name: "bully",
        system: "bully",
        promises: "nothing when messages are lost (Garcia-Molina 1982)",
        messages: "from n − 1 to O(n²): n² − n − 1 if the lowest notices first",
        minority: "a leader in each part",
    },
    Theory {
        name: "ring",
        system: "ring",
        promises: "nothing when messages are lost (Chang and Roberts 1979)",
        messages: "O(n): 2n to 3n − 1 if one notices, n (n + 1) / 2 + n at worst; as many acknowledgements",
        minority: "a leader in each part",
    },
    Theory {
        name: "lease",
        system: "lease",
        promises: "one holder per token; one at a time while clocks are bounded (Gray and Cheriton 1989)",
        messages: "O(n): up to 3 per candidate, with the lock service",
        minority: "who reaches the lock service may lead",
    },
    Theory {
        name: "paxos-lease",
        system: "paxos-lease",
        promises: "one leader per ballot; one at a time while clocks are bounded (Lamport 1998, Chandra and others 2007)",
        messages: "O(n): 5 (n − 1), of which n − 1 announce",
        minority: "no leader; an old one's lease runs out",
    },
    Theory {
        name: "zab",
        system: "zab",
        promises: "one leader per epoch (Junqueira and others 2011)",
        messages: "O(n²): n (n − 1) notifications or more, as votes change, and 6 (n − 1)",
        minority: "no leader; an old one steps down",
    },
];
