//! The classes of the table, what each runs, and when it has reached its target.

use std::time::Duration;

use crate::case::Case;
use crate::corpus::Corpus;
use crate::measure::{BASELINE_MAX, Measured, Side, Verdict, apart};
use crate::text::{bytes, time};
use crate::{limits, stream};

const MB: u64 = 1 << 20;

/// One line of the table.
pub(crate) struct Line {
    /// The history, or how many.
    pub(crate) what: String,
    /// Our verdict, time and bytes.
    pub(crate) ours: String,
    /// The baseline's.
    pub(crate) theirs: String,
    /// How many times longer the baseline took, or at least.
    pub(crate) ratio: String,
    /// Whether the target is reached; `None`: the line has none.
    pub(crate) pass: Option<bool>,
    /// A verdict was wrong, or nothing was measured: what.
    pub(crate) wrong: Option<String>,
}

/// A class of histories.
pub(crate) struct Row {
    /// What selects it on the command line.
    pub(crate) id: &'static str,
    /// What it is.
    pub(crate) class: &'static str,
    /// The target, in words.
    pub(crate) target: &'static str,
    /// Its lines.
    pub(crate) run: fn(&Corpus) -> Vec<Line>,
}

/// What a line must reach.
#[derive(Clone, Copy)]
enum Goal {
    /// Times faster than the baseline, or than what the baseline had spent when it gave up.
    Faster(f64),
    /// CPU time at most.
    Within(Duration),
    /// Bytes beyond the history at most.
    Bytes(u64),
    /// The same per operation.
    BytesPerOp(u64),
    /// Operations of the verified counterexample at most.
    Core(usize),
}

fn ratio_of(ours: &Measured, theirs: &Measured) -> f64 {
    theirs.cpu.as_secs_f64() / ours.cpu.as_secs_f64().max(1e-9)
}

fn reached(goal: Goal, case: &Case, ours: &Measured, theirs: Option<&Measured>) -> bool {
    match goal {
        Goal::Faster(times) => theirs.is_some_and(|theirs| ratio_of(ours, theirs) >= times),
        Goal::Within(most) => ours.cpu <= most,
        Goal::Bytes(most) => ours.bytes.is_some_and(|bytes| bytes <= most),
        Goal::BytesPerOp(most) => {
            let ops = u64::from(case.ops().unwrap_or(u32::MAX));
            ours.bytes.is_some_and(|bytes| bytes <= most * ops)
        }
        Goal::Core(most) => ours.seen.core.is_some_and(|core| core <= most),
    }
}

fn describe(case: &Case, measured: &Measured) -> String {
    let verdict = match (measured.seen.verdict, measured.seen.core) {
        (Verdict::Ok, _) => "ok".to_owned(),
        (Verdict::Illegal, Some(core)) => format!("illegal, core of {core}"),
        (Verdict::Illegal, None) => "illegal".to_owned(),
        (Verdict::Unknown, _) if measured.bytes.is_none() => "unknown, ended from outside".to_owned(),
        (Verdict::Unknown, _) => "unknown".to_owned(),
    };
    let held = measured.bytes.map_or_else(String::new, |held| {
        let each = case.ops().map_or_else(String::new, |ops| format!(" ({} B/op)", held / u64::from(ops)));
        format!(", {}{each}", bytes(held))
    });
    format!("{verdict}, {}{held}", time(measured.cpu))
}

