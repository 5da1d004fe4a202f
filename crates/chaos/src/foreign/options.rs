//! The options of `chaos check` that are about files: how they are read, and which of them have no effect.

use std::num::NonZeroUsize;
use std::time::Duration;

use chaos_foreign::{FailedCas, Format, Keys, Kind};

use crate::args::CheckArguments;

/// How long searches may take, if the user doesn't say.
const DEADLINE: Duration = Duration::from_secs(600);
/// How much memory they may use.
const MEMORY: usize = 1 << 30;

impl CheckArguments {
    /// The options given that are about files, as the user wrote them.
    pub(super) fn about_files(&self) -> Vec<&'static str> {
        let given = [
            ("--format", self.format.is_some()),
            ("--model", self.model.is_some()),
            ("--failed-cas", self.failed_cas.is_some()),
            ("--keys", self.keys.is_some()),
            ("--initial", self.initial.is_some()),
            ("--verify", self.verify),
            ("--certificate", self.certificate.is_some()),
            ("--deadline", self.deadline.is_some()),
            ("--memory", self.memory.is_some()),
            ("--threads", self.threads.is_some()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(option, _)| option).collect()
    }

    pub(super) fn patience(&self) -> Duration {
        self.deadline.unwrap_or(DEADLINE)
    }

    pub(super) fn bytes(&self) -> usize {
        self.memory.unwrap_or(MEMORY)
    }

    pub(super) fn processors(&self) -> NonZeroUsize {
        self.threads.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
    }
}

/// A time as an option has it.
pub(super) fn time(duration: Duration) -> String {
    if duration.as_secs() >= 60 && duration.as_secs().is_multiple_of(60) && duration.subsec_nanos() == 0 {
        format!("{}m", duration.as_secs() / 60)
    } else {
        format!("{duration:?}")
    }
}

/// A size as an option has it.
pub(super) fn bytes(size: usize) -> String {
    let unit =
        [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")].into_iter().find(|(unit, _)| size.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{size} bytes"), |(unit, name)| format!("{}{name}", size / unit))
}

/// A number of threads.
pub(crate) fn threads(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "a number of threads, 1 or more".to_owned())
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

    #[test]
    fn sizes_and_times_are_told_as_they_are_given() {
        for text in ["1GiB", "256MiB", "3KiB"] {
            assert_eq!(bytes(size(text).unwrap()), text);
        }
        for text in ["10m", "1ms", "90s"] {
            assert_eq!(time(deadline(text).unwrap()), text);
        }
        assert!(threads("0").is_err() && threads("1").is_ok());
    }
}
