//! sled, opened, read and made durable.
//!
//! Design notes. sled's `flush` is `sync_file_range` on Linux, which loses acknowledged rows at a power cut, so a commit
//! fsyncs sled's file itself. What sled puts beside its log all the same is synced too.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{File, Permissions, TryLockError};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vitistack_fault as fault;

use super::error::{Error, file, store};
use super::whole::{SUM_KEY, Sums};
use super::{files, record};

/// sled's cache; its default would be a gigabyte. All objects are in memory as it is.
const CACHE: u64 = 1 << 20;
/// How long whoever holds the database is waited for: a hub that is stopping, or sled's own threads, which let go of it a
/// moment after it was dropped.
const HELD: Duration = Duration::from_secs(10);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(20);
const VERSION_KEY: &[u8] = b"m/version";

/// Stem and record of one object.
pub(super) type Object = (Vec<u8>, Vec<u8>);

/// An open database.
#[derive(Debug)]
pub(super) struct Engine {
    sled: sled::Db,
    log: File,
    path: PathBuf,
    blobs: HashSet<OsString>,
}

/// sled writes a snapshot at each opening. One that it could not finish (a full disk, a power cut) it takes for its
/// newest the next time, and calls the whole database corrupt. The log has everything that is in a snapshot.
fn remove_half_snapshots(path: &Path) -> Result<(), Error> {
    for entry in std::fs::read_dir(path).map_err(file("list", path))? {
        let entry = entry.map_err(file("list", path))?;
        if entry.file_name().to_string_lossy().ends_with(".generating") {
            let half = entry.path();
            std::fs::remove_file(&half).map_err(file("remove", &half))?;
        }
    }
    Ok(())
}

/// Waits until nobody holds sled's lock. sled itself tries once, and tells a lock that is held from other errors only by
/// its text.
pub(super) fn until_free(path: &Path, bound: Duration) -> Result<(), Error> {
    let log = path.join("db");
    let held = match File::open(&log) {
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(file("open", &log))?,
    };
    let begun = Instant::now();
    loop {
        match held.try_lock() {
            // Closing the file gives it back, to sled.
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if begun.elapsed() < bound => std::thread::sleep(LOOK),
            Err(TryLockError::WouldBlock) => return Err(Error::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(file("lock", &log)(source)),
        }
    }
}

impl Engine {
    /// Opens or makes it. One that is held is waited for, up to [`HELD`].
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        files::make_dir(path)?;
        until_free(path, HELD)?;
        remove_half_snapshots(path)?;
        let sled = sled::Config::new()
            .path(path)
            .cache_capacity(CACHE)
            .mode(sled::Mode::LowSpace)
            .flush_every_ms(None)
            .open()
            .map_err(store("open"))?;
        let log_path = path.join("db");
        let log = File::open(&log_path).map_err(file("open", &log_path))?;
        // Secrets are in it, whatever the umask says.
        log.set_permissions(Permissions::from_mode(0o600))
            .map_err(file("protect", &log_path))?;
        // The names of sled's files have to outlive a power cut too.
        files::sync_dir(path)?;
        Ok(Self {
            sled,
            log,
            path: path.to_owned(),
            blobs: HashSet::new(),
        })
    }

    /// A row.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let found = self.sled.get(key).map_err(store("read"))?;
        Ok(found.map(|bytes| bytes.to_vec()))
    }

    /// The version that the newest commit had; none in a new database.
    pub(super) fn version(&self) -> Result<Option<u64>, Error> {
        self.get(VERSION_KEY)?
            .map(|bytes| {
                bytes
                    .as_slice()
                    .try_into()
                    .map(u64::from_be_bytes)
                    .map_err(|_| Error::Damaged("the version".to_owned()))
            })
            .transpose()
    }

    /// The rows of all objects, each object's joined: stem and record.
    pub(super) fn objects(&self) -> Result<Vec<Object>, Error> {
        let mut objects: Vec<Object> = Vec::new();
        for entry in self.sled.scan_prefix(record::PREFIX) {
            let (key, chunk) = entry.map_err(store("read"))?;
            let stem = key.get(..key.len().saturating_sub(2)).unwrap_or_default();
            match objects.last_mut() {
                Some((held, bytes)) if held == stem => bytes.extend_from_slice(&chunk),
                _ => objects.push((stem.to_vec(), chunk.to_vec())),
            }
        }
        Ok(objects)
    }

    /// Writes all of `batch`, the version, and what all objects add up to after it, durably.
    pub(super) fn commit(
        &mut self,
        mut batch: sled::Batch,
        version: u64,
        sums: &Sums,
    ) -> Result<(), Error> {
        batch.insert(VERSION_KEY, &version.to_be_bytes());
        batch.insert(SUM_KEY, sums.row());
        fault::before("standalone.store.write");
        self.sled.apply_batch(batch).map_err(store("write to"))?;
        fault::after("standalone.store.write");
        self.sled.flush().map_err(store("flush"))?;
        self.sync_blobs()?;
        fault::before("standalone.store.fsync");
        self.log
            .sync_all()
            .map_err(file("sync", &self.path.join("db")))?;
        fault::after("standalone.store.fsync");
        Ok(())
    }

    /// Syncs the files that sled put beside its log since the last time; mostly there are none.
    fn sync_blobs(&mut self) -> Result<(), Error> {
        let directory = self.path.join("blobs");
        let mut present = HashSet::new();
        for entry in std::fs::read_dir(&directory).map_err(file("sync", &directory))? {
            let entry = entry.map_err(file("sync", &directory))?;
            let name = entry.file_name();
            if !self.blobs.contains(&name) {
                match File::open(entry.path()).and_then(|file| file.sync_all()) {
                    // sled removes blobs that it has rewritten at any time.
                    Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => continue,
                    other => other.map_err(file("sync", &directory))?,
                }
            }
            present.insert(name);
        }
        if !present.is_subset(&self.blobs) {
            files::sync_dir(&directory)?;
        }
        self.blobs = present;
        Ok(())
    }
}
