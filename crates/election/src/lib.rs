//! Sans-IO leader election: Raft, its rules, and specimens that break one rule each
