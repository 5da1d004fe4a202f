//! Measures what a cut costs: from the call to its return, and from the call to the last packet that still got through.
//!
//! ```text
//! cargo run --release -p chaos-net --example cut_latency -- [samples=100] [nodes=5] [nftables|iptables]
//! ```
//!
//! The idea: a prober thread sends a datagram over every directed link again and again, stamping each. The effect on a
//! link lies between the last datagram of the old behaviour and the first of the new one; the last link to change is
//! printed, as "not before" and "not after" the call by so much. Refuses to judge: it prints figures.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "an example: its output is its result")]

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chaos_net::isolation::{self, EnterOptions, UserNamespace};
use chaos_net::{FilterKind, Link, Star, in_namespace, monotonic_ns};

/// How long the prober runs before the call and after its return.
const AROUND_THE_CALL: Duration = Duration::from_millis(3);

/// One probed link: when each datagram was sent, and whether it arrived.
type Sent = Vec<(u64, bool)>;

struct Prober {
    sockets: Vec<UdpSocket>,
    links: Vec<Link>,
}

impl Prober {
    fn new(star: &Star) -> Self {
        let socket = |node: usize| {
            let address = SocketAddr::from((star.address(node), 5000));
            let socket = in_namespace(star.namespace(node), || UdpSocket::bind(address)).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        Self { sockets: (0..star.nodes()).map(socket).collect(), links: all_links(star.nodes()).into_iter().collect() }
    }

    fn run_until(&self, stop: &AtomicBool) -> Vec<Sent> {
        let targets: Vec<SocketAddr> = self.sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        let mut sent: Vec<Sent> = vec![Vec::new(); self.links.len()];
        // What an earlier run has left must not be counted for this one.
        self.receive(&mut []);
        while !stop.load(Ordering::Relaxed) {
            for (link_index, link) in self.links.iter().enumerate() {
                let number = sent[link_index].len();
                sent[link_index].push((monotonic_ns(), false));
                let words = [u32::try_from(link_index).unwrap(), u32::try_from(number).unwrap()];
                let datagram: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
                let _ = self.sockets[link.from].send_to(&datagram, targets[link.to]);
            }
            self.receive(&mut sent);
        }
        std::thread::sleep(Duration::from_millis(2));
        self.receive(&mut sent);
        sent
    }

    fn receive(&self, sent: &mut [Sent]) {
        let mut buffer = [0; 8];
        for socket in &self.sockets {
            while let Ok(8) = socket.recv(&mut buffer) {
                let word =
                    |at: usize| usize::try_from(u32::from_ne_bytes(buffer[at..at + 4].try_into().unwrap())).unwrap();
                if let Some(probe) = sent.get_mut(word(0)).and_then(|sent| sent.get_mut(word(4))) {
                    probe.1 = true;
                }
            }
        }
    }
}

#[derive(Default)]
struct Samples {
    call: Vec<u64>,
    not_before: Vec<u64>,
    not_after: Vec<u64>,
    skew: Vec<u64>,
    period: Vec<u64>,
}

fn all_links(nodes: usize) -> BTreeSet<Link> {
    let pairs = (0..nodes).flat_map(|from| (0..nodes).map(move |to| Link { from, to }));
    pairs.filter(|link| link.from != link.to).collect()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: usize| arguments.get(index).map_or(default, |text| text.parse().unwrap());
    let (samples, nodes) = (number(0, 100), number(1, 5));
    let filter = match arguments.get(2).map(String::as_str) {
        None | Some("nftables") => FilterKind::Nftables,
        Some("iptables") => FilterKind::Iptables,
        Some(other) => panic!("no filter `{other}`"),
    };
    let entered = isolation::enter(&EnterOptions { user_namespace: UserNamespace::Always });
    let entered = entered.unwrap_or_else(|error| panic!("{}", error.chain()));
    println!("enter namespaces: {:?} ({:?}, {:?})", entered.elapsed, entered.mode, entered.proc);
    let begin = Instant::now();
    let mut star = Star::build(nodes, filter).unwrap_or_else(|error| panic!("{}", error.chain()));
    println!("build and confirm a star of {nodes}: {:?}", begin.elapsed());
    let prober = Arc::new(Prober::new(&star));
    let (mut cuts, mut heals, mut confirms) = (Samples::default(), Samples::default(), Vec::new());
    for _ in 0..samples {
        sample(&mut star, &prober, &all_links(nodes), &mut cuts);
        confirms.push(confirm_ns(&mut star));
        sample(&mut star, &prober, &BTreeSet::new(), &mut heals);
    }
    println!("{samples} samples, {} directed links, {filter:?}", all_links(nodes).len());
    for (name, samples) in [("cut", cuts), ("heal", heals)] {
        print(&format!("{name}: call to return"), samples.call);
        print(&format!("{name}: call to effect, not before"), samples.not_before);
        print(&format!("{name}: call to effect, not after"), samples.not_after);
        print(&format!("{name}: skew between links, at least"), samples.skew);
        print(&format!("{name}: between two probes of a link"), samples.period);
    }
    print("confirm_cut", confirms);
}

fn confirm_ns(star: &mut Star) -> u64 {
    let begin_ns = monotonic_ns();
    star.confirm_cut(Duration::from_secs(5)).unwrap();
    monotonic_ns() - begin_ns
}

fn sample(star: &mut Star, prober: &Arc<Prober>, cut: &BTreeSet<Link>, samples: &mut Samples) {
    let stop = Arc::new(AtomicBool::new(false));
    let thread = {
        let (prober, stop) = (Arc::clone(prober), Arc::clone(&stop));
        std::thread::spawn(move || prober.run_until(&stop))
    };
    std::thread::sleep(AROUND_THE_CALL);
    let receipt = star.set_cut(cut).unwrap();
    std::thread::sleep(AROUND_THE_CALL);
    stop.store(true, Ordering::Relaxed);
    let sent = thread.join().unwrap();
    let is_heal = cut.is_empty();
    // The sends on both sides of the change.
    let edge = |sent: &Sent| {
        let last_old = if is_heal {
            sent.iter().position(|probe| probe.1)?.checked_sub(1)?
        } else {
            sent.iter().rposition(|probe| probe.1)?
        };
        Some((sent[last_old].0, sent.get(last_old + 1)?.0))
    };
    let edges: Vec<(u64, u64)> = sent.iter().filter_map(edge).collect();
    // A link without an edge was starved of probes: the sample says nothing.
    if edges.len() < sent.len() || edges.is_empty() {
        return;
    }
    let not_before = edges.iter().map(|edge| edge.0).max().unwrap();
    let not_after = edges.iter().map(|edge| edge.1).max().unwrap();
    let first_changed = edges.iter().map(|edge| edge.1).min().unwrap();
    let spans = sent.iter().map(|sent| (sent[sent.len() - 1].0 - sent[0].0, sent.len() as u64 - 1));
    let (time, count) = spans.fold((0, 0), |sum, span| (sum.0 + span.0, sum.1 + span.1));
    let period = time / count.max(1);
    samples.call.push(receipt.call_end_ns - receipt.call_begin_ns);
    samples.not_before.push(not_before.saturating_sub(receipt.call_begin_ns));
    samples.not_after.push(not_after.saturating_sub(receipt.call_begin_ns));
    // Positive only if one link still behaved as before after another had changed.
    samples.skew.push(not_before.saturating_sub(first_changed));
    samples.period.push(period);
}

fn print(name: &str, mut nanos: Vec<u64>) {
    nanos.sort_unstable();
    let quantile = |percent: usize| nanos.get((nanos.len() * percent / 100).min(nanos.len().saturating_sub(1)));
    let micros =
        |percent: usize| quantile(percent).map_or("-".to_owned(), |value| format!("{:.1}", *value as f64 / 1e3));
    println!("  {name:42} n={:4}  p50 {:>8} µs  p99 {:>8} µs", nanos.len(), micros(50), micros(99));
}
