//! The reference node: sockets, disk and clock around the election protocols
mod arguments;
mod clock;
mod error;
mod storage;
pub use arguments::NodeArguments;
