//! What conditions do to a link's packets, seen by sockets in the nodes' namespaces.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use chaos_net::{
    Conditions, Distribution, FilterKind, HOLD_MAX, Jitter, Link, Loss, NetError, Rate, Reorder, Star, in_namespace,
};

use crate::wire::{Arrived, PATIENCE, Wires, numbers};
use crate::{Case, eventually};

pub(crate) const CASES: &[Case] = &[
    ("delay_holds_each_datagram_of_its_link_and_no_other", delay_holds_each_datagram),
    ("jitter_has_its_distribution_and_keeps_the_order", jitter_has_its_distribution),
    ("loss_takes_the_share_asked_for", loss_takes_its_share),
    ("bursty_loss_takes_packets_in_runs", bursty_loss_takes_runs),
    ("duplicated_datagrams_arrive_twice", duplicates_arrive_twice),
    ("reordered_datagrams_are_overtaken_and_none_is_lost", reordered_are_overtaken),
    ("corruption_flips_one_bit_and_udp_drops_the_datagram", corruption_flips_one_bit),
    ("rate_bounds_the_bytes_and_drops_the_tail", rate_bounds_bytes),
    ("tcp_survives_everything_at_once", tcp_survives_everything),
    ("offloaded_segments_are_queued_as_wire_packets", segments_are_wire_packets),
    ("same_seed_same_fates_and_other_links_have_others", same_seed_same_fates),
    ("heal_releases_what_is_held_at_once_and_in_order", heal_releases),
    ("changed_conditions_release_one_link_and_leave_the_other", change_leaves_others),
    ("a_cut_beats_conditions_and_drops_what_they_hold", a_cut_beats_conditions),
    ("copies_do_not_cross_a_cut", copies_do_not_cross_a_cut),
    ("traffic_of_other_links_and_of_the_switch_is_never_queued", others_are_never_queued),
    ("a_star_that_holds_packets_drops_without_hanging", a_star_that_holds_packets_drops),
    ("conditions_that_mean_nothing_are_refused_and_change_nothing", mistakes_are_refused),
    ("confirmation_of_conditions_fails_when_links_are_not_queued", confirmation_can_fail),
    ("a_flood_is_counted_to_the_last_packet", a_flood_is_counted),
    ("the_largest_star_takes_conditions_on_every_link", the_largest_star),
];

const LINK: Link = Link { from: 0, to: 1 };
const BACK: Link = Link { from: 1, to: 0 };
const NONE: Conditions = Conditions {
    delay: Duration::ZERO,
    jitter: None,
    loss: Loss::None,
    duplicate: 0.0,
    reorder: None,
    corrupt: 0.0,
    rate: None,
};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn delay_holds_each_datagram() {
    let mut wires = Wires::new(3);
    wires.set(&[LINK], Conditions { delay: ms(40), ..NONE }, 1);
    wires.confirm();
    let arrived = wires.exchange(LINK, 60, ms(1));
    assert_eq!(numbers(&arrived), (0..60).collect::<Vec<_>>());
    let soonest = arrived.iter().map(|arrived| arrived.took).min().unwrap();
    assert!(soonest >= ms(40), "{soonest:?}");
    // Relative to the delay, not to the machine: another link's datagrams overtake.
    let other = Link { from: 0, to: 2 };
    eventually("a datagram over another link comes in less than the delay", PATIENCE, || {
        wires.send(other, 0, 64);
        let begin = Instant::now();
        loop {
            match wires.receive(2).first() {
                Some(arrived) => return arrived.took < ms(40),
                None if begin.elapsed() > ms(200) => return false,
                None => (),
            }
        }
    });
    let counters = wires.counters().links[&LINK];
    assert!(counters.held_longest >= ms(40) && counters.lost == 0, "{counters:?}");
}

/// Sorted times of datagrams that go one by one, so that none waits for another.
fn times(wires: &mut Wires, distribution: Distribution) -> Vec<Duration> {
    let jitter = Some(Jitter { spread: ms(20), distribution });
    wires.set(&[LINK], Conditions { delay: ms(40), jitter, ..NONE }, 3);
    let mut arrived = Vec::new();
    for _ in 0..60 {
        arrived.extend(wires.exchange(LINK, 1, Duration::ZERO));
    }
    let mut times: Vec<Duration> = arrived.iter().map(|arrived| arrived.took).collect();
    times.sort_unstable();
    assert_eq!(times.len(), 60);
    times
}

