//! The rows on disk: which files there are, in which format, under which key, and what is done where they fail.
//!
//! Files: `rows/` (sled), `commits` (which commit was the newest), `initialized` (tells a new store from an emptied one, and names the format), `ballast` (given
//! up where the disk is full). Each object is sealed ([`super::seal`]); what does not unseal is reported, never guessed
//! at. After a write that failed sled takes no more in its process, so the database is opened again before the next one
//! ([`Disk::mend`]), and what the failed write may have left behind is written over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::engine::Engine;
use super::error::{Error, file};
use super::record::{self, CHUNK, chunk_key, chunks, shown, stem};
use super::row::{Key, Row};
use super::seal::{CHECK, Seal};
use super::whole::{SUM_KEY, Sums, Witness};
use super::{files, migrate};

/// The number of this format.
const FORMAT: u64 = 3;
const MARKER: &str = "initialized";
/// Least time between two tries to open a database that failed.
const MEND_EVERY: Duration = Duration::from_secs(1);

/// Objects as they were read, and the version to go on from.
pub(super) type Loaded = (Disk, BTreeMap<Key, Arc<Row>>, u64);

/// The open files.
#[derive(Debug)]
pub(super) struct Disk {
    /// None after a failure.
    engine: Option<Engine>,
    seal: Seal,
    sums: Sums,
    directory: PathBuf,
    /// What may stand on disk from writes that failed: keys, and the bytes that they may hold.
    owed: BTreeMap<Key, usize>,
    tried: Instant,
    /// Whether the ballast is there.
    ballast: bool,
}

impl Disk {
    /// Opens or makes the store and reads everything. A panic of sled about its files is an error.
    pub(super) fn open(directory: &Path, key_file: &Path) -> Result<Loaded, Error> {
        let (place, key_file) = (directory.to_owned(), key_file.to_owned());
        std::thread::spawn(move || Self::open_here(place, &key_file))
            .join()
            .unwrap_or_else(|_| Err(Error::Unreadable(directory.to_owned())))
    }

    fn open_here(directory: PathBuf, key_file: &Path) -> Result<Loaded, Error> {
        files::make_dir(&directory)?;
        let marker = directory.join(MARKER);
        let format = read_marker(&marker, &directory)?;
        let (plain, sealed) = (directory.join("sled"), directory.join("rows"));
        let mut key = Seal::read(key_file)?;
        if plain.exists() && !sealed.exists() {
            let seal = key.take().map_or_else(|| Seal::make(key_file), Ok)?;
            migrate::run(&plain, &sealed, &seal)?;
            key = Some(seal);
        }
        // Also where a crash came between the new name and this.
        files::remove_dir(&plain)?;
        let ballast = directory.join("ballast");
        let mut engine = match Engine::open(&sealed) {
            Err(error) if error.is_full() && std::fs::remove_file(&ballast).is_ok() => {
                Engine::open(&sealed)?
            }
            other => other?,
        };
        let version = engine.version()?;
        let seal = match (engine.get(CHECK)?, key) {
            (Some(check), Some(seal)) => {
                seal.unseal(CHECK, &check).ok_or_else(|| Error::KeyWrong {
                    key_file: key_file.to_owned(),
                    path: directory.clone(),
                })?;
                seal
            }
            (Some(_), None) => {
                return Err(Error::KeyMissing {
                    key_file: key_file.to_owned(),
                    path: directory,
                });
            }
            (None, _) if format.is_some() || version.is_some() => {
                return Err(Error::Emptied(directory));
            }
            (None, key) => {
                let seal = key.map_or_else(|| Seal::make(key_file), Ok)?;
                let mut batch = sled::Batch::default();
                batch.insert(CHECK, seal.seal(CHECK, CHECK)?);
                engine.commit(batch, 1, &Sums::default())?;
                seal
            }
        };
        let mut rows = BTreeMap::new();
        let mut sums = Sums::default();
        for (stem, record) in engine.objects()? {
            sums.set(&stem, Some(&record));
            let row = record::decode(&seal, &stem, &record)
                .ok_or_else(|| Error::Damaged(shown(&stem)))?;
            rows.insert(row.key.clone(), Arc::new(row));
        }
        let version = version.unwrap_or(1);
        let said = engine.get(SUM_KEY)?;
        let newest = Witness::of(&directory).read();
        if said != Some(sums.row()) || newest.is_some_and(|newest| newest > version) {
            return Err(Error::Incomplete(directory));
        }
        if format != Some(FORMAT) {
            files::write_private(&marker, format!("{FORMAT}\n").as_bytes())?;
        }
        let disk = Self {
            ballast: files::hold_ballast(&ballast),
            engine: Some(engine),
            seal,
            sums,
            directory,
            owed: BTreeMap::new(),
            tried: Instant::now(),
        };
        Ok((disk, rows, version))
    }

    /// Whether there is too little room for new objects: what is left is for changes of those that are there.
    pub(super) fn is_nearly_full(&self) -> Option<u64> {
        let free = files::free_bytes(&self.directory);
        (free < files::BALLAST_BYTES).then_some(free)
    }

