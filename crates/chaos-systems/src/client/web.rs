//! HTTP for drivers: a client that does exactly what it is told, and bodies that end.
//!
//! It follows no redirect, tries nothing again, asks no proxy of the environment. It keeps connections; a request meant for one
//! which the node had closed goes out on a new one only if not a byte of it was handed to the old one (hyper's "canceled"), so
//! neither a write nor a `fail` can be doubled by it. Only an error of connecting says that nothing was sent.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response};

use super::{failed, unknown};
use crate::driver::Answer;

/// A client without habits of its own.
///
/// # Errors
/// If it can't be built.
pub(crate) fn client(connect_timeout: Duration) -> reqwest::Result<Client> {
    Client::builder()
        .no_proxy()
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect_timeout)
        .tcp_nodelay(true)
        .build()
}

/// Sends a request.
///
/// # Errors
/// A `fail` if it found no connection, an `info` if it was broken off later.
pub(crate) async fn send(request: RequestBuilder) -> Result<Response, Answer> {
    request.send().await.map_err(|error| {
        if error.is_connect() {
            failed(format!("not connected: {}", describe(&error)))
        } else {
            unknown(describe(&error))
        }
    })
}

/// Why an answer is not there as a whole.
pub(crate) enum Unread {
    /// The connection broke.
    Broken(reqwest::Error),
    /// It is longer than any answer.
    TooLong,
}

impl From<Unread> for Answer {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Broken(error) => unknown(describe(&error)),
            Unread::TooLong => unknown("an answer that is too long to be one"),
        }
    }
}

/// The body, unless it is longer than `bytes_max`; what is longer is not read to its end.
///
/// # Errors
/// If it isn't whole.
pub(crate) async fn body(mut answer: Response, bytes_max: usize) -> Result<Vec<u8>, Unread> {
    let mut text = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(Unread::Broken)? {
        if text.len() + chunk.len() > bytes_max {
            return Err(Unread::TooLong);
        }
        text.extend_from_slice(&chunk);
    }
    Ok(text)
}

/// The innermost cause: the outer layers only repeat the address.
pub(crate) fn describe(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
