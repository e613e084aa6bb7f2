//! Opening a store: the marker, the format, the index, and what to do where a store was lost.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use vitistack_protocol::Chain;

use super::commit::{QUEUE, Service};
use super::engine::{Engine, damaged, resolve};
use super::error::{Class, Error};
use super::files::{self, Files};
use super::record::{self, Damage};
use super::rows::{self, FORMAT, Identity, SecretSealed, Table};
use super::seal::Seal;
use super::{Shared, Store, scan};

/// Where a store is and how much it may take.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Directory of the store; made with mode 0700.
    pub dir: PathBuf,
    /// Key that secrets are sealed with; made with mode 0600. Outside `dir`.
    pub key_file: PathBuf,
    /// Most bytes of live rows and files before new intents are refused.
    pub quota_bytes: u64,
    /// Size of the ballast, and the free bytes below which new intents are refused.
    pub ballast_bytes: u64,
}

impl Settings {
    /// sled's directory.
    pub(crate) fn database(&self) -> PathBuf {
        self.dir.join("db")
    }

    fn marker(&self) -> PathBuf {
        self.dir.join("marker.json")
    }

    /// The file that is given up where the disk is full.
    pub(crate) fn ballast(&self) -> PathBuf {
        self.dir.join("ballast")
    }
}

/// A file beside the database that says that there is one. JSON, because people read it when something is wrong.
#[derive(Serialize, Deserialize)]
struct Marker {
    format: u32,
    store: String,
}

/// An open store.
pub struct Opened {
    /// The handle.
    pub store: Store,
    /// The commit task, to be spawned at once.
    pub service: Service,
    /// Why the store that was here was set aside, if it was.
    pub lost: Option<Error>,
}

/// Opens the store, or makes it. A store that is damaged or was emptied is set aside under `<dir>.lost` (one is kept),
/// and a new one takes its place: the hub sends everything again, with its proof of what is installed.
///
/// # Errors
/// Where the directory cannot be used, or a newer agent wrote it. Blocking: call it before the runtime is busy.
pub fn open(settings: &Settings) -> Result<Opened, Error> {
    open_moving(settings, None)
}

/// The same, and what is sealed with the key in `former`, where older agents kept it, is sealed with that in
/// [`Settings::key_file`] from then on. The former file goes.
///
/// # Errors
/// As [`open`].
pub fn open_moving(settings: &Settings, former: Option<&Path>) -> Result<Opened, Error> {
    match caught(settings, former, false) {
        Ok((store, service)) => Ok(Opened {
            store,
            service,
            lost: None,
        }),
        Err(error) if error.class() == Class::Corrupt => {
            set_aside(settings)?;
            let (store, service) = caught(settings, former, true)?;
            Ok(Opened {
                store,
                service,
                lost: Some(error),
            })
        }
        Err(error) => Err(error),
    }
}

/// Opens, and turns a panic of sled about its files into an error.
fn caught(
    settings: &Settings,
    former: Option<&Path>,
    replacement: bool,
) -> Result<(Store, Service), Error> {
    let settings = settings.clone();
    let former = former.map(Path::to_owned);
    std::thread::spawn(move || open_here(settings, former.as_deref(), replacement))
        .join()
        .unwrap_or(Err(Error::Panicked { operation: "open" }))
}

fn set_aside(settings: &Settings) -> Result<(), Error> {
    let mut name = settings.dir.clone().into_os_string();
    name.push(".lost");
    let aside = PathBuf::from(name);
    if aside.exists() {
        std::fs::remove_dir_all(&aside).map_err(|source| files::file("removal", &aside, source))?;
    }
    std::fs::rename(&settings.dir, &aside)
        .map_err(|source| files::file("setting aside", &settings.dir, source))
}

fn open_here(
    settings: Settings,
    former: Option<&Path>,
    replacement: bool,
) -> Result<(Store, Service), Error> {
    files::make_dir(&settings.dir)?;
    let marker = read_marker(&settings)?;
    let keys = Keys::open(&settings, marker.as_ref(), former)?;
    let files = Files::open(settings.dir.join("files"))?;
    let ballast = settings.ballast();
    let engine = match Engine::open(&settings.database()) {
        Err(error) if error.class() == Class::Full && std::fs::remove_file(&ballast).is_ok() => {
            Engine::open(&settings.database())?
        }
        other => other?,
    };
    let identity = identify(&settings, &engine, &files, marker.as_ref(), replacement)?;
    let seal = keys.settle(&settings, &engine, &files)?;
    mark(&settings, &identity, marker.as_ref())?;
    let index = scan::index(&engine, &files)?;
    files.sweep(|digest| index.names(digest))?;
    if files::free_bytes(&settings.dir) > settings.ballast_bytes.saturating_mul(2)
        && let Err(error) = files::hold_ballast(&ballast, settings.ballast_bytes)
    {
        tracing::warn!(
            error = %Chain(&error),
            "no ballast could be taken"
        );
    }
    let (outbox, _) = watch::channel(index.position.last);
    let (sender, jobs) = mpsc::channel(QUEUE);
    let shared = Arc::new(Shared {
        engine: RwLock::new(Some(engine)),
        index: Mutex::new(index.clone()),
        seal,
        files,
        settings,
        identity,
        outbox,
        problem: Mutex::new(None),
    });
    let service = Service {
        shared: Arc::clone(&shared),
        jobs,
        index,
    };
    Ok((
        Store {
            shared,
            jobs: sender,
        },
        service,
    ))
}

