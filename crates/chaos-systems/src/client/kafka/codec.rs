//! Kafka's binary protocol and its records, as much of both as one record at a time needs.
//!
//! Requests and responses are big-endian records behind a length; every request has a version of its own. The versions used here are
//! the newest before each request became "flexible" (but `DescribeQuorum`, which always was), and are spoken by brokers from 2.3 to
//! 4.x. A record lies in a *batch* with a checksum (CRC-32C) of all that follows it.
//!
//! Source: "Kafka protocol guide" and "Message format" of Kafka's documentation; KIP-896 for the versions that are still spoken.
//!
//! Refuses compressed batches: this client writes none.

use std::time::SystemTime;

/// A request or a response, for each its number and the version that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Produce,
    Fetch,
    ListOffsets,
    Metadata,
    CreateTopics,
    DescribeQuorum,
}

impl Api {
    /// The number and the version.
    pub(super) fn key(self) -> (i16, i16) {
        match self {
            Self::Produce => (0, 7),
            Self::Fetch => (1, 11),
            Self::ListOffsets => (2, 5),
            Self::Metadata => (3, 7),
            Self::CreateTopics => (19, 4),
            Self::DescribeQuorum => (55, 0),
        }
    }

    /// Whether its headers have tagged fields.
    pub(super) fn is_flexible(self) -> bool {
        self == Self::DescribeQuorum
    }
}

/// Bytes under construction.
#[derive(Clone, Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn i8(mut self, value: i8) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn i16(mut self, value: i16) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn i32(mut self, value: i32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn i64(mut self, value: i64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn text(mut self, value: &str) -> Self {
        self = self.i16(i16::try_from(value.len()).expect("names are short"));
        self.0.extend_from_slice(value.as_bytes());
        self
    }

    /// A text that isn't there.
    pub(super) fn no_text(self) -> Self {
        self.i16(-1)
    }

    /// A list of as many items as follow.
    pub(super) fn list(self, count: usize) -> Self {
        self.i32(i32::try_from(count).expect("lists are short"))
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self = self.list(bytes.len());
        self.0.extend_from_slice(bytes);
        self
    }

    /// A number of the flexible versions: seven bits a byte, the lowest first.
    pub(super) fn varint(mut self, mut value: u64) -> Self {
        loop {
            let low = u8::try_from(value & 0x7f).expect("seven bits");
            value >>= 7;
            if value == 0 {
                self.0.push(low);
                return self;
            }
            self.0.push(low | 0x80);
        }
    }

    /// A text of the flexible versions.
    pub(super) fn compact_text(mut self, value: &str) -> Self {
        self = self.varint(value.len() as u64 + 1);
        self.0.extend_from_slice(value.as_bytes());
        self
    }
}

/// Bytes that are read from their beginning; every read may find too few.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or("an answer that ends too early")?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        Ok(self.take(N)?.try_into().expect("so many bytes were taken"))
    }

    pub(super) fn i8(&mut self) -> Result<i8, String> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    pub(super) fn i16(&mut self) -> Result<i16, String> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32, String> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64, String> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// A text; nothing if there is none, bytes that are no UTF-8 are replaced.
    pub(super) fn text(&mut self) -> Result<String, String> {
        let Ok(length) = usize::try_from(self.i16()?) else { return Ok(String::new()) };
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    /// How many items follow; none if the list isn't there.
    pub(super) fn count(&mut self) -> Result<usize, String> {
        Ok(usize::try_from(self.i32()?).unwrap_or(0))
    }

    pub(super) fn ids(&mut self) -> Result<Vec<i32>, String> {
        let count = self.count()?;
        (0..count).map(|_| self.i32()).collect()
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], String> {
        let length = self.count()?;
        self.take(length)
    }

    pub(super) fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number of more than 64 bits".to_owned())
    }

    /// A signed number in a record.
    fn zigzag(&mut self) -> Result<i64, String> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }
}

/// CRC-32C (Castagnoli), bit by bit: batches are short.
fn crc32c(bytes: &[u8]) -> u32 {
    const REVERSED_POLYNOMIAL: u32 = 0x82f6_3b78;
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (REVERSED_POLYNOMIAL & (crc & 1).wrapping_neg()))
    })
}

/// What every batch has before its checksum: offset, length, leader's epoch, format, checksum.
const BEFORE_CHECKED: usize = 8 + 4 + 4 + 1 + 4;
/// The only format of batches that is still written.
const FORMAT: i8 = 2;

