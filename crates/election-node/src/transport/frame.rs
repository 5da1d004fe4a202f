//! What travels between two nodes: a hello, then messages, each in a checksummed frame.
//!
//! ```text
//! connection   "election" | version u16 = 3 | frame of Hello | frame of Letter | frame of Letter | …
//! frame        body length u32 | crc32 u32 of the body | body: postcard           integers are little-endian
//! ```
//!
//! The hello names the algorithm: nodes of two could decode each other's bytes into something else. Each message names whom it is
//! for: the node behind an address may have lost its disk, and is another one since.
//!
//! Postcard because its wire format is specified and stable, it is maintained, it needs no schema beside the types of the
//! core, and a heartbeat takes about 20 bytes (bincode is no longer maintained; JSON is about eight times as large).
//! Bytes are hostile until proven otherwise: a length above the limit, a wrong checksum, a body that does not decode, or
//! bytes left over close the connection; memory is taken as bytes arrive, never as announced.

use election::NodeId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What a connection begins with, before its hello.
pub(super) const PREAMBLE: [u8; 10] = *b"election\x03\x00";
/// The largest frame body, bytes: the whole snapshot of a test cluster fits.
pub(super) const BODY_BYTES_MAX: usize = 64 << 20;
/// The largest hello, bytes.
pub(super) const HELLO_BYTES_MAX: usize = 256;
const HEADER_BYTES: usize = 8;

/// Who dials whom; the first frame of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    /// Name of the cluster.
    pub(super) cluster: String,
    /// Name of the algorithm.
    pub(super) algorithm: String,
    /// The dialling node, in its present life.
    pub(super) from: NodeId,
    /// The node it means to reach, in whatever life.
    pub(super) to: NodeId,
}

/// Why a connection is closed.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("the other side closed the connection")]
    Closed,
    #[error("read from the connection: {0}")]
    Io(#[from] std::io::Error),
    #[error("read a frame: it does not begin as this protocol, version 3, does")]
    Preamble,
    #[error("read a frame: {announced} bytes are announced, {limit} are allowed")]
    TooLong { announced: usize, limit: usize },
    #[error("read a frame: the checksum does not fit")]
    Checksum,
    #[error("read a frame: the body is not a message")]
    Body,
}

/// For whom, and what.
type Letter<M> = (NodeId, M);

/// A message as a frame; `None` if it is larger than a receiver accepts.
pub(super) fn encode_message<M: Serialize>(to: NodeId, message: &M) -> Option<Vec<u8>> {
    encode::<Letter<&M>>(&(to, message))
}

/// Everything that a dialling node says first.
pub(super) fn encode_greeting(hello: &Hello) -> Vec<u8> {
    let mut bytes = PREAMBLE.to_vec();
    bytes.extend(encode(hello).expect("a hello is far below the limit"));
    bytes
}

fn encode<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    let mut bytes = postcard::to_extend(value, vec![0; HEADER_BYTES]).expect("plain data always encodes");
    let body = &bytes[HEADER_BYTES..];
    if body.len() > BODY_BYTES_MAX {
        return None;
    }
    let length = u32::try_from(body.len()).ok()?;
    let checksum = crc32fast::hash(body);
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes[4..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
    Some(bytes)
}

/// Reads the preamble and the hello.
pub(super) async fn read_hello(stream: &mut (impl AsyncRead + Unpin)) -> Result<Hello, FrameError> {
    let mut preamble = [0; PREAMBLE.len()];
    read_exact(stream, &mut preamble).await?;
    if preamble != PREAMBLE {
        return Err(FrameError::Preamble);
    }
    read_frame(stream, HELLO_BYTES_MAX).await
}

/// Reads the next message, and for whom it is.
pub(super) async fn read_message<M: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Letter<M>, FrameError> {
    read_frame(stream, BODY_BYTES_MAX).await
}

async fn read_frame<T: DeserializeOwned>(stream: &mut (impl AsyncRead + Unpin), limit: usize) -> Result<T, FrameError> {
    let mut header = [0; HEADER_BYTES];
    read_exact(stream, &mut header).await?;
    let [l0, l1, l2, l3, c0, c1, c2, c3] = header;
    let announced = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(FrameError::TooLong { announced, limit });
    }
    let mut body = Vec::new();
    stream.take(announced as u64).read_to_end(&mut body).await?;
    if body.len() < announced {
        return Err(FrameError::Closed);
    }
    if crc32fast::hash(&body) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Err(FrameError::Checksum);
    }
    match postcard::take_from_bytes(&body) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(FrameError::Body),
    }
}

