//! Stories about locks and leases.
