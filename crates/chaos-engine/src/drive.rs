//! The loop between the engine and a world: the only place where the two meet.

use chaos_history::RunNanos;

use crate::engine::Engine;
use crate::world::{Command, Event, Finished, World};

/// Runs the engine against the world until the run is over. `on_progress` is called after every event, with the engine as the
/// event left it and its commands executed.
///
/// Whether the world can do what the plan asks for is checked before, by [`Capabilities::missing`](crate::Capabilities::missing).
///
/// # Errors
/// If the world can't go on. Then nothing is taken back by this loop: a world undoes its own faults when it is dropped.
pub fn drive<W: World>(
    engine: &mut Engine,
    world: &mut W,
    on_progress: &mut dyn FnMut(RunNanos, &Event, &Engine),
) -> Result<Finished, W::Error> {
    let mut commands = Vec::new();
    let (mut now, mut event) = (world.now(), Event::Tick);
    loop {
        engine.take(now, &event, &mut commands);
        let mut over = None;
        for command in commands.drain(..) {
            if let Command::Finish(finished) = &command {
                over = Some(finished.clone());
            }
            world.execute(command)?;
        }
        on_progress(now, &event, engine);
        if let Some(finished) = over {
            return Ok(finished);
        }
        (now, event) = world.next_event(engine.deadline())?;
    }
}
