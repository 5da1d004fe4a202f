//! The star and its cuts, seen by sockets and processes in the nodes' namespaces.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::time::{Duration, Instant};

use chaos_net::{FilterKind, Link, NODES_MAX, NetError, SWITCH, Star, in_namespace, monotonic_ns, start_in_namespace};

use crate::{Case, eventually};

pub(crate) const CASES: &[Case] = &[
    ("nodes_reach_each_other_by_udp_and_tcp", nodes_reach_each_other_by_udp_and_tcp),
    ("processes_start_inside_of_a_nodes_namespace", processes_start_inside_of_a_nodes_namespace),
    ("one_way_cut_drops_one_direction_only", one_way_cut_drops_one_direction_only),
    ("full_cut_stalls_an_established_tcp_flow_and_heal_restores_it", full_cut_stalls_tcp),
    ("cutting_only_acknowledgements_stalls_the_sender_too", cutting_only_acknowledgements),
    ("a_second_cut_replaces_the_first", a_second_cut_replaces_the_first),
    ("switch_and_nodes_reach_each_other_during_a_full_cut", switch_reaches_nodes_during_a_full_cut),
    ("a_cut_leg_is_silent_for_the_switch_resets_nothing_and_spares_the_others", a_cut_leg_is_silent),
    ("nine_nodes_build_and_cut_into_three", nine_nodes),
    ("the_largest_star_takes_a_full_cut", the_largest_star),
    ("cuts_of_unknown_links_are_refused_and_change_nothing", unknown_links_are_refused),
    ("star_sizes_out_of_range_are_refused", sizes_out_of_range_are_refused),
    ("a_dropped_star_leaves_the_namespace_empty", a_dropped_star_leaves_nothing),
    ("a_second_star_names_the_object_that_exists", a_second_star_is_refused),
    ("nodes_send_no_ipv6_on_their_own", nodes_send_no_ipv6),
    ("confirmation_fails_when_the_cut_is_not_in_force", confirmation_can_fail),
    ("iptables_cuts_or_names_the_remedy", iptables_cuts_or_names_the_remedy),
];

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn all_links(nodes: usize) -> BTreeSet<Link> {
    let pairs = (0..nodes).flat_map(|from| (0..nodes).map(move |to| Link { from, to }));
    pairs.filter(|link| link.from != link.to).collect()
}

fn build(nodes: usize) -> Star {
    Star::build(nodes, FilterKind::Nftables).unwrap_or_else(|error| panic!("{}", error.chain()))
}

fn cut(star: &mut Star, links: &BTreeSet<Link>) {
    let receipt = star.set_cut(links).unwrap();
    assert!(receipt.call_begin_ns < receipt.call_end_ns && receipt.call_end_ns <= monotonic_ns());
    let effect = star.confirm_cut(SECOND).unwrap();
    assert!(receipt.call_end_ns <= effect.in_force_ns && effect.in_force_ns < effect.confirmed_ns);
}