fn jitter_has_its_distribution() {
    let mut wires = Wires::new(2);
    // A slow machine makes datagrams later, never sooner: bounds from above leave it 15 ms at the median.
    let uniform = times(&mut wires, Distribution::Uniform);
    assert!(uniform[0] >= ms(20) && uniform[0] < ms(35), "{uniform:?}");
    assert!(uniform[30] >= ms(32) && uniform[59] >= ms(52), "{uniform:?}");
    let normal = times(&mut wires, Distribution::Normal);
    assert!(normal[5] < ms(35) && normal[30] >= ms(32) && normal[57] >= ms(55), "{normal:?}");
    let pareto = times(&mut wires, Distribution::Pareto);
    assert!(pareto[0] >= ms(40) && pareto[10] < ms(60) && pareto[59] >= ms(90), "{pareto:?}");
    let jitter = Some(Jitter { spread: ms(20), distribution: Distribution::Normal });
    wires.set(&[LINK], Conditions { delay: ms(40), jitter, ..NONE }, 3);
    let arrived = wires.exchange(LINK, 100, ms(1));
    assert_eq!(numbers(&arrived), (0..100).collect::<Vec<_>>());
}

fn loss_takes_its_share() {
    let mut wires = Wires::new(2);
    wires.set(&[LINK], Conditions { loss: Loss::Independent { share: 0.3 }, ..NONE }, 4);
    wires.confirm();
    let arrived = wires.exchange(LINK, 2000, Duration::ZERO);
    // Five standard deviations of a binomial variable.
    assert!((1400 - 103..=1400 + 103).contains(&arrived.len()), "{} of 2000 arrive", arrived.len());
    let lost = wires.counters().links[&LINK].lost;
    assert_eq!(lost, 2000 - arrived.len() as u64, "what is counted is what is missing");
    wires.set(&[LINK], Conditions { loss: Loss::Independent { share: 1.0 }, ..NONE }, 4);
    wires.confirm();
    assert_eq!(wires.exchange(LINK, 200, Duration::ZERO), []);
}

/// The lengths of the runs of numbers below `count` that are missing.
fn runs(arrived: &[Arrived], count: u32) -> Vec<u32> {
    let came: BTreeSet<u32> = arrived.iter().map(|arrived| arrived.number).collect();
    let mut runs = Vec::new();
    let mut length = 0;
    for number in 0..=count {
        if number < count && !came.contains(&number) {
            length += 1;
        } else if length > 0 {
            runs.push(length);
            length = 0;
        }
    }
    runs
}

fn bursty_loss_takes_runs() {
    let mut wires = Wires::new(2);
    let loss = Loss::Bursts { enter: 0.02, leave: 0.125, share_bad: 1.0, share_good: 0.0 };
    wires.set(&[LINK], Conditions { loss, ..NONE }, 5);
    let bursty = runs(&wires.exchange(LINK, 3000, Duration::ZERO), 3000);
    let lost: u32 = bursty.iter().sum();
    let length = f64::from(lost) / bursty.len() as f64;
    assert!((5.0..12.0).contains(&length), "eight in a row on average, not {length}");
    // As many lost one by one come in runs of barely more than one.
    let share = f64::from(lost) / 3000.0;
    wires.set(&[LINK], Conditions { loss: Loss::Independent { share }, ..NONE }, 5);
    let single = runs(&wires.exchange(LINK, 3000, Duration::ZERO), 3000);
    let length = f64::from(single.iter().sum::<u32>()) / single.len() as f64;
    assert!(length < 1.6, "{length}");
}

fn duplicates_arrive_twice() {
    let mut wires = Wires::new(2);
    wires.set(&[LINK], Conditions { duplicate: 1.0, ..NONE }, 6);
    let mut arrived = numbers(&wires.exchange(LINK, 200, Duration::ZERO));
    arrived.sort_unstable();
    assert_eq!(arrived, (0..200).flat_map(|number| [number, number]).collect::<Vec<_>>());
    wires.set(&[LINK], Conditions { duplicate: 0.25, delay: ms(5), ..NONE }, 6);
    let arrived = wires.exchange(LINK, 400, ms(0));
    let distinct: BTreeSet<u32> = arrived.iter().map(|arrived| arrived.number).collect();
    assert_eq!(distinct.len(), 400);
    assert!((400 + 100 - 44..=400 + 100 + 44).contains(&arrived.len()), "{}", arrived.len());
    assert!(arrived.iter().all(|arrived| arrived.took >= ms(5)), "copies don't overtake");
}

