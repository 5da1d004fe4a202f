//! Netlink messages: building them with every length checked, sending them, and reading what the kernel says back.
//!
//! The idea: a [`Batch`] is a run of messages in one buffer, handed to the kernel in one `send`. Errors are always
//! answered; success only for the last message, which asks for it. So one answer means "all of it worked", and the
//! answers to a long batch can't overflow the socket. Every message carries a label for its error, and the kernel's own
//! explanation (extended acknowledgement) is asked for.
//!
//! Refuses: to parse beyond a length that a header claims without checking it; to wait for ever (5 s).
//! Source: `netlink(7)`, `include/uapi/linux/netlink.h`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::TimeVal;

use crate::{KernelError, NetError, sys};

/// The kernel is to act on the message.
pub(crate) const REQUEST: u16 = 0x1;
/// Create the object if it is missing.
pub(crate) const CREATE: u16 = 0x400;
/// Fail if the object exists.
pub(crate) const EXCLUSIVE: u16 = 0x200;
/// List all objects.
pub(crate) const DUMP: u16 = 0x300;
/// Marks an attribute that contains attributes.
pub(crate) const NESTED: u16 = 0x8000;

const ACKNOWLEDGE: u16 = 0x4;
const ERROR_IS_CAPPED: u16 = 0x100;
const ERROR_HAS_ATTRIBUTES: u16 = 0x200;
const TYPE_ERROR: u16 = 2;
const TYPE_DONE: u16 = 3;
const ERROR_ATTRIBUTE_MESSAGE: u16 = 1;
const HEADER_LEN: usize = 16;
const ANSWER_SECONDS: i64 = 5;
const RECEIVE_BYTES: usize = 64 * 1024;

/// Messages under construction.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    messages: Vec<(usize, String)>,
    too_long: Option<String>,
}

impl Batch {
    /// Appends a message: the protocol's fixed `header`, then the attributes that `body` adds. `label` names what the
    /// message does, in errors.
    pub(crate) fn message(
        &mut self,
        kind: u16,
        flags: u16,
        header: &[u8],
        label: impl Into<String>,
        body: impl FnOnce(&mut Attributes<'_>),
    ) {
        let start = self.bytes.len();
        let label = label.into();
        self.bytes.extend([0; 4]);
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((flags | REQUEST).to_ne_bytes());
        // Sequence and port: the sequence is known when the batch is sent, the port is the kernel's.
        self.bytes.extend([0; 8]);
        self.bytes.extend(header);
        let mut attributes = Attributes { bytes: &mut self.bytes, overflow: false };
        attributes.pad();
        body(&mut attributes);
        let overflow = attributes.overflow;
        match u32::try_from(self.bytes.len() - start) {
            Ok(length) if !overflow => self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes()),
            Ok(_) | Err(_) => self.too_long = Some(label.clone()),
        }
        self.messages.push((start, label));
    }

    /// Messages so far.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Bytes so far.
    pub(crate) fn byte_count(&self) -> usize {
        self.bytes.len()
    }

    #[cfg(test)]
    pub(crate) fn bytes_for_test(&self) -> &[u8] {
        &self.bytes
    }

    #[cfg(test)]
    pub(crate) fn fits_for_test(&self) -> bool {
        self.too_long.is_none()
    }

    fn set_flag(&mut self, message_index: usize, flag: u16) {
        let at = self.messages[message_index].0 + 6;
        let flags = u16::from_ne_bytes([self.bytes[at], self.bytes[at + 1]]) | flag;
        self.bytes[at..at + 2].copy_from_slice(&flags.to_ne_bytes());
    }

    fn set_sequences(&mut self, first: u32) {
        let mut sequence = first;
        for (start, _) in &self.messages {
            self.bytes[start + 8..start + 12].copy_from_slice(&sequence.to_ne_bytes());
            sequence = sequence.wrapping_add(1);
        }
    }
}

/// Adds attributes to a message.
#[derive(Debug)]
pub(crate) struct Attributes<'a> {
    bytes: &'a mut Vec<u8>,
    overflow: bool,
}

