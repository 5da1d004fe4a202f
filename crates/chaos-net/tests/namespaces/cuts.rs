//! The ways of cutting and healing, seen by sockets in the nodes' namespaces.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use chaos_net::{Conditions, CutMode, CutReceipt, DropMode, HOLD_MAX, HealMode, Link, Loss, Star, in_namespace};

use crate::wire::{PATIENCE, Wires, numbers};
use crate::{Case, eventually};

pub(crate) const CASES: &[Case] = &[
    ("held_packets_arrive_after_the_heal_in_order", held_packets_arrive),
    ("a_held_tcp_stream_goes_on_where_it_stopped", held_tcp_goes_on),
    ("conditions_outlast_a_cut_that_holds", conditions_outlast_a_hold),
    ("a_rejecting_cut_resets_tcp_and_refuses_udp", rejection_is_told),
    ("a_kicked_connection_goes_on_before_tcp_would_try_again", kicked_connection_goes_on),
    ("a_reset_heal_ends_the_connections_over_the_cut_and_no_others", reset_heal_ends_connections),
    ("links_of_one_cut_have_their_own_modes", links_have_their_own_modes),
];

const LINK: Link = Link { from: 0, to: 1 };
const BACK: Link = Link { from: 1, to: 0 };
const HOLD: CutMode = CutMode { drop: DropMode::Hold, heal: HealMode::Natural };
const REJECT: CutMode = CutMode { drop: DropMode::Reject, heal: HealMode::Natural };
const KICK: CutMode = CutMode { drop: DropMode::Lose, heal: HealMode::Kick };
const RESET: CutMode = CutMode { drop: DropMode::Lose, heal: HealMode::Reset };

/// Cuts these links in one mode and has probes show it; none heals.
fn cut(star: &mut Star, links: &[Link], mode: CutMode) -> CutReceipt {
    let cuts: BTreeMap<Link, CutMode> = links.iter().map(|link| (*link, mode)).collect();
    let receipt = star.set_cuts(&cuts).unwrap_or_else(|error| panic!("{}", error.chain()));
    star.confirm_cut(PATIENCE).unwrap_or_else(|error| panic!("{}", error.chain()));
    receipt
}

/// A connection from node 0 to another: (client, server).
fn connect(star: &Star, to: usize) -> (TcpStream, TcpStream) {
    let address = SocketAddr::from((star.address(to), 6000));
    let listener = in_namespace(star.namespace(to), || TcpListener::bind(address)).unwrap();
    let client = in_namespace(star.namespace(0), || TcpStream::connect_timeout(&address, PATIENCE)).unwrap();
    let (server, _) = listener.accept().unwrap();
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    (client, server)
}

fn passes(from: &mut TcpStream, to: &mut TcpStream) {
    from.write_all(b"x").unwrap();
    assert_eq!(to.read(&mut [0; 8]).unwrap(), 1);
}

fn seen(wires: &Wires, link: Link) -> u64 {
    wires.counters().links[&link].packets
}

fn held_packets_arrive() {
    let mut wires = Wires::new(3);
    cut(&mut wires.star, &[LINK, BACK], HOLD);
    (0..100).for_each(|number| wires.send(LINK, number, 64));
    eventually("the fabric holds all", PATIENCE, || seen(&wires, LINK) == 100);
    wires.star.confirm_cut(PATIENCE).unwrap();
    assert_eq!(wires.receive(1), []);
    let receipt = cut(&mut wires.star, &[], HOLD);
    assert_eq!(receipt.released, 100);
    let mut arrived = Vec::new();
    eventually("what was held arrives", PATIENCE, || {
        arrived.extend(numbers(&wires.receive(1)));
        arrived.len() == 100
    });
    assert_eq!(arrived, (0..100).collect::<Vec<_>>());
}

