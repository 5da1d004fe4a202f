//! What a node's files suffer for good: power losses, which take what was not synced, and damage to single files.
//!
//! What was lost or damaged stands in the history, in notes. A power loss of several nodes is one: all of their processes are ended
//! before the first disk forgets anything. Rolling a disk back is done on the deciding thread, in about the time that it takes to
//! copy what it forgets; nothing else happens meanwhile.

use chaos_disk::corrupt::{Flip, Selection, Truncation};
use chaos_disk::{Keep, Loss};
use chaos_engine::FaultCommand;
use chaos_history::{NodeId, Seed, Stamps};
use chaos_plan::Damage;
use nix::sys::signal::Signal;

use crate::process::ProcessError;
use crate::world::{RealWorld, WorldError};

impl RealWorld {
    /// The power of the fault's nodes fails. The answer follows when their ends have been seen.
    pub(crate) fn lose_power(
        &mut self,
        kept: Option<Seed>,
        command: FaultCommand,
        stamps: Stamps,
    ) -> Result<(), WorldError> {
        for node in &command.nodes {
            // That it isn't running is told below.
            let _ = self.nodes[node.index()].end(Signal::SIGKILL);
        }
        let mut told = Vec::new();
        let mut lose = |world: &mut Self, node| {
            let keep = kept.map_or(Keep::Synced, |seed| Keep::Some { seed: seed_of(seed, node) });
            let Loss { files, bytes_restored, names } = world.power_loss(node, keep)?;
            told.push(format!(
                "{node} lost what was not synced: {files} files and {names} names are as on its disk, {bytes_restored} \
                 overwritten bytes are back"
            ));
            Ok(())
        };
        self.end_nodes(Signal::SIGKILL, command, stamps, &mut lose)?;
        told.into_iter().try_for_each(|text| self.note(text))
    }

    /// Damages files of the fault's nodes.
    pub(crate) fn corrupt(
        &mut self,
        file: &str,
        damage: Damage,
        seed: Seed,
        command: &FaultCommand,
        stamps: &mut Stamps,
    ) -> Result<Option<String>, WorldError> {
        let mut told = Vec::new();
        let error = self.each_node(command, |world, node| {
            let selection = Selection::new(file).map_err(|source| ProcessError::Disk { node, source })?;
            let seed = seed_of(seed, node);
            told.push(match damage {
                Damage::FlipBits(count) => flipped(node, &world.flip_bits(node, &selection, count as usize, seed)?),
                Damage::Truncate { bytes } => truncated(node, &world.truncate(node, &selection, bytes, seed)?),
            });
            Ok(())
        })?;
        stamps.call_end = self.clock.now();
        stamps.effect = error.is_none().then_some(stamps.call_end);
        for text in told {
            self.note(text)?;
        }
        Ok(error)
    }
}

/// Each node has draws of its own.
fn seed_of(seed: Seed, node: NodeId) -> u64 {
    seed.0.wrapping_add(node.number().into())
}

fn flipped(node: NodeId, flips: &[Flip]) -> String {
    let each = flips.iter().map(|Flip { file, offset, bit, old, new }| {
        format!("bit {bit} of byte {offset} of {} ({old:#04x} is {new:#04x} now)", file.display())
    });
    format!("{node}: turned over {}", each.collect::<Vec<_>>().join(", "))
}

fn truncated(node: NodeId, Truncation { file, old_length, new_length }: &Truncation) -> String {
    format!("{node}: cut {} from {old_length} to {new_length} bytes", file.display())
}
