//! From the unpacked bytes to the disk, but for the disk's ends, which are held back.
//!
//! Two threads and a handful of pieces that go round between them: one reads, digests and unpacks the next piece while
//! the other writes the last. Nothing is allocated on the way.

use std::io::{self, Read};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use vitistack_fault as fault;
use vitistack_installer_wire::Format;

use super::Error;
use super::unpack::{self, Published};
use crate::disk::{Aligned, Disk, HEAD};

/// Unpacked bytes are written in pieces of this size.
const PIECE: usize = 1 << 20;
/// One is filled while one is written.
const PIECES: usize = 2;
/// Flushed as often: a disk's own cache is then not far behind the progress that is told.
const FLUSH_EVERY: u64 = 128 << 20;

/// The ends of the disk, held back.
pub(super) struct Held {
    pub(super) head: Vec<u8>,
    pub(super) tail: Vec<u8>,
    /// Unpacked bytes so far.
    pub(super) position: u64,
    unflushed: u64,
}

/// A part of the disk's bytes.
struct Piece {
    bytes: Aligned,
    length: usize,
    /// Bytes of the whole as far as it is known, else 0.
    total: u64,
}

/// Unpacks `source` onto `disk`. `published` is the number of its bytes, 0 as long as it is not known; `progress` is
/// told bytes written and bytes of the whole.
///
/// # Errors
/// Of unpacking and of the disk; `source`'s own are kept in it.
pub(super) fn copy<R: Read + Send>(
    source: &mut Published<R>,
    published: &AtomicU64,
    format: Format,
    disk: &Disk,
    progress: impl FnMut(u64, u64),
) -> Result<Held, Error> {
    let (full, pieces) = sync_channel(PIECES);
    let (spent, empty) = sync_channel(PIECES);
    for _ in 0..PIECES {
        // There is room for all of them.
        drop(spent.send(Aligned::new(PIECE)));
    }
    thread::scope(|scope| {
        let size = disk.size();
        let reader = scope.spawn(move || read(source, published, format, size, &empty, &full));
        let held = put(disk, pieces, spent, progress);
        let read = reader.join().unwrap_or_else(|panic| resume_unwind(panic));
        // The writer's failure is why the reader stopped, so it is told first.
        let held = held?;
        read.map(|()| held)
    })
}

/// Fills pieces until the source ends, or the writer has.
fn read<R: Read>(
    source: &mut Published<R>,
    published: &AtomicU64,
    format: Format,
    size: u64,
    empty: &Receiver<Aligned>,
    full: &SyncSender<Piece>,
) -> Result<(), Error> {
    let unpack = |source| Error::Unpack { format, source };
    let mut reader = unpack::open(source, format).map_err(unpack)?;
    while let Ok(mut bytes) = empty.recv() {
        let length = fill(&mut reader, bytes.as_mut()).map_err(unpack)?;
        let total = match format {
            Format::Raw => published.load(Ordering::Relaxed),
            Format::Gzip | Format::Zstd => reader.unpacked_size(),
        };
        if total > size {
            return Err(Error::TooLarge { disk: size });
        }
        let piece = Piece {
            bytes,
            length,
            total,
        };
        if length == 0 || full.send(piece).is_err() {
            break;
        }
    }
    Ok(())
}

/// Writes pieces until no more come. Takes its ends of the channels, so that the reader hears of its end.
fn put(
    disk: &Disk,
    pieces: Receiver<Piece>,
    spent: SyncSender<Aligned>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Held, Error> {
    let edge = usize::try_from(HEAD).unwrap_or(usize::MAX);
    let mut held = Held {
        head: vec![0; edge],
        tail: vec![0; edge],
        position: 0,
        unflushed: 0,
    };
    while let Ok(piece) = pieces.recv() {
        let bytes = piece.bytes.as_ref();
        held.take(disk, bytes.get(..piece.length).unwrap_or(bytes))?;
        progress(held.position, piece.total);
        // Fails when the reader has no more use for it.
        drop(spent.send(piece.bytes));
    }
    Ok(held)
}

impl Held {
    /// Writes the next bytes, or keeps them where they belong to an end of the disk.
    fn take(&mut self, disk: &Disk, bytes: &[u8]) -> Result<(), Error> {
        let start = self.position;
        let end = start + bytes.len() as u64;
        if end > disk.size() {
            return Err(Error::TooLarge { disk: disk.size() });
        }
        let tail_start = disk.size() - HEAD;
        overlay(&mut self.head, 0, start, bytes);
        overlay(&mut self.tail, tail_start, start, bytes);
        let from = usize::try_from(HEAD.saturating_sub(start)).unwrap_or(usize::MAX);
        let until = usize::try_from(tail_start.saturating_sub(start)).unwrap_or(usize::MAX);
        let middle = bytes
            .get(from.min(bytes.len())..until.min(bytes.len()))
            .unwrap_or_default();
        if !middle.is_empty() {
            fault::before("installer.piece.write");
            disk.write(start + from as u64, middle)
                .map_err(Error::Disk)?;
            fault::after("installer.piece.write");
        }
        self.position = end;
        self.unflushed += bytes.len() as u64;
        if self.unflushed >= FLUSH_EVERY {
            disk.sync().map_err(Error::Disk)?;
            self.unflushed = 0;
        }
        Ok(())
    }
}

/// Copies the part of `bytes` (which begin at `start` on the disk) that lies in `window` (which begins at `origin`).
fn overlay(window: &mut [u8], origin: u64, start: u64, bytes: &[u8]) {
    let skip = usize::try_from(origin.saturating_sub(start)).unwrap_or(usize::MAX);
    let at = usize::try_from(start.saturating_sub(origin)).unwrap_or(usize::MAX);
    let from = bytes.get(skip..).unwrap_or_default();
    let to = window.get_mut(at..).unwrap_or_default();
    let length = from.len().min(to.len());
    if let (Some(to), Some(from)) = (to.get_mut(..length), from.get(..length)) {
        to.copy_from_slice(from);
    }
}

/// Reads until `buffer` is full or the source ends.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