    /// Free bytes on the store's filesystem.
    pub(super) fn free_bytes(&self) -> u64 {
        files::free_bytes(&self.directory)
    }

    /// Whether the last write failed.
    pub(super) fn is_broken(&self) -> bool {
        self.engine.is_none()
    }

    /// Writes `changes` as one, durable when this returns. After an error nothing of them counts, and the next thing to
    /// call is [`Disk::mend`].
    pub(super) fn commit(&mut self, changes: &[Change], version: u64) -> Result<(), Error> {
        let done = self.try_commit(changes, version);
        if done.is_err() {
            self.engine = None;
            for change in changes {
                let (key, bytes) = change.most();
                let owed = self.owed.entry(key.clone()).or_default();
                *owed = bytes.max(*owed);
            }
            // Room to open the database again, and to delete in it.
            drop(std::fs::remove_file(self.directory.join("ballast")));
            self.ballast = false;
        } else if !self.ballast {
            self.ballast = files::hold_ballast(&self.directory.join("ballast"));
        }
        done
    }

    fn try_commit(&mut self, changes: &[Change], version: u64) -> Result<(), Error> {
        let mut batch = sled::Batch::default();
        let mut undo = Vec::new();
        for change in changes {
            let (stem, record) = match change {
                Change::Put { row, .. } => {
                    let stem = stem(&row.key);
                    let record = record::encode(&self.seal, &stem, row);
                    (stem, record)
                }
                Change::Remove { key, .. } => (stem(key), Ok(Vec::new())),
            };
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    self.sums.undo(undo);
                    return Err(error);
                }
            };
            undo.push(
                self.sums
                    .set(&stem, (!record.is_empty()).then_some(record.as_slice())),
            );
            let mut count = 0;
            for chunk in record.chunks(CHUNK) {
                batch.insert(chunk_key(&stem, count), chunk);
                count += 1;
            }
            for stale in count..chunks(change.held()) {
                batch.remove(chunk_key(&stem, stale));
            }
        }
        let done = match &mut self.engine {
            Some(engine) => engine.commit(batch, version, &self.sums),
            None => Err(file("write to", &self.directory)(
                std::io::ErrorKind::NotConnected.into(),
            )),
        };
        match done {
            Ok(()) => Witness::of(&self.directory).write(version),
            Err(_) => self.sums.undo(undo),
        }
        done
    }

    /// Opens the database again after a failure and takes back what the failed write may have left: `truth` is what
    /// everybody was told. Not more often than every second; `None` if it is too early.
    pub(super) fn mend(
        &mut self,
        truth: impl Fn(&Key) -> Option<Arc<Row>>,
        version: u64,
    ) -> Option<Result<(), Error>> {
        if self.tried.elapsed() < MEND_EVERY {
            return None;
        }
        self.tried = Instant::now();
        Some(self.try_mend(truth, version))
    }

    fn try_mend(
        &mut self,
        truth: impl Fn(&Key) -> Option<Arc<Row>>,
        version: u64,
    ) -> Result<(), Error> {
        let engine = Engine::open(&self.directory.join("rows"))?;
        if engine.version()?.is_none() {
            return Err(Error::Emptied(self.directory.clone()));
        }
        self.engine = Some(engine);
        let changes: Vec<Change> = std::mem::take(&mut self.owed)
            .into_iter()
            .map(|(key, held)| match truth(&key) {
                Some(row) => Change::Put { row, held },
                None => Change::Remove { key, held },
            })
            .collect();
        self.commit(&changes, version)
    }
}

fn read_marker(marker: &Path, directory: &Path) -> Result<Option<u64>, Error> {
    let text = match std::fs::read(marker) {
        Ok(text) => text,
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(file("read", marker)(source)),
    };
    let format = std::str::from_utf8(&text)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or_else(|| Error::Damaged(MARKER.to_owned()))?;
    if format > FORMAT {
        return Err(Error::Newer {
            path: directory.to_owned(),
            found: format,
            known: FORMAT,
        });
    }
    Ok(Some(format))
}

/// One change of a batch, with the bytes of text at rest that the key holds before it.
#[derive(Debug)]
pub(super) enum Change {
    /// The row is written.
    Put {
        /// The new row.
        row: Arc<Row>,
        /// Bytes of the old one.
        held: usize,
    },
    /// The row goes.
    Remove {
        /// Which row.
        key: Key,
        /// Bytes of the old one.
        held: usize,
    },
}

impl Change {
    fn held(&self) -> usize {
        match self {
            Self::Put { held, .. } | Self::Remove { held, .. } => *held,
        }
    }

    /// The key, and the most bytes that stand under it if only a part of the change came to pass.
    fn most(&self) -> (&Key, usize) {
        match self {
            Self::Put { row, held } => (&row.key, row.at_rest.max(*held)),
            Self::Remove { key, held } => (key, *held),
        }
    }
}
