//! Questions over HTTP. Any status is an answer: some systems say "not the leader" by a 503, so what a status means is the
//! definition's business.

use std::net::Ipv4Addr;

use chaos_plan::definition::{Template, TemplateValue};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};

use super::{ANSWER_BYTES_MAX, Means, Reply, silent, text, too_long};
use crate::driver::ProbeError;

/// A question, its templates not yet rendered.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a Template,
    pub(super) headers: &'a [(String, Template)],
    pub(super) body: Option<&'a Template>,
}

/// Sends it and reads the whole answer.
pub(super) async fn ask(
    means: &Means,
    (ip, port): (Ipv4Addr, u16),
    scope: &TemplateValue,
    request: Request<'_>,
) -> Result<Reply, ProbeError> {
    let refused = |what: &str, error: &dyn std::fmt::Display| ProbeError::Garbage(format!("{what}: {error}"));
    let method = request.method.parse::<reqwest::Method>().map_err(|error| refused("the method", &error))?;
    let path = text(scope, request.path)?;
    let url = format!("http://{ip}:{port}/{}", path.trim_start_matches('/'));
    let mut sent = means.http.request(method, &url);
    for (name, value) in request.headers {
        let value = text(scope, value)?;
        let name = HeaderName::try_from(name.as_str()).map_err(|error| refused("a header", &error))?;
        sent = sent.header(name, HeaderValue::try_from(value).map_err(|error| refused("a header", &error))?);
    }
    if let Some(body) = request.body {
        let json = !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE.as_str()));
        sent = sent.body(text(scope, body)?);
        sent = if json { sent.header(CONTENT_TYPE, "application/json") } else { sent };
    }
    let mut answer = sent.send().await.map_err(|error| silent("http", &error.without_url()))?;
    let status = i64::from(answer.status().as_u16());
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| silent("http", &error.without_url()))? {
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(too_long());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Reply { status: Some(status), ..Reply::of_bytes(&bytes) })
}
