//! Frames: how the journal tells a torn write from a damaged disk.
//!
//! One frame is what one sync made durable, however many log entries that was. So a frame is valid or absent as a whole,
//! and no frame is begun before the one in front of it is durable. After each sync a *seal* is written behind the frame,
//! without a sync of its own; the next frame overwrites it.
//!
//! ```text
//! frame   "\xE1lnF" | body length u32 | crc32 u32 | body …       integers are little-endian
//! seal    "\xE1lnS" | crc32 u32
//! ```
//!
//! Both checksums also cover the segment's number and the offset in it, so bytes that were copied from elsewhere (a client's
//! value may hold the image of a frame) never pass. Hence the rule at start: a bad frame with *anything valid behind it*
//! had been durable, so it is damage, and the node refuses to start; a bad frame with nothing valid behind it is a write
//! that a crash interrupted, and nobody was told of it, so it is cut. What this can't tell apart: damage to the last frame
//! when a power cut also took the seal.
//!
//! Source: the distinction and its cost are "Protocol-Aware Recovery for Consensus-Based Storage" (FAST 2018) §3.3.

const FRAME_MAGIC: [u8; 4] = *b"\xE1lnF";
const SEAL_MAGIC: [u8; 4] = *b"\xE1lnS";
const FRAME_HEADER_BYTES: usize = 12;
const SEAL_BYTES: usize = 8;

/// Where a frame stands; its checksum covers this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Number of the segment file.
    pub(super) segment: u64,
    /// Offset in that file, bytes.
    pub(super) offset: u64,
}

/// What stands at a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A whole frame, and the offset behind it.
    Frame { body: &'a [u8], next: u64 },
    /// Everything before this place had been durable.
    Seal,
    /// The file ends here.
    End,
    /// Neither; torn or damaged, see [`durable_evidence_after`].
    Bad,
}

/// The bytes of one frame.
///
/// # Panics
/// If the body does not fit in 32 bits of length; batches are bounded far below that.
pub(super) fn encode_frame(place: Place, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a batch is bounded far below 4 GiB");
    let mut bytes = Vec::with_capacity(FRAME_HEADER_BYTES + body.len());
    bytes.extend_from_slice(&FRAME_MAGIC);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&checksum(FRAME_MAGIC, place, body).to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// The bytes of the seal that belongs at `place`.
pub(super) fn encode_seal(place: Place) -> [u8; SEAL_BYTES] {
    let mut bytes = [0; SEAL_BYTES];
    bytes[..4].copy_from_slice(&SEAL_MAGIC);
    bytes[4..].copy_from_slice(&checksum(SEAL_MAGIC, place, &[]).to_le_bytes());
    bytes
}

/// What stands at `place` in the segment whose whole content is `file`.
pub(super) fn read_at(file: &[u8], place: Place) -> Found<'_> {
    let Some(rest) = usize::try_from(place.offset).ok().and_then(|start| file.get(start..)) else { return Found::End };
    if rest.is_empty() {
        return Found::End;
    }
    match rest.get(..4) {
        Some(magic) if magic == SEAL_MAGIC => {
            if read_u32(rest, 4) == Some(checksum(SEAL_MAGIC, place, &[])) {
                Found::Seal
            } else {
                Found::Bad
            }
        }
        Some(magic) if magic == FRAME_MAGIC => read_frame(rest, place),
        Some(_) | None => Found::Bad,
    }
}

fn read_frame(rest: &[u8], place: Place) -> Found<'_> {
    let (Some(length), Some(expected)) = (read_u32(rest, 4), read_u32(rest, 8)) else { return Found::Bad };
    let Some(end) = usize::try_from(length).ok().and_then(|length| FRAME_HEADER_BYTES.checked_add(length)) else {
        return Found::Bad;
    };
    match rest.get(FRAME_HEADER_BYTES..end) {
        Some(body) if checksum(FRAME_MAGIC, place, body) == expected => {
            Found::Frame { body, next: place.offset + end as u64 }
        }
        Some(_) | None => Found::Bad,
    }
}

/// The offset of the first valid frame or seal behind the bad place, which proves that the bad bytes had been durable.
pub(super) fn durable_evidence_after(file: &[u8], bad: Place) -> Option<u64> {
    let start = usize::try_from(bad.offset).ok()? + 1;
    let candidates =
        file.get(start..)?.windows(4).enumerate().filter(|(_, four)| *four == FRAME_MAGIC || *four == SEAL_MAGIC);
    for (distance, _) in candidates {
        let offset = (start + distance) as u64;
        match read_at(file, Place { offset, ..bad }) {
            Found::Frame { .. } | Found::Seal => return Some(offset),
            Found::End | Found::Bad => {}
        }
    }
    None
}

fn checksum(magic: [u8; 4], place: Place, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&magic);
    hasher.update(&place.segment.to_le_bytes());
    hasher.update(&place.offset.to_le_bytes());
    hasher.update(&(body.len() as u64).to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place = Place { segment: 3, offset: 0 };

    #[test]
    fn a_frame_is_read_back_and_names_its_end() {
        let file = encode_frame(HERE, b"abc");
        assert_eq!(read_at(&file, HERE), Found::Frame { body: b"abc", next: 15 });
        assert_eq!(read_at(&file, Place { offset: 15, ..HERE }), Found::End);
    }

    #[test]
    fn a_frame_copied_to_another_place_is_not_valid() {
        let file = encode_frame(HERE, b"abc");
        assert_eq!(read_at(&file, Place { segment: 4, ..HERE }), Found::Bad);
        let shifted = [b"x".as_slice(), &file].concat();
        assert_eq!(read_at(&shifted, Place { offset: 1, ..HERE }), Found::Bad);
        assert_eq!(durable_evidence_after(&shifted, HERE), None);
    }

    #[test]
    fn a_seal_behind_a_bad_frame_is_evidence_of_damage() {
        let mut file = encode_frame(HERE, b"abc");
        let end = file.len() as u64;
        file.extend_from_slice(&encode_seal(Place { offset: end, ..HERE }));
        file[13] ^= 1;
        assert_eq!(read_at(&file, HERE), Found::Bad);
        assert_eq!(durable_evidence_after(&file, HERE), Some(end));
        file.truncate(15);
        assert_eq!(durable_evidence_after(&file, HERE), None);
    }
}
