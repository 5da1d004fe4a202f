//! Captured packets as a pcapng file, which Wireshark, tshark and tcpdump read.
//!
//! ```text
//!   Section Header      0x0A0D0D0A  byte order, version 1.0, "chaos"
//!   Interface Description        1  one per node: raw IP, name of the node, nanoseconds
//!   Name Resolution              4  address → name, of each node and of the switch
//!   Enhanced Packet              6  interface, time, length, bytes, direction; one per packet and interface
//!   Interface Statistics         5  one per node, at the end: packets captured
//! ```
//!
//! The idea: a link's two ends are two interfaces, so a packet that arrives is in the file twice, and what happened to it in
//! between shows by comparing the two. All numbers are written in little-endian order. Foreign words (the nodes' names)
//! stand in counted fields, in which no byte has a meaning; a zero, which would end a name, is left out.
//!
//! Refuses other link types than raw IP. Source: *PCAP Next Generation Capture File Format*
//! (draft-ietf-opsawg-pcapng), sections 4.1 to 4.6.

use std::io::{self, Write};
use std::net::Ipv4Addr;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const NAME_RESOLUTION: u32 = 4;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const UNKNOWN_LENGTH: u64 = u64::MAX;
/// LINKTYPE_RAW: the IP header comes first.
const RAW_IP: u16 = 101;
/// Ten to the power of minus nine seconds.
const NANOSECONDS: u8 = 9;

/// Whether a node sent or received a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// It came to the node.
    Inbound,
    /// It came from the node.
    Outbound,
}

/// A packet at one end of a link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Captured<'a> {
    /// The interface, by the order of their descriptions.
    pub(super) interface: u32,
    /// Since the epoch.
    pub(super) time_ns: u64,
    /// Before it was cut to what was captured.
    pub(super) original_len: u32,
    pub(super) bytes: &'a [u8],
    pub(super) direction: Direction,
}

/// Writes the blocks before the first packet.
pub(super) fn begin(
    out: &mut impl Write,
    nodes: &[(String, Ipv4Addr)],
    switch: (&str, Ipv4Addr),
    snap_len: u32,
) -> io::Result<()> {
    let mut section = Vec::new();
    section.extend(BYTE_ORDER_MAGIC.to_le_bytes());
    section.extend([1_u16.to_le_bytes(), 0_u16.to_le_bytes()].concat());
    section.extend(UNKNOWN_LENGTH.to_le_bytes());
    put_option(&mut section, 4, b"chaos");
    end_options(&mut section);
    block(out, SECTION_HEADER, &section)?;
    for (name, address) in nodes {
        let mut interface = Vec::new();
        interface.extend([RAW_IP.to_le_bytes(), [0; 2]].concat());
        interface.extend(snap_len.to_le_bytes());
        put_option(&mut interface, 2, name.as_bytes());
        // Address and mask.
        put_option(&mut interface, 4, &[address.octets(), [255; 4]].concat());
        put_option(&mut interface, 9, &[NANOSECONDS]);
        end_options(&mut interface);
        block(out, INTERFACE_DESCRIPTION, &interface)?;
    }
    let mut names = Vec::new();
    let all = nodes.iter().map(|(name, address)| (name.as_str(), *address)).chain([switch]);
    for (name, address) in all {
        let mut record = address.octets().to_vec();
        record.extend(name.bytes().filter(|byte| *byte != 0));
        record.push(0);
        put_option(&mut names, 1, &record);
    }
    end_options(&mut names);
    block(out, NAME_RESOLUTION, &names)
}

/// Writes a packet.
pub(super) fn packet(out: &mut impl Write, captured: &Captured<'_>) -> io::Result<()> {
    let mut body = Vec::with_capacity(captured.bytes.len() + 48);
    body.extend(captured.interface.to_le_bytes());
    put_time(&mut body, captured.time_ns);
    body.extend(length_of(captured.bytes).to_le_bytes());
    body.extend(captured.original_len.to_le_bytes());
    body.extend(captured.bytes);
    pad(&mut body);
    let flags: u32 = match captured.direction {
        Direction::Inbound => 1,
        Direction::Outbound => 2,
    };
    put_option(&mut body, 2, &flags.to_le_bytes());
    end_options(&mut body);
    block(out, ENHANCED_PACKET, &body)
}

/// Writes the blocks behind the last packet: how many packets each interface has captured.
pub(super) fn end(out: &mut impl Write, time_ns: u64, packets: &[u64]) -> io::Result<()> {
    for (interface, packets) in (0_u32..).zip(packets) {
        let mut statistics = interface.to_le_bytes().to_vec();
        put_time(&mut statistics, time_ns);
        put_option(&mut statistics, 4, &packets.to_le_bytes());
        end_options(&mut statistics);
        block(out, INTERFACE_STATISTICS, &statistics)?;
    }
    Ok(())
}

/// A block's length stands at both of its ends.
fn block(out: &mut impl Write, kind: u32, body: &[u8]) -> io::Result<()> {
    let length = (length_of(body) + 12).to_le_bytes();
    out.write_all(&kind.to_le_bytes())?;
    out.write_all(&length)?;
    out.write_all(body)?;
    out.write_all(&length)
}

/// A number, a length, and as many bytes; what doesn't fit the length is cut off.
fn put_option(body: &mut Vec<u8>, number: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    body.extend(number.to_le_bytes());
    body.extend(length.to_le_bytes());
    body.extend(&value[..usize::from(length)]);
    pad(body);
}

fn end_options(body: &mut Vec<u8>) {
    body.extend([0; 4]);
}

fn put_time(body: &mut Vec<u8>, time_ns: u64) {
    let (high, low) = (time_ns >> 32, time_ns & 0xffff_ffff);
    body.extend(&high.to_le_bytes()[..4]);
    body.extend(&low.to_le_bytes()[..4]);
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a block is shorter than 4 GiB")
}
