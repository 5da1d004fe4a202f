//! Histories made by hand, for tests.
