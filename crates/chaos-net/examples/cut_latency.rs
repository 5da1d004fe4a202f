//! Measures what a cut costs: from the call to its return, and from the call to the last packet that still got through.
//!
//! ```text
//! cargo run --release -p chaos-net --example cut_latency -- [samples=100] [nodes=5] [nftables|iptables|per-node]
//! ```
//!
//! The idea: a prober thread sends a datagram over every directed link again and again, stamping each. The effect on a
//! link lies between the last datagram of the old behaviour and the first of the new one; the last link to change is
//! printed, as "not before" and "not after" the call by so much. `per-node` cuts as Jepsen does, for comparison: in each node's own
//! namespace `iptables -A INPUT -s … -j DROP`, all at the same time. Refuses to judge: it prints figures.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "an example: its output is its result")]

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chaos_net::isolation::{self, EnterOptions, UserNamespace};
use chaos_net::{FilterKind, Link, Star, in_namespace, monotonic_ns, start_in_namespace};

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
    let (filter, is_per_node) = match arguments.get(2).map(String::as_str) {
        None | Some("nftables") => (FilterKind::Nftables, false),
        Some("iptables") => (FilterKind::Iptables, false),
        Some("per-node") => (FilterKind::Nftables, true),
        Some(other) => panic!("no filter `{other}`"),
    };
    let entered = isolation::enter(&EnterOptions { user_namespace: UserNamespace::Always, real_time: true });
    let entered = entered.unwrap_or_else(|error| panic!("{}", error.chain()));
    println!("enter namespaces: {:?} ({:?}, {:?})", entered.elapsed, entered.mode, entered.proc);
    let begin = Instant::now();
    let mut star = Star::build(nodes, filter).unwrap_or_else(|error| panic!("{}", error.chain()));
    println!("build and confirm a star of {nodes}: {:?}", begin.elapsed());
    let prober = Arc::new(Prober::new(&star));
    let (mut cuts, mut heals, mut confirms) = (Samples::default(), Samples::default(), Vec::new());
    for _ in 0..samples {
        if is_per_node {
            sample(&prober, false, &mut cuts, || each_node(&star, "-A"));
            sample(&prober, true, &mut heals, || each_node(&star, "-D"));
            continue;
        }
        sample(&prober, false, &mut cuts, || set_cut(&mut star, &all_links(nodes)));
        confirms.push(confirm_ns(&mut star));
        sample(&prober, true, &mut heals, || set_cut(&mut star, &BTreeSet::new()));
    }
    let how = if is_per_node { "iptables per node".to_owned() } else { format!("{filter:?}") };
    println!("{samples} samples, {} directed links, {how}", all_links(nodes).len());
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

/// The call's begin and end.
fn set_cut(star: &mut Star, cut: &BTreeSet<Link>) -> (u64, u64) {
    let receipt = star.set_cut(cut).unwrap();
    (receipt.call_begin_ns, receipt.call_end_ns)
}

/// Adds (`-A`) or deletes (`-D`) in each node's namespace the rule that drops what others send.
fn each_node(star: &Star, verb: &str) -> (u64, u64) {
    let nodes = star.nodes();
    let call_begin_ns = monotonic_ns();
    let started: Vec<Child> = (0..nodes)
        .map(|node| {
            let others = (0..nodes).filter(|other| *other != node).map(|other| star.address(other).to_string());
            let mut command = Command::new("iptables");
            command.args([verb, "INPUT", "-s", &others.collect::<Vec<_>>().join(","), "-j", "DROP"]);
            command.env("XTABLES_LOCKFILE", "/proc/self/fd/0").stdin(Stdio::null());
            start_in_namespace(&mut command, star.namespace(node)).unwrap();
            command.spawn().unwrap()
        })
        .collect();
    for mut child in started {
        assert!(child.wait().unwrap().success(), "iptables failed");
    }
    (call_begin_ns, monotonic_ns())
}

fn sample(prober: &Arc<Prober>, is_heal: bool, samples: &mut Samples, change: impl FnOnce() -> (u64, u64)) {
    let stop = Arc::new(AtomicBool::new(false));
    let thread = {
        let (prober, stop) = (Arc::clone(prober), Arc::clone(&stop));
        std::thread::spawn(move || prober.run_until(&stop))
    };
    std::thread::sleep(AROUND_THE_CALL);
    let (call_begin_ns, call_end_ns) = change();
    std::thread::sleep(AROUND_THE_CALL);
    stop.store(true, Ordering::Relaxed);
    let sent = thread.join().unwrap();
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
    samples.call.push(call_end_ns - call_begin_ns);
    samples.not_before.push(not_before.saturating_sub(call_begin_ns));
    samples.not_after.push(not_after.saturating_sub(call_begin_ns));
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
