//! Work beside the run: a question of somebody who drives a world without an engine.
//!
//! The work runs where observers and clients run, and the world goes on taking in and recording events meanwhile, so that
//! nothing waits for anybody. Refuses to let work outlast its time: what is late is dropped.

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::sync::mpsc::{TryRecvError, channel};
use std::time::Duration;

use chaos_engine::{Event, World};
use chaos_history::NodeId;

use crate::world::{RealWorld, WorldError};

/// How soon an answer that was waited for is looked for again.
const LOOK_EVERY: Duration = Duration::from_millis(2);

impl RealWorld {
    /// Carries out `work` and hands whatever happens meanwhile to `events`. `None`: it was not through in time, or it panicked.
    ///
    /// # Errors
    /// If the history can't be written.
    pub fn beside<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = T> + Send + 'static,
        within: Duration,
        events: &mut dyn FnMut(Event),
    ) -> Result<Option<T>, WorldError> {
        let (answer, answers) = channel();
        self.runtime.spawn(async move {
            if let Ok(done) = tokio::time::timeout(within, work).await {
                // Nobody listens any more when the world has failed meanwhile.
                let _ = answer.send(done);
            }
        });
        loop {
            match answers.try_recv() {
                Ok(done) => return Ok(Some(done)),
                Err(TryRecvError::Disconnected) => return Ok(None),
                Err(TryRecvError::Empty) => events(self.next_event(self.now() + LOOK_EVERY)?.1),
            }
        }
    }

    /// The TCP ports on which something listens in a node's network, its loopback included.
    ///
    /// # Errors
    /// If the kernel doesn't list them; in a network of proxies.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn listening(&self, node: NodeId) -> io::Result<BTreeSet<u16>> {
        self.network.place(node.index())?.listening()
    }
}
