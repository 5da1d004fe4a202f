//! A run that came to nothing, as whoever tried it wrote it down: `not-run.txt`.
//!
//! ```text
//! system: rabbitmq
//! version: 3.10.8
//! profile: fast
//! fault: kill
//! reason: not installed: scripts/systems/install rabbitmq@3.10.8
//! ```
//!
//! Lines of `key: value`, so that a shell script can write it; `version` may be left out or empty, the other keys may not. The
//! text is foreign: the renderings escape it.

/// A system that could not be run under a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotRun {
    /// The system's name.
    pub system: String,
    /// The version that was wanted, if one was.
    pub version: Option<String>,
    /// The tuning profile.
    pub profile: String,
    /// The workload's name.
    pub fault: String,
    /// Why.
    pub reason: String,
}

/// Why a text is no [`NotRun`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNotRun {
    /// A key is missing, or nothing follows it.
    #[error("no line `{0}: …`")]
    Missing(&'static str),
    /// A line is none of the known ones.
    #[error("line {number} is not understood: `{text}`")]
    Line {
        /// The line's number, from 1.
        number: usize,
        /// The line.
        text: String,
    },
}

impl NotRun {
    /// Reads `not-run.txt`.
    ///
    /// # Errors
    /// If a key is missing, or a line is no known key with a value.
    pub fn read(text: &str) -> Result<Self, BadNotRun> {
        let (mut system, mut version, mut profile, mut fault, mut reason) = (None, None, None, None, None);
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let odd = || BadNotRun::Line { number: index + 1, text: line.to_owned() };
            let (key, value) = line.split_once(':').ok_or_else(odd)?;
            let slot = match key {
                "system" => &mut system,
                "version" => &mut version,
                "profile" => &mut profile,
                "fault" => &mut fault,
                "reason" => &mut reason,
                _ => return Err(odd()),
            };
            *slot = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        }
        Ok(Self {
            system: system.ok_or(BadNotRun::Missing("system"))?,
            version,
            profile: profile.ok_or(BadNotRun::Missing("profile"))?,
            fault: fault.ok_or(BadNotRun::Missing("fault"))?,
            reason: reason.ok_or(BadNotRun::Missing("reason"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_script_writes_is_read() {
        let text = "system: etcd\nversion:\nprofile: fast\nfault: kill\nreason: not installed: do: this\n";
        let read = NotRun::read(text).unwrap();
        assert_eq!((read.system.as_str(), read.version.as_deref()), ("etcd", None));
        assert_eq!(read.reason, "not installed: do: this");
    }

    #[test]
    fn what_is_missing_or_odd_is_named() {
        let missing = NotRun::read("system: etcd\nprofile: fast\nfault: kill\nreason:  \n");
        assert_eq!(missing, Err(BadNotRun::Missing("reason")));
        let odd = NotRun::read("system: etcd\nwhat is this\n").unwrap_err();
        assert_eq!(odd.to_string(), "line 2 is not understood: `what is this`");
    }
}
