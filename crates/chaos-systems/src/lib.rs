//! Drivers of the systems under test: how to start them, whom to ask, how to write
