//! `chaos check PATH…`: run directories as `judge` does it, and histories of any tool as files.
//!
//! The libraries have no clock and no files: reading, the deadline and printing are here. Whatever stands in a file reaches
//! the terminal through [`shown`] only.

use std::fs;
use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use chaos_check::linear::Budget;
use chaos_check::linear::explain::Explanation;
use chaos_foreign::{Certificate, FailedCas, Finding, Format, Judged, Keys, Kind, Options, Outcome, Parsed, Rechecked};
use chaos_history::History;

use crate::args::CheckArguments;
use crate::failure::Failure;
use crate::{judge, show};

/// The exit codes of a file.
const VALID: u8 = 0;
const INVALID: u8 = 1;
const UNKNOWN: u8 = 2;

/// How many objects are listed in detail.
const LISTED_MAX: usize = 20;

/// `chaos check PATH…`.
pub(crate) fn check(arguments: &CheckArguments) -> Result<ExitCode, Failure> {
    let mistake = |what: &str| Err(Failure::Refused(anyhow!("{what}")));
    if arguments.certificate.is_some() {
        match &arguments.paths[..] {
            [path] if path.is_dir() => return mistake("--certificate is about a file; a run directory has none"),
            [_] => {}
            _ => return mistake("--certificate is about one file: give one path"),
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let (deadline, patience) = (arguments.deadline, Arc::clone(&stop));
    // It ends with the process, at the latest.
    std::thread::spawn(move || {
        std::thread::sleep(deadline);
        patience.store(true, Ordering::Relaxed);
    });
    let mut worst = VALID;
    for path in &arguments.paths {
        let done = if path.is_dir() { judge::check(path) } else { check_file(path, arguments, &stop) };
        let code = match done {
            Ok(code) => code,
            Err(failure) if arguments.paths.len() == 1 => return Err(failure),
            Err(failure) => failure.tell(std::io::stderr().is_terminal()),
        };
        worst = worse(worst, code);
    }
    Ok(ExitCode::from(worst))
}

/// The exit code of two paths: a violation is one whatever else is wrong, then what could not be judged at all.
fn worse(a: u8, b: u8) -> u8 {
    let rank = |code: u8| match code {
        INVALID => u8::MAX,
        UNKNOWN => 4,
        _ => code,
    };
    if rank(a) >= rank(b) { a } else { b }
}

fn check_file(path: &Path, arguments: &CheckArguments, stop: &AtomicBool) -> Result<u8, Failure> {
    let begun = Instant::now();
    let parsed = read(path, arguments)?;
    let threads = arguments.threads.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let name = shown(&path.display().to_string(), 400);
    let mut out = String::new();
    let code = match &arguments.certificate {
        Some(file) if arguments.verify => {
            let text = fs::read(file).with_context(|| format!("read {}", file.display())).map_err(Failure::Refused)?;
            let in_file = || file.display().to_string();
            let certificate = Certificate::from_json(&text).with_context(in_file).map_err(Failure::Refused)?;
            let rechecked = chaos_foreign::recheck(&parsed, &certificate, threads);
            let rechecked = rechecked.with_context(in_file).map_err(Failure::Refused)?;
            let code = code_of_recheck(&rechecked);
            out.push_str(&format!("{name}: {}\n", word(code)));
            tell_reading(&parsed, &mut out);
            tell_recheck(&rechecked, &mut out);
            code
        }
        certificate => {
            let budget = Budget {
                configurations: u64::MAX,
                bytes: arguments.memory / threads.get().min(parsed.objects.len().max(1)),
                stop: Some(stop),
            };
            let judged =
                chaos_foreign::judge(&parsed, &budget, threads).map_err(|why| Failure::Refused(anyhow!(why)))?;
            if let Some(file) = certificate {
                write_new(file, &Certificate::new(&parsed, &judged).to_json())?;
            }
            let code = code_of(&judged);
            out.push_str(&format!("{name}: {}\n", word(code)));
            tell_reading(&parsed, &mut out);
            tell_verdicts(&judged, arguments.verify, &mut out);
            if let Some(file) = certificate {
                out.push_str(&format!("  certificate written to {}\n", shown(&file.display().to_string(), 400)));
            }
            code
        }
    };
    out.push_str(&format!("  {:.1} ms\n", begun.elapsed().as_secs_f64() * 1e3));
    show::print(&out);
    Ok(code)
}

fn read(path: &Path, arguments: &CheckArguments) -> Result<Parsed, Failure> {
    let file = || path.display().to_string();
    let content = fs::read(path).with_context(|| format!("read {}", path.display())).map_err(Failure::Refused)?;
    let options = Options {
        format: arguments.format,
        kind: arguments.model,
        failed_cas: arguments.failed_cas,
        keys: arguments.keys,
        initial: Some(arguments.initial.clone()),
    };
    let ours = || content.starts_with(b"{\"chaos_history\"");
    let parsed = if arguments.format == Some(Format::Chaos) || (arguments.format.is_none() && ours()) {
        let forced = arguments.model.is_some() || arguments.failed_cas.is_some() || arguments.keys.is_some();
        if forced || arguments.initial != "nil" {
            let what =
                "a history of chaos says itself what it is: leave out --model, --failed-cas, --keys and --initial";
            return Err(Failure::Refused(anyhow!(what).context(file())));
        }
        let history = History::read(path).map_err(Failure::refused)?;
        chaos_foreign::from_history(&history)
    } else {
        chaos_foreign::parse(&content, &options)
    };
    parsed.map_err(|error| {
        let place = error.line().map_or_else(file, |line| format!("{}:{line}", path.display()));
        let text = error.to_string();
        let what = text.strip_prefix(&format!("line {}: ", error.line().unwrap_or_default())).unwrap_or(&text);
        Failure::Refused(anyhow!("{}: {}", shown(&place, 400), shown(what, 800)))
    })
}

/// Writes a file that must not be there yet: it may be somebody's proof.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write;
    fs::File::create_new(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("write {} (to check a certificate that exists, add --verify)", path.display()))
        .map_err(Failure::Refused)
}

fn code_of(judged: &[Judged]) -> u8 {
    let codes = judged.iter().map(|judged| match judged.outcome {
        Outcome::Linearizable(_) => VALID,
        Outcome::Violation { .. } => INVALID,
        Outcome::Undecided { .. } => UNKNOWN,
    });
    codes.reduce(worse).unwrap_or(UNKNOWN)
}

fn code_of_recheck(rechecked: &[Rechecked]) -> u8 {
    let codes = rechecked.iter().map(|rechecked| match rechecked.finding {
        Finding::Replayed(_) => VALID,
        Finding::Refuted(_) => INVALID,
        Finding::TooMany(_) | Finding::NothingClaimed(_) | Finding::DoesNotHold(_) => UNKNOWN,
    });
    codes.reduce(worse).unwrap_or(UNKNOWN)
}

fn word(code: u8) -> &'static str {
    match code {
        VALID => "valid: linearizable",
        INVALID => "invalid: not linearizable",
        _ => "unknown",
    }
}

