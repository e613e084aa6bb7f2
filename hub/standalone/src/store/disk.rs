//! The rows on disk: sled, with an fsync of our own.
//!
//! Design notes. sled's `flush` is `sync_file_range` on Linux, which loses acknowledged rows at a
//! power cut, so `commit` fsyncs sled's file itself. A long value would go into a file under
//! `blobs/` that nothing syncs, so an object is cut into rows of [`CHUNK`] bytes; what lands there
//! all the same is synced too. A marker file tells a new store from an emptied one. Each object
//! carries a format number, its length and a checksum; what does not match is reported, never
//! guessed at.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::body::Bytes;
use vitistack_fault as fault;

use super::row::{Key, Meta, Row};

/// Bytes of object text in one sled row.
const CHUNK: usize = 3584;
/// sled's cache; its default would be a gigabyte. All objects are in memory as it is.
const CACHE: u64 = 4 << 20;
/// The number of this row format.
const FORMAT: u8 = 1;
/// format, checksum, length, version.
const HEADER: usize = 1 + 4 + 4 + 8;
const VERSION_KEY: &[u8] = b"m/version";
const MARKER: &str = "initialized";

/// What went wrong with the files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file or directory could not be used.
    #[error("cannot {operation} {path}")]
    File {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// sled refused.
    #[error("cannot {operation} the store")]
    Store {
        /// What was tried.
        operation: &'static str,
        /// Why not.
        source: sled::Error,
    },
    /// A row is not what was written.
    #[error("the store's row of {0} is damaged; restore the data directory from a backup")]
    Damaged(String),
    /// The directory was used before, and sled finds nothing in it.
    #[error(
        "the store in {0} was used before and is empty now; restore it, or remove the directory to begin anew"
    )]
    Emptied(PathBuf),
}

/// Objects as they were read, and the version to go on from.
pub(super) type Loaded = (Disk, BTreeMap<Key, Arc<Row>>, u64);

/// The open files.
#[derive(Debug)]
pub(super) struct Disk {
    sled: sled::Db,
    file: File,
    directory: PathBuf,
    blobs: HashSet<OsString>,
}

impl Disk {
    /// Opens or makes the store and reads everything.
    pub(super) fn open(directory: &Path) -> Result<Loaded, Error> {
        let file_error = |operation, path: &Path| {
            let path = path.to_owned();
            move |source| Error::File {
                operation,
                path,
                source,
            }
        };
        let mut builder = std::fs::DirBuilder::new();
        let files = directory.join("sled");
        builder
            .recursive(true)
            .mode(0o700)
            .create(&files)
            .map_err(file_error("create", &files))?;
        let sled = sled::Config::new()
            .path(&files)
            .cache_capacity(CACHE)
            .mode(sled::Mode::LowSpace)
            .flush_every_ms(None)
            .open()
            .map_err(|source| Error::Store {
                operation: "open",
                source,
            })?;
        let path = files.join("db");
        let file = File::open(&path).map_err(file_error("open", &path))?;
        // Secrets are in it, whatever the umask says.
        file.set_permissions(Permissions::from_mode(0o600))
            .map_err(file_error("protect", &path))?;
        let mut disk = Self {
            sled,
            file,
            directory: directory.to_owned(),
            blobs: HashSet::new(),
        };
        let version = disk.version()?;
        let marker = directory.join(MARKER);
        if marker.exists() && version.is_none() {
            return Err(Error::Emptied(directory.to_owned()));
        }
        let rows = disk.load()?;
        if version.is_none() {
            disk.begin(&marker)?;
        }
        Ok((disk, rows, version.unwrap_or(1)))
    }

    fn version(&self) -> Result<Option<u64>, Error> {
        let found = self.sled.get(VERSION_KEY).map_err(|source| Error::Store {
            operation: "read",
            source,
        })?;
        found
            .map(|bytes| {
                bytes
                    .as_ref()
                    .try_into()
                    .map(u64::from_be_bytes)
                    .map_err(|_| Error::Damaged("the version".to_owned()))
            })
            .transpose()
    }

    /// First use: the version row, then the marker, each synced before the next.
    fn begin(&mut self, marker: &Path) -> Result<(), Error> {
        self.sled
            .insert(VERSION_KEY, &1_u64.to_be_bytes())
            .map_err(|source| Error::Store {
                operation: "begin",
                source,
            })?;
        self.sync()?;
        let error = |source| Error::File {
            operation: "write",
            path: marker.to_owned(),
            source,
        };
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(marker)
            .map_err(error)?;
        file.write_all(b"1\n")
            .and_then(|()| file.sync_all())
            .map_err(error)?;
        for directory in [self.directory.join("sled"), self.directory.clone()] {
            File::open(&directory)
                .and_then(|d| d.sync_all())
                .map_err(|source| Error::File {
                    operation: "sync",
                    path: directory,
                    source,
                })?;
        }
        Ok(())
    }

    fn load(&self) -> Result<BTreeMap<Key, Arc<Row>>, Error> {
        let mut rows = BTreeMap::new();
        let mut open: Option<(Vec<u8>, Vec<u8>)> = None;
        for entry in self.sled.scan_prefix(b"o/") {
            let (key, chunk) = entry.map_err(|source| Error::Store {
                operation: "read",
                source,
            })?;
            let stem = key.get(..key.len().saturating_sub(2)).unwrap_or_default();
            match &mut open {
                Some((held, bytes)) if held == stem => bytes.extend_from_slice(&chunk),
                _ => {
                    if let Some((held, bytes)) = open.replace((stem.to_vec(), chunk.to_vec())) {
                        insert(&mut rows, &held, &bytes)?;
                    }
                }
            }
        }
        if let Some((held, bytes)) = open {
            insert(&mut rows, &held, &bytes)?;
        }
        Ok(rows)
    }