/// Measures one history on both sides. A wrong verdict of either is an error; of the baseline, because the comparison would
/// be worth nothing.
fn line(corpus: &Corpus, case: &Case, side: Side, baseline: bool, goals: &[Goal]) -> Line {
    let mut line = Line {
        what: case.to_string(),
        ours: "-".to_owned(),
        theirs: "-".to_owned(),
        ratio: "-".to_owned(),
        pass: Some(false),
        wrong: None,
    };
    let truth = case.truth(corpus);
    let mut judge = |measured: &Result<Measured, String>, whose: &str| match (measured, &truth) {
        (Err(error), _) | (_, Err(error)) => line.wrong = Some(error.clone()),
        (Ok(measured), Ok(truth)) => {
            if measured.seen.verdict != *truth && measured.seen.verdict != Verdict::Unknown {
                line.wrong = Some(format!("{whose} verdict is {:?}, the truth {truth:?}", measured.seen.verdict));
            }
        }
    };
    let theirs = baseline.then(|| apart(corpus, Side::Theirs, case));
    if let Some(theirs) = &theirs {
        judge(theirs, "the baseline's");
    }
    let ours = apart(corpus, side, case);
    judge(&ours, "our");
    let theirs = theirs.and_then(Result::ok);
    if let Some(theirs) = &theirs {
        line.theirs = match theirs.bytes {
            Some(_) if theirs.seen.verdict == Verdict::Unknown && theirs.cpu.is_zero() => {
                "unknown, 5 GB spent".to_owned()
            }
            _ if theirs.seen.verdict == Verdict::Unknown => {
                format!("{} (limit {} s wall)", describe(case, theirs), BASELINE_MAX.as_secs())
            }
            _ => describe(case, theirs),
        };
    }
    if let Ok(ours) = ours {
        line.ours = describe(case, &ours);
        let decided = ours.seen.verdict != Verdict::Unknown;
        line.pass = Some(decided && goals.iter().all(|goal| reached(*goal, case, &ours, theirs.as_ref())));
        if let Some(theirs) = &theirs
            && !theirs.cpu.is_zero()
        {
            let least = if theirs.seen.verdict == Verdict::Unknown { "> " } else { "" };
            line.ratio = format!("{least}{:.1}", ratio_of(&ours, theirs));
        }
    }
    line
}

fn made(corpus: &Corpus, name: &str, baseline: bool, goals: &[Goal]) -> Line {
    line(corpus, &Case::made(name), Side::Ours, baseline, goals)
}

/// Every row of the table, in its order.
pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "etcd",
        class: "103 etcd logs",
        target: "verdict for verdict 200 x in total, no file slower, slowest <= 1 ms; counterexamples as in `core`",
        run: etcd,
    },
    Row {
        id: "kv",
        class: "key-value logs",
        target: "verdict for verdict 50 x on c50; counterexamples as in `core`, of all keys together",
        run: kv,
    },
    Row {
        id: "register-1e5",
        class: "register, 10^5 operations, c = 5",
        target: "200 x, <= 64 MB",
        run: |corpus| {
            let goals = [Goal::Faster(200.0), Goal::Bytes(64 * MB)];
            vec![made(corpus, "rw_n100000_c5_i0_s0_r1", true, &goals)]
        },
    },
    Row {
        id: "register-1e6",
        class: "register, 10^6, one key, c = 100, 1 % crashed, certificate verified",
        target: "<= 0.5 s, <= 128 B/operation",
        run: |corpus| {
            let goals = [Goal::Within(Duration::from_millis(500)), Goal::BytesPerOp(128)];
            let mut lines = vec![made(corpus, "rw_n1000000_c100_i0.01_s0_r1", true, &goals)];
            let goals = [goals[0], goals[1], Goal::Core(12)];
            lines.push(made(corpus, "rw_n1000000_c100_i0.01_s1_r1", true, &goals));
            lines
        },
    },
    Row {
        id: "mutex-1e6",
        class: "mutex, 10^6, c = 100",
        target: "<= 0.05 s",
        run: |corpus| {
            let goals = [Goal::Within(Duration::from_millis(50))];
            let names = ["lock_n1000000_c100_i0_s0_r1", "lock_n1000000_c100_i0.01_s1_r1"];
            names.map(|name| made(corpus, name, name.contains("_s0_"), &goals)).into()
        },
    },
    Row {
        id: "keys-1e6",
        class: "registers, 10^6 over 1,000 keys, c = 100, one core",
        target: "<= 0.15 s",
        run: |corpus| {
            vec![made(corpus, "kv_n1000000_c100_i0_s0_r1", true, &[Goal::Within(Duration::from_millis(150))])]
        },
    },
    Row {
        id: "cas5-c40",
        class: "cas-register, values 0 to 4, 1,000 operations, c = 40",
        target: "decided <= 1 s",
        run: |corpus| {
            let goals = [Goal::Within(Duration::from_secs(1))];
            (1..=5).map(|seed| made(corpus, &format!("cas5_n1000_c40_i0_s0_r{seed}"), seed == 1, &goals)).collect()
        },
    },
    Row {
        id: "cas5-c100",
        class: "the same, c = 100",
        target: "none; the baseline has no verdict",
        run: |corpus| (1..=3).map(|seed| made(corpus, &format!("cas5_n1000_c100_i0_s0_r{seed}"), false, &[])).collect(),
    },
    Row {
        id: "cas5-crashed",
        class: "the same, c = 5, 20 % crashed (the baseline's best case)",
        target: "not slower",
        run: |corpus| {
            let goals = [Goal::Faster(1.0)];
            (1..=5).map(|seed| made(corpus, &format!("cas5_n1000_c5_i0.2_s0_r{seed}"), true, &goals)).collect()
        },
    },
    Row {
        id: "casu-refused",
        class: "unique-value cas with failed cas, 10^4, c = 20, 1 % crashed",
        target: "decided <= 0.2 s",
        run: |corpus| {
            let goals = [Goal::Within(Duration::from_millis(200))];
            (1..=5).map(|seed| made(corpus, &format!("casu_n10000_c20_i0.01_s0_r{seed}"), seed == 1, &goals)).collect()
        },
    },
    Row { id: "stream", class: "streaming, 10^7 operations", target: ">= 1 M/s, <= 64 MB", run: stream::lines },
    Row {
        id: "core",
        class: "counterexample of every injected violation",
        target: "verified, <= 12 operations, <= 0.1 s with the check",
        run: cores,
    },
    Row { id: "unknown", class: "unique-value and lock histories up to 10^6", target: "no unknown", run: unknowns },
    Row {
        id: "limits",
        class: "a subset sum, told to stop after 0.2 s, or with 64 MB",
        target: "ends by its limit, <= 100 ms after the flag; <= 70 MB",
        run: limits::lines,
    },
];

