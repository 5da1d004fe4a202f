//! Signals that ask a run to end: the first one asks, the second one insists.

use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::inbox::Message;
use crate::world::{OnSignal, RealWorld, WorldError};

impl RealWorld {
    /// Has SIGINT, SIGTERM and SIGHUP ask the run to end; a second one ends this process at once. With `instead`, the first one
    /// goes there, and whoever gets it decides what becomes of the run.
    ///
    /// # Errors
    /// If the signals can't be listened to.
    pub fn interrupt_on_signals(&self, mut instead: Option<OnSignal>) -> Result<(), WorldError> {
        let messages = self.messages.clone();
        let _guard = self.runtime.enter();
        let listen = |kind| signal(kind).map_err(|source| WorldError::Setup { action: "listen to signals", source });
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut terminate = listen(SignalKind::terminate())?;
        let mut hangup = listen(SignalKind::hangup())?;
        self.runtime.spawn(async move {
            let mut asked_before = false;
            loop {
                let caught = tokio::select! {
                    _ = interrupt.recv() => Signal::SIGINT,
                    _ = terminate.recv() => Signal::SIGTERM,
                    _ = hangup.recv() => Signal::SIGHUP,
                };
                if asked_before {
                    // The user insists. The kernel takes the nodes and their network away with this process.
                    std::process::exit(255);
                }
                asked_before = true;
                // Nobody listens any more when the run is over, and then there is nothing to interrupt.
                match &mut instead {
                    Some(instead) => instead(caught),
                    None => drop(messages.send_from_task(Message::Interrupt { why: "by the user".to_owned() }).await),
                }
            }
        });
        Ok(())
    }
}
