//! PostgreSQL: registers and sets are rows of two tables, which [`Client::prepare`] makes on the node that takes writes.
//!
//! ```text
//! chaos_register (k text primary key, v bigint, r bigint)   r: how often v was written, the revision
//! chaos_element  (k text, v bigint, primary key (k, v))
//! ```
//!
//! Options: `on` (`primary`: a node in recovery refuses reads; `any`: it answers them, with what it has replayed), `user`, `database`
//! (`postgres` unless given), `password` (for the method `password`; `trust` needs none).
//!
//! **A compare-and-set is one statement** that locks the row, changes it or not, and tells what it was: a refused one is an update, too,
//! and so waits for the standbys that a write waits for.
//!
//! **What is definite.** An `ERROR` ends the statement's transaction undone, so that it did not happen, if its SQLSTATE is of the
//! classes in [`is_definite`]: bad data (22), constraints (23), a read-only transaction (25006: a standby's answer to a write),
//! conflicts and deadlocks (40, but for 40003, "completion unknown"), rights and names (42), too little of something (53), a state
//! that forbids it (55), a cancellation (57014). What goes wrong before the query is sent, a greeting of a server that starts or stops
//! included (57P03). **Not** definite: `FATAL` and `PANIC`, as 57P01, which an administrator's shutdown says, perhaps in the middle of a
//! commit; connections that break; internal errors (XX, 58); anything else. A write that is acknowledged with a *warning* isn't an
//! acknowledgement: that is how a cancelled wait for a synchronous standby shows ("has already committed locally, but might not have
//! been replicated").
//!
//! Questions of observers ([`Client::ask`]): `role` → `{"in_recovery": false, "timeline": 3}`.

mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chaos_history::{Action, NodeId, OpResult, Revision, Value};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::json;

use self::session::{Login, Notice, Outcome, PostgresSession, Row};
use super::options::Options;
use super::wire::{Pool, Trouble, answered, at_any, escaped};
use super::{ClientError, ClientSetup, written_as};
use crate::driver::{Answer, Client, ProbeError};

/// Whether a statement that ended with an `ERROR` of this SQLSTATE did not happen and never will.
fn is_definite(code: &str) -> bool {
    let class = code.get(..2).unwrap_or_default();
    match class {
        "22" | "23" | "25" | "42" | "53" | "55" => true,
        "40" => code != "40003",
        "57" => code == "57014",
        _ => false,
    }
}

/// Opens the driver.
pub(super) fn open(setup: &ClientSetup) -> Result<Arc<dyn Client>, ClientError> {
    let options = Options::of(setup, &["on", "user", "database", "password"])?;
    let standbys_read = options.word("on", &[("primary", false), ("any", true)])?;
    let text = |option: &str, default: &str| {
        let text = options.text(option).unwrap_or(default);
        if text.contains('\0') { Err(options.bad(option, "a text without zero bytes")) } else { Ok(text.to_owned()) }
    };
    let login = Login {
        user: text("user", "postgres")?,
        database: text("database", "postgres")?,
        password: text("password", "")?,
    };
    let pool = Pool::new(setup.endpoints.clone(), login, setup.connect_timeout);
    Ok(Arc::new(Postgres(Arc::new(Shared { pool, standbys_read }))))
}

struct Postgres(Arc<Shared>);

struct Shared {
    pool: Pool<PostgresSession>,
    /// Whether a node in recovery answers reads.
    standbys_read: bool,
}

impl Client for Postgres {
    fn invoke(&self, node: NodeId, action: &Action) -> BoxFuture<'static, Answer> {
        let (shared, action) = (Arc::clone(&self.0), action.clone());
        async move { answered(shared.carry_out(node, &action).await) }.boxed()
    }

    fn prepare(&self) -> BoxFuture<'_, Result<(), ProbeError>> {
        at_any(self.0.pool.nodes(), |node| self.0.make_tables(node)).boxed()
    }

    fn ask(&self, node: NodeId, question: &str) -> BoxFuture<'_, Result<serde_json::Value, ProbeError>> {
        let question = question.to_owned();
        async move {
            if question != "role" {
                return Err(ProbeError::Garbage(format!("this driver knows no question `{question}`")));
            }
            let sql = "select pg_is_in_recovery(), timeline_id from pg_control_checkpoint()";
            let rows = self.0.query(node, sql, Purpose::Read).await.map_err(|trouble| match trouble {
                Trouble::Definite(error) | Trouble::Unknown(error) => ProbeError::Silent(error),
            })?;
            let row = rows.first().map(Vec::as_slice).unwrap_or_default();
            match (column(row, 0), column(row, 1).and_then(|timeline| timeline.parse::<u64>().ok())) {
                (Some(recovery), Some(timeline)) => Ok(json!({ "in_recovery": recovery == "t", "timeline": timeline })),
                (_, _) => Err(ProbeError::Garbage("a role without a timeline".to_owned())),
            }
        }
        .boxed()
    }
}

/// What a query is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Read,
    Write,
}