fn udp(star: &Star, node: usize) -> UdpSocket {
    let address = SocketAddr::from((star.address(node), 5000));
    let socket = in_namespace(star.namespace(node), || UdpSocket::bind(address)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    socket
}

/// Whether a datagram from one socket arrives at the other.
fn delivers(from: &UdpSocket, to: &UdpSocket) -> bool {
    from.send_to(b"x", to.local_addr().unwrap()).unwrap();
    let mut buffer = [0; 8];
    match to.recv_from(&mut buffer) {
        Ok((_, sender)) => {
            assert_eq!(sender, from.local_addr().unwrap(), "addresses are not translated");
            true
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("{error}"),
    }
}

/// A connection from the client's node to the server's: (client, server).
fn tcp(star: &Star, client: usize, server: usize) -> (TcpStream, TcpStream) {
    let address = SocketAddr::from((star.address(server), 6000));
    let listener = in_namespace(star.namespace(server), || TcpListener::bind(address)).unwrap();
    let near = in_namespace(star.namespace(client), || TcpStream::connect_timeout(&address, SECOND)).unwrap();
    let (far, _) = listener.accept().unwrap();
    for stream in [&near, &far] {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    }
    (near, far)
}

/// Whether a byte written at one end can be read at the other within its time-out.
fn passes(from: &mut TcpStream, to: &mut TcpStream) -> bool {
    from.write_all(b"x").unwrap();
    match to.read(&mut [0; 8]) {
        Ok(length) => length > 0,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("{error}"),
    }
}

fn nodes_reach_each_other_by_udp_and_tcp() {
    let star = build(3);
    let sockets: Vec<UdpSocket> = (0..3).map(|node| udp(&star, node)).collect();
    for Link { from, to } in all_links(3) {
        assert!(delivers(&sockets[from], &sockets[to]), "{from} -> {to}");
    }
    let (mut client, mut server) = tcp(&star, 0, 2);
    assert_eq!(server.peer_addr().unwrap().ip(), star.address(0));
    assert!(passes(&mut client, &mut server) && passes(&mut server, &mut client));
}

fn processes_start_inside_of_a_nodes_namespace() {
    let star = build(2);
    let mut command = Command::new("readlink");
    command.arg("/proc/self/ns/net");
    start_in_namespace(&mut command, star.namespace(1)).unwrap();
    let shown = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let namespace = format!("/proc/self/fd/{}", star.namespace(1).as_fd().as_raw_fd());
    assert_eq!(shown.trim(), std::fs::read_link(namespace).unwrap().to_str().unwrap());
    assert_ne!(shown.trim(), std::fs::read_link("/proc/self/ns/net").unwrap().to_str().unwrap());
}

fn one_way_cut_drops_one_direction_only() {
    let mut star = build(3);
    let sockets: Vec<UdpSocket> = (0..3).map(|node| udp(&star, node)).collect();
    let before = star.packets_dropped().unwrap().unwrap();
    cut(&mut star, &BTreeSet::from([Link { from: 0, to: 1 }]));
    assert!(!delivers(&sockets[0], &sockets[1]));
    for Link { from, to } in all_links(3) {
        assert_eq!(delivers(&sockets[from], &sockets[to]), (from, to) != (0, 1), "{from} -> {to}");
    }
    assert!(star.packets_dropped().unwrap().unwrap() >= before + 2);
}

fn full_cut_stalls_tcp() {
    let mut star = build(2);
    let (mut client, mut server) = tcp(&star, 0, 1);
    assert!(passes(&mut client, &mut server) && passes(&mut server, &mut client));
    cut(&mut star, &all_links(2));
    assert!(!passes(&mut client, &mut server), "data crosses the cut");
    assert!(!passes(&mut server, &mut client), "data crosses the cut backwards");
    cut(&mut star, &BTreeSet::new());
    // The kernel retransmits on its own, after at most a few back-offs of the 0.6 s that the cut lasted.
    for stream in [&mut client, &mut server] {
        stream.set_read_timeout(Some(10 * SECOND)).unwrap();
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), 1, "the stalled byte arrives after the heal");
    }
    assert!(passes(&mut client, &mut server) && passes(&mut server, &mut client));
}

fn cutting_only_acknowledgements() {
    let mut star = build(2);
    let (mut client, mut server) = tcp(&star, 0, 1);
    assert!(passes(&mut client, &mut server));
    cut(&mut star, &BTreeSet::from([Link { from: 1, to: 0 }]));
    assert!(passes(&mut client, &mut server), "the data direction is open");
    // Without acknowledgements the sender's window fills up, and it stays full.
    client.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    server.set_nonblocking(true).unwrap();
    let chunk = vec![0; 64 * 1024];
    let deadline = Instant::now() + 10 * SECOND;
    let stalled = loop {
        match client.write(&chunk) {
            Ok(_) => assert!(Instant::now() < deadline, "the sender never stalls"),
            Err(error) => break error,
        }
        while matches!(server.read(&mut [0; 65_536]), Ok(length) if length > 0) {}
    };
    assert_eq!(stalled.kind(), ErrorKind::WouldBlock);
}