/// How the history was read: what a verdict rests on.
fn tell_reading(parsed: &Parsed, out: &mut String) {
    let counts = &parsed.counts;
    let objects = match parsed.keys {
        Keys::None => "one object".to_owned(),
        Keys::Pairs | Keys::Field => counted(parsed.objects.len() as u64, "key"),
    };
    out.push_str(&format!("  read as {}, {}, {objects}\n", parsed.format, parsed.kind));
    let mut unanswered = String::new();
    if counts.used_unanswered > 0 {
        unanswered = format!(" ({} of them without an answer)", counts.used_unanswered);
    }
    let (operations, lines) = (counted(counts.operations, "operation"), counted(counts.lines as u64, "line"));
    out.push_str(&format!("  {operations} in {lines}: {} used{unanswered}", counts.used));
    for (count, what) in [(counts.did_not_happen, "did not happen"), (counts.unknown_reads, "reads without an answer")]
    {
        if count > 0 {
            out.push_str(&format!(", {count} {what}"));
        }
    }
    if counts.foreign + counts.other_lines > 0 {
        out.push_str(&format!(
            "; {} of others left out",
            counted(counts.foreign + counts.other_lines, "event or line")
        ));
    }
    out.push('\n');
    if parsed.torn {
        out.push_str("  the last line or form is cut off, and left out\n");
    }
    for rule in &parsed.rules {
        out.push_str(&format!("  · {}\n", shown(rule, 400)));
    }
}