impl Shared {
    async fn carry_out(&self, node: NodeId, action: &Action) -> Result<OpResult, Trouble> {
        match action {
            Action::Read { key } => self.read(node, &escaped(key)).await,
            Action::Write { key, value } => {
                let (key, value) = (escaped(key), bigint(*value)?);
                let sql = format!(
                    "insert into chaos_register as t values ('{key}', {value}, 1) \
                     on conflict (k) do update set v = excluded.v, r = t.r + 1 returning r"
                );
                let rows = self.query(node, &sql, Purpose::Write).await?;
                let revision = rows.first().and_then(|row| revision(row, 0));
                let revision = revision.ok_or_else(|| Trouble::Unknown("a write that tells no row".to_owned()))?;
                Ok(OpResult::Written { revision: Some(revision) })
            }
            Action::Cas { key, expect, value } => self.compare_and_set(node, &escaped(key), *expect, *value).await,
            Action::Add { key, value } => {
                let (key, value) = (escaped(key), bigint(*value)?);
                // The element may be there, and elements are never taken out.
                let sql = format!("insert into chaos_element values ('{key}', {value}) on conflict do nothing");
                self.query(node, &sql, Purpose::Write).await?;
                Ok(OpResult::Written { revision: None })
            }
            Action::Elements { key } => {
                let key = escaped(key);
                let sql =
                    format!("select pg_is_in_recovery(), null; select null, v from chaos_element where k = '{key}'");
                let rows = self.query(node, &sql, Purpose::Read).await?;
                let (first, rest) = rows.split_first().ok_or_else(|| Trouble::Unknown("no rows".to_owned()))?;
                self.readable(first)?;
                let values = rest.iter().filter_map(|row| column(row, 1)).map(written_as).collect();
                Ok(OpResult::Elements { values, revision: None })
            }
            Action::Acquire { .. } | Action::Release { .. } | Action::Access { .. } => {
                Err(Trouble::Definite("this driver takes no locks in PostgreSQL".to_owned()))
            }
        }
    }

    /// A query with its rows, on a connection that is kept if the query came to its end.
    async fn query(&self, node: NodeId, sql: &str, purpose: Purpose) -> Result<Vec<Row>, Trouble> {
        let mut session = self.pool.take(node).await?;
        let outcome = session.query(sql).await.map_err(Trouble::Unknown)?;
        self.pool.put_back(node, session);
        match (outcome, purpose) {
            (Outcome { error: Some(error), .. }, _) => Err(refused(&error)),
            (Outcome { warning: Some(warning), .. }, Purpose::Write) => Err(Trouble::Unknown(warning.to_string())),
            (Outcome { rows, .. }, Purpose::Read | Purpose::Write) => Ok(rows),
        }
    }

    async fn read(&self, node: NodeId, key: &str) -> Result<OpResult, Trouble> {
        let sql = format!(
            "select pg_is_in_recovery(), t.v, t.r \
             from (select) as one left join chaos_register as t on t.k = '{key}'"
        );
        let rows = self.query(node, &sql, Purpose::Read).await?;
        let [row] = rows.as_slice() else { return Err(Trouble::Unknown(format!("{} rows", rows.len()))) };
        self.readable(row)?;
        Ok(OpResult::Read { value: column(row, 1).map(written_as), revision: revision(row, 2) })
    }

    /// Whether an answer counts as read; its first column tells whether the node is in recovery.
    fn readable(&self, row: &[Option<String>]) -> Result<(), Trouble> {
        match column(row, 0) {
            Some("f") => Ok(()),
            Some("t") if self.standbys_read => Ok(()),
            Some("t") => Err(Trouble::Definite("the node is in recovery: a standby".to_owned())),
            Some(_) | None => Err(Trouble::Unknown("an answer that doesn't tell the node's role".to_owned())),
        }
    }

    async fn compare_and_set(
        &self,
        node: NodeId,
        key: &str,
        expect: Option<Value>,
        value: Value,
    ) -> Result<OpResult, Trouble> {
        let new = bigint(value)?;
        // The columns: whether it was set, what was there, the revision afterwards.
        let sql = match expect {
            Some(expect) => {
                let expect = bigint(expect)?;
                format!(
                    "update chaos_register as t set v = case when t.v = {expect} then {new} else t.v end, \
                     r = case when t.v = {expect} then t.r + 1 else t.r end \
                     from (select k, v from chaos_register where k = '{key}' for update) as old \
                     where t.k = old.k returning old.v = {expect}, old.v, t.r"
                )
            }
            // A row that was just inserted has no transaction that ended it.
            None => format!(
                "insert into chaos_register as t values ('{key}', {new}, 1) \
                 on conflict (k) do update set v = t.v returning t.xmax = 0, t.v, t.r"
            ),
        };
        let rows = self.query(node, &sql, Purpose::Write).await?;
        let Some(row) = rows.first() else {
            let absent = OpResult::Cas { swapped: false, observed: Some(None), revision: None };
            return if expect.is_some() { Ok(absent) } else { Err(Trouble::Unknown("no rows".to_owned())) };
        };
        let swapped = match column(row, 0) {
            Some("t") => true,
            Some("f") => false,
            Some(_) | None => return Err(Trouble::Unknown("a swap that doesn't tell what it did".to_owned())),
        };
        let seen = column(row, 1).map(written_as);
        let observed = if swapped { expect } else { seen };
        Ok(OpResult::Cas { swapped, observed: Some(observed), revision: revision(row, 2) })
    }

    async fn make_tables(&self, node: NodeId) -> Result<(), Trouble> {
        // On a standby, this is refused as every write is.
        let sql = "create table if not exists chaos_register (k text primary key, v bigint not null, r bigint not null); \
                   create table if not exists chaos_element (k text, v bigint, primary key (k, v))";
        self.query(node, sql, Purpose::Write).await?;
        Ok(())
    }
}

fn refused(error: &Notice) -> Trouble {
    if is_definite(&error.code) { Trouble::Definite(error.to_string()) } else { Trouble::Unknown(error.to_string()) }
}

/// A value as the column holds it. No client writes larger ones.
fn bigint(value: Value) -> Result<i64, Trouble> {
    i64::try_from(value.0).map_err(|_| Trouble::Definite(format!("{value} is too large for a bigint")))
}

fn column(row: &[Option<String>], index: usize) -> Option<&str> {
    row.get(index)?.as_deref()
}

fn revision(row: &[Option<String>], index: usize) -> Option<Revision> {
    column(row, index)?.parse().ok().map(Revision)
}
