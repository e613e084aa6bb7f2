//! sled, opened, read and made durable. The only file of the agent that knows how sled stores things.
//!
//! sled's `flush` calls `sync_file_range`, which promises nothing after a power cut, so every commit ends with an fsync
//! of sled's log through a file handle of our own.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vitistack_fault as fault;

use super::error::Error;
use super::files::{self, Files};
use super::record::{self, Damage};
use super::rows::{self, FileValue, PLACE_FILE, PLACE_HERE};
use super::whole::Witness;

/// sled's page cache. Its default is 1 GiB; an agent's whole store is a few MiB.
const CACHE_BYTES: u64 = 2 * 1024 * 1024;

/// How long whoever holds the database is waited for: an agent that is stopping, or sled's own threads, which let go of it
/// a moment after it was dropped.
const HELD: Duration = Duration::from_secs(10);

/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Rows to write; `None` removes.
pub(crate) type Writes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// An open database.
pub(crate) struct Engine {
    db: sled::Db,
    log: File,
    path: PathBuf,
}

impl Engine {
    /// Opens the database in `path`, or makes it. One that is held is waited for, up to [`HELD`].
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        files::make_dir(path)?;
        until_free(path, HELD)?;
        remove_half_snapshots(path)?;
        let db = sled::Config::new()
            .path(path)
            .cache_capacity(CACHE_BYTES)
            // The commit task flushes; a timer of sled's own would only wake an idle machine.
            .flush_every_ms(None)
            .open()
            .map_err(|source| Error::Database {
                operation: "open",
                source,
            })?;
        let log_path = path.join("db");
        let log = File::options()
            .write(true)
            .open(&log_path)
            .map_err(|source| files::file("opening", &log_path, source))?;
        // The names of sled's files have to outlive a power cut too.
        files::sync_dir(path)?;
        Ok(Self {
            db,
            log,
            path: path.to_owned(),
        })
    }

    /// Writes all of `writes` or nothing, durably.
    pub(crate) fn commit(&self, writes: Writes) -> Result<(), Error> {
        let mut batch = sled::Batch::default();
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        let failed = |source| Error::Database {
            operation: "commit",
            source,
        };
        fault::before("agent.store.write");
        self.db.apply_batch(batch).map_err(failed)?;
        self.db.flush().map_err(failed)?;
        fault::after("agent.store.write");
        fault::before("agent.store.fsync");
        self.log
            .sync_all()
            .map_err(|source| files::file("syncing", &self.path.join("db"), source))?;
        fault::after("agent.store.fsync");
        Ok(())
    }

    /// What says which commit was the newest.
    pub(crate) fn witness(&self) -> Witness {
        Witness::beside(&self.path)
    }

    /// The directory that all files of the store are in.
    pub(crate) fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// The record under `key`, fetched from its file if it stands in one.
    pub(crate) fn read(&self, files: &Files, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let value = self.db.get(key).map_err(|source| Error::Database {
            operation: "read",
            source,
        })?;
        value.map(|value| resolve(files, key, &value)).transpose()
    }

    /// Every key and value, as they stand.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), Error>> {
        self.db.iter().map(|row| {
            row.map(|(key, value)| (key.to_vec(), value.to_vec()))
                .map_err(|source| Error::Database {
                    operation: "list",
                    source,
                })
        })
    }
}

/// Waits until nobody holds sled's lock. sled itself tries once, and tells a lock that is held from other errors only by
/// its text.
pub(super) fn until_free(path: &Path, bound: Duration) -> Result<(), Error> {
    let log = path.join("db");
    let file = match File::open(&log) {
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|source| files::file("opening", &log, source))?,
    };
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            // Closing the file gives it back, to sled.
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if begun.elapsed() < bound => std::thread::sleep(LOOK),
            Err(TryLockError::WouldBlock) => return Err(Error::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(files::file("locking", &log, source)),
        }
    }
}

/// sled writes a snapshot at each opening. One that it could not finish (a full disk, a power cut) it takes for its
/// newest the next time, and calls the whole database corrupt. The log has everything that is in a snapshot.
fn remove_half_snapshots(path: &Path) -> Result<(), Error> {
    for entry in std::fs::read_dir(path).map_err(|source| files::file("listing", path, source))? {
        let entry = entry.map_err(|source| files::file("listing", path, source))?;
        if entry.file_name().to_string_lossy().ends_with(".generating") {
            let half = entry.path();
            std::fs::remove_file(&half).map_err(|source| files::file("removal", &half, source))?;
        }
    }
    Ok(())
}

/// The file that a value names, and its length.
pub(crate) fn file_of(key: &[u8], value: &[u8]) -> Result<Option<FileValue>, Error> {
    match value.split_first() {
        Some((&PLACE_HERE, _)) => Ok(None),
        Some((&PLACE_FILE, rest)) => record::decode(rest)
            .map(Some)
            .map_err(|source| damaged(key, source)),
        Some(_) => Err(damaged(key, Damage::Content)),
        None => Err(damaged(key, Damage::Short(0))),
    }
}

/// The record that a value holds or names.
pub(crate) fn resolve(files: &Files, key: &[u8], value: &[u8]) -> Result<Vec<u8>, Error> {
    match file_of(key, value)? {
        None => Ok(value.get(1..).unwrap_or_default().to_vec()),
        Some(named) => files
            .read(named.digest)?
            .filter(|bytes| bytes.len() as u64 == named.length)
            .ok_or_else(|| damaged(key, Damage::File)),
    }
}

/// The error of a row that does not hold what was written.
pub(crate) fn damaged(key: &[u8], source: Damage) -> Error {
    Error::Damaged {
        row: rows::name_of(key),
        source,
    }
}
