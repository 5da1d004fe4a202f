//! A driver's options: taken by name, each once; what is left over is a mistake of the definition or the workload.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ClientError, ClientSetup};

/// The options of one driver while it is opened.
pub(crate) struct Options<'a> {
    driver: &'a str,
    given: &'a BTreeMap<String, String>,
}

impl<'a> Options<'a> {
    /// The setup's options, if the driver knows them all.
    ///
    /// # Errors
    /// If it doesn't.
    pub(crate) fn of(setup: &'a ClientSetup, known: &[&str]) -> Result<Self, ClientError> {
        match setup.options.keys().find(|option| !known.contains(&option.as_str())) {
            None => Ok(Self { driver: &setup.driver, given: &setup.options }),
            Some(option) => Err(ClientError::UnknownOption {
                driver: setup.driver.clone(),
                option: option.clone(),
                meant: chaos_plan::nearest(option, known.iter().copied()).map(str::to_owned),
                known: known.iter().map(|&name| name.to_owned()).collect(),
            }),
        }
    }

    /// An option's text, if it is given.
    pub(crate) fn text(&self, option: &str) -> Option<&'a str> {
        self.given.get(option).map(String::as_str)
    }

    /// One of several words; the first is the default.
    pub(crate) fn word<T: Copy>(&self, option: &str, words: &[(&str, T)]) -> Result<T, ClientError> {
        let Some(text) = self.text(option) else { return Ok(words[0].1) };
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
        let names: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        found.ok_or_else(|| self.bad(option, &format!("one of {}", names.join(", "))))
    }

    /// A whole number within bounds.
    pub(crate) fn number(&self, option: &str, min: u64, max: u64, default: u64) -> Result<u64, ClientError> {
        let Some(text) = self.text(option) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| (min..=max).contains(number));
        number.ok_or_else(|| self.bad(option, &format!("a whole number from {min} to {max}")))
    }

    /// A duration in whole milliseconds or seconds, written as `1500ms` or `2s`.
    pub(crate) fn duration(&self, option: &str, default: Duration) -> Result<Duration, ClientError> {
        let Some(text) = self.text(option) else { return Ok(default) };
        let parsed = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
            (Some(digits), _) => digits.parse().ok().map(Duration::from_millis),
            (None, Some(digits)) => digits.parse().ok().map(Duration::from_secs),
            (None, None) => None,
        };
        let parsed = parsed.filter(|duration| !duration.is_zero());
        parsed.ok_or_else(|| self.bad(option, "a duration above zero such as `1500ms` or `2s`"))
    }

    /// The error of an option whose value makes no sense.
    pub(crate) fn bad(&self, option: &str, expected: &str) -> ClientError {
        ClientError::BadOption {
            driver: self.driver.to_owned(),
            option: option.to_owned(),
            value: self.text(option).unwrap_or_default().to_owned(),
            expected: expected.to_owned(),
        }
    }
}