    /// Writes `puts` and removes `removals` as one, durable when this returns.
    pub(super) fn commit(&mut self, changes: &[Change], version: u64) -> Result<(), Error> {
        let mut batch = sled::Batch::default();
        for change in changes {
            let (stem, record) = match change {
                Change::Put { row, .. } => (stem(&row.key), encode(row)),
                Change::Remove { key, .. } => (stem(key), Vec::new()),
            };
            let mut count = 0;
            for chunk in record.chunks(CHUNK) {
                batch.insert(chunk_key(&stem, count), chunk);
                count += 1;
            }
            for stale in count..chunks(change.held()) {
                batch.remove(chunk_key(&stem, stale));
            }
        }
        batch.insert(VERSION_KEY, &version.to_be_bytes());
        fault::before("standalone.store.write");
        self.sled
            .apply_batch(batch)
            .map_err(|source| Error::Store {
                operation: "write to",
                source,
            })?;
        fault::after("standalone.store.write");
        self.sync()
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.sled.flush().map_err(|source| Error::Store {
            operation: "flush",
            source,
        })?;
        self.sync_blobs()?;
        let path = self.directory.join("sled").join("db");
        fault::before("standalone.store.fsync");
        self.file.sync_all().map_err(|source| Error::File {
            operation: "sync",
            path,
            source,
        })?;
        fault::after("standalone.store.fsync");
        Ok(())
    }

    /// Syncs the files that sled put beside its log since the last time; mostly there are none.
    fn sync_blobs(&mut self) -> Result<(), Error> {
        let directory = self.directory.join("sled").join("blobs");
        let error = |source| Error::File {
            operation: "sync",
            path: directory.clone(),
            source,
        };
        let mut present = HashSet::new();
        for entry in std::fs::read_dir(&directory).map_err(error)? {
            let entry = entry.map_err(error)?;
            let name = entry.file_name();
            if !self.blobs.contains(&name) {
                match File::open(entry.path()).and_then(|file| file.sync_all()) {
                    // sled removes blobs that it has rewritten at any time.
                    Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => continue,
                    other => other.map_err(error)?,
                }
            }
            present.insert(name);
        }
        if !present.is_subset(&self.blobs) {
            File::open(&directory)
                .and_then(|d| d.sync_all())
                .map_err(error)?;
        }
        self.blobs = present;
        Ok(())
    }
}

/// One change of a batch, with the bytes of object text that the key holds before it.
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
}

/// How many sled rows an object of `bytes` of text takes; none for no object.
fn chunks(bytes: usize) -> usize {
    if bytes == 0 {
        0
    } else {
        (bytes + HEADER).div_ceil(CHUNK)
    }
}

/// NUL separates: it cannot stand in a name.
fn stem(key: &Key) -> Vec<u8> {
    let mut stem = b"o/".to_vec();
    for part in [&*key.resource, &key.namespace, &key.name] {
        stem.extend_from_slice(part.as_bytes());
        stem.push(0);
    }
    stem
}

fn chunk_key(stem: &[u8], index: usize) -> Vec<u8> {
    let index = u16::try_from(index).unwrap_or(u16::MAX);
    [stem, &index.to_be_bytes()].concat()
}

fn encode(row: &Row) -> Vec<u8> {
    let length = u32::try_from(row.body.len()).unwrap_or(u32::MAX);
    let mut record = Vec::with_capacity(HEADER + row.body.len());
    record.push(FORMAT);
    record.extend_from_slice(&crc32fast::hash(&row.body).to_be_bytes());
    record.extend_from_slice(&length.to_be_bytes());
    record.extend_from_slice(&row.version.to_be_bytes());
    record.extend_from_slice(&row.body);
    record
}

fn insert(rows: &mut BTreeMap<Key, Arc<Row>>, stem: &[u8], record: &[u8]) -> Result<(), Error> {
    let shown = String::from_utf8_lossy(stem).replace('\0', "/");
    let row = decode(stem, record).ok_or(Error::Damaged(shown))?;
    rows.insert(row.key.clone(), Arc::new(row));
    Ok(())
}

fn decode(stem: &[u8], record: &[u8]) -> Option<Row> {
    let stem = std::str::from_utf8(stem.strip_prefix(b"o/")?).ok()?;
    let mut parts = stem.split('\0');
    let key = Key::new(Arc::from(parts.next()?), parts.next()?, parts.next()?);
    let (format, rest) = record.split_first()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (version, body) = rest.split_first_chunk::<8>()?;
    let sound = *format == FORMAT
        && usize::try_from(u32::from_be_bytes(*length)) == Ok(body.len())
        && u32::from_be_bytes(*checksum) == crc32fast::hash(body);
    if !sound {
        return None;
    }
    let object = serde_json::from_slice(body).ok()?;
    Some(Row {
        key,
        version: u64::from_be_bytes(*version),
        body: Bytes::copy_from_slice(body),
        meta: Meta::of(&object),
    })
}