fn reordered_are_overtaken() {
    let mut wires = Wires::new(2);
    wires.set(&[LINK], Conditions { reorder: Some(Reorder { share: 0.2, by: ms(30) }), ..NONE }, 7);
    let arrived = wires.exchange(LINK, 300, ms(2));
    let order = numbers(&arrived);
    let distinct: BTreeSet<u32> = order.iter().copied().collect();
    assert_eq!((order.len(), distinct.len()), (300, 300), "nothing is lost or doubled");
    let counted = wires.counters().links[&LINK].reordered;
    assert!((60 - 35..=60 + 35).contains(&counted), "{counted}");
    // Those that are held back are the late ones, and each that is followed within its time is overtaken.
    assert!(arrived.iter().filter(|arrived| arrived.took >= ms(30)).count() as u64 >= counted);
    let overtaken = (0..order.len()).filter(|at| order[*at + 1..].iter().any(|later| *later < order[*at])).count();
    assert!(overtaken > 20, "{overtaken}");
}

/// A socket that sees a node's UDP packets before UDP does, IP header first.
fn raw_udp(star: &Star, node: usize) -> OwnedFd {
    use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    in_namespace(star.namespace(node), || Ok(socket(AddressFamily::Inet, SockType::Raw, flags, SockProtocol::Udp)?))
        .unwrap()
}

fn corruption_flips_one_bit() {
    let mut wires = Wires::new(2);
    let raw = raw_udp(&wires.star, 1);
    wires.set(&[LINK], Conditions { corrupt: 1.0, ..NONE }, 8);
    let mut expected = vec![0x5a; 100];
    let source = wires.sockets[0].local_addr().unwrap();
    let mut seen = Vec::new();
    for _ in 0..100 {
        expected[..12].fill(7);
        wires.sockets[0].send_to(&expected, wires.sockets[1].local_addr().unwrap()).unwrap();
        eventually("the damaged packet arrives", PATIENCE, || {
            let mut packet = vec![0; 2048];
            let Ok(length) = nix::sys::socket::recv(raw.as_raw_fd(), &mut packet, nix::sys::socket::MsgFlags::empty())
            else {
                return false;
            };
            packet.truncate(length);
            seen.push(packet);
            true
        });
    }
    // One bit of ports, length, checksum or data.
    let header = |bytes: &[u8]| [bytes[20..26].to_vec(), bytes[28..].to_vec()].concat();
    let mut sent = [source.port().to_be_bytes(), 5000_u16.to_be_bytes(), 108_u16.to_be_bytes()].concat();
    sent.extend(&expected);
    let flipped = |packet: &Vec<u8>| -> u32 {
        assert_eq!(packet.len(), 128);
        header(packet).iter().zip(&sent).map(|(found, sent)| (found ^ sent).count_ones()).sum()
    };
    assert!(seen.iter().all(|packet| flipped(packet) <= 1));
    assert!(
        seen.iter().filter(|packet| flipped(packet) == 1).count() >= 80,
        "the checksum's own two bytes are rarely hit"
    );
    assert_eq!(wires.counters().links[&LINK].corrupted, 100);
    // The last datagrams may still be on their way up: a sound one over the healed link comes behind them all.
    wires.set(&[], NONE, 8);
    wires.send(LINK, 4711, 64);
    let mut arrived = Vec::new();
    eventually("the sound datagram arrives", PATIENCE, || {
        arrived.extend(wires.receive(1));
        arrived.iter().any(|arrived: &Arrived| arrived.number == 4711)
    });
    assert_eq!(arrived.len(), 1, "UDP's checksum drops what is damaged");
}

