//! The proxies between nodes, seen from two programs that talk over them: what arrives, when, and what a connect meets.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use chaos_net::{Conditions, CutMode, DropMode, HealMode, Link, NetError, Proxies, Rate};

const PORT: u16 = 7310;
const THERE: Link = Link { from: 0, to: 1 };
const BACK: Link = Link { from: 1, to: 0 };
/// Long enough for anything that is to happen at once on a busy host.
const AT_ONCE: Duration = Duration::from_secs(2);
const WHILE: Duration = Duration::from_millis(300);

/// Two nodes; the second listens.
struct Pair {
    proxies: Proxies,
    listener: TcpListener,
}

impl Pair {
    fn new() -> Self {
        let proxies = Proxies::build(2, &BTreeSet::from([PORT])).unwrap();
        let listener = TcpListener::bind((proxies.address(1), PORT)).unwrap();
        Self { proxies, listener }
    }

    /// Where the first node knocks.
    fn door(&self) -> SocketAddr {
        (self.proxies.address_seen(0, 1), PORT).into()
    }

    /// A connection from the first node to the second.
    fn connect(&self) -> (TcpStream, TcpStream) {
        let near = TcpStream::connect_timeout(&self.door(), AT_ONCE).unwrap();
        let (far, from) = self.listener.accept().unwrap();
        assert_eq!(from.ip(), self.proxies.address_seen(1, 0), "the second node sees whom it knows");
        for end in [&near, &far] {
            end.set_nodelay(true).unwrap();
            end.set_read_timeout(Some(AT_ONCE)).unwrap();
        }
        (near, far)
    }

    fn cut(&mut self, links: &[Link], drop: DropMode, heal: HealMode) {
        let cuts: BTreeMap<Link, CutMode> = links.iter().map(|link| (*link, CutMode { drop, heal })).collect();
        let receipt = self.proxies.set_cuts(&cuts).unwrap();
        assert!(receipt.call_begin_ns <= receipt.call_end_ns);
    }

    fn lose(&mut self, links: &[Link]) {
        self.cut(links, DropMode::Lose, HealMode::Natural);
    }

    fn heal(&mut self) {
        self.proxies.set_cuts(&BTreeMap::new()).unwrap();
    }
}

/// How long a message takes.
fn passes(from: &mut TcpStream, to: &mut TcpStream, text: &[u8]) -> Duration {
    let begin = Instant::now();
    from.write_all(text).unwrap();
    let mut got = vec![0; text.len()];
    to.read_exact(&mut got).unwrap();
    assert_eq!(got, text);
    begin.elapsed()
}

fn nothing_comes(at: &mut TcpStream) {
    at.set_read_timeout(Some(WHILE)).unwrap();
    let error = at.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    at.set_read_timeout(Some(AT_ONCE)).unwrap();
}

fn is_reset(at: &mut TcpStream) -> bool {
    matches!(at.read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::ConnectionReset)
}

#[test]
fn bytes_pass_both_ways_and_so_do_ends_and_resets() {
    let pair = Pair::new();
    let (mut near, mut far) = pair.connect();
    let long: Vec<u8> = (0..2_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            near.write_all(&long).unwrap();
            near.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = String::new();
            near.read_to_string(&mut answer).unwrap();
            answer
        });
        let mut got = Vec::new();
        far.read_to_end(&mut got).unwrap();
        assert!(got == long, "what arrived is not what was sent");
        far.write_all(b"thanks").unwrap();
        drop(far);
        assert_eq!(writer.join().unwrap(), "thanks");
    });
    drop(pair.listener);
    let door = (pair.proxies.address_seen(0, 1), PORT).into();
    // The reset may come before the connect has returned.
    let refused = TcpStream::connect_timeout(&door, AT_ONCE).and_then(|mut near| {
        near.set_read_timeout(Some(AT_ONCE))?;
        near.read(&mut [0])
    });
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionReset, "nobody listens behind the proxy");
}

#[test]
fn bytes_stand_before_a_cut_and_arrive_when_tcp_would_send_them_again() {
    let mut pair = Pair::new();
    let (mut near, mut far) = pair.connect();
    passes(&mut near, &mut far, b"before");
    pair.lose(&[THERE, BACK]);
    let begin = Instant::now();
    near.write_all(b"during").unwrap();
    far.write_all(b"back").unwrap();
    nothing_comes(&mut far);
    nothing_comes(&mut near);
    pair.heal();
    let healed = begin.elapsed();
    let mut got = [0; 6];
    far.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"during");
    near.read_exact(&mut got[..4]).unwrap();
    assert_eq!(&got[..4], b"back");
    // Sent again 200, 600, 1400 ms after it was sent first.
    let again = [200, 600, 1400, 3000].map(Duration::from_millis).into_iter().find(|at| *at >= healed).unwrap();
    let took = begin.elapsed();
    assert!(took + Duration::from_millis(2) >= again, "healed after {healed:?}, arrived after {took:?}, not {again:?}");
    passes(&mut near, &mut far, b"after");
}

#[test]
fn a_one_way_cut_keeps_the_bytes_of_that_way_only() {
    let mut pair = Pair::new();
    let (mut near, mut far) = pair.connect();
    pair.lose(&[THERE]);
    passes(&mut far, &mut near, b"back");
    near.write_all(b"there").unwrap();
    nothing_comes(&mut far);
    passes(&mut far, &mut near, b"still");
    pair.heal();
    let mut got = [0; 5];
    far.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"there");
}

