//! Whether the database still is all that was committed.
//!
//! sled checks its pages, and leaves out what does not check: after a flipped byte it opens with rows missing, or at an
//! earlier state, and says nothing. So each commit writes a row that adds all objects up, and after its fsync the
//! version into a file beside the database, which is not synced: it may be behind after a power cut and is never ahead.
//! What does not add up, or is older than that version, is damaged.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// Key of the row.
pub(super) const SUM_KEY: &[u8] = b"m/sum";

/// All objects at rest, added up.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// By the digest of their stems: a stem is longer than all of this.
    objects: HashMap<u128, u128>,
    total: u128,
}

impl Sums {
    /// The object under `stem` is this record now; `None`: it is gone. Returns what takes that back.
    pub(super) fn set(&mut self, stem: &[u8], record: Option<&[u8]>) -> Undo {
        let length = (stem.len() as u64).to_be_bytes();
        let object = short_digest(&[stem]);
        let new = record.map(|record| short_digest(&[&length, stem, record]));
        Undo {
            old: self.put(object, new),
            object,
        }
    }

    /// Takes changes back, the last one first.
    pub(super) fn undo(&mut self, changes: Vec<Undo>) {
        for Undo { object, old } in changes.into_iter().rev() {
            self.put(object, old);
        }
    }

    fn put(&mut self, object: u128, new: Option<u128>) -> Option<u128> {
        let old = match new {
            Some(new) => self.objects.insert(object, new),
            None => self.objects.remove(&object),
        };
        self.total = self
            .total
            .wrapping_add(new.unwrap_or_default())
            .wrapping_sub(old.unwrap_or_default());
        old
    }

    /// The row: how many objects, and their sum.
    pub(super) fn row(&self) -> Vec<u8> {
        let count = self.objects.len() as u64;
        [count.to_be_bytes().as_slice(), &self.total.to_be_bytes()].concat()
    }
}

/// The first half of a SHA-256: long enough that no two of a store's objects have the same.
fn short_digest(parts: &[&[u8]]) -> u128 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    digest.first_chunk().copied().map_or(0, u128::from_be_bytes)
}

/// Takes one change back.
#[derive(Debug)]
pub(super) struct Undo {
    object: u128,
    old: Option<u128>,
}

/// The file with the version of the newest commit: the version and its checksum.
#[derive(Debug)]
pub(super) struct Witness {
    path: PathBuf,
}

impl Witness {
    /// The one of the store in `directory`.
    pub(super) fn of(directory: &Path) -> Self {
        Self {
            path: directory.join("commits"),
        }
    }

    /// The version; `None` if there is none, or half of one.
    pub(super) fn read(&self) -> Option<u64> {
        let bytes = std::fs::read(&self.path).ok()?;
        let (version, checksum) = bytes.split_first_chunk::<8>()?;
        let fits = checksum == crc32fast::hash(version).to_be_bytes();
        fits.then(|| u64::from_be_bytes(*version))
    }

    /// Notes a commit that is durable. A note that cannot be written only makes the next check less sharp.
    pub(super) fn write(&self, version: u64) {
        let version = version.to_be_bytes();
        let bytes = [version.as_slice(), &crc32fast::hash(&version).to_be_bytes()].concat();
        let mut open = File::options();
        open.write(true).create(true).truncate(false);
        let written = open
            .open(&self.path)
            .and_then(|file| file.write_all_at(&bytes, 0));
        if let Err(error) = written {
            tracing::debug!(path = %self.path.display(), %error, "the version was not noted");
        }
    }
}