impl Attributes<'_> {
    /// An attribute with a plain value. A value that does not fit the 16-bit length fails the batch when it is sent.
    pub(crate) fn put(&mut self, kind: u16, value: &[u8]) {
        self.nest(kind, |nested| nested.bytes.extend(value));
    }

    /// A zero-terminated string.
    pub(crate) fn put_str(&mut self, kind: u16, value: &str) {
        self.nest(kind, |nested| {
            nested.bytes.extend(value.as_bytes());
            nested.bytes.push(0);
        });
    }

    /// An attribute that holds what `body` adds. `kind` carries [`NESTED`] where the protocol wants it.
    pub(crate) fn nest(&mut self, kind: u16, body: impl FnOnce(&mut Attributes<'_>)) {
        let start = self.bytes.len();
        self.bytes.extend([0; 2]);
        self.bytes.extend(kind.to_ne_bytes());
        body(self);
        match u16::try_from(self.bytes.len() - start) {
            Ok(length) => self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes()),
            Err(_) => self.overflow = true,
        }
        self.pad();
    }

    /// A fixed structure inside of a nest, without an attribute header (a veth peer's `ifinfomsg`).
    pub(crate) fn raw(&mut self, value: &[u8]) {
        self.bytes.extend(value);
        self.pad();
    }

    // All messages start at multiples of four in the buffer, so its length is the measure.
    fn pad(&mut self) {
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
    }
}

/// A message that the kernel has sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Received<'a> {
    pub(crate) kind: u16,
    flags: u16,
    sequence: u32,
    /// After the netlink header.
    pub(crate) payload: &'a [u8],
}

/// The messages in a received buffer; stops at the first that claims more than there is.
pub(crate) fn parse_messages(mut buffer: &[u8]) -> impl Iterator<Item = Received<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(take4(buffer, 0)?)).ok()?;
        if length < HEADER_LEN || length > buffer.len() {
            return None;
        }
        let [k0, k1, f0, f1] = take4(buffer, 4)?;
        let received = Received {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes(take4(buffer, 8)?),
            payload: &buffer[HEADER_LEN..length],
        };
        buffer = buffer.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(received)
    })
}

/// The attributes in a buffer, their kinds without the nesting flags; stops at the first that claims too much.
pub(crate) fn parse_attributes(mut buffer: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [l0, l1, k0, k1] = take4(buffer, 0)?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        if length < 4 || length > buffer.len() {
            return None;
        }
        let value = &buffer[4..length];
        buffer = buffer.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([k0, k1]) & 0x3fff, value))
    })
}

/// The first attribute of a kind.
pub(crate) fn attribute(buffer: &[u8], kind: u16) -> Option<&[u8]> {
    parse_attributes(buffer).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

fn take4(buffer: &[u8], at: usize) -> Option<[u8; 4]> {
    buffer.get(at..at + 4)?.try_into().ok()
}

/// An open netlink socket; it acts for ever in the network namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    next_sequence: u32,
    receive: Vec<u8>,
}

