//! Captures, read back by a reader that shares no code with the writer, and by tshark where there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chaos_net::{CaptureSummary, Conditions, Link, Loss, NetError};

use crate::wire::{PATIENCE, Wires};
use crate::{Case, eventually};

pub(crate) const CASES: &[Case] = &[
    ("a_capture_shows_each_packet_at_both_ends_with_its_delay", capture_shows_both_ends),
    ("a_capture_shows_lost_and_cut_packets_at_the_sender_only", capture_shows_losses),
    ("a_capture_of_a_flood_tells_what_is_missing", capture_of_a_flood),
    ("a_capture_can_be_read_while_it_goes_on_and_when_it_was_dropped", capture_is_whole_at_any_time),
    ("a_capture_wants_a_name_for_each_node", capture_wants_names),
    ("tshark_reads_a_capture", tshark_reads),
];

const LINK: Link = Link { from: 0, to: 1 };
/// Between the ports of the test's sockets.
const PORTS: [u8; 4] = [0x13, 0x88, 0x13, 0x88];

/// A packet of a file.
#[derive(Debug)]
struct Found {
    interface: usize,
    time_ns: u64,
    outbound: bool,
    bytes: Vec<u8>,
    original_len: usize,
}

/// What a file says.
#[derive(Debug, Default)]
struct Contents {
    interfaces: Vec<String>,
    names: BTreeMap<Ipv4Addr, String>,
    packets: Vec<Found>,
    counted: Vec<u64>,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}

/// Numbered values, each padded to four bytes, up to number 0.
fn options(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut found = Vec::new();
    while half(bytes, 0) != 0 {
        let length = usize::from(half(bytes, 2));
        found.push((half(bytes, 0), bytes[4..4 + length].to_vec()));
        bytes = &bytes[4 + length.next_multiple_of(4)..];
    }
    found
}

fn option(bytes: &[u8], number: u16) -> Vec<u8> {
    options(bytes).into_iter().find(|option| option.0 == number).unwrap().1
}

fn read(file: &mut File) -> Contents {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    let mut contents = Contents::default();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let (kind, length) = (word(rest, 0), usize::try_from(word(rest, 4)).unwrap());
        assert_eq!(word(rest, length - 4), word(rest, 4), "a block's length stands at both ends");
        let body = &rest[8..length - 4];
        match kind {
            0x0a0d_0d0a => assert_eq!((word(body, 0), half(body, 4)), (0x1a2b_3c4d, 1)),
            1 => {
                assert_eq!((half(body, 0), option(&body[8..], 9)), (101, vec![9]), "raw IP, nanoseconds");
                contents.interfaces.push(String::from_utf8(option(&body[8..], 2)).unwrap());
            }
            4 => contents.names.extend(options(body).into_iter().map(|(_, record)| {
                let address: [u8; 4] = record[..4].try_into().unwrap();
                let name = record[4..].strip_suffix(b"\0").unwrap().to_vec();
                (Ipv4Addr::from(address), String::from_utf8(name).unwrap())
            })),
            5 => contents.counted.push(u64::from_le_bytes(option(&body[12..], 4).try_into().unwrap())),
            6 => {
                let captured = usize::try_from(word(body, 12)).unwrap();
                contents.packets.push(Found {
                    interface: usize::try_from(word(body, 0)).unwrap(),
                    time_ns: (u64::from(word(body, 4)) << 32) | u64::from(word(body, 8)),
                    outbound: option(&body[20 + captured.next_multiple_of(4)..], 2)[0] & 3 == 2,
                    bytes: body[20..20 + captured].to_vec(),
                    original_len: usize::try_from(word(body, 16)).unwrap(),
                });
            }
            other => panic!("a block of kind {other}"),
        }
        rest = &rest[length..];
    }
    contents
}

/// The test's datagrams at one interface: number to time.
fn datagrams(contents: &Contents, interface: usize, outbound: bool) -> BTreeMap<u32, u64> {
    let is_wanted = |found: &&Found| {
        found.interface == interface && found.outbound == outbound && found.bytes.get(20..24) == Some(&PORTS)
    };
    let number = |found: &Found| u32::from_be_bytes(found.bytes[28..32].try_into().unwrap());
    contents.packets.iter().filter(is_wanted).map(|found| (number(found), found.time_ns)).collect()
}

fn names(nodes: usize) -> Vec<String> {
    (1..=nodes).map(|number| format!("n{number}")).collect()
}

/// A file in memory: an ordinary user's namespaces may have nowhere to write.
fn file() -> File {
    nix::sys::memfd::memfd_create(c"capture", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).unwrap().into()
}

/// Captures what `work` does.
fn capture(wires: &mut Wires, work: impl FnOnce(&mut Wires)) -> (Contents, CaptureSummary) {
    let mut file = file();
    let running = wires.star.capture(file.try_clone().unwrap(), &names(wires.star.nodes()));
    let running = running.unwrap_or_else(|error| panic!("{}", error.chain()));
    work(wires);
    let summary = running.stop().unwrap();
    let contents = read(&mut file);
    assert_eq!(contents.packets.len() as u64, summary.packets);
    assert_eq!(contents.counted.iter().sum::<u64>(), summary.packets);
    (contents, summary)
}

