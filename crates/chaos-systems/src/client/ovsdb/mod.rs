//! OVSDB, clustered: a register is a row with a value and a count of its changes, a set has a row for each element.
//!
//! The database must have the schema [`SCHEMA`], from which `ovsdb-tool create-cluster` makes it; a definition renders it into a file.
//!
//! Options: `database` (`KV` unless given); `reads` (`local`: as old as the node that answers; `confirmed`: each read takes part in
//! the cluster's order of changes, by counting itself in the same transaction).
//!
//! **Which transactions are in that order?** Those that change something: each is proposed on top of the state on which it was
//! carried out, and proposed anew if another came first. One that changes nothing is answered from the node's own state, however old
//! (ovsdb(7), "Clustered Database Service Model").
//!
//! **A compare-and-set** looks first. Where the value fits, it is replaced under the condition (`wait`) that it still does; where it
//! doesn't, a second transaction confirms the refusal: the same condition on the value that was seen, and a count. So a refused swap
//! names a value that was there in the cluster's order of changes, whatever the node had missed.
//!
//! **What is definite.** What goes wrong before a change is sent; an error of the transaction's own (`constraint violation`, `syntax
//! error`, …). *Not* definite: `canceled`, errors of the cluster or the disk, and, for a swap, that its condition isn't met: a server
//! carries a transaction out again when it is interrupted by a change of leader (ovsdb/trigger.c), though the first time may have
//! succeeded, and then the swap's own success is what the second time runs into. Such an end is `info`.

mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chaos_history::{Action, NodeId, OpResult, Revision, Value};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value as Json, json};

use self::session::OvsdbSession;
use super::options::Options;
use super::wire::{Pool, Trouble, answered, at_any};
use super::{ClientError, ClientSetup, shortened, written_as};
use crate::driver::{Answer, Client, ProbeError};

/// The schema of the database, for `ovsdb-tool create-cluster`.
pub const SCHEMA: &str = include_str!("schema.json");

/// How often an operation begins again that others keep from happening, before it gives up.
const TRIES: u32 = 3;

/// Opens the driver.
pub(super) fn open(setup: &ClientSetup) -> Result<Arc<dyn Client>, ClientError> {
    let options = Options::of(setup, &["database", "reads"])?;
    let database = options.text("database").unwrap_or("KV").to_owned();
    let confirm = options.word("reads", &[("local", false), ("confirmed", true)])?;
    let pool = Pool::new(setup.endpoints.clone(), (), setup.connect_timeout);
    Ok(Arc::new(Ovsdb(Arc::new(Shared { pool, database, confirm }))))
}

struct Ovsdb(Arc<Shared>);

struct Shared {
    pool: Pool<OvsdbSession>,
    database: String,
    /// Whether reads take part in the order of changes.
    confirm: bool,
}

/// Why a transaction changed nothing, as the server says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refusal {
    /// A `wait` was not met.
    Unmet,
    /// A row of this index is there already.
    Constraint(String),
    /// Another mistake of the transaction, which no repetition makes good.
    Mistake(String),
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Definite(match refusal {
            Refusal::Unmet => "the condition is not met".to_owned(),
            Refusal::Constraint(error) | Refusal::Mistake(error) => error,
        })
    }
}

/// A register's row.
type Found = Option<(Value, Option<Revision>)>;

impl Client for Ovsdb {
    fn invoke(&self, node: NodeId, action: &Action) -> BoxFuture<'static, Answer> {
        let (shared, action) = (Arc::clone(&self.0), action.clone());
        async move { answered(shared.pool.on(node, async |session| shared.carry_out(session, &action).await).await) }
            .boxed()
    }

    fn prepare(&self) -> BoxFuture<'_, Result<(), ProbeError>> {
        at_any(self.0.pool.nodes(), |node| self.0.insert_count(node)).boxed()
    }
}