/// A batch of one record without a key, written at this time: a broker deletes what is older than a week, and looks half a minute after
/// its start.
pub(super) fn batch(value: &str, at: SystemTime) -> Vec<u8> {
    const NOBODY: i64 = -1;
    let at = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let at = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    let zigzag = |value: usize| (value as u64) << 1;
    // Attributes, timestamp and offset within the batch, no key, the value, no headers.
    let mut record = Writer::default().i8(0).varint(0).varint(0).varint(1).varint(zigzag(value.len()));
    record.0.extend_from_slice(value.as_bytes());
    let record = record.varint(0);
    // Attributes, last offset, first and last timestamp, producer, its epoch and sequence, one record.
    let mut checked = Writer::default().i16(0).i32(0).i64(at).i64(at).i64(NOBODY).i16(-1).i32(-1).i32(1);
    checked = checked.varint(zigzag(record.0.len()));
    checked.0.extend_from_slice(&record.0);
    let length = i32::try_from(checked.0.len() + BEFORE_CHECKED - 12).expect("values are short");
    let head = Writer::default().i64(0).i32(length).i32(-1).i8(FORMAT);
    [head.0, crc32c(&checked.0).to_be_bytes().to_vec(), checked.0].concat()
}

/// The records in these batches with their offsets; a last batch that is not whole is left out, as brokers send it.
pub(super) fn records(bytes: &[u8]) -> Result<Vec<(i64, Vec<u8>)>, String> {
    let mut found = Vec::new();
    let mut rest = Reader(bytes);
    while rest.0.len() >= BEFORE_CHECKED {
        let (offset, length) = (rest.i64()?, rest.i32()?);
        let length = usize::try_from(length).ok().filter(|&length| length >= BEFORE_CHECKED - 12);
        let length = length.ok_or("a batch of a negative length")?;
        let Ok(batch) = rest.take(length) else { break };
        read_batch(offset, batch, &mut found)?;
    }
    Ok(found)
}

fn read_batch(first_offset: i64, batch: &[u8], found: &mut Vec<(i64, Vec<u8>)>) -> Result<(), String> {
    const COMPRESSION: i16 = 0b111;
    const CONTROL: i16 = 1 << 5;
    let mut batch = Reader(batch);
    let (_epoch, format) = (batch.i32()?, batch.i8()?);
    if format != FORMAT {
        return Err(format!("a batch of format {format}"));
    }
    let sum = u32::from_be_bytes(batch.array()?);
    if crc32c(batch.0) != sum {
        return Err("a batch whose checksum is wrong".to_owned());
    }
    let attributes = batch.i16()?;
    if attributes & COMPRESSION != 0 {
        return Err("a compressed batch".to_owned());
    }
    // Last offset, timestamps, producer, its epoch and sequence.
    batch.take(4 + 8 + 8 + 8 + 2 + 4)?;
    let count = batch.count()?;
    if attributes & CONTROL != 0 {
        return Ok(());
    }
    for _ in 0..count {
        let length = usize::try_from(batch.zigzag()?).map_err(|_| "a record of a negative length")?;
        let mut record = Reader(batch.take(length)?);
        record.i8()?;
        let (_timestamp, offset) = (record.zigzag()?, record.zigzag()?);
        if let Ok(length) = usize::try_from(record.zigzag()?) {
            record.take(length)?;
        }
        let value = match usize::try_from(record.zigzag()?) {
            Ok(length) => record.take(length)?.to_vec(),
            Err(_) => Vec::new(),
        };
        found.push((first_offset + offset, value));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        // RFC 3720, appendix B.4.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn what_is_written_is_read_and_a_torn_end_is_left_out() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(0x0102_0304_0506);
        let bytes = [batch("7", at), batch("88", at)].concat();
        assert_eq!(records(&bytes).unwrap(), [(0, b"7".to_vec()), (0, b"88".to_vec())]);
        let first = batch("7", at).len();
        for cut in first..bytes.len() {
            assert_eq!(records(&bytes[..cut]).unwrap().len(), 1, "cut at {cut}");
        }
        let stamps = BEFORE_CHECKED + 2 + 4;
        assert_eq!(bytes[stamps..stamps + 16], [0, 0, 1, 2, 3, 4, 5, 6, 0, 0, 1, 2, 3, 4, 5, 6], "first and last");
        let mut flipped = batch("7", at);
        *flipped.last_mut().unwrap() ^= 1;
        assert!(records(&flipped).is_err());
    }

    #[test]
    fn numbers_have_seven_bits_a_byte() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let bytes = Writer::default().varint(value).0;
            assert_eq!(Reader(&bytes).varint(), Ok(value));
        }
        assert!(Reader(&[0xff; 11]).varint().is_err());
    }
}