fn capture_shows_both_ends() {
    let mut wires = Wires::new(3);
    let delay = Duration::from_millis(20);
    wires.set(&[LINK], Conditions { delay, ..Conditions::default() }, 1);
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let (contents, summary) = capture(&mut wires, |wires| {
        wires.exchange(LINK, 100, Duration::from_millis(1));
    });
    let after = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    assert_eq!(summary.missing, 0);
    assert_eq!(contents.interfaces, names(3));
    let expected: BTreeMap<Ipv4Addr, String> = (0..3)
        .map(|node| (wires.star.address(node), format!("n{}", node + 1)))
        .chain([(wires.star.switch_address(), "switch".to_owned())])
        .collect();
    assert_eq!(contents.names, expected);
    let (sent, arrived) = (datagrams(&contents, 0, true), datagrams(&contents, 1, false));
    assert_eq!(sent.keys().copied().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    assert_eq!(arrived.keys().collect::<Vec<_>>(), sent.keys().collect::<Vec<_>>());
    assert!(sent.iter().all(|(number, sent_ns)| arrived[number] - sent_ns >= 20_000_000), "both ends show the delay");
    let times = before.as_nanos()..after.as_nanos();
    assert!(sent.values().all(|time_ns| times.contains(&u128::from(*time_ns))), "times are since the epoch");
    assert_eq!(datagrams(&contents, 2, false).len() + datagrams(&contents, 2, true).len(), 0);
    let whole = contents.packets.iter().filter(|found| found.bytes.get(20..24) == Some(&PORTS));
    assert!(whole.into_iter().all(|found| found.bytes.len() == 92 && found.original_len == 92));
}

fn capture_shows_losses() {
    let mut wires = Wires::new(2);
    wires.set(&[LINK], Conditions { loss: Loss::Independent { share: 0.5 }, ..Conditions::default() }, 2);
    let mut arrived = BTreeSet::new();
    let (contents, _) = capture(&mut wires, |wires| {
        arrived = wires.exchange(LINK, 200, Duration::ZERO).iter().map(|arrived| arrived.number).collect();
        wires.star.set_cut(&BTreeSet::from([LINK])).unwrap();
        (200..210).for_each(|number| wires.send(LINK, number, 64));
        wires.star.confirm_cut(PATIENCE).unwrap();
    });
    assert_eq!(datagrams(&contents, 0, true).len(), 210);
    assert_eq!(datagrams(&contents, 1, false).into_keys().collect::<BTreeSet<_>>(), arrived);
}

fn capture_of_a_flood() {
    let mut wires = Wires::new(2);
    let (contents, summary) = capture(&mut wires, |wires| {
        (0..30_000).for_each(|number| wires.send(LINK, number, 64));
    });
    let ends = datagrams(&contents, 0, true).len() + datagrams(&contents, 1, false).len();
    let counted = ends as u64 + summary.missing;
    assert!((60_000..60_100).contains(&counted), "{ends} captured and {} missing of 60,000", summary.missing);
}

fn capture_is_whole_at_any_time() {
    let wires = Wires::new(2);
    let mut file = file();
    let running = wires.star.capture(file.try_clone().unwrap(), &names(2)).unwrap();
    wires.send(LINK, 0, 64);
    let mut copy = file.try_clone().unwrap();
    eventually("the file has the packet while the capture goes on", PATIENCE, || {
        wires.send(LINK, 0, 64);
        let length = copy.metadata().unwrap().len();
        // Reading moves the position that the writer shares, so only the length is looked at.
        length > 600
    });
    drop(running);
    let contents = read(&mut copy);
    assert_eq!(datagrams(&contents, 1, false).len(), 1);
    assert_eq!(contents.counted.len(), 2, "a dropped capture ends its file");
    assert_eq!(read(&mut file).packets.len(), contents.packets.len());
}

fn capture_wants_names() {
    let wires = Wires::new(2);
    let refusal = wires.star.capture(file(), &names(3)).unwrap_err();
    assert!(matches!(refusal, NetError::CaptureNames { names: 3, nodes: 2 }), "{refusal}");
}

fn tshark_reads() {
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("tshark is not installed");
        std::process::exit(i32::from(crate::SKIP_CODE));
    }
    let mut wires = Wires::new(2);
    let file = file();
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    let running = wires.star.capture(file.try_clone().unwrap(), &names(2)).unwrap();
    wires.set(&[LINK], Conditions::default(), 3);
    wires.exchange(LINK, 10, Duration::ZERO);
    running.stop().unwrap();
    let mut command = Command::new("tshark");
    command.arg("-r").arg(path).args(["-N", "n", "-Y", "udp.port == 5000", "-T", "fields"]);
    let output =
        command.args(["-e", "frame.interface_name", "-e", "ip.src_host", "-e", "ip.dst_host"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for line in ["n1\tn1\tn2", "n2\tn1\tn2"] {
        assert_eq!(text.lines().filter(|found| *found == line).count(), 10, "{line}: {text}");
    }
}
