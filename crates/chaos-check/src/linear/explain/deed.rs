//! What an operation did, as the stories about a counterexample need it: values are words already.

use crate::text::grouped;

/// What an operation did, or was asked to do if it has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A register's content, `None` if it had none.
    Read {
        /// What it saw.
        saw: Option<String>,
    },
    /// A register's new content.
    Write {
        /// What it left.
        value: String,
    },
    /// A content replaced by another.
    Cas {
        /// What it saw.
        expect: Option<String>,
        /// What it left.
        new: String,
    },
    /// A content not replaced, since it was another.
    Refused {
        /// What it did not see.
        expect: Option<String>,
        /// What it would have left.
        new: String,
        /// What it saw, if it told.
        saw: Option<String>,
    },
    /// A lock or lease granted.
    Acquire {
        /// The fencing token that came with it.
        token: Option<String>,
        /// When the grant ends by itself.
        until: Option<String>,
    },
    /// A lock or lease given back.
    Release {
        /// The fencing token that it was granted with.
        token: Option<String>,
    },
    /// An element put into a set.
    Add {
        /// The element.
        element: String,
    },
    /// An element taken out of a set.
    Remove {
        /// The element.
        element: String,
    },
    /// All elements of a set.
    Elements {
        /// What it saw, as far as it is told.
        seen: Vec<String>,
        /// How many more it saw that are of no matter and not told.
        others: usize,
    },
    /// An element put at the end of a log or list.
    Append {
        /// The element.
        element: String,
    },
    /// All elements of a log or list, first to last.
    Sequence {
        /// What it saw.
        seen: Vec<String>,
    },
    /// An element put into a queue.
    Enqueue {
        /// The element.
        element: String,
    },
    /// An element taken from a queue, `None` if it was found empty.
    Dequeue {
        /// What it got.
        element: Option<String>,
    },
    /// Anything else, in the caller's words.
    Other {
        /// As an order: `take 3 permits`.
        order: String,
        /// As a fact: `took 3 permits`.
        fact: String,
    },
}

/// More elements than these are counted and not listed.
const LISTED_MAX: usize = 6;

impl Deed {
    /// In the past tense of the answer: `read 7`.
    #[must_use]
    pub fn fact(&self) -> String {
        match self {
            Self::Read { saw } => format!("read {}", content(saw.as_ref())),
            Self::Write { value } => format!("wrote {value}"),
            Self::Cas { expect, new } => format!("replaced {} by {new}", content(expect.as_ref())),
            Self::Refused { expect, new, saw } => {
                let seeing = saw.as_ref().map_or(String::new(), |saw| format!(", seeing {saw}"));
                format!("refused to replace {} by {new}{seeing}", content(expect.as_ref()))
            }
            Self::Acquire { token, until } => {
                let token = token.as_ref().map_or(String::new(), |token| format!(" with token {token}"));
                let until = until.as_ref().map_or(String::new(), |until| format!(" until {until}"));
                format!("was granted it{token}{until}")
            }
            Self::Release { .. } => "released it".to_owned(),
            Self::Add { element } => format!("added {element}"),
            Self::Remove { element } => format!("removed {element}"),
            Self::Elements { seen, others } => format!("found {}", braced(seen, *others, '{', '}')),
            Self::Append { element } => format!("appended {element}"),
            Self::Sequence { seen } => format!("found {}", braced(seen, 0, '[', ']')),
            Self::Enqueue { element } => format!("enqueued {element}"),
            Self::Dequeue { element: Some(element) } => format!("dequeued {element}"),
            Self::Dequeue { element: None } => "found it empty".to_owned(),
            Self::Other { fact, .. } => fact.clone(),
        }
    }

    /// As an order: `write 9`.
    #[must_use]
    pub fn order(&self) -> String {
        match self {
            Self::Read { .. } => "read it".to_owned(),
            Self::Write { value } => format!("write {value}"),
            Self::Cas { expect, new } | Self::Refused { expect, new, .. } => {
                format!("replace {} by {new}", content(expect.as_ref()))
            }
            Self::Acquire { .. } => "grant it".to_owned(),
            Self::Release { .. } => "release it".to_owned(),
            Self::Add { element } => format!("add {element}"),
            Self::Remove { element } => format!("remove {element}"),
            Self::Elements { .. } | Self::Sequence { .. } => "list it".to_owned(),
            Self::Append { element } => format!("append {element}"),
            Self::Enqueue { element } => format!("enqueue {element}"),
            Self::Dequeue { .. } => "dequeue".to_owned(),
            Self::Other { order, .. } => order.clone(),
        }
    }

