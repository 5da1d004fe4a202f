//! Operations, observations, fault events and node life of one run, and the run directory that keeps them