async fn read_exact(stream: &mut (impl AsyncRead + Unpin), bytes: &mut [u8]) -> Result<(), FrameError> {
    match stream.read_exact(bytes).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(FrameError::Closed),
        Err(error) => Err(FrameError::Io(error)),
    }
}

#[cfg(test)]
mod tests {
    use election::raft::{Append, Entry, EntryPayload, InstallSnapshot, Message, Snapshot, SnapshotMeta, TimeoutNow};
    use election::{LogIndex, Term};

    use super::*;

    fn messages() -> Vec<Message> {
        let payloads = [
            EntryPayload::Noop,
            EntryPayload::Command(vec![0, 255, 7].into()),
            EntryPayload::Membership([NodeId(1), NodeId(300)].into()),
        ];
        let entries =
            (9..).zip(payloads).map(|(index, payload)| Entry { index: LogIndex(index), term: Term(4), payload });
        let append = Append {
            term: Term(4),
            prev_index: LogIndex(8),
            prev_term: Term(3),
            entries: entries.collect(),
            commit: LogIndex(8),
            round: u64::MAX,
        };
        let meta = SnapshotMeta { last_index: LogIndex(5), last_term: Term(2), members: [NodeId(1)].into() };
        let snapshot = Box::new(Snapshot { meta, data: vec![3; 1000] });
        vec![
            Message::Append(append),
            Message::InstallSnapshot(InstallSnapshot { term: Term(4), round: 1, snapshot }),
            Message::TimeoutNow(TimeoutNow { term: Term(4) }),
        ]
    }

    const TO: NodeId = NodeId(2);

    fn read(bytes: &[u8]) -> Result<Message, FrameError> {
        let (to, message) = futures::executor::block_on(read_message(&mut &*bytes))?;
        assert_eq!(to, TO);
        Ok(message)
    }

    #[test]
    fn messages_arrive_as_they_were_sent() {
        for message in messages() {
            assert_eq!(read(&encode_message(TO, &message).unwrap()).unwrap(), message);
        }
        let (cluster, algorithm) = ("demo".to_owned(), "raft".to_owned());
        let hello = Hello { cluster, algorithm, from: NodeId(1).in_life(9), to: NodeId(2) };
        let greeting = encode_greeting(&hello);
        assert_eq!(futures::executor::block_on(read_hello(&mut greeting.as_slice())).unwrap(), hello);
    }

    #[test]
    fn a_frame_with_any_flipped_bit_or_cut_anywhere_is_refused() {
        for message in messages() {
            let frame = encode_message(TO, &message).unwrap();
            for bit in 0..frame.len() * 8 {
                let mut damaged = frame.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert!(read(&damaged).is_err(), "bit {bit}");
            }
            for length in 0..frame.len() {
                assert!(matches!(read(&frame[..length]), Err(FrameError::Closed)), "cut at {length}");
            }
        }
    }

    #[test]
    fn hostile_bodies_with_a_right_checksum_are_refused_without_panic_or_much_memory() {
        let frame = |body: &[u8]| {
            let length = u32::try_from(body.len()).unwrap();
            [&length.to_le_bytes()[..], &crc32fast::hash(body).to_le_bytes(), body].concat()
        };
        // An Append (variant 2) of 2^63 entries, an unknown variant, an endless varint, bytes left over.
        let mut many_entries = vec![2, 2, 4, 8, 3];
        many_entries.extend([0xff; 9]);
        many_entries.push(1);
        let whole = encode_message(TO, &messages()[2]).unwrap();
        let left_over = [&whole[HEADER_BYTES..], &[0]].concat();
        for body in [
            &many_entries[..],
            &[2, 99],
            &[2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &left_over,
            &[],
        ] {
            assert!(matches!(read(&frame(body)), Err(FrameError::Body)), "{body:?}");
        }
        let announced = [&u32::MAX.to_le_bytes()[..], &[0; 4]].concat();
        assert!(matches!(read(&announced), Err(FrameError::TooLong { .. })));
        let http = b"GET / HTTP/1.1\r\n\r\n";
        assert!(matches!(futures::executor::block_on(read_hello(&mut &http[..])), Err(FrameError::Preamble)));
    }

    #[test]
    fn pseudo_random_bytes_never_decode_and_never_panic() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for length in (0..2000).map(|number| number % 97) {
            let bytes: Vec<u8> = (0..length)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    state.to_le_bytes()[0]
                })
                .collect();
            assert!(read(&bytes).is_err());
            let checksummed =
                [&u32::try_from(length).unwrap().to_le_bytes()[..], &crc32fast::hash(&bytes).to_le_bytes(), &bytes];
            // May decode by chance; must not panic.
            let _ = read(&checksummed.concat());
        }
    }
}
