//! Prometheus text, format 0.0.4: `name{label="value",…} 1.5`. The answer maps each metric's name to a list of
//! `{labels, value}`. Comments, types and timestamps are left out; a line that is none of all that is no metrics page.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use chaos_plan::definition::{Template, TemplateValue};
use serde_json::{Value, json};

use super::http::Request;
use super::{Means, Reply, http};
use crate::driver::ProbeError;

/// Fetches and decodes a page.
pub(super) async fn ask(
    means: &Means,
    at: (Ipv4Addr, u16),
    scope: &TemplateValue,
    path: &Template,
) -> Result<Reply, ProbeError> {
    let reply = http::ask(means, at, scope, Request { method: "GET", path, headers: &[], body: None }).await?;
    if reply.status != Some(200) {
        let status = reply.status.unwrap_or_default();
        return Err(ProbeError::Garbage(format!("GET {} answered {status}", path.text())));
    }
    let data = decode(&reply.text).map_err(ProbeError::Garbage)?;
    Ok(Reply { data: Some(data), ..reply })
}

fn decode(text: &str) -> Result<Value, String> {
    let mut metrics: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, labels, value) = sample(line).ok_or_else(|| {
            let shown: String = line.chars().take(80).collect();
            format!("`{}` is no sample of a metric", shown.escape_debug())
        })?;
        metrics.entry(name).or_default().push(json!({ "labels": labels, "value": value }));
    }
    Ok(json!(metrics))
}

fn sample(line: &str) -> Option<(&str, BTreeMap<String, String>, f64)> {
    let name_end = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = line.split_at(name_end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let value = match rest.split_whitespace().next()? {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        text => text.parse().ok()?,
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    (!name.is_empty() && name.chars().all(fits)).then_some((name, labels, value))
}

/// `a="b",c="d\"e"} rest`
fn labels(text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    let mut open = text;
    loop {
        open = open.trim_start_matches([',', ' ']);
        if let Some(rest) = open.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, rest) = open.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = rest.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(match characters.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.insert(name.trim().to_owned(), value);
        open = &rest[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_with_its_labels() {
        let page = "# HELP raft_term the term\n# TYPE raft_term gauge\nraft_term{queue=\"q\\\"1\",vhost=\"/\"} 7\nup 1 1712345678\nx{} +Inf\n";
        let data = decode(page).unwrap();
        assert_eq!(data["raft_term"][0]["labels"]["queue"], "q\"1");
        assert_eq!(data["raft_term"][0]["value"], 7.0);
        assert_eq!(data["up"][0]["value"], 1.0);
    }

    #[test]
    fn what_is_no_page_of_metrics_is_refused() {
        for text in ["<html>", "{\"a\": 1}", "name", "name{a=\"b} 1", "name one"] {
            assert!(decode(text).is_err(), "{text}");
        }
    }
}