fn rate_bounds_bytes() {
    let mut wires = Wires::new(2);
    let rate = Rate { bytes_per_second: 200_000, burst_bytes: 5_000, queue_bytes: 100_000 };
    wires.set(&[LINK], Conditions { rate: Some(rate), ..NONE }, 9);
    let begin = Instant::now();
    let mut arrived = Vec::new();
    for number in 0..80 {
        wires.send(LINK, number, 1000);
    }
    eventually("all arrives", PATIENCE, || {
        arrived.extend(wires.receive(1));
        arrived.len() == 80
    });
    let least = Duration::from_secs_f64((80.0 * 1028.0 - 5_000.0) / 200_000.0);
    assert!(begin.elapsed() >= least, "{:?} for what takes at least {least:?}", begin.elapsed());
    assert_eq!(wires.counters().links[&LINK].overran, 0);
    // A packet that finds a full queue is dropped.
    wires.set(
        &[LINK],
        Conditions { rate: Some(Rate { bytes_per_second: 1_000, queue_bytes: 10_000, ..rate }), ..NONE },
        9,
    );
    (0..80).for_each(|number| wires.send(LINK, number, 1000));
    eventually("the fabric sees all", PATIENCE, || wires.counters().links[&LINK].packets == 160);
    let overran = wires.counters().links[&LINK].overran;
    assert!((50..=66).contains(&overran), "burst and queue hold about fifteen of 80, {overran} overran");
}

/// Sends the bytes from one node to another over TCP, and back.
fn echo(star: &Star, bytes: &[u8]) -> Vec<u8> {
    let address = SocketAddr::from((star.address(1), 6000));
    let listener = in_namespace(star.namespace(1), || TcpListener::bind(address)).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        stream.write_all(&received).unwrap();
    });
    let mut client = in_namespace(star.namespace(0), || TcpStream::connect_timeout(&address, PATIENCE)).unwrap();
    client.write_all(bytes).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut returned = Vec::new();
    client.read_to_end(&mut returned).unwrap();
    server.join().unwrap();
    returned
}