fn a_second_cut_replaces_the_first() {
    let mut star = build(3);
    let first = BTreeSet::from([Link { from: 0, to: 1 }, Link { from: 1, to: 0 }]);
    let second = BTreeSet::from([Link { from: 1, to: 2 }]);
    for expected in [&first, &second, &second, &BTreeSet::new(), &first] {
        cut(&mut star, expected);
        assert_eq!(&star.installed_cut().unwrap().unwrap(), expected);
        assert_eq!(&star.cut(), expected);
    }
}

fn switch_reaches_nodes_during_a_full_cut() {
    let mut star = build(3);
    cut(&mut star, &all_links(3));
    let switch = UdpSocket::bind(SocketAddr::from((star.switch_address(), 5000))).unwrap();
    switch.set_read_timeout(Some(SECOND)).unwrap();
    for node in 0..3 {
        let socket = udp(&star, node);
        assert!(delivers(&switch, &socket) && delivers(&socket, &switch), "node {node}");
    }
    let unbound = UdpSocket::bind("0.0.0.0:0").unwrap();
    let node = udp(&star, 0);
    unbound.send_to(b"x", node.local_addr().unwrap()).unwrap();
    assert_eq!(node.recv_from(&mut [0; 8]).unwrap().1.ip(), star.switch_address());
}

fn a_cut_leg_is_silent() {
    let mut star = build(3);
    let address = SocketAddr::from((star.address(0), 6000));
    let listener = in_namespace(star.namespace(0), || TcpListener::bind(address)).unwrap();
    let mut outside = TcpStream::connect_timeout(&address, SECOND).unwrap();
    let (mut inside, _) = listener.accept().unwrap();
    for stream in [&outside, &inside] {
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    }
    let mut links: BTreeSet<Link> = all_links(3).into_iter().filter(|link| link.from == 0 || link.to == 0).collect();
    links.extend([Link { from: SWITCH, to: 0 }, Link { from: 0, to: SWITCH }]);
    cut(&mut star, &links);
    assert_eq!(star.installed_cut().unwrap(), Some(links));
    assert!(!passes(&mut outside, &mut inside) && !passes(&mut inside, &mut outside));
    let refused = TcpStream::connect_timeout(&address, Duration::from_millis(300)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TimedOut, "nobody answers, not even to refuse");
    let (mut other, mut far) = tcp(&star, 1, 2);
    assert!(passes(&mut other, &mut far));
    // One direction alone is a cut, too.
    cut(&mut star, &BTreeSet::from([Link { from: 1, to: SWITCH }]));
    cut(&mut star, &BTreeSet::from([Link { from: SWITCH, to: 1 }]));
    cut(&mut star, &BTreeSet::new());
    for stream in [&mut inside, &mut outside] {
        let about = "what was sent meanwhile arrives, by the same connection";
        eventually(about, 20 * SECOND, || stream.read(&mut [0; 8]).is_ok());
    }
    assert!(passes(&mut outside, &mut inside) && passes(&mut inside, &mut outside));
}

fn nine_nodes() {
    let mut star = build(9);
    let across: BTreeSet<Link> = all_links(9).into_iter().filter(|link| link.from % 3 != link.to % 3).collect();
    cut(&mut star, &across);
    assert_eq!(star.installed_cut().unwrap().unwrap(), across);
    assert_eq!(star.confirm_cut(SECOND).unwrap().links_probed, 90);
}

fn the_largest_star() {
    let mut star = build(NODES_MAX);
    cut(&mut star, &all_links(NODES_MAX));
    assert_eq!(star.installed_cut().unwrap().unwrap().len(), NODES_MAX * (NODES_MAX - 1));
    cut(&mut star, &BTreeSet::new());
}

fn unknown_links_are_refused() {
    let mut star = build(2);
    let known = BTreeSet::from([Link { from: 0, to: 1 }]);
    cut(&mut star, &known);
    for bad in [Link { from: 0, to: 2 }, Link { from: 7, to: 1 }, Link { from: 1, to: 1 }] {
        let refusal = star.set_cut(&BTreeSet::from([bad]));
        assert!(matches!(refusal, Err(NetError::NoSuchLink { .. })), "{refusal:?}");
    }
    assert_eq!(star.installed_cut().unwrap().unwrap(), known);
}

