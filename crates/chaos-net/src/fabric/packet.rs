//! The little that the fabric reads of a packet's bytes, and the one thing that it changes.
//!
//! Refuses to understand more than where the IP header ends: a packet that is too short for a question has the empty answer.
//! Source: RFC 791 section 3.1; TCP, UDP and SCTP begin with their ports.

/// Protocol and ports; within a link they tell flows apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flow {
    protocol: u8,
    ports: [u8; 4],
}

impl Flow {
    /// Of a packet, IP header first.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let start = header_len(bytes);
        let ports = bytes.get(start..start + 4).and_then(|ports| ports.try_into().ok());
        Self { protocol: bytes.get(9).copied().unwrap_or_default(), ports: ports.unwrap_or_default() }
    }
}

/// The packet with one bit flipped behind its IP header, so that it still arrives; `place` says which, from 0 to 1.
pub(super) fn flip_a_bit(bytes: &[u8], place: f64) -> Option<Vec<u8>> {
    let mut changed = bytes.to_vec();
    let behind = changed.get_mut(header_len(bytes)..).filter(|behind| !behind.is_empty())?;
    let bits = behind.len() * 8;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of a packet's bits")]
    let bit = ((place * bits as f64) as usize).min(bits - 1);
    behind[bit / 8] ^= 1 << (bit % 8);
    Some(changed)
}

fn header_len(bytes: &[u8]) -> usize {
    const SHORTEST: usize = 20;
    bytes.first().map_or(0, |first| usize::from(first & 0x0f) * 4).max(SHORTEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_differ_by_protocol_and_ports_behind_a_header_of_any_length() {
        let packet = |header_words: u8, protocol: u8, port: u8| {
            let mut packet = vec![0; usize::from(header_words) * 4 + 8];
            (packet[0], packet[9]) = (0x40 | header_words, protocol);
            packet[usize::from(header_words) * 4] = port;
            Flow::of(&packet)
        };
        assert_eq!(packet(5, 6, 1), packet(15, 6, 1));
        assert_ne!(packet(5, 6, 1), packet(5, 6, 2));
        assert_ne!(packet(5, 6, 1), packet(5, 17, 1));
    }

    #[test]
    fn what_is_too_short_is_left_alone() {
        for length in 0..=20 {
            assert_eq!(flip_a_bit(&vec![0x45; length], 0.5), None, "{length}");
            let _ = Flow::of(&vec![0x4f; length]);
        }
    }
}
