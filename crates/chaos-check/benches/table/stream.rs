//! Histories of ten million operations, judged as they come and never kept.
//!
//! The generator makes some thousand events at a time, outside of what is measured, and the stream is fed with them. Bytes are
//! those of the stream at its peak, the batch of events aside.

use std::collections::VecDeque;
use std::process::{Command, Stdio};
use std::time::Duration;

use chaos_check::linear::Budget;
use chaos_check::linear::engine::Frontier;
use chaos_check::linear::engine::stream::Halt;
use chaos_check::linear::models::{ABSENT, Register, RegisterOp};
use chaos_check::linear::online::{Answer, Invocation, RegisterStream, Seen as StreamSeen};

use crate::corpus::Corpus;
use crate::generate::Spec;
use crate::generate::register::Question;
use crate::generate::simulation::{Event, Happening};
use crate::measure::{Measured, Verdict, cpu_now};
use crate::rows::Line;
use crate::sys;
use crate::text::{bytes, time};

const BATCH: usize = 10_000;
const BYTES_MAX: u64 = 64 << 20;
const OPS_PER_SECOND_MIN: f64 = 1e6;
/// Which stream, and of what.
const STREAMS: [(&str, &str); 3] = [
    ("engine", "cas5_n10000000_c5_i0_s0_r1"),
    ("register", "rw_n10000000_c5_i0_s0_r1"),
    ("register", "rw_n10000000_c100_i0_s1_r1"),
];

type RegisterEvent = Event<RegisterOp, Question>;

/// In a process of its own: feeds a stream.
pub(crate) fn here(which: &str, name: &str) -> Result<Measured, String> {
    let spec: Spec = name.parse()?;
    let model = Register;
    match which {
        "engine" => {
            let budget = Budget { configurations: u64::MAX, ..Budget::default() };
            let mut frontier = Frontier::new(&model, budget);
            let mut tickets = VecDeque::new();
            let mut first = 0_u32;
            Ok(feed(&spec, |event| {
                if let Happening::Invoked(_) = event.what {
                    tickets.push_back(Some(frontier.invoke()));
                    return Verdict::Ok;
                }
                let ticket = tickets[(event.op - first) as usize].take().expect("an operation ends once");
                while tickets.front().is_some_and(Option::is_none) {
                    tickets.pop_front();
                    first += 1;
                }
                let judged = match event.what {
                    Happening::Answered(what) => frontier.answer(ticket, what),
                    Happening::Crashed(what) => frontier.lose(ticket, what),
                    Happening::Invoked(_) => Ok(()),
                };
                match judged {
                    Ok(()) => Verdict::Ok,
                    Err(Halt::Violation { .. }) => Verdict::Illegal,
                    Err(Halt::Spent { .. }) => Verdict::Unknown,
                }
            }))
        }
        "register" => {
            let mut stream: RegisterStream<u32> = RegisterStream::new();
            Ok(feed(&spec, |event| registered(&mut stream, event)))
        }
        _ => Err(format!("there is no stream `{which}`")),
    }
}

fn registered(stream: &mut RegisterStream<u32>, event: &RegisterEvent) -> Verdict {
    let content = |value: u32| (value != ABSENT).then_some(value);
    let operation = u64::from(event.op);
    let seen = match event.what {
        Happening::Invoked(question) => {
            let what = match question {
                Question::Read { .. } => Invocation::Read,
                Question::Write(new) => Invocation::Write(content(new)),
                Question::Cas { expect, new } => Invocation::Cas { expect: content(expect), new: content(new) },
            };
            stream.invoke(event.at, operation, what)
        }
        Happening::Answered(what) => {
            let answer = match what {
                RegisterOp::Read(seen) => Answer::Saw(content(seen)),
                RegisterOp::Write(_) | RegisterOp::Cas { .. } => Answer::Done,
                RegisterOp::Refused { .. } | RegisterOp::Ousted { .. } => Answer::Refused,
            };
            stream.answer(event.at, operation, answer)
        }
        Happening::Crashed(_) => stream.answer(event.at, operation, Answer::Unknown),
    };
    match seen.expect("the events are a history's") {
        StreamSeen::Nothing => Verdict::Ok,
        StreamSeen::Violation(_) => Verdict::Illegal,
        StreamSeen::Repeated(_) => Verdict::Unknown,
    }
}

/// Feeds all of a history, or as much as it takes to the first other verdict than `Ok`.
fn feed(spec: &Spec, mut judge: impl FnMut(&RegisterEvent) -> Verdict) -> Measured {
    let mut events = spec.registers();
    let mut batch = Vec::with_capacity(BATCH);
    let (mut cpu, mut verdict) = (Duration::ZERO, Verdict::Ok);
    let peak = sys::Peak::begin();
    while verdict == Verdict::Ok {
        batch.clear();
        peak.pause(|| batch.extend(events.by_ref().take(BATCH)));
        if batch.is_empty() {
            break;
        }
        let begin = cpu_now();
        verdict = batch.iter().map(&mut judge).find(|verdict| *verdict != Verdict::Ok).unwrap_or(Verdict::Ok);
        cpu += cpu_now().saturating_sub(begin);
    }
    Measured { seen: verdict.into(), cpu, bytes: Some(peak.end()) }
}

fn line((which, name): (&str, &str)) -> Line {
    let (theirs, ratio) = ("-".to_owned(), "-".to_owned());
    let what = format!("{which}, {name}");
    let run = || {
        let spec: Spec = name.parse()?;
        let program = std::env::current_exe().map_err(|error| format!("can't find this program: {error}"))?;
        let output = Command::new(program).args(["--stream", which, name]).stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| format!("can't start a process: {error}"))?;
        let measured: Measured = String::from_utf8_lossy(&output.stdout).trim().parse()?;
        Ok::<_, String>((spec, measured))
    };
    match run() {
        Err(error) => Line { what, ours: "-".to_owned(), theirs, ratio, pass: Some(false), wrong: Some(error) },
        Ok((spec, measured)) => {
            let truth = if spec.violation { Verdict::Illegal } else { Verdict::Ok };
            // A violation stands in the middle, and nothing is read behind it.
            let ops = f64::from(spec.ops) / if spec.violation { 2.0 } else { 1.0 };
            let speed = ops / measured.cpu.as_secs_f64();
            let held = measured.bytes.unwrap_or(u64::MAX);
            let verdict = measured.seen.verdict;
            let wrong = verdict != truth && verdict != Verdict::Unknown;
            Line {
                what,
                ours: format!(
                    "{verdict:?}, {}, {:.2} M operations/s, {}",
                    time(measured.cpu),
                    speed / 1e6,
                    bytes(held)
                ),
                theirs,
                ratio,
                pass: Some(verdict == truth && speed >= OPS_PER_SECOND_MIN && held <= BYTES_MAX),
                wrong: wrong.then(|| format!("the truth is {truth:?}")),
            }
        }
    }
}

/// The lines of all streams.
pub(crate) fn lines(_corpus: &Corpus) -> Vec<Line> {
    STREAMS.into_iter().map(line).collect()
}