#[test]
fn a_connect_over_a_cut_hangs_and_comes_about_after_the_heal() {
    for links in [&[THERE][..], &[BACK], &[THERE, BACK]] {
        let mut pair = Pair::new();
        pair.lose(links);
        let door = pair.door();
        let error = TcpStream::connect_timeout(&door, WHILE).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{links:?}");
        let patient = std::thread::spawn(move || TcpStream::connect_timeout(&door, Duration::from_secs(10)));
        std::thread::sleep(WHILE);
        assert!(!patient.is_finished(), "{links:?}");
        pair.heal();
        let mut near = patient.join().unwrap().unwrap();
        let (mut far, _) = pair.listener.accept().unwrap();
        far.set_read_timeout(Some(AT_ONCE)).unwrap();
        passes(&mut near, &mut far, b"at last");
        pair.connect();
    }
}

#[test]
fn who_sends_over_a_link_that_rejects_is_reset_and_so_is_a_connect() {
    let mut pair = Pair::new();
    let (mut near, mut far) = pair.connect();
    let (mut idle_near, mut idle_far) = pair.connect();
    pair.cut(&[THERE], DropMode::Reject, HealMode::Natural);
    near.write_all(b"x").unwrap();
    assert!(is_reset(&mut near));
    nothing_comes(&mut far);
    let error = TcpStream::connect_timeout(&pair.door(), AT_ONCE).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    pair.heal();
    assert!(is_reset(&mut far), "the other end learns of it when the link carries again");
    passes(&mut idle_near, &mut idle_far, b"nothing was sent, so nothing was reset");
    pair.connect();
}

#[test]
fn a_heal_that_resets_ends_both_sides_of_every_connection() {
    let mut pair = Pair::new();
    let (mut near, mut far) = pair.connect();
    pair.cut(&[BACK], DropMode::Lose, HealMode::Reset);
    let receipt = pair.proxies.set_cuts(&BTreeMap::new()).unwrap();
    assert_eq!(receipt.destroyed, 1);
    assert!(is_reset(&mut near) && is_reset(&mut far));
    pair.connect();
}

#[test]
fn an_end_that_is_gone_behind_a_cut_is_noticed_only_after_the_heal() {
    let mut pair = Pair::new();
    let (mut near, far) = pair.connect();
    pair.lose(&[THERE, BACK]);
    drop(far);
    nothing_comes(&mut near);
    pair.heal();
    assert_eq!(near.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_delay_is_of_its_direction_and_a_rate_is_of_the_link() {
    let mut pair = Pair::new();
    let (mut near, mut far) = pair.connect();
    let delay = Duration::from_millis(80);
    let slow = Conditions { delay, ..Conditions::default() };
    pair.proxies.set_conditions(&BTreeMap::from([(THERE, slow)])).unwrap();
    // A busy host makes messages later, never earlier; the best of some shows how late they are made.
    let best = |times: &mut dyn FnMut() -> Duration| (0..5).map(|_| times()).min().unwrap();
    let there = best(&mut || passes(&mut near, &mut far, b"there"));
    let back = best(&mut || passes(&mut far, &mut near, b"back"));
    assert!(there >= delay && there < delay + Duration::from_millis(20), "{there:?}");
    assert!(back < Duration::from_millis(20), "{back:?}");
    let thin = Conditions { rate: Some(Rate::of(200_000)), ..Conditions::default() };
    pair.proxies.set_conditions(&BTreeMap::from([(THERE, thin)])).unwrap();
    let took = passes(&mut near, &mut far, &[7; 100_000]);
    assert!(took >= Duration::from_millis(490) && took < Duration::from_secs(2), "{took:?}");
    pair.proxies.set_conditions(&BTreeMap::new()).unwrap();
    let free = best(&mut || passes(&mut near, &mut far, b"free"));
    assert!(free < Duration::from_millis(20), "{free:?}");
}

#[test]
fn what_is_of_packets_is_refused() {
    let mut pair = Pair::new();
    let corrupt = Conditions { corrupt: 0.1, ..Conditions::default() };
    let refused = pair.proxies.set_conditions(&BTreeMap::from([(THERE, corrupt)]));
    assert!(matches!(refused, Err(NetError::NotOnStreams(_))), "{refused:?}");
    for mode in [(DropMode::Hold, HealMode::Natural), (DropMode::Lose, HealMode::Kick)] {
        let mode = CutMode { drop: mode.0, heal: mode.1 };
        let refused = pair.proxies.set_cuts(&BTreeMap::from([(THERE, mode)]));
        assert!(matches!(refused, Err(NetError::NotOnStreams(_))), "{refused:?}");
    }
    let loop_link = BTreeMap::from([(Link { from: 0, to: 0 }, CutMode::default())]);
    assert!(matches!(pair.proxies.set_cuts(&loop_link), Err(NetError::NoSuchLink { .. })));
}

#[test]
fn a_port_that_is_taken_at_all_addresses_is_named() {
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = Proxies::build(3, &BTreeSet::from([port])).unwrap_err();
    assert!(matches!(error, NetError::PortTaken { port: named } if named == port), "{error}");
}

#[test]
fn runs_side_by_side_have_addresses_of_their_own() {
    let pairs: Vec<Pair> = (0..8).map(|_| Pair::new()).collect();
    let addresses: BTreeSet<_> = pairs.iter().map(|pair| pair.proxies.address(0)).collect();
    assert_eq!(addresses.len(), 8);
    pairs.iter().for_each(|pair| drop(pair.connect()));
}
