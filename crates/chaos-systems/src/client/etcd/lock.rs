//! Locks by etcd's lock service (`/v3/lock/lock`): a lease, a place in the queue, and signs of life while it is held.
//!
//! Whether a lease is still there is asked of etcd when it matters (after the wait, at release) and never concluded from a clock
//! of ours.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;

use super::wire::{Grant, Header, Lock, Range, encoded, revision};
use super::{Answer, NodeId, OpResult, Shared, done, failed, unknown};

/// A lease that is kept alive as long as this value lives; without signs of life it runs out by itself.
pub(super) struct Lease {
    id: String,
    alive: JoinHandle<()>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.alive.abort();
    }
}

/// A lease in the queue. If the acquisition is dropped (the caller's time is up), it is revoked, so that nobody waits for a
/// client that has gone.
struct Waiting {
    shared: Arc<Shared>,
    node: NodeId,
    lease: Option<Lease>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let (Some(lease), Ok(runtime)) = (self.lease.take(), tokio::runtime::Handle::try_current()) else { return };
        let (shared, node, id) = (Arc::clone(&self.shared), self.node, lease.id.clone());
        runtime.spawn(async move {
            // If it fails, the lease runs out.
            let _ = tokio::time::timeout(shared.ttl, shared.revoke(node, &id)).await;
        });
    }
}

impl Shared {
    pub(super) async fn acquire(self: &Arc<Self>, node: NodeId, key: &str) -> Result<Answer, Answer> {
        if self.holds.lock().unwrap_or_else(PoisonError::into_inner).contains_key(key) {
            return Err(failed("this client holds the lock already"));
        }
        let ttl = json!({ "TTL": self.ttl.as_secs().to_string() });
        let grant: Grant = self.call(node, "lease/grant", &ttl).await?;
        let alive = tokio::spawn(keep_alive(Arc::downgrade(self), node, grant.id.clone(), self.ttl / 3));
        let lease = Lease { id: grant.id.clone(), alive };
        let mut waiting = Waiting { shared: Arc::clone(self), node, lease: Some(lease) };
        let lost = || failed("the lease ran out before the lock was taken");
        let body = json!({ "name": encoded(key), "lease": grant.id });
        let lock: Lock = match self.try_call(node, "lock/lock", &body).await? {
            Ok(lock) => lock,
            Err(refusal) if refusal.is_lost_lease() => return Err(lost()),
            Err(refusal) => return Err(refusal.answer()),
        };
        // The answer doesn't tell when the key was created, nor whether it is still there.
        let own: Range = self.call(node, "kv/range", &json!({ "key": lock.key })).await?;
        own.header.revision()?;
        let token = match own.kvs.as_slice() {
            [] => return Err(lost()),
            [own] => revision(&own.create_revision)?,
            [..] => return Err(unknown("an answer about several keys")),
        };
        let lease = waiting.lease.take().ok_or_else(lost)?;
        self.holds.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), lease);
        Ok(done(OpResult::Acquired { token: Some(token.0) }))
    }

    pub(super) async fn release(&self, node: NodeId, key: &str) -> Result<Answer, Answer> {
        let held = self.holds.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        let lease = held.ok_or_else(|| failed("this client doesn't hold the lock"))?;
        let id = lease.id.clone();
        drop(lease);
        self.revoke(node, &id).await?;
        Ok(done(OpResult::Released))
    }

    /// Ends a lease, and with it the key that hangs on it.
    async fn revoke(&self, node: NodeId, id: &str) -> Result<(), Answer> {
        match self.try_call::<Header>(node, "lease/revoke", &json!({ "ID": id })).await? {
            Ok(header) => header.revision().map(|_| ()),
            Err(refusal) if refusal.is_lost_lease() => Err(failed("the lease had run out: the lock was lost before")),
            Err(refusal) => Err(refusal.answer()),
        }
    }
}

/// Shows etcd that the holder lives, by one node after the other if they don't answer. It ends with the client whose lease it is:
/// a client that is gone must not hold its lock for ever.
async fn keep_alive(client: Weak<Shared>, first: NodeId, id: String, every: Duration) {
    let mut node = first.index();
    loop {
        tokio::time::sleep(every).await;
        let Some(shared) = client.upgrade() else { return };
        let body = json!({ "ID": id });
        let call = shared.call::<serde_json::Value>(NodeId::from_index(node), "lease/keepalive", &body);
        // What an answer says of the lease doesn't matter here; that none came does.
        if !matches!(tokio::time::timeout(every, call).await, Ok(Ok(_))) {
            node = (node + 1) % shared.endpoints.len();
        }
    }
}