impl Socket {
    /// Opens a socket for a netlink family in the calling thread's network namespace.
    pub(crate) fn open(protocol: SockProtocol) -> io::Result<Self> {
        let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        sys::enable_netlink_option(fd.as_fd(), libc::NETLINK_EXT_ACK)?;
        sys::enable_netlink_option(fd.as_fd(), libc::NETLINK_CAP_ACK)?;
        setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(ANSWER_SECONDS, 0))?;
        // As much as an unprivileged socket gets, for batches of thousands of set elements.
        setsockopt(&fd, sockopt::SndBuf, &(1 << 22))?;
        Ok(Self { fd, next_sequence: 1, receive: vec![0; RECEIVE_BYTES] })
    }

    /// Sends the batch and waits until the kernel has acted on it. The message at `last_index` is the one whose success
    /// is awaited; the kernel handles messages in order.
    ///
    /// The first error is returned; whether earlier messages stay in force is the protocol's affair (rtnetlink: yes;
    /// nf_tables: no, the batch is one transaction).
    pub(crate) fn transact(&mut self, mut batch: Batch, last_index: usize) -> Result<(), NetError> {
        batch.set_flag(last_index, ACKNOWLEDGE);
        let first = self.send(&mut batch)?;
        let awaited = first.wrapping_add(u32::try_from(last_index).unwrap_or(u32::MAX));
        loop {
            let length = self.receive()?;
            for message in parse_messages(&self.receive[..length]) {
                let index = usize::try_from(message.sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                // Answers to an earlier batch that had failed are not ours.
                let Some((_, label)) = batch.messages.get(index) else { continue };
                if message.kind != TYPE_ERROR {
                    continue;
                }
                if let Some(source) = kernel_error(&message) {
                    return Err(NetError::Netlink { action: label.clone(), source });
                }
                if message.sequence == awaited {
                    return Ok(());
                }
            }
        }
    }

    /// Sends the one message of the batch, a dump request, and hands every answer's payload to `each`.
    pub(crate) fn dump(&mut self, mut batch: Batch, mut each: impl FnMut(&[u8])) -> Result<(), NetError> {
        let first = self.send(&mut batch)?;
        loop {
            let length = self.receive()?;
            for message in parse_messages(&self.receive[..length]).filter(|message| message.sequence == first) {
                match message.kind {
                    TYPE_DONE => return Ok(()),
                    TYPE_ERROR => {
                        let Some(source) = kernel_error(&message) else { return Ok(()) };
                        return Err(NetError::Netlink { action: batch.messages[0].1.clone(), source });
                    }
                    _ => each(message.payload),
                }
            }
        }
    }

    /// Sends the batch without waiting for an answer; what the kernel refuses is answered among what is received.
    pub(crate) fn post(&mut self, mut batch: Batch) -> Result<(), NetError> {
        self.send(&mut batch).map(drop)
    }

    /// What has arrived, without waiting; `None` when nothing has.
    pub(crate) fn receive_now(&mut self) -> Result<Option<&[u8]>, NetError> {
        loop {
            match recv(self.fd.as_raw_fd(), &mut self.receive, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => return Ok(Some(&self.receive[..length])),
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => (),
                Err(error) => return Err(NetError::system("receive from a netlink socket", error)),
            }
        }
    }

    /// Lets the socket buffer up to `bytes` where that is permitted, otherwise as much as an unprivileged socket gets; and
    /// has what doesn't fit counted by the kernel instead of reported by a failed `recv`.
    pub(crate) fn widen(&self, bytes: usize) -> io::Result<()> {
        if setsockopt(&self.fd, sockopt::RcvBufForce, &bytes).is_err() {
            setsockopt(&self.fd, sockopt::RcvBuf, &bytes)?;
        }
        sys::enable_netlink_option(self.fd.as_fd(), libc::NETLINK_NO_ENOBUFS)
    }

    fn send(&mut self, batch: &mut Batch) -> Result<u32, NetError> {
        if let Some(action) = batch.too_long.take() {
            return Err(NetError::MessageTooLong { action });
        }
        let first = self.next_sequence;
        let count = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        self.next_sequence = first.wrapping_add(count);
        batch.set_sequences(first);
        let what = || format!("send {} netlink bytes", batch.bytes.len());
        let sent = send(self.fd.as_raw_fd(), &batch.bytes, MsgFlags::empty())
            .map_err(|error| NetError::system(what(), error))?;
        if sent == batch.bytes.len() { Ok(first) } else { Err(NetError::system(what(), io::ErrorKind::WriteZero)) }
    }

    fn receive(&mut self) -> Result<usize, NetError> {
        recv(self.fd.as_raw_fd(), &mut self.receive, MsgFlags::empty())
            .map_err(|error| NetError::system("receive a netlink answer", error))
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The error in an error message, or `None` for its success form (an acknowledgement).
fn kernel_error(message: &Received<'_>) -> Option<KernelError> {
    let errno = i32::from_ne_bytes(take4(message.payload, 0).unwrap_or([0xff; 4]));
    if errno == 0 {
        return None;
    }
    // After the number comes the header of the offending message, then all of it unless capped, then attributes.
    let offending = take4(message.payload, 4)
        .map_or(HEADER_LEN, |length| usize::try_from(u32::from_ne_bytes(length)).unwrap_or(usize::MAX).max(HEADER_LEN));
    let quoted = if message.flags & ERROR_IS_CAPPED != 0 { HEADER_LEN } else { offending.next_multiple_of(4) };
    let detail = (message.flags & ERROR_HAS_ATTRIBUTES != 0)
        .then(|| message.payload.get(quoted.saturating_add(4)..))
        .flatten()
        .and_then(|attributes| attribute(attributes, ERROR_ATTRIBUTE_MESSAGE))
        .map(|text| String::from_utf8_lossy(text).trim_end_matches('\0').to_owned());
    Some(KernelError { errno: io::Error::from_raw_os_error(errno.saturating_neg()), detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_nests_hold_their_length() {
        let mut batch = Batch::default();
        batch.message(16, CREATE, &[7; 3], "test", |attributes| {
            attributes.nest(18 | NESTED, |nested| nested.put(1, &[1, 2, 3, 4, 5]));
            attributes.put_str(3, "ab");
        });
        let message = parse_messages(&batch.bytes).next().unwrap();
        assert_eq!((message.kind, message.flags), (16, CREATE | REQUEST));
        let attributes: Vec<_> = parse_attributes(&message.payload[4..]).collect();
        assert_eq!(attributes.len(), 2);
        assert_eq!(attribute(attributes[0].1, 1), Some(&[1, 2, 3, 4, 5][..]));
        assert_eq!(attributes[1], (3, &b"ab\0"[..]));
        assert!(batch.bytes.len().is_multiple_of(4));
    }

    #[test]
    fn an_attribute_over_64_kib_fails_the_batch_instead_of_wrapping() {
        let mut batch = Batch::default();
        batch.message(16, 0, &[], "too much", |attributes| attributes.put(1, &vec![0; 65_532]));
        assert_eq!(batch.too_long.as_deref(), Some("too much"));
        let mut batch = Batch::default();
        batch.message(16, 0, &[], "just fits", |attributes| attributes.put(1, &vec![0; 65_531]));
        assert_eq!(batch.too_long, None);
    }

    #[test]
    fn lengths_that_claim_too_much_end_the_parse() {
        let mut batch = Batch::default();
        batch.message(16, 0, &[1; 4], "a", |_| ());
        let whole = batch.bytes.clone();
        for length in 0..whole.len() {
            assert_eq!(parse_messages(&whole[..length]).count(), 0, "{length} bytes");
        }
        assert_eq!(parse_messages(&whole).count(), 1);
        for bad in [0_u16, 3, 9, u16::MAX] {
            let mut attribute_bytes = bad.to_ne_bytes().to_vec();
            attribute_bytes.extend([1, 0, 9, 9, 9, 9]);
            assert_eq!(parse_attributes(&attribute_bytes).count(), 0, "length {bad}");
        }
    }

    #[test]
    fn the_kernels_words_are_found_behind_capped_and_uncapped_quotes() {
        for (capped, quoted_len) in [(true, 16), (false, 24)] {
            let mut payload = (-libc::EEXIST).to_ne_bytes().to_vec();
            payload.extend(24_u32.to_ne_bytes());
            payload.resize(4 + quoted_len, 0);
            let mut text = Vec::new();
            Attributes { bytes: &mut text, overflow: false }.put_str(ERROR_ATTRIBUTE_MESSAGE, "no way");
            payload.extend(text);
            let flags = ERROR_HAS_ATTRIBUTES | if capped { ERROR_IS_CAPPED } else { 0 };
            let error = kernel_error(&Received { kind: TYPE_ERROR, flags, sequence: 1, payload: &payload }).unwrap();
            assert_eq!(error.errno.raw_os_error(), Some(libc::EEXIST));
            assert_eq!(error.detail.as_deref(), Some("no way"));
        }
    }
}
