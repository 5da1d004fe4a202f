//! The whole engine against a toy cluster in virtual time: what must be true of every run, and what the words of a plan do.

mod audit;
mod changes;
mod clients;
mod comparisons;
mod control;
mod fake_world;
mod faults;
mod holds;
mod locks;
mod plans;
mod properties;
mod runs;
mod sets;
mod shipped;