fn sizes_out_of_range_are_refused() {
    for nodes in [0, NODES_MAX + 1] {
        let refusal = Star::build(nodes, FilterKind::Nftables);
        assert!(matches!(refusal, Err(NetError::NodeCount { .. })), "{nodes}");
    }
}

fn a_dropped_star_leaves_nothing() {
    drop(build(3));
    let devices = std::fs::read_to_string("/proc/net/dev").unwrap();
    assert!(!devices.contains("chaos-v"), "{devices}");
    // Names, addresses and the table are free again.
    drop(build(3));
}

fn a_second_star_is_refused() {
    let _first = build(1);
    let refusal = Star::build(1, FilterKind::Nftables).unwrap_err();
    assert!(matches!(refusal, NetError::Netlink { .. }), "{refusal:?}");
    let text = refusal.chain();
    assert!(text.contains("File exists") && text.contains("10.77.0.254"), "{text}");
}

fn nodes_send_no_ipv6() {
    let star = build(2);
    let read = |path: &'static str| in_namespace(star.namespace(0), move || std::fs::read_to_string(path)).unwrap();
    let counters = read("/proc/thread-self/net/snmp6");
    let sent = counters.lines().find(|line| line.starts_with("Ip6OutRequests")).unwrap();
    assert_eq!(sent.split_whitespace().nth(1), Some("0"), "{sent}");
    let addresses = read("/proc/thread-self/net/if_inet6");
    assert!(!addresses.contains("eth0"), "{addresses}");
    assert!(addresses.contains(" lo"), "::1 stays for programs that listen on localhost: {addresses}");
}

fn confirmation_can_fail() {
    let mut star = build(2);
    cut(&mut star, &all_links(2));
    // Behind the star's back the table goes; the probes, not the bookkeeping, must notice.
    delete_table();
    let refusal = star.confirm_cut(Duration::from_millis(50)).unwrap_err();
    assert!(refusal.to_string().contains("2 links deliver that should be cut"), "{refusal}");
}

/// Deletes the table with bytes written by hand: begin, delete table `chaos` of family ip, end.
pub(crate) fn delete_table() {
    use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, send, socket};
    let mut bytes = Vec::new();
    let mut message = |kind: u16, header: [u8; 4], attributes: &[u8]| {
        bytes.extend(u32::try_from(20 + attributes.len()).unwrap().to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([1, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(header);
        bytes.extend(attributes);
    };
    message(0x10, [0, 0, 0, 10], &[]);
    message((10 << 8) | 2, [2, 0, 0, 0], b"\x0a\0\x01\0chaos\0\0\0");
    message(0x11, [0, 0, 0, 10], &[]);
    let protocol = SockProtocol::NetlinkNetFilter;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol).unwrap();
    send(socket.as_raw_fd(), &bytes, MsgFlags::empty()).unwrap();
}

fn iptables_cuts_or_names_the_remedy() {
    let mut star = match Star::build(3, FilterKind::Iptables) {
        Ok(star) => star,
        Err(refusal @ NetError::ProgramMissing { .. }) => {
            assert!(refusal.remedy().unwrap().contains("install the package"), "{refusal}");
            println!("{refusal}");
            std::process::exit(i32::from(crate::SKIP_CODE));
        }
        Err(error) => panic!("{}", error.chain()),
    };
    for links in [all_links(3), BTreeSet::from([Link { from: 2, to: 0 }]), BTreeSet::new()] {
        cut(&mut star, &links);
    }
    let sockets: Vec<UdpSocket> = (0..3).map(|node| udp(&star, node)).collect();
    cut(&mut star, &BTreeSet::from([Link { from: 2, to: 0 }]));
    eventually("the open direction", SECOND, || delivers(&sockets[0], &sockets[2]));
    assert!(!delivers(&sockets[2], &sockets[0]));
}
