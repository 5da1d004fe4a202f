//! What the disk holds of one file, while the file itself has gone on.
//!
//! The idea: the file is written through, so that reading it needs no detour, and what is kept aside is the *past*: the length at the
//! last sync, and each block below that length as it was then, saved when it is first overwritten. A thousand writes to one block
//! cost one block, and appending costs nothing. What a failed sync should have written is given up, as Linux does: its pages count as
//! clean, and later syncs succeed without them (A. Rebello et al., "Can Applications Recover from fsync Failures?"). Refuses to know names. Blocks are 4 KiB, the pages that kernels write back; within a
//! block a torn write is cut at sectors of 512 bytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use rand::{Rng, RngExt};

pub(super) const BLOCK_BYTES: u64 = 4096;
const SECTOR_BYTES: usize = 512;

/// A file as of its last sync, as far as it differs from the present one.
#[derive(Debug, Default)]
pub(super) struct Image {
    /// Its length.
    pub(super) length: u64,
    /// Blocks that were overwritten or cut off since, by number.
    blocks: BTreeMap<u64, Saved>,
}

/// A block as the disk has it.
#[derive(Debug, Default)]
struct Saved {
    /// Its bytes; none if all are zeroes.
    bytes: Vec<u8>,
    /// Whether a sync of it has failed, so that no later one tries again.
    given_up: bool,
}

impl Image {
    /// A file of this length that has not changed yet.
    pub(super) fn new(length: u64) -> Self {
        Self { length, blocks: BTreeMap::new() }
    }

    /// How many bytes are kept.
    pub(super) fn bytes(&self) -> u64 {
        self.blocks.values().map(|block| block.bytes.len() as u64).sum()
    }

    /// Saves what is about to be overwritten or cut off.
    pub(super) fn save(&mut self, file: &File, range: Range<u64>) -> io::Result<()> {
        for (_, saved) in self.blocks.range_mut(range.start / BLOCK_BYTES..range.end.div_ceil(BLOCK_BYTES)) {
            // Written again, so the next sync will try again.
            saved.given_up = false;
        }
        let end = range.end.min(self.length);
        if range.start >= end {
            return Ok(());
        }
        for number in range.start / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES) {
            if self.blocks.contains_key(&number) {
                continue;
            }
            self.save_block(file, number)?;
        }
        Ok(())
    }

    fn save_block(&mut self, file: &File, number: u64) -> io::Result<()> {
        let mut bytes = vec![0; self.block_length(number)];
        read_up_to(file, &mut bytes, number * BLOCK_BYTES)?;
        if bytes.iter().all(|&byte| byte == 0) {
            bytes = Vec::new();
        }
        self.blocks.insert(number, Saved { bytes, given_up: false });
        Ok(())
    }

    /// A sync has failed: whatever differs now is never written back by itself any more.
    pub(super) fn give_up(&mut self, file: &File) -> io::Result<()> {
        let appended = self.length / BLOCK_BYTES..file.metadata()?.len().div_ceil(BLOCK_BYTES);
        for number in appended {
            if !self.blocks.contains_key(&number) {
                self.save_block(file, number)?;
            }
        }
        self.blocks.values_mut().for_each(|saved| saved.given_up = true);
        Ok(())
    }

    /// A sync has succeeded, of a file of this length: all of it is on the disk but for what was given up. Whether that is anything.
    pub(super) fn synced(&mut self, length: u64) -> bool {
        self.blocks.retain(|number, saved| saved.given_up && number * BLOCK_BYTES < length);
        self.length = length;
        if let Some((&last, _)) = self.blocks.last_key_value() {
            // What lay beyond the end that is now on the disk must not come back when the file grows again.
            let within = self.block_length(last);
            self.blocks.entry(last).or_default().bytes.truncate(within);
        }
        !self.blocks.is_empty()
    }

    /// Writes the same bytes into the past, as damage does that happens on the disk itself.
    pub(super) fn overwrite(&mut self, offset: u64, data: &[u8]) {
        for (place, &byte) in (offset..self.length).zip(data) {
            let length = self.block_length(place / BLOCK_BYTES);
            if let Some(Saved { bytes, .. }) = self.blocks.get_mut(&(place / BLOCK_BYTES)) {
                bytes.resize(length, 0);
                bytes[usize::try_from(place % BLOCK_BYTES).expect("a block is short")] = byte;
            }
        }
    }

    /// Makes the file again what it was.
    pub(super) fn restore(&self, file: &File) -> io::Result<()> {
        file.set_len(self.length)?;
        for &number in self.blocks.keys() {
            file.write_all_at(&self.block(number), number * BLOCK_BYTES)?;
        }
        Ok(())
    }

    /// Makes each sector of the file what it was or leaves it as it is, by the toss of a coin; likewise the length.
    pub(super) fn restore_partly(&self, file: &File, random: &mut impl Rng) -> io::Result<()> {
        let current = file.metadata()?.len();
        let kept: f64 = random.random();
        let length = if random.random_bool(kept) {
            current
        } else if current > self.length && random.random_bool(0.5) {
            // The inode was written back between two of the appended blocks.
            let between = random.random_range(self.length..current);
            (between - between % SECTOR_BYTES as u64).max(self.length)
        } else {
            self.length
        };
        file.set_len(length)?;
        for &number in self.blocks.keys() {
            let start = number * BLOCK_BYTES;
            for (index, sector) in self.block(number).chunks(SECTOR_BYTES).enumerate() {
                let place = start + (index * SECTOR_BYTES) as u64;
                // What was cut off has no newer version that could be there instead.
                let is_old = self.blocks[&number].given_up || place >= current || !random.random_bool(kept);
                if place < length && is_old {
                    let within = usize::try_from(length - place).map_or(sector.len(), |left| left.min(sector.len()));
                    file.write_all_at(&sector[..within], place)?;
                }
            }
        }
        let mut place = self.length;
        while place < length {
            let end = (place - place % BLOCK_BYTES + BLOCK_BYTES).min(length);
            if !random.random_bool(kept) {
                let zeroes = vec![0; usize::try_from(end - place).expect("a block is short")];
                file.write_all_at(&zeroes, place)?;
            }
            place = end;
        }
        Ok(())
    }

    /// How many bytes of a block lie below the length.
    fn block_length(&self, number: u64) -> usize {
        let left = self.length.saturating_sub(number * BLOCK_BYTES);
        usize::try_from(left.min(BLOCK_BYTES)).expect("a block is short")
    }

    fn block(&self, number: u64) -> Vec<u8> {
        let mut bytes = self.blocks[&number].bytes.clone();
        bytes.resize(self.block_length(number), 0);
        bytes
    }
}

/// Reads what there is; the rest of the buffer keeps its zeroes.
fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(())
}