fn pattern(length: u32) -> Vec<u8> {
    (0..length).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

fn tcp_survives_everything() {
    let mut wires = Wires::new(2);
    let conditions = Conditions {
        delay: ms(1),
        jitter: Some(Jitter { spread: Duration::from_micros(500), distribution: Distribution::Pareto }),
        loss: Loss::Bursts { enter: 0.005, leave: 0.5, share_bad: 1.0, share_good: 0.005 },
        duplicate: 0.03,
        reorder: Some(Reorder { share: 0.03, by: ms(3) }),
        corrupt: 0.02,
        rate: Some(Rate::of(4_000_000)),
    };
    wires.set(&[LINK, BACK], conditions, 10);
    wires.confirm();
    let sent = pattern(400_000);
    assert!(echo(&wires.star, &sent) == sent, "the stream is what was sent");
    let counters = wires.star.fabric_counters().unwrap();
    for link in [LINK, BACK] {
        let link = counters.links[&link];
        assert!(link.lost > 0 && link.duplicated > 0 && link.reordered > 0 && link.corrupted > 0, "{link:?}");
    }
}

fn segments_are_wire_packets() {
    let mut wires = Wires::new(2);
    wires.set(&[LINK, BACK], NONE, 11);
    let sent = pattern(2_000_000);
    assert!(echo(&wires.star, &sent) == sent);
    let packets = wires.star.fabric_counters().unwrap().links[&LINK].packets;
    assert!(packets >= 2_000_000 / 1460, "{packets} packets of at most 1500 bytes");
}

fn same_seed_same_fates() {
    let mut wires = Wires::new(2);
    let conditions = Conditions { loss: Loss::Independent { share: 0.5 }, duplicate: 0.2, delay: ms(1), ..NONE };
    let mut run = |link: Link, seed: u64| {
        wires.set(&[link], conditions, seed);
        let arrived = numbers(&wires.exchange(link, 300, Duration::ZERO));
        wires.set(&[], NONE, 0);
        arrived
    };
    let first = run(LINK, 12);
    assert!((100..260).contains(&first.len()), "{}", first.len());
    assert_eq!(first, run(LINK, 12));
    assert_ne!(first, run(LINK, 13));
    assert_ne!(first, run(BACK, 12));
}

fn heal_releases() {
    let mut wires = Wires::new(2);
    wires.set(&[LINK], Conditions { delay: HOLD_MAX, ..NONE }, 14);
    (0..100).for_each(|number| wires.send(LINK, number, 64));
    eventually("the fabric holds all", PATIENCE, || wires.counters().links[&LINK].packets == 100);
    assert_eq!(wires.receive(1), []);
    let receipt = wires.set(&[], NONE, 14);
    assert_eq!(receipt.released, 100);
    let mut arrived = Vec::new();
    eventually("what was held arrives", PATIENCE, || {
        arrived.extend(numbers(&wires.receive(1)));
        arrived.len() == 100
    });
    assert_eq!(arrived, (0..100).collect::<Vec<_>>());
    wires.confirm();
    let queued = wires.counters().packets;
    wires.send(LINK, 100, 64);
    eventually("a datagram over the healed link", PATIENCE, || !wires.receive(1).is_empty());
    assert_eq!(wires.counters().packets, queued, "a healed link stays in the kernel");
}

fn change_leaves_others() {
    let mut wires = Wires::new(2);
    let slow = Conditions { delay: HOLD_MAX, ..NONE };
    wires.set(&[LINK, BACK], slow, 15);
    (0..20).for_each(|number| {
        wires.send(LINK, number, 64);
        wires.send(BACK, number, 64);
    });
    let seen = |wires: &Wires, link| wires.counters().links[&link].packets;
    eventually("the fabric holds all", PATIENCE, || seen(&wires, LINK) == 20 && seen(&wires, BACK) == 20);
    let changed = BTreeMap::from([(LINK, Conditions { delay: ms(1), ..NONE }), (BACK, slow)]);
    assert_eq!(wires.star.set_conditions(&changed, 15).unwrap().released, 20);
    let mut arrived = Vec::new();
    eventually("the changed link's packets arrive", PATIENCE, || {
        arrived.extend(wires.receive(1));
        arrived.len() == 20
    });
    assert_eq!(wires.receive(0), [], "the other link still holds its own");
    assert_eq!(wires.set(&[], NONE, 15).released, 20);
}

fn a_cut_beats_conditions() {
    let mut wires = Wires::new(3);
    wires.set(&[LINK, BACK], Conditions { delay: ms(50), ..NONE }, 16);
    wires.confirm();
    (0..20).for_each(|number| wires.send(LINK, number, 64));
    eventually("the fabric holds all", PATIENCE, || wires.counters().links[&LINK].packets == 20);
    wires.star.set_cut(&BTreeSet::from([LINK])).unwrap();
    wires.star.confirm_cut(PATIENCE).unwrap();
    // Whatever was due before the cut has arrived; the rest was dropped.
    let arrived = wires.receive(1).len() as u64;
    assert_eq!(wires.counters().links[&LINK].cut, 20 - arrived);
    let seen = wires.counters().links[&LINK].packets;
    (0..20).for_each(|number| wires.send(LINK, number, 64));
    wires.confirm();
    assert_eq!(wires.receive(1), []);
    assert_eq!(wires.counters().links[&LINK].packets, seen, "a cut link's packets are not queued");
    wires.star.set_cut(&BTreeSet::new()).unwrap();
    wires.confirm();
    let arrived = wires.exchange(LINK, 10, Duration::ZERO);
    assert!(arrived.len() == 10 && arrived.iter().all(|arrived| arrived.took >= ms(50)), "conditions outlast the cut");
}

fn copies_do_not_cross_a_cut() {
    let mut wires = Wires::new(2);
    wires.set(&[LINK], Conditions { delay: HOLD_MAX, duplicate: 1.0, ..NONE }, 17);
    (0..20).for_each(|number| wires.send(LINK, number, 64));
    eventually("the fabric holds all", PATIENCE, || wires.counters().links[&LINK].packets == 20);
    wires.star.set_cut(&BTreeSet::from([LINK])).unwrap();
    assert_eq!(wires.set(&[], NONE, 17).released, 0);
    wires.star.confirm_cut(PATIENCE).unwrap();
    assert_eq!(wires.receive(1), [], "neither packets nor copies cross the cut");
    wires.star.set_cut(&BTreeSet::new()).unwrap();
    wires.set(&[LINK], Conditions { duplicate: 1.0, ..NONE }, 17);
    assert_eq!(wires.exchange(LINK, 20, Duration::ZERO).len(), 40);
}

fn others_are_never_queued() {
    let mut wires = Wires::new(3);
    wires.set(&[LINK], NONE, 18);
    wires.confirm();
    let queued = wires.counters().packets;
    let others = [BACK, Link { from: 0, to: 2 }, Link { from: 2, to: 1 }, Link { from: 1, to: 2 }];
    for link in others {
        wires.send(link, 1, 64);
        eventually("another link delivers", PATIENCE, || !wires.receive(link.to).is_empty());
    }
    let switch = UdpSocket::bind(SocketAddr::from((wires.star.switch_address(), 5000))).unwrap();
    switch.send_to(&[0; 12], wires.sockets[1].local_addr().unwrap()).unwrap();
    eventually("the switch reaches a node", PATIENCE, || !wires.receive(1).is_empty());
    assert_eq!(wires.counters().packets, queued);
    wires.send(LINK, 1, 64);
    eventually("the link delivers", PATIENCE, || !wires.receive(1).is_empty());
    assert_eq!(wires.counters().packets, queued + 1);
}

fn a_star_that_holds_packets_drops() {
    for _ in 0..2 {
        let mut wires = Wires::new(2);
        wires.set(&[LINK], Conditions { delay: HOLD_MAX, ..NONE }, 19);
        (0..10).for_each(|number| wires.send(LINK, number, 64));
        eventually("the fabric holds all", PATIENCE, || wires.counters().links[&LINK].packets == 10);
        let begin = Instant::now();
        drop(wires);
        assert!(begin.elapsed() < PATIENCE);
    }
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    eventually("the fabric's thread is gone", PATIENCE, || threads() == 1);
}

fn mistakes_are_refused() {
    let mut wires = Wires::new(2);
    wires.set(&[LINK], Conditions { delay: ms(1), ..NONE }, 20);
    let unknown = wires.star.set_conditions(&BTreeMap::from([(Link { from: 0, to: 2 }, NONE)]), 1);
    assert!(matches!(unknown, Err(NetError::NoSuchLink { .. })), "{unknown:?}");
    let wrong = wires.star.set_conditions(&BTreeMap::from([(BACK, Conditions { corrupt: 1.1, ..NONE })]), 1);
    assert!(matches!(wrong, Err(NetError::Conditions { .. })), "{wrong:?}");
    assert_eq!(wires.star.conditions().keys().copied().collect::<Vec<_>>(), [LINK]);
    wires.confirm();
    drop(wires);
    let Ok(mut star) = Star::build(2, FilterKind::Iptables) else { return };
    let refusal = star.set_conditions(&BTreeMap::from([(LINK, NONE)]), 1).unwrap_err();
    assert!(matches!(refusal, NetError::FilterOnlyCuts) && refusal.remedy().is_some(), "{refusal}");
}

fn confirmation_can_fail() {
    let mut wires = Wires::new(2);
    wires.set(&[LINK], Conditions { delay: ms(1), ..NONE }, 21);
    wires.confirm();
    // Behind the star's back the rules go; the probes, not the bookkeeping, must notice.
    crate::star::delete_table();
    let refusal = wires.star.confirm_conditions(ms(50)).unwrap_err();
    assert!(refusal.to_string().contains("is not queued"), "{refusal}");
}

fn a_flood_is_counted() {
    let mut wires = Wires::new(2);
    wires.set(&[LINK], Conditions { delay: ms(100), ..NONE }, 23);
    (0..20_000).for_each(|number| wires.send(LINK, number, 64));
    let mut sent = 20_000;
    eventually("each packet was seen or is told as overflowed", PATIENCE, || {
        // What didn't fit shows by the packets behind it.
        wires.send(LINK, sent, 64);
        sent += 1;
        let counters = wires.star.fabric_counters().unwrap();
        counters.links[&LINK].packets + counters.overflowed == u64::from(sent)
    });
}

fn the_largest_star() {
    let mut wires = Wires::new(chaos_net::NODES_MAX);
    let links: Vec<Link> = crate::star::all_links(chaos_net::NODES_MAX).into_iter().collect();
    wires.set(&links, Conditions { delay: ms(5), ..NONE }, 22);
    wires.confirm();
    let last = Link { from: 98, to: 99 };
    assert!(wires.exchange(last, 10, Duration::ZERO).iter().all(|arrived| arrived.took >= ms(5)));
}
