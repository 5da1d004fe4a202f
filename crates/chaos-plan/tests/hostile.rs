//! Whatever bytes a plan file holds, loading it ends, soon, with a workload or with mistakes, and never with a panic.

#![expect(clippy::disallowed_methods, reason = "the crate knows no clock, but its tests bound what it costs")]

use std::io;
use std::time::{Duration, Instant};

use chaos_plan::{Source, builtin, load_source, resolved_yaml};
use nix::time::ClockId;

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): small, seeded, and good enough to choose bytes.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).expect("small")).expect("small")
    }
}

/// Pieces that mean something to YAML or to the language, so that edits reach past the parser.
const PIECES: [&str; 41] = [
    "\n",
    "  ",
    "\t",
    ": ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "#",
    "&a ",
    "*a",
    "!!x ",
    "|",
    "> ",
    "\"",
    "'",
    "?",
    "...",
    "---\n",
    "<<: ",
    "\u{0}",
    "\u{1b}",
    "é",
    "🦀",
    "\r",
    "n9",
    "-1",
    "0",
    "999999999999999999999",
    "all",
    "heal",
    "1s..2s",
    "steps:",
    "on: { leader: lost }",
    "together:",
    "all but ",
    "$others",
    " <-> ",
    "\u{feff}",
];

fn mutated(text: &str, random: &mut Random) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() + 1);
        match random.below(5) {
            0 if at < bytes.len() => bytes[at] = random.next().to_le_bytes()[0],
            1 if at < bytes.len() => {
                bytes.drain(at..(at + random.below(30)).min(bytes.len()));
            }
            2 => {
                let piece = PIECES[random.below(PIECES.len())];
                bytes.splice(at..at, piece.bytes());
            }
            3 => {
                let end = (at + random.below(80)).min(bytes.len());
                let copy = bytes[at.min(end)..end].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            _ => bytes.truncate(at.max(20)),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn source(text: String) -> Source {
    Source { name: "hostile.yaml".to_owned(), text }
}

#[test]
fn mutated_plans_load_or_are_refused_and_never_panic() {
    let mut random = Random(20_261_121);
    let nothing = |_: &str| Err(io::ErrorKind::NotFound.into());
    let (mut accepted, mut refused) = (0, 0);
    let deadline = Instant::now() + Duration::from_secs(4);
    let everything = include_str!("valid/everything.yaml");
    let originals: Vec<&str> = builtin::workloads().iter().map(|built_in| built_in.text).chain([everything]).collect();
    for round in 0..4_000 {
        if round > 500 && Instant::now() > deadline {
            break;
        }
        let workload = mutated(originals[random.below(originals.len())], &mut random);
        let plan = mutated(builtin::faults()[random.below(builtin::faults().len())].text, &mut random);
        let read = |name: &str| if name == "plan" { Ok(plan.clone()) } else { nothing(name) };
        let overrides = if random.below(2) == 0 { vec!["faults=plan".to_owned()] } else { Vec::new() };
        match load_source(source(workload), &overrides, &read) {
            Ok(loaded) => {
                accepted += 1;
                let yaml = resolved_yaml(&loaded.workload);
                let again = load_source(source(yaml.clone()), &[], &nothing)
                    .unwrap_or_else(|errors| panic!("{errors}\n{yaml}"));
                assert_eq!(again.workload, loaded.workload);
            }
            Err(errors) => {
                refused += 1;
                assert!(errors.count() > 0);
                assert!(!errors.render(false).contains('\u{1b}'), "an escape sequence reaches the terminal");
            }
        }
    }
    assert!(accepted >= 50 && refused >= 50, "{accepted} accepted, {refused} refused: the edits no longer reach both");
}

#[test]
fn mutated_overrides_never_panic() {
    let mut random = Random(7);
    let nothing = |_: &str| Err(io::ErrorKind::NotFound.into());
    let workload = builtin::workload("partition").expect("it is built in");
    for _ in 0..1_500 {
        let text = mutated("clients.register.mix={ read: 1, write: 2 }", &mut random);
        if let Err(errors) = load_source(workload.clone(), &[text], &nothing) {
            assert!(errors.render(true).contains("error"));
        }
    }
}

/// For how long this thread has had a processor: what else the machine does is no fault of the reader's.
fn worked() -> Duration {
    ClockId::CLOCK_THREAD_CPUTIME_ID.now().expect("every thread has such a clock").into()
}

#[test]
fn texts_made_to_be_slow_are_refused_soon() {
    let nothing = |_: &str| Err(io::ErrorKind::NotFound.into());
    let many_keys = (0..60_000).map(|key| format!("k{key}: 1\n")).collect::<String>();
    let many_items = format!("a: [{}]", "x, ".repeat(300_000));
    let doubling =
        (1..40).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| format!("{text}a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1));
    let deepening =
        (1..200).fold("a0: &a0 [x]\n".to_owned(), |text, n| format!("{text}a{n}: &a{n} [[[*a{}]]]\n", n - 1));
    let many_mistakes = format!("system: raft\nnodes: 5\nfaults: {{ steps: [{}] }}", "kil: leader, ".repeat(9_000));
    let same_key = "nodes: 5\n".repeat(100_000);
    let brackets = "[".repeat(1 << 20);
    let dashes = "- ".repeat(1 << 19);
    for text in [many_keys, many_items, doubling, deepening, many_mistakes, same_key, brackets, dashes] {
        let begun = worked();
        let begin: String = text.chars().take(40).collect();
        let errors = load_source(source(text), &[], &nothing).expect_err("none of these is a workload");
        assert!(!errors.render(false).is_empty());
        let took = worked() - begun;
        assert!(took < Duration::from_secs(10), "{begin}… took {took:?} of the processor");
    }
}
