//! The bytes of a command, which every entry carries and every follower, disk and state machine gets a copy of.
//!
//! Few of them stand in the value itself, so that copying an entry with a short command asks nothing of the allocator; more stand on the
//! heap. Nobody who reads or writes them down can tell the difference.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many bytes stand in the value itself: as many as leave it as long as a vector.
const SHORT: usize = 22;

/// Bytes that only the shell's state machine understands.
#[derive(Clone)]
pub struct CommandBytes(Held);

#[derive(Clone)]
enum Held {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Box<[u8]>),
}

impl From<&[u8]> for CommandBytes {
    fn from(given: &[u8]) -> Self {
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..given.len()), u8::try_from(given.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(given);
                Self(Held::Short { length, bytes })
            }
            (None, _) | (_, Err(_)) => Self(Held::Long(given.into())),
        }
    }
}

impl From<Vec<u8>> for CommandBytes {
    fn from(given: Vec<u8>) -> Self {
        if given.len() > SHORT { Self(Held::Long(given.into_boxed_slice())) } else { Self::from(given.as_slice()) }
    }
}

impl Deref for CommandBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Held::Short { length, bytes } => &bytes[..usize::from(*length)],
            Held::Long(bytes) => bytes,
        }
    }
}

impl PartialEq for CommandBytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for CommandBytes {}

impl fmt::Debug for CommandBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl Serialize for CommandBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CommandBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_whether_they_are_few_or_many() {
        for length in [0, 1, SHORT - 1, SHORT, SHORT + 1, 255, 256, 1_000] {
            let given: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            let bytes = CommandBytes::from(given.clone());
            assert_eq!(*bytes, *given);
            assert_eq!(bytes, CommandBytes::from(given.as_slice()));
            assert_eq!(format!("{bytes:?}"), format!("{given:?}"));
        }
        assert_eq!(size_of::<CommandBytes>(), size_of::<Vec<u8>>());
    }
}
