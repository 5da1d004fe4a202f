//! The real world: node processes and what is done to them
