//! What an earlier boot of the same operation left on the disk, so that a server that restarted by itself is written to
//! only where something is missing.
//!
//! Two witnesses, both on the disk. While the image is written its first MiB is empty but for a *mark*, which names the
//! operation and the image. When the image is complete the mark is gone, and the cloud-init seed is there: it holds the
//! address where this very attempt's guest phones home, 128 bits that no other disk has.

use std::io;

use super::{Order, seed, table};
use crate::disk::{Disk, HEAD};

/// The mark stands in the last block of the first MiB, where no boot code is.
const BLOCK: usize = 4096;
const TITLE: &[u8] = b"VitiStack installs here\n";

/// How far the disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing of this operation.
    Nothing,
    /// The image in part; the disk does not boot.
    Part,
    /// Image and seed of this very attempt.
    Whole,
}

/// Looks at the ends of the disk and at its seed.
///
/// # Errors
/// The disk cannot be read.
pub fn look(disk: &Disk, order: &Order) -> io::Result<Found> {
    let head = disk.read(0, usize::try_from(HEAD).unwrap_or(usize::MAX))?;
    let mark = mark(order);
    if head
        .get(head.len().saturating_sub(BLOCK)..)
        .is_some_and(|block| block == mark)
    {
        return Ok(Found::Part);
    }
    if order.seed.is_empty() {
        return Ok(Found::Nothing);
    }
    for partition in table::partitions(&head, disk.sector()) {
        let fits = partition.start >= HEAD && partition.length <= seed::LARGEST;
        if fits && seed::says_seed(&disk.read(partition.start, 512)?) {
            let length = usize::try_from(partition.length).unwrap_or(usize::MAX);
            if seed::holds(disk.read(partition.start, length)?, &order.seed) {
                return Ok(Found::Whole);
            }
        }
    }
    Ok(Found::Nothing)
}

/// Empties both ends of the disk and puts the mark there: half an old system and half a new one must not boot. A server
/// that died before the mark was down writes nothing that is there already.
pub(super) fn begin(disk: &Disk, order: &Order) -> io::Result<()> {
    let disk = &disk.sparing()?;
    empty(disk)?;
    disk.write(HEAD - BLOCK as u64, &mark(order))?;
    disk.sync()
}

/// Empties both ends of the disk.
pub(super) fn empty(disk: &Disk) -> io::Result<()> {
    disk.zero(0, HEAD)?;
    disk.zero(disk.size().saturating_sub(HEAD), HEAD)?;
    disk.sync()
}

fn mark(order: &Order) -> Vec<u8> {
    let mut block = TITLE.to_vec();
    block.extend_from_slice(order.operation.as_bytes());
    block.push(b'\n');
    block.extend_from_slice(hex::encode(order.digest).as_bytes());
    block.push(b'\n');
    block.resize(BLOCK, 0);
    block
}

#[cfg(test)]
mod tests;