fn read_marker(settings: &Settings) -> Result<Option<Marker>, Error> {
    let path = settings.marker();
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(files::file("reading", &path, source)),
    };
    let marker: Marker = serde_json::from_slice(&bytes).map_err(|_| Error::Damaged {
        row: "marker.json".to_owned(),
        source: Damage::Content,
    })?;
    if marker.format > FORMAT {
        return Err(Error::Newer {
            path: settings.dir.clone(),
            found: marker.format,
            known: FORMAT,
        });
    }
    Ok(Some(marker))
}

/// Finds out which store this is, or makes it one. The row comes before the marker: a crash in between leaves a store
/// without marker, which only has to be given one.
fn identify(
    settings: &Settings,
    engine: &Engine,
    files: &Files,
    marker: Option<&Marker>,
    replacement: bool,
) -> Result<Identity, Error> {
    let key = rows::single_key(Table::Identity);
    let found: Option<Identity> = engine
        .read(files, &key)?
        .map(|record| record::decode(&record))
        .transpose()
        .map_err(|source| damaged(&key, source))?;
    Ok(match (found, marker) {
        (Some(found), Some(marker)) if hex::encode(found.store) != marker.store => {
            return Err(Error::Emptied {
                path: settings.dir.clone(),
                store: marker.store.clone(),
            });
        }
        (None, Some(marker)) => {
            return Err(Error::Emptied {
                path: settings.dir.clone(),
                store: marker.store.clone(),
            });
        }
        (Some(found), _) => found,
        (None, None) => {
            let identity = Identity {
                format: FORMAT,
                store: uuid::Uuid::new_v4().into_bytes(),
                replacement,
            };
            let record = record::encode(&identity).map_err(|_| Error::Encoding {
                what: "the store's identity",
                operation: "encoded",
            })?;
            let value = [[rows::PLACE_HERE].as_slice(), &record].concat();
            engine.commit(vec![(key, Some(value))])?;
            identity
        }
    })
}

/// Writes the marker, unless it says all that already.
fn mark(settings: &Settings, identity: &Identity, marker: Option<&Marker>) -> Result<(), Error> {
    if marker.is_some_and(|marker| marker.format == FORMAT) {
        return Ok(());
    }
    let text = serde_json::to_vec(&Marker {
        format: FORMAT,
        store: hex::encode(identity.store),
    })
    .map_err(|_| Error::Encoding {
        what: "the marker",
        operation: "encoded",
    })?;
    files::write_private(&settings.marker(), &text)
}

/// The key, and the one before it.
struct Keys {
    seal: Seal,
    /// Where older agents kept theirs, and that key.
    former: Option<(PathBuf, Seal)>,
}

impl Keys {
    /// Reads what is there and makes a key only for a new store.
    fn open(
        settings: &Settings,
        marker: Option<&Marker>,
        former: Option<&Path>,
    ) -> Result<Self, Error> {
        let former = match former {
            Some(path) if path != settings.key_file => {
                Seal::read(path)?.map(|seal| (path.to_owned(), seal))
            }
            Some(_) | None => None,
        };
        let seal = match (Seal::read(&settings.key_file)?, &former) {
            (Some(seal), _) => seal,
            (None, Some(_)) => Seal::make(&settings.key_file)?,
            (None, None) if marker.is_some() => {
                return Err(Error::KeyMissing {
                    path: settings.dir.clone(),
                    key_file: settings.key_file.clone(),
                });
            }
            (None, None) => Seal::make(&settings.key_file)?,
        };
        Ok(Self { seal, former })
    }

    /// Makes sure that every secret unseals, and seals anew what the former key sealed; then that key goes. A crash in
    /// between leaves both, and rows of either; the next start goes on.
    fn settle(self, settings: &Settings, engine: &Engine, files: &Files) -> Result<Seal, Error> {
        let Self { seal, former } = self;
        let mut writes = Vec::new();
        for row in engine.rows() {
            let (key, value) = row?;
            if rows::parse_secret_key(&key).is_none() {
                continue;
            }
            let record = resolve(files, &key, &value)?;
            let row: SecretSealed =
                record::decode(&record).map_err(|source| damaged(&key, source))?;
            if seal.unseal(&key, &row.sealed).is_ok() {
                continue;
            }
            let text = former
                .as_ref()
                .and_then(|(_, former)| former.unseal(&key, &row.sealed).ok())
                .ok_or_else(|| Error::KeyWrong {
                    path: settings.dir.clone(),
                    key_file: settings.key_file.clone(),
                })?;
            let row = SecretSealed {
                digest: row.digest,
                sealed: seal.seal(&key, &text)?,
            };
            writes.push((key, Some(rows::value_of(files, &row)?.0)));
        }
        let moved = writes.len();
        if moved > 0 {
            // What the rows add up to is written anew with the next commit.
            engine.witness().remove()?;
            writes.push((rows::single_key(Table::Whole), None));
            engine.commit(writes)?;
        }
        if let Some((path, _)) = former {
            std::fs::remove_file(&path).map_err(|source| files::file("removal", &path, source))?;
            if let Some(parent) = path.parent() {
                files::sync_dir(parent)?;
            }
            tracing::info!(
                secrets = moved,
                "what the key in the data directory sealed is sealed with the one outside now"
            );
        }
        Ok(seal)
    }
}