impl Shared {
    async fn carry_out(&self, session: &mut OvsdbSession, action: &Action) -> Result<OpResult, Trouble> {
        match action {
            Action::Read { key } => {
                let found = self.find(session, key, self.confirm).await?;
                Ok(OpResult::Read {
                    value: found.map(|(value, _)| value),
                    revision: found.and_then(|(_, revision)| revision),
                })
            }
            Action::Write { key, value } => self.write(session, key, *value).await,
            Action::Cas { key, expect, value } => self.compare_and_set(session, key, *expect, *value).await,
            Action::Add { key, value } => {
                let row = json!({ "set": key, "value": value.to_string() });
                match self.transact(session, &[json!({ "op": "insert", "table": "Element", "row": row })]).await? {
                    // A violated index: the element is there, and elements are never taken out.
                    Ok(_) | Err(Refusal::Constraint(_)) => Ok(OpResult::Written { revision: None }),
                    Err(refusal) => Err(refusal.into()),
                }
            }
            Action::Elements { key } => {
                let select = json!({
                    "op": "select", "table": "Element", "where": [["set", "==", key]], "columns": ["value"],
                });
                let rows = self.select(session, &select, self.confirm).await?;
                let values = rows.iter().map(|row| text(row, "value").map(|text| written_as(&text)));
                Ok(OpResult::Elements { values: values.collect::<Result<_, _>>()?, revision: None })
            }
            Action::Acquire { .. } | Action::Release { .. } | Action::Access { .. } => {
                Err(Trouble::Definite("this driver takes no locks in OVSDB".to_owned()))
            }
        }
    }

    /// A transaction, and which of its operations answered what. An error that may have changed something is `Unknown`.
    async fn transact(
        &self,
        session: &mut OvsdbSession,
        operations: &[Json],
    ) -> Result<Result<Vec<Json>, Refusal>, Trouble> {
        let results = session.transact(&self.database, operations).await.map_err(Trouble::Unknown)?;
        let results = results.map_err(|error| Trouble::Unknown(format!("refused: {error}")))?;
        let Some(error) = results.iter().find(|result| result.get("error").is_some()) else {
            if results.len() == operations.len() {
                return Ok(Ok(results));
            }
            return Err(Trouble::Unknown("answers to other operations than were asked for".to_owned()));
        };
        let told = format!("refused: {}", shortened(&format!("{}: {}", error["error"], error["details"])));
        Ok(Err(match error["error"].as_str() {
            Some("timed out") => Refusal::Unmet,
            Some("constraint violation") => Refusal::Constraint(told),
            Some(
                "syntax error" | "unknown database" | "unknown table" | "unknown column" | "aborted" | "not owner",
            ) => Refusal::Mistake(told),
            Some(_) | None => return Err(Trouble::Unknown(told)),
        }))
    }

    /// The rows that a `select` finds, in the order of changes if that is wanted.
    async fn select(&self, session: &mut OvsdbSession, select: &Json, confirm: bool) -> Result<Vec<Json>, Trouble> {
        let mut operations = vec![select.clone()];
        operations.extend(confirm.then(count));
        let mut results = self.transact(session, &operations).await?.map_err(Trouble::from)?;
        if confirm {
            counted(&results[1])?;
        }
        let rows = results[0]["rows"].take();
        if let Json::Array(rows) = rows {
            return Ok(rows);
        }
        Err(Trouble::Unknown(format!("an answer without rows: {}", shortened(&rows.to_string()))))
    }

    async fn find(&self, session: &mut OvsdbSession, key: &str, confirm: bool) -> Result<Found, Trouble> {
        let rows = self.select(session, &select_register(key), confirm).await?;
        rows.first().map(|row| Ok((written_as(&text(row, "value")?), revision(row)))).transpose()
    }