/// What a counterexample must reach.
const COUNTEREXAMPLE: [Goal; 2] = [Goal::Core(12), Goal::Within(Duration::from_millis(100))];

/// Verdict for verdict, which is all that the baseline gives; and counterexamples apart.
fn kv(corpus: &Corpus) -> Vec<Line> {
    let logs = ["c01-ok", "c01-bad", "c10-ok", "c10-bad", "c50-ok", "c50-bad"];
    let goals = |log: &str| if log.starts_with("c50") { vec![Goal::Faster(50.0)] } else { Vec::new() };
    let verdicts = logs.map(|log| line(corpus, &Case::Kv(log.to_owned()), Side::Verdict, true, &goals(log)));
    let bad = logs.into_iter().filter(|log| log.ends_with("-bad"));
    let told = bad.map(|log| line(corpus, &Case::Kv(log.to_owned()), Side::Ours, false, &COUNTEREXAMPLE));
    verdicts.into_iter().chain(told).collect()
}

/// The logs' sums: of the verdict alone against the baseline's; and what it costs to give a verified counterexample, too.
fn etcd(corpus: &Corpus) -> Vec<Line> {
    let sides = [Side::Verdict, Side::Ours, Side::Theirs];
    let (mut wrong, mut times, mut cores) = (Vec::new(), Vec::new(), Vec::new());
    for number in corpus.etcd_logs() {
        let case = Case::Etcd(number);
        let truth = case.truth(corpus);
        let measured = sides.map(|side| apart(corpus, side, &case));
        for (side, measured) in sides.iter().zip(&measured) {
            match measured {
                Ok(measured) if Ok(measured.seen.verdict) == truth => {}
                Ok(measured) => wrong.push(format!("{case}, {side:?}: {:?}, truth {truth:?}", measured.seen.verdict)),
                Err(error) => wrong.push(error.clone()),
            }
        }
        if let [Ok(verdict), Ok(told), Ok(theirs)] = measured {
            times.push((number, [verdict.cpu, told.cpu, theirs.cpu]));
            if told.seen.verdict == Verdict::Illegal {
                cores.push(told.seen.core);
            }
        }
    }
    let total = |side: usize| times.iter().map(|(_, times)| times[side]).sum::<Duration>();
    let slowest = |side: usize| times.iter().map(|(_, times)| times[side]).max().unwrap_or_default();
    let slower = times.iter().filter(|(_, times)| times[0] > times[2]);
    let slower: Vec<String> =
        slower.map(|(number, times)| format!("{number:03} {} against {}", time(times[0]), time(times[2]))).collect();
    let ratio = total(2).as_secs_f64() / total(0).as_secs_f64().max(1e-9);
    let fast = ratio >= 200.0 && slower.is_empty() && slowest(0) <= Duration::from_millis(1);
    let verified = cores.iter().all(Option::is_some);
    let largest = cores.iter().flatten().max().copied().unwrap_or_default();
    let (illegal, most) = (cores.len(), slowest(1));
    vec![
        Line {
            what: format!("{} logs (095 is empty)", times.len()),
            ours: format!(
                "{}, slowest {}; {} slower than the baseline {slower:?}",
                time(total(0)),
                time(slowest(0)),
                slower.len()
            ),
            theirs: time(total(2)),
            ratio: format!("{ratio:.1}"),
            pass: Some(wrong.is_empty() && fast),
            wrong: (!wrong.is_empty()).then(|| wrong.join("; ")),
        },
        Line {
            what: format!("with the counterexamples of {illegal}"),
            ours: format!(
                "{}, slowest {}; {} verified, largest of {largest}",
                time(total(1)),
                time(most),
                if verified { "all" } else { "not all" }
            ),
            theirs: "no counterexamples".to_owned(),
            ratio: "-".to_owned(),
            pass: Some(wrong.is_empty() && verified && largest <= 12 && most <= Duration::from_millis(100)),
            wrong: None,
        },
    ]
}

