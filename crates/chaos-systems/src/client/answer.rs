//! Answers in the history's words, and what every driver does with the texts that nodes send.
//!
//! A value is exactly what a client writes: a whole number in decimal digits without leading zeros. Anything else that a node
//! hands out as one becomes a value that nobody wrote, which the checker must meet: dropped as unreadable, a corrupted register
//! would pass for a valid one. No text of a node gets into a message longer than 80 characters.

use std::net::{IpAddr, SocketAddr};

use chaos_history::{NodeId, OpPhase, OpResult, Value};

use crate::driver::Answer;

/// It happened.
pub(crate) fn done(result: OpResult) -> Answer {
    Answer { phase: OpPhase::Ok(result), leader_hint: None }
}

/// It did not happen and never will.
pub(crate) fn failed(error: impl Into<String>) -> Answer {
    Answer { phase: OpPhase::Fail { error: error.into() }, leader_hint: None }
}

/// Nobody knows whether it happened.
pub(crate) fn unknown(error: impl Into<String>) -> Answer {
    Answer { phase: OpPhase::Info { error: error.into() }, leader_hint: None }
}

/// An action for which the protocol has no words; nothing was sent.
pub(crate) fn no_words(driver: &str, what: &str) -> Answer {
    failed(format!("the client driver `{driver}` has no words for {what}"))
}

/// The value that a client writes as this text. `007` is not what anybody wrote as 7.
pub(crate) fn written_as(text: &str) -> Value {
    match text.parse().map(Value) {
        Ok(value) if value.to_string() == text => value,
        Ok(_) | Err(_) => foreign(text.as_bytes()),
    }
}

/// The value that a client writes as these bytes.
pub(crate) fn written_as_bytes(bytes: &[u8]) -> Value {
    std::str::from_utf8(bytes).map_or_else(|_| foreign(bytes), written_as)
}

/// A number for a text that no client of ours can have written: the top bit is set, which clients never reach.
pub(crate) fn foreign(text: &[u8]) -> Value {
    // FNV-1a, so that one text is one value.
    let hash = text
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    Value(hash | 1 << 63)
}

/// The node of this name, if a cluster of this size has one.
pub(crate) fn member(name: &str, nodes: usize) -> Option<NodeId> {
    name.parse().ok().filter(|node: &NodeId| node.index() < nodes)
}

/// The node that a text names by its id, its address, `address:port` or a URL; `None` if it is none of the cluster's.
pub(crate) fn named(text: &str, endpoints: &[SocketAddr], nodes: usize) -> Option<NodeId> {
    let text = text.trim();
    if let Some(node) = member(text, nodes) {
        return Some(node);
    }
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = authority.split_once('/').map_or(authority, |(authority, _)| authority);
    let socket = authority.parse::<SocketAddr>().ok();
    let address = socket.map(|socket| socket.ip()).or_else(|| authority.parse::<IpAddr>().ok())?;
    let under_test = &endpoints[..nodes.min(endpoints.len())];
    // Nodes that share an address are told apart by their port; one that matches none of them names nobody.
    let mut here = (0..).zip(under_test).filter(|(_, endpoint)| endpoint.ip() == address);
    let first = here.next()?;
    let index = match here.next() {
        None => first.0,
        Some(_) => under_test.iter().position(|endpoint| Some(*endpoint) == socket)?,
    };
    Some(NodeId::from_index(index))
}

/// At most 80 characters of what a node said, for an error message.
pub(crate) fn shortened(text: &str) -> String {
    let text = text.trim_end();
    if text.chars().count() <= 80 { text.to_owned() } else { text.chars().take(79).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_client_writes_is_its_value() {
        assert_eq!(written_as("7"), Value(7));
        for text in ["007", "+7", " 7", "7\n", "", "seven", "-1", "18446744073709551616"] {
            assert!(written_as(text).0 >= 1 << 63, "{text:?}");
            assert_eq!(written_as(text), written_as_bytes(text.as_bytes()), "{text:?}");
        }
        assert_ne!(written_as("a"), written_as("b"));
        assert_ne!(written_as_bytes(&[0xff]), written_as_bytes(&[0xfe]));
    }

    #[test]
    fn a_node_is_named_by_id_address_or_url() {
        let endpoints: Vec<SocketAddr> =
            ["10.0.0.1:8500", "10.0.0.2:8500", "10.0.0.3:8500"].iter().map(|text| text.parse().unwrap()).collect();
        for text in ["n2", "10.0.0.2", "10.0.0.2:8300", "http://10.0.0.2:8500/v1", " n2\n"] {
            assert_eq!(named(text, &endpoints, 3), Some(NodeId::new(2)), "{text:?}");
        }
        for text in ["n4", "10.0.0.4", "", "leader", "http://", "10.0.0.2:port"] {
            assert_eq!(named(text, &endpoints, 3), None, "{text:?}");
        }
        assert_eq!(named("10.0.0.3", &endpoints, 2), None, "a service node is no leader");
    }

    #[test]
    fn nodes_at_one_address_are_told_apart_by_port() {
        let endpoints: Vec<SocketAddr> =
            ["127.0.0.1:1", "127.0.0.1:2"].iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(named("127.0.0.1:2", &endpoints, 2), Some(NodeId::new(2)));
        assert_eq!(named("127.0.0.1", &endpoints, 2), None);
    }

    #[test]
    fn messages_stay_short() {
        assert_eq!(shortened(&"x".repeat(80)), "x".repeat(80));
        assert_eq!(shortened(&"é".repeat(81)).chars().count(), 80);
    }
}