fn tell_verdicts(judged: &[Judged], verify: bool, out: &mut String) {
    let (mut linearizable, mut violated, mut undecided, mut listed) = (0_u64, 0_u64, 0_u64, 0);
    let (mut replayed, mut tried, mut trusted) = (0_u64, 0_u64, 0_u64);
    for Judged { key, operations, outcome } in judged {
        let name = key.as_ref().map_or_else(String::new, |key| format!("key {}: ", shown(key, 80)));
        match outcome {
            Outcome::Linearizable(order) => {
                linearizable += 1;
                replayed += order.len() as u64;
                continue;
            }
            Outcome::Violation { .. } => violated += 1,
            Outcome::Undecided { .. } => undecided += 1,
        }
        listed += 1;
        match outcome {
            Outcome::Linearizable(_) => {}
            Outcome::Violation { core, verified, explanation } => {
                *(if *verified { &mut tried } else { &mut trusted }) += core.len() as u64;
                if listed > LISTED_MAX {
                    continue;
                }
                let how = if *verified {
                    "the verifier tried all their orders"
                } else {
                    "too many orders to re-check independently; the engine's word"
                };
                tell_explanation(explanation, out);
                let count = core.len();
                out.push_str(&format!("    {name}{count} of {operations} operations have no legal order ({how})\n"));
            }
            Outcome::Undecided { why } if listed <= LISTED_MAX => {
                out.push_str(&format!("  {name}undecided, {operations} operations: {}\n", shown(why, 400)));
            }
            Outcome::Undecided { .. } => {}
        }
    }
    if violated > 0 {
        out.push('\n');
    }
    if listed > LISTED_MAX {
        out.push_str(&format!("  … and {} more that are not linearizable or undecided\n", listed - LISTED_MAX));
    }
    let objects = counted(judged.len() as u64, "object");
    out.push_str(&format!("  {objects}: {linearizable} linearizable, {violated} not, {undecided} undecided\n"));
    if verify {
        let (replayed, tried) = (counted(replayed, "operation"), counted(tried, "operation"));
        out.push_str(&format!(
            "  checked again: {replayed} in orders re-played, {tried} in counterexamples refuted by trying all orders\n"
        ));
        if trusted > 0 {
            let trusted = counted(trusted, "operation");
            out.push_str(&format!("  not checked again: {trusted} in counterexamples with too many orders\n"));
        }
    } else {
        let certificate = counted(replayed + tried + trusted, "operation");
        out.push_str(&format!("  certificate: {certificate} in orders and counterexamples\n"));
    }
}

/// The sentence, the argument, the drawing.
fn tell_explanation(explanation: &Explanation, out: &mut String) {
    out.push_str(&format!("\n  {}\n", shown(&explanation.sentence, 800)));
    for (number, step) in (1..).zip(&explanation.steps) {
        out.push_str(&format!("    {number:>2}. {}\n", shown(step, 1_200)));
    }
    let mut picture = explanation.picture.clone();
    // Made harmless before they are laid out, so that columns stay in line; and once more as lines.
    for bar in &mut picture.bars {
        (bar.lane, bar.label) = (shown(&bar.lane, 80), shown(&bar.label, 80));
    }
    for line in picture.to_ascii().lines() {
        out.push_str(&format!("    {}\n", shown(line, 400)));
    }
}

fn tell_recheck(rechecked: &[Rechecked], out: &mut String) {
    let (mut replayed, mut refuted, mut listed) = ((0_u64, 0_u64), (0_u64, 0_u64), 0);
    for Rechecked { key, operations, finding } in rechecked {
        let name = key.as_ref().map_or_else(String::new, |key| format!("key {}: ", shown(key, 80)));
        let line = match finding {
            Finding::Replayed(count) => {
                replayed = (replayed.0 + 1, replayed.1 + *count as u64);
                continue;
            }
            Finding::Refuted(count) => {
                refuted = (refuted.0 + 1, refuted.1 + *count as u64);
                format!("not linearizable: all orders of {count} of {operations} operations tried, none is legal")
            }
            Finding::TooMany(count) => {
                format!(
                    "claimed not to be linearizable: too many orders of {count} operations to check; a claim, no proof"
                )
            }
            Finding::NothingClaimed(why) => format!("nothing is proved: {why}"),
            Finding::DoesNotHold(why) => format!("THE CLAIM DOES NOT HOLD: {why}"),
        };
        listed += 1;
        if listed <= LISTED_MAX {
            out.push_str(&format!("  {name}{}\n", shown(&line, 400)));
        }
    }
    if listed > LISTED_MAX {
        out.push_str(&format!("  … and {} more\n", listed - LISTED_MAX));
    }
    out.push_str(&format!(
        "  claims that hold: {} linearizable ({} in orders re-played), {} not ({} in counterexamples refuted)\n",
        replayed.0,
        counted(replayed.1, "operation"),
        refuted.0,
        counted(refuted.1, "operation"),
    ));
}

fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Text of a file as one line that can't steer a terminal, cut to `chars_max`.
fn shown(text: &str, chars_max: usize) -> String {
    let mut out = String::new();
    for (place, c) in text.chars().enumerate() {
        if place == chars_max {
            out.push('…');
            break;
        }
        // Controls, and what turns the direction of writing or can't be seen.
        let hidden =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if c.is_control() || hidden {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// One of `all` by its name.
fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str, text: &str) -> Result<T, String> {
    all.iter().copied().find(|one| name(*one) == text).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|one| name(*one)).collect();
        format!("choose one of {}", names.join(", "))
    })
}

pub(crate) fn format(text: &str) -> Result<Format, String> {
    named(&Format::ALL, Format::name, text)
}

pub(crate) fn kind(text: &str) -> Result<Kind, String> {
    named(&Kind::ALL, Kind::name, text)
}

pub(crate) fn failed_cas(text: &str) -> Result<FailedCas, String> {
    named(&[FailedCas::SawAnother, FailedCas::DidNotHappen], FailedCas::name, text)
}

pub(crate) fn keys(text: &str) -> Result<Keys, String> {
    named(&[Keys::None, Keys::Pairs, Keys::Field], Keys::name, text)
}

/// A duration such as `60s` or `10m`.
pub(crate) fn deadline(text: &str) -> Result<Duration, String> {
    let read: Option<jiff::SignedDuration> = text.parse().ok();
    let duration = read.and_then(|duration| Duration::try_from(duration).ok()).filter(|duration| !duration.is_zero());
    duration.ok_or_else(|| "a time above zero with its unit, such as 500ms, 60s or 10m".to_owned())
}

/// A size such as `256MiB`.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: Option<usize> = match unit.trim() {
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        "kB" => Some(1_000),
        "MB" => Some(1_000_000),
        "GB" => Some(1_000_000_000),
        _ => None,
    };
    let size = number.parse::<usize>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    size.filter(|size| *size > 0).ok_or_else(|| "a size with its unit, such as 256MiB or 1GiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_outranks_everything_and_a_refusal_what_is_unknown() {
        for (codes, expect) in [
            (&[0, 2, 1, 254][..], 1),
            (&[0, 2, 254], 254),
            (&[3, 2, 0], 2),
            (&[0, 3], 3),
            (&[0], 0),
            (&[255, 254], 255),
        ] {
            assert_eq!(codes.iter().copied().fold(VALID, worse), expect, "{codes:?}");
        }
    }

    #[test]
    fn what_a_file_says_never_steers_the_terminal() {
        assert_eq!(shown("a\u{1b}[2J\n\u{202e}b", 80), "a\\u{1b}[2J\\u{a}\\u{202e}b");
        assert_eq!(shown("abcdef", 3), "abc…");
    }

    #[test]
    fn sizes_and_times_need_units() {
        assert_eq!((size("1GiB"), size("256 MiB"), size("3kB")), (Ok(1 << 30), Ok(256 << 20), Ok(3_000)));
        for text in ["1", "GiB", "0GiB", "-1GiB", "99999999999999999999GiB", "18446744073709551615GiB", "1 gib"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!((deadline("60s"), deadline("1m 30s")), (Ok(Duration::from_secs(60)), Ok(Duration::from_secs(90))));
        for text in ["60", "0s", "-1s", "", "soon"] {
            assert!(deadline(text).is_err(), "{text}");
        }
    }
}