    /// In a word or two, for a drawing: `read 7`.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Read { saw } => format!("read {}", content(saw.as_ref())),
            Self::Write { value } => format!("write {value}"),
            Self::Cas { expect, new } => format!("cas {}→{new}", content(expect.as_ref())),
            Self::Refused { expect, new, .. } => format!("cas {}→{new} refused", content(expect.as_ref())),
            Self::Acquire { token, .. } => {
                token.as_ref().map_or("acquire".to_owned(), |token| format!("acquire #{token}"))
            }
            Self::Release { .. } => "release".to_owned(),
            Self::Elements { seen, others } => braced(seen, *others, '{', '}'),
            Self::Sequence { seen } => braced(seen, 0, '[', ']'),
            Self::Dequeue { element } => element.as_ref().map_or("empty".to_owned(), |got| format!("dequeue {got}")),
            Self::Other { fact, .. } => fact.clone(),
            Self::Add { .. } | Self::Remove { .. } | Self::Append { .. } | Self::Enqueue { .. } => self.order(),
        }
    }

    /// A register's content that the operation saw.
    pub(super) fn saw(&self) -> Option<Option<&String>> {
        match self {
            Self::Read { saw } => Some(saw.as_ref()),
            Self::Cas { expect, .. } => Some(expect.as_ref()),
            Self::Refused { saw, .. } => saw.as_ref().map(Some),
            Self::Write { .. }
            | Self::Acquire { .. }
            | Self::Release { .. }
            | Self::Add { .. }
            | Self::Remove { .. } => None,
            Self::Elements { .. } | Self::Append { .. } | Self::Sequence { .. } => None,
            Self::Enqueue { .. } | Self::Dequeue { .. } | Self::Other { .. } => None,
        }
    }

    /// The register's content, or the element of a collection, that the operation brought in.
    pub(super) fn brought(&self) -> Option<&String> {
        match self {
            Self::Write { value: new } | Self::Cas { new, .. } => Some(new),
            Self::Add { element } | Self::Append { element } | Self::Enqueue { element } => Some(element),
            Self::Read { .. } | Self::Refused { .. } | Self::Acquire { .. } | Self::Release { .. } => None,
            Self::Remove { .. } | Self::Elements { .. } | Self::Sequence { .. } => None,
            Self::Dequeue { .. } | Self::Other { .. } => None,
        }
    }
}

impl Deed {
    /// All elements that the operation saw.
    pub(super) fn listed(&self) -> Option<&[String]> {
        if let Self::Elements { seen, .. } | Self::Sequence { seen } = self { Some(seen) } else { None }
    }

    /// The element that the operation took out of a set.
    pub(super) fn removed(&self) -> Option<&String> {
        if let Self::Remove { element } = self { Some(element) } else { None }
    }

    /// What the operation took from a queue.
    pub(super) fn dequeued(&self) -> Option<Option<&String>> {
        if let Self::Dequeue { element } = self { Some(element.as_ref()) } else { None }
    }

    /// The fencing token that was granted.
    pub(super) fn token(&self) -> Option<&String> {
        if let Self::Acquire { token, .. } = self { token.as_ref() } else { None }
    }
}

/// A register's content in words.
pub(super) fn content(value: Option<&String>) -> String {
    value.map_or_else(|| "nothing".to_owned(), Clone::clone)
}

/// A list in brackets, with the number of what is not listed.
fn braced(seen: &[String], others: usize, open: char, close: char) -> String {
    let mut listed = seen[..seen.len().min(LISTED_MAX)].to_vec();
    let more = seen.len() - listed.len() + others;
    if more > 0 {
        listed.push(format!("… {} more", grouped(more)));
    }
    format!("{open}{}{close}", listed.join(" "))
}