    async fn write(&self, session: &mut OvsdbSession, key: &str, value: Value) -> Result<OpResult, Trouble> {
        for _ in 0..TRIES {
            let results = self.transact(session, &replace(key, value)).await?.map_err(Trouble::from)?;
            if results[0]["count"] == 1 {
                return Ok(OpResult::Written { revision: revision(&results[2]["rows"][0]) });
            }
            match self.transact(session, &[insert(key, value)]).await? {
                Ok(_) => return Ok(OpResult::Written { revision: Some(Revision(1)) }),
                // There is one now: another client's, or this one's, carried out twice.
                Err(Refusal::Constraint(_)) => {}
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Err(Trouble::Unknown(format!("neither replaced nor inserted in {TRIES} tries")))
    }

    async fn compare_and_set(
        &self,
        session: &mut OvsdbSession,
        key: &str,
        expect: Option<Value>,
        value: Value,
    ) -> Result<OpResult, Trouble> {
        for _ in 0..TRIES {
            let found = self.find(session, key, false).await.map_err(Trouble::before_any_change)?;
            let seen = found.map(|(value, _)| value);
            if seen == expect {
                return self.swap(session, key, expect, value).await;
            }
            let confirmation = [holds(key, seen), count()];
            match self.transact(session, &confirmation).await.map_err(Trouble::before_any_change)? {
                Ok(results) => {
                    counted(&results[1]).map_err(Trouble::before_any_change)?;
                    let revision = found.and_then(|(_, revision)| revision);
                    return Ok(OpResult::Cas { swapped: false, observed: Some(seen), revision });
                }
                Err(Refusal::Unmet) => {}
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Err(Trouble::Definite(format!("the key was changed by others during each of {TRIES} tries")))
    }

    /// Replaces a value under the condition that it is still the expected one.
    async fn swap(
        &self,
        session: &mut OvsdbSession,
        key: &str,
        expect: Option<Value>,
        value: Value,
    ) -> Result<OpResult, Trouble> {
        let mut operations = vec![holds(key, expect)];
        match expect {
            Some(_) => operations.extend(replace(key, value)),
            None => operations.push(insert(key, value)),
        }
        match self.transact(session, &operations).await? {
            Ok(results) => {
                let revision = match expect {
                    Some(_) => revision(&results[3]["rows"][0]),
                    None => Some(Revision(1)),
                };
                Ok(OpResult::Cas { swapped: true, observed: Some(expect), revision })
            }
            Err(Refusal::Unmet | Refusal::Constraint(_)) => {
                Err(Trouble::Unknown("another value is there now, unless the swap was carried out twice".to_owned()))
            }
            Err(refusal @ Refusal::Mistake(_)) => Err(refusal.into()),
        }
    }

    /// Makes the row that counts confirmations, unless it is there.
    async fn insert_count(&self, node: NodeId) -> Result<(), Trouble> {
        let mut session = self.pool.take(node).await?;
        let none = json!({
            "op": "wait", "timeout": 0, "table": "Confirmation", "where": [], "columns": ["count"], "until": "==", "rows": [],
        });
        let insert = json!({ "op": "insert", "table": "Confirmation", "row": { "count": 0 } });
        match self.transact(&mut session, &[none, insert]).await? {
            Ok(_) | Err(Refusal::Unmet) => {}
            Err(refusal) => return Err(refusal.into()),
        }
        self.pool.put_back(node, session);
        Ok(())
    }
}

fn register(key: &str) -> Json {
    json!([["key", "==", key]])
}

fn select_register(key: &str) -> Json {
    json!({ "op": "select", "table": "Register", "where": register(key), "columns": ["value", "revision"] })
}

/// Replaces the value of a row that is there, counts the change, and tells the count.
fn replace(key: &str, value: Value) -> [Json; 3] {
    let row = json!({ "value": value.to_string() });
    [
        json!({ "op": "update", "table": "Register", "where": register(key), "row": row }),
        json!({ "op": "mutate", "table": "Register", "where": register(key), "mutations": [["revision", "+=", 1]] }),
        select_register(key),
    ]
}

fn insert(key: &str, value: Value) -> Json {
    let row = json!({ "key": key, "value": value.to_string(), "revision": 1 });
    json!({ "op": "insert", "table": "Register", "row": row })
}

/// The condition that the register holds this value, or that it is absent.
fn holds(key: &str, value: Option<Value>) -> Json {
    let rows: Vec<Json> = value.iter().map(|value| json!({ "value": value.to_string() })).collect();
    json!({
        "op": "wait", "timeout": 0, "table": "Register", "where": register(key), "columns": ["value"], "until": "==",
        "rows": rows,
    })
}

/// A change that means nothing but gives its transaction a place in the order of changes.
fn count() -> Json {
    json!({ "op": "mutate", "table": "Confirmation", "where": [], "mutations": [["count", "+=", 1]] })
}

/// Whether [`count`] counted, without which nothing is confirmed.
fn counted(result: &Json) -> Result<(), Trouble> {
    match result["count"].as_u64() {
        Some(rows) if rows > 0 => Ok(()),
        Some(_) | None => Err(Trouble::Unknown("there is no row that counts confirmations".to_owned())),
    }
}

fn text(row: &Json, column: &str) -> Result<String, Trouble> {
    let text = row[column].as_str().map(str::to_owned);
    text.ok_or_else(|| Trouble::Unknown(format!("a row without `{column}`: {}", shortened(&row.to_string()))))
}

fn revision(row: &Json) -> Option<Revision> {
    row["revision"].as_u64().map(Revision)
}