/// Many histories in one line: how many did well, and the worst that was seen.
fn summary(corpus: &Corpus, what: &str, names: &[String], goals: &[Goal]) -> Vec<Line> {
    let mut lines = Vec::new();
    let (mut good, mut unknown, mut slowest, mut largest) = (0, 0, Duration::ZERO, 0);
    for name in names {
        let case = Case::made(name);
        let (truth, measured) = (case.truth(corpus), apart(corpus, Side::Ours, &case));
        let wrong = match (&measured, truth) {
            (Err(error), _) => Some(error.clone()),
            (Ok(measured), Ok(truth)) if [truth, Verdict::Unknown].contains(&measured.seen.verdict) => None,
            (Ok(measured), truth) => Some(format!("our verdict is {:?}, the truth {truth:?}", measured.seen.verdict)),
        };
        let mut pass = false;
        let mut ours = "-".to_owned();
        if let Ok(measured) = &measured {
            pass = wrong.is_none() && measured.seen.verdict != Verdict::Unknown;
            pass = pass && goals.iter().all(|goal| reached(*goal, &case, measured, None));
            unknown += u32::from(measured.seen.verdict == Verdict::Unknown);
            slowest = slowest.max(measured.cpu);
            largest = largest.max(measured.seen.core.unwrap_or_default());
            ours = describe(&case, measured);
        }
        good += u32::from(pass);
        if !pass {
            let (theirs, ratio) = ("-".to_owned(), "-".to_owned());
            lines.push(Line { what: name.clone(), ours, theirs, ratio, pass: Some(false), wrong });
        }
    }
    let core = if largest == 0 { String::new() } else { format!(", largest core {largest}") };
    let ours = format!("{good} as they should be, {unknown} unknown, slowest {}{core}", time(slowest));
    let (theirs, ratio) = ("-".to_owned(), "-".to_owned());
    let pass = Some(lines.is_empty());
    lines.insert(0, Line { what: format!("{} {what}", names.len()), ours, theirs, ratio, pass, wrong: None });
    lines
}

fn cores(corpus: &Corpus) -> Vec<Line> {
    let mut names = Vec::new();
    for kind in ["rw", "casu", "kv", "lock", "fence", "lease"] {
        for ops in [1_000, 10_000, 100_000] {
            for (clients, crash) in [(5, "0"), (5, "0.05"), (20, "0.01"), (20, "0.2"), (100, "0.01"), (100, "0.5")] {
                let seeds = if ops > 10_000 { 1..=1 } else { 1..=5 };
                names.extend(seeds.map(|seed| format!("{kind}_n{ops}_c{clients}_i{crash}_s1_r{seed}")));
            }
        }
    }
    summary(corpus, "histories", &names, &COUNTEREXAMPLE)
}

fn unknowns(corpus: &Corpus) -> Vec<Line> {
    let mut names = Vec::new();
    for kind in ["rw", "casu", "kv", "lock", "fence", "lease"] {
        for (ops, clients) in [(1_000, 5), (1_000, 100), (10_000, 20), (100_000, 20), (1_000_000, 100)] {
            for crash in ["0", "0.01", "0.2"] {
                for violation in [0, 1] {
                    names.push(format!("{kind}_n{ops}_c{clients}_i{crash}_s{violation}_r1"));
                }
            }
        }
    }
    summary(corpus, "histories", &names, &[])
}