fn held_tcp_goes_on() {
    let mut wires = Wires::new(2);
    let (mut client, mut server) = connect(&wires.star, 1);
    passes(&mut client, &mut server);
    cut(&mut wires.star, &[LINK, BACK], HOLD);
    client.write_all(b"held").unwrap();
    eventually("the fabric holds the segment", PATIENCE, || seen(&wires, LINK) > 0);
    server.set_nonblocking(true).unwrap();
    assert_eq!(server.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    server.set_nonblocking(false).unwrap();
    cut(&mut wires.star, &[], HOLD);
    let mut held = [0; 4];
    server.read_exact(&mut held).unwrap();
    assert_eq!(&held, b"held");
    passes(&mut server, &mut client);
    passes(&mut client, &mut server);
}

fn conditions_outlast_a_hold() {
    let mut wires = Wires::new(2);
    let conditions = Conditions { loss: Loss::Independent { share: 0.5 }, ..Conditions::default() };
    wires.set(&[LINK], conditions, 3);
    let whole = numbers(&wires.exchange(LINK, 200, Duration::ZERO));
    wires.set(&[], conditions, 3);
    wires.set(&[LINK], conditions, 3);
    let mut halves = numbers(&wires.exchange(LINK, 100, Duration::ZERO));
    let before = seen(&wires, LINK);
    cut(&mut wires.star, &[LINK], HOLD);
    (1000..1010).for_each(|number| wires.send(LINK, number, 64));
    eventually("the fabric holds all", PATIENCE, || seen(&wires, LINK) == before + 10);
    assert_eq!(cut(&mut wires.star, &[], HOLD).released, 10, "a cut that holds loses none");
    wires.confirm();
    eventually("what was held arrives", PATIENCE, || wires.receive(1).last().is_some_and(|last| last.number == 1009));
    halves.extend(wires.exchange(LINK, 100, Duration::ZERO).iter().map(|arrived| arrived.number + 100));
    assert_eq!(whole, halves, "the stream of fates goes on where it was");
    // Packets under way when the link is cut wait for the heal as well, or are dropped.
    for (mode, expected) in [(HOLD, 20), (KICK, 0), (CutMode::default(), 0)] {
        wires.set(&[LINK], Conditions { delay: HOLD_MAX, ..Conditions::default() }, 3);
        let before = seen(&wires, LINK);
        (0..20).for_each(|number| wires.send(LINK, number, 64));
        eventually("the fabric holds all", PATIENCE, || seen(&wires, LINK) == before + 20);
        cut(&mut wires.star, &[LINK], mode);
        assert_eq!(wires.set(&[], conditions, 3).released, 0, "a cut link lets go nothing");
        assert_eq!(cut(&mut wires.star, &[], mode).released, expected, "{mode:?}");
        let mut arrived = 0;
        eventually("as many arrive", PATIENCE, || {
            arrived += wires.receive(1).len() as u64;
            arrived == expected
        });
    }
}

fn rejection_is_told() {
    let mut wires = Wires::new(3);
    let (mut client, mut server) = connect(&wires.star, 1);
    let (mut other, mut third) = connect(&wires.star, 2);
    passes(&mut client, &mut server);
    // A listener that nobody is told of: the cut alone refuses.
    let address = SocketAddr::from((wires.star.address(1), 6001));
    let _listener = in_namespace(wires.star.namespace(1), || TcpListener::bind(address)).unwrap();
    // Twice, with conditions first, so that the rules come in either order.
    wires.set(&[LINK], Conditions { delay: HOLD_MAX, ..Conditions::default() }, 1);
    cut(&mut wires.star, &[LINK], REJECT);
    client.write_all(b"x").unwrap();
    let told = client.read(&mut [0; 8]).unwrap_err();
    assert_eq!(told.kind(), ErrorKind::ConnectionReset);
    let refused = in_namespace(wires.star.namespace(0), || TcpStream::connect_timeout(&address, PATIENCE)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    wires.sockets[0].connect(wires.sockets[1].local_addr().unwrap()).unwrap();
    eventually("a datagram is refused", PATIENCE, || {
        let sent = wires.sockets[0].send(b"x");
        sent.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
    passes(&mut other, &mut third);
    server.set_nonblocking(true).unwrap();
    assert_eq!(server.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock, "the receiver learns nothing");
    assert!(wires.star.packets_dropped().unwrap().unwrap() > 0);
    wires.set(&[], Conditions::default(), 1);
    cut(&mut wires.star, &[], REJECT);
    assert!(in_namespace(wires.star.namespace(0), || TcpStream::connect_timeout(&address, PATIENCE)).is_ok());
}

fn kicked_connection_goes_on() {
    let mut wires = Wires::new(2);
    let (mut client, mut server) = connect(&wires.star, 1);
    passes(&mut client, &mut server);
    cut(&mut wires.star, &[LINK, BACK], KICK);
    client.write_all(b"kicked").unwrap();
    // TCP waits twice as long after each try, so that after one that came late the next comes later still.
    let mut last = (0, Instant::now(), Duration::ZERO);
    eventually("TCP has waited a second between two tries", PATIENCE, || {
        let tries = seen(&wires, LINK);
        if tries > last.0 {
            last = (tries, Instant::now(), last.1.elapsed());
        }
        last.2 > Duration::from_secs(1)
    });
    let begin = Instant::now();
    let receipt = wires.star.set_cuts(&BTreeMap::new()).unwrap();
    assert!(receipt.released >= 1, "{receipt:?}");
    let mut kicked = [0; 6];
    server.read_exact(&mut kicked).unwrap();
    assert_eq!(&kicked, b"kicked");
    assert!(begin.elapsed() < Duration::from_secs(1), "TCP alone would wait for two seconds: {:?}", begin.elapsed());
    assert!(wires.counters().links[&LINK].cut >= 2, "only the last of each flow is kept");
    passes(&mut server, &mut client);
}

fn reset_heal_ends_connections() {
    let mut wires = Wires::new(3);
    let (mut client, mut server) = connect(&wires.star, 1);
    let (mut other, mut third) = connect(&wires.star, 2);
    let mapped = in_namespace(wires.star.namespace(1), || TcpListener::bind("[::]:6002"));
    let address = SocketAddr::from((wires.star.address(1), 6002));
    let mut dual = mapped.ok().map(|listener| {
        let client = in_namespace(wires.star.namespace(0), || TcpStream::connect_timeout(&address, PATIENCE)).unwrap();
        (client, listener.accept().unwrap().0)
    });
    cut(&mut wires.star, &[LINK], RESET);
    passes(&mut other, &mut third);
    let receipt = cut(&mut wires.star, &[], RESET);
    assert_eq!(receipt.destroyed, if dual.is_some() { 4 } else { 2 });
    let ends = dual.iter_mut().flat_map(|(client, server)| [client, server]).chain([&mut client, &mut server]);
    for end in ends {
        let ended = end.read(&mut [0; 8]).unwrap_err();
        assert!(matches!(ended.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset), "{ended}");
    }
    passes(&mut other, &mut third);
    passes(&mut third, &mut other);
    let (mut again, mut server) = {
        drop(server);
        connect(&wires.star, 1)
    };
    passes(&mut again, &mut server);
}

fn links_have_their_own_modes() {
    let mut wires = Wires::new(3);
    let links = [LINK, Link { from: 0, to: 2 }, Link { from: 1, to: 2 }, Link { from: 2, to: 0 }];
    let modes = [HOLD, REJECT, KICK, CutMode::default()];
    let cuts: BTreeMap<Link, CutMode> = links.into_iter().zip(modes).collect();
    wires.star.set_cuts(&cuts).unwrap();
    wires.star.confirm_cut(PATIENCE).unwrap();
    assert_eq!(wires.star.cuts(), &cuts);
    // A link's mode changes without a heal in between: nothing gets through, and what was held is dropped.
    (0..5).for_each(|number| wires.send(LINK, number, 64));
    eventually("the fabric holds all", PATIENCE, || seen(&wires, LINK) == 5);
    let changed: BTreeMap<Link, CutMode> = links.into_iter().map(|link| (link, CutMode::default())).collect();
    assert_eq!(wires.star.set_cuts(&changed).unwrap().released, 0);
    wires.star.confirm_cut(PATIENCE).unwrap();
    cut(&mut wires.star, &[], HOLD);
    assert_eq!(wires.receive(1), []);
    for link in links {
        wires.send(link, 7, 64);
        eventually("a healed link delivers", PATIENCE, || !wires.receive(link.to).is_empty());
    }
}
