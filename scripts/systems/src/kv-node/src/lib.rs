//! What the small key-value nodes around Raft libraries have in common: [`options`], the replicated [`map`], the [`http`]
//! interface that clients and observers use, a durable [`log`] and frames on the [`wire`].
//!
//! It holds no protocol: who leads and what is committed is the library's affair, and a node hands its answers through
//! unchanged. The interface is the one of this project's reference node, so that one definition fits all of them.

pub mod http;
pub mod log;
pub mod map;
pub mod options;
pub mod wire;
