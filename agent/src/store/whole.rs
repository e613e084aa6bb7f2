//! Whether the database still is all that was committed.
//!
//! sled checks its pages, and leaves out what does not check: after a flipped byte it opens with rows missing, or at an
//! earlier state, and says nothing. So each commit writes a row that adds all rows up, and after its fsync the number of
//! the commit into a file beside the database, which is not synced: it may be behind after a power cut and is never
//! ahead. What does not add up, or is older than that number, is a store that was lost.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vitistack_protocol::ids::Digest;

use super::error::Error;
use super::files;

/// How many rows there are, and the sum of [`sum_of`] over them.
pub(crate) type Total = (u64, u128);

/// All rows but this one, added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Whole {
    /// Commits so far.
    pub(crate) commits: u64,
    /// How many rows there are.
    pub(crate) rows: u64,
    /// Sum of [`sum_of`] over them.
    pub(crate) sum: [u8; 16],
}

impl Whole {
    /// Of everything that there is, after `commits`.
    pub(crate) fn of((rows, sum): Total, commits: u64) -> Self {
        Self {
            commits,
            rows,
            sum: sum.to_be_bytes(),
        }
    }
}

/// What a row adds.
pub(crate) fn sum_of(key: &[u8], value: &[u8]) -> u128 {
    let length = (key.len() as u64).to_be_bytes();
    let Digest(digest) = Digest::of(&[length.as_slice(), key, value].concat());
    digest.first_chunk().copied().map_or(0, u128::from_be_bytes)
}

/// Compares what is there with what was said of it, and returns the number of commits.
pub(crate) fn verify(
    dir: &Path,
    there: Total,
    said: Option<Whole>,
    witness: Option<u64>,
) -> Result<u64, Error> {
    let commits = said.map_or(0, |said| said.commits);
    let adds_up = said.is_none_or(|said| said == Whole::of(there, commits));
    if !adds_up || witness.is_some_and(|witness| witness > commits) {
        return Err(Error::Incomplete {
            path: dir.to_owned(),
        });
    }
    Ok(commits)
}

/// The file with the number of the newest commit: the number and its checksum.
#[derive(Debug)]
pub(crate) struct Witness {
    path: PathBuf,
}

impl Witness {
    /// The one of the database in `database`.
    pub(crate) fn beside(database: &Path) -> Self {
        Self {
            path: database.with_file_name("commits"),
        }
    }

    /// The number; `None` if there is none, or half of one.
    pub(crate) fn read(&self) -> Option<u64> {
        let bytes = std::fs::read(&self.path).ok()?;
        let (number, checksum) = bytes.split_first_chunk::<8>()?;
        let fits = checksum == crc32fast::hash(number).to_be_bytes();
        fits.then(|| u64::from_be_bytes(*number))
    }

    /// Notes a commit that is durable. A note that cannot be written only makes the next check less sharp.
    pub(crate) fn write(&self, number: u64) {
        let number = number.to_be_bytes();
        let bytes = [number.as_slice(), &crc32fast::hash(&number).to_be_bytes()].concat();
        let mut open = File::options();
        open.write(true).create(true).truncate(false);
        let written = open
            .open(&self.path)
            .and_then(|file| file.write_all_at(&bytes, 0));
        if let Err(error) = written {
            tracing::debug!(path = %self.path.display(), %error, "the number of the commit was not noted");
        }
    }

    /// Takes it away before something is changed that it does not know of.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        match std::fs::remove_file(&self.path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(files::file("removal", &self.path, source))
            }
            _ => match self.path.parent() {
                Some(parent) => files::sync_dir(parent),
                None => Ok(()),
            },
        }
    }
}
