//! Messages of etcd's gateway: protobuf as JSON. Keys and values are base64, 64-bit numbers are texts, zeros, falsehoods and
//! empty lists are left out; fields that we don't know are skipped.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chaos_history::Revision;
use serde::Deserialize;

use super::{failed, shortened, unknown};
use crate::driver::Answer;

/// A key or a value as it is sent.
pub(super) fn encoded(text: &str) -> String {
    STANDARD.encode(text)
}

fn decoded(text: &str) -> Result<Vec<u8>, Answer> {
    STANDARD.decode(text).map_err(|_| unknown("an answer with a key or a value that is no base64"))
}

/// A revision; never zero, since an empty store is at 1.
pub(super) fn revision(text: &str) -> Result<Revision, Answer> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(Revision(number)),
        Ok(_) | Err(_) => Err(unknown("an answer without a revision")),
    }
}

/// A message of which only the header matters.
#[derive(Deserialize)]
pub(super) struct Header {
    #[serde(default)]
    header: HeaderFields,
}

#[derive(Default, Deserialize)]
pub(super) struct HeaderFields {
    #[serde(default)]
    revision: String,
}

impl Header {
    /// The store's revision after the request.
    pub(super) fn revision(&self) -> Result<Revision, Answer> {
        self.header.revision()
    }
}

impl HeaderFields {
    /// The store's revision after the request; every answer has it, and what hasn't is none.
    pub(super) fn revision(&self) -> Result<Revision, Answer> {
        revision(&self.revision)
    }
}

/// `RangeResponse`.
#[derive(Deserialize)]
pub(super) struct Range {
    #[serde(default)]
    pub(super) header: HeaderFields,
    #[serde(default)]
    pub(super) kvs: Vec<KeyValue>,
}

/// `KeyValue`.
#[derive(Deserialize)]
pub(super) struct KeyValue {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    pub(super) mod_revision: String,
    #[serde(default)]
    pub(super) create_revision: String,
}

impl KeyValue {
    pub(super) fn key(&self) -> Result<Vec<u8>, Answer> {
        decoded(&self.key)
    }

    pub(super) fn value(&self) -> Result<Vec<u8>, Answer> {
        decoded(&self.value)
    }
}

/// `TxnResponse`.
#[derive(Deserialize)]
pub(super) struct Transaction {
    #[serde(default)]
    pub(super) header: HeaderFields,
    #[serde(default)]
    pub(super) succeeded: bool,
    #[serde(default)]
    pub(super) responses: Vec<ResponseOp>,
}

/// `ResponseOp`, of which we only read ranges.
#[derive(Deserialize)]
pub(super) struct ResponseOp {
    #[serde(default, rename = "response_range")]
    pub(super) range: Option<Range>,
}

/// `LeaseGrantResponse`.
#[derive(Deserialize)]
pub(super) struct Grant {
    #[serde(rename = "ID")]
    pub(super) id: String,
}

/// `LockResponse`.
#[derive(Deserialize)]
pub(super) struct Lock {
    /// The key that stands for the hold, in base64.
    pub(super) key: String,
}

/// An error: gRPC's code and a text, which older gateways call `error` too.
#[derive(Deserialize)]
pub(super) struct Refusal {
    code: i64,
    message: String,
}

impl Refusal {
    /// gRPC's codes by which etcd says that a request is wrong or forbidden, so that no member carries it out.
    const DEFINITE: &'static [i64] = &[3, 7, 12, 16];

    /// `requested lease not found`, which the lock service wraps into the code Unknown.
    pub(super) fn is_lost_lease(&self) -> bool {
        matches!(self.code, 2 | 5) && self.message == "etcdserver: requested lease not found"
    }

    /// What the refusal says of the operation.
    pub(super) fn answer(&self) -> Answer {
        let definite = Self::DEFINITE.contains(&self.code) || self.message == "etcdserver: too many requests";
        if definite { failed(shortened(&self.message)) } else { unknown(shortened(&self.message)) }
    }
}
