//! What the agent keeps on disk: intents, secrets, journals, the newest report of each object, and its own position.
//!
//! A promise and a shape. The promise: when a method returns, a power cut at that instant loses nothing of it. The
//! shape: sled behind a handful of typed methods; one commit task ([`Service`]) writes many operations with one fsync
//! and publishes what is durable to an index in memory; reads go to the index, or to the database on a blocking thread.
//!
//! Files: `<dir>/db` (sled), `<dir>/files` (values above 4 KiB, by digest), `<dir>/marker.json` (tells an emptied store
//! from a new one), `<dir>/commits` (which commit was the newest), `<dir>/ballast` (given up where the disk is full). Secrets are sealed with a key that stands
//! outside `<dir>`. Disk-full and damage are states that [`Store::problem`] names; nothing here panics on them.
//!
//! Writers: the uplink's intake for intents, secrets, acks; the executor for journals and reports. Nobody else.

mod commit;
mod engine;
mod error;
mod fence;
mod files;
mod index;
mod intents;
mod open;
mod outbox;
mod record;
mod reports;
mod rows;
mod scan;
mod seal;
#[cfg(test)]
mod tests;
mod whole;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::{mpsc, oneshot, watch};
use vitistack_drivers::driver::Secrets;
use vitistack_drivers::journal::Journal;
use vitistack_protocol::Chain;
use vitistack_protocol::ids::{Digest, Sequence, Uid};
use vitistack_protocol::message::intent::{Intent, SecretKey, SecretName};
use vitistack_protocol::message::numbered::BodyKind;
use zeroize::Zeroizing;

pub use commit::Service;
pub use error::{Class, Error};
pub use files::free_bytes;
pub(crate) use files::write_private;
pub use open::{Opened, Settings, open, open_moving};
pub use record::Damage;
pub use reports::Facts;
pub use rows::check_row;

use commit::{Draft, Job};
use engine::Engine;
use files::Files;
use index::Index;
use rows::{Identity, Table};
use seal::Seal;

/// Handle of the store. Cheap to clone; the store closes when the last one is dropped.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
}

struct Shared {
    /// `None` between a failure and the next successful opening.
    engine: RwLock<Option<Engine>>,
    /// What is durable.
    index: Mutex<Index>,
    seal: Seal,
    files: Files,
    settings: Settings,
    identity: Identity,
    outbox: watch::Sender<Sequence>,
    problem: Mutex<Option<&'static str>>,
}

/// Everything that a worker needs of its object.
pub struct Loaded {
    /// The newest intent.
    pub intent: Intent,
    /// What was begun and done for it.
    pub journal: Journal,
    /// The secrets that the object uses and that have arrived.
    pub secrets: HeldSecrets,
}

/// Secrets of one object, unsealed for as long as they are needed. It has no `Debug`; the values are wiped.
#[derive(Default)]
pub struct HeldSecrets {
    rows: BTreeMap<SecretName, (Digest, Zeroizing<Vec<u8>>)>,
    carried: Option<Uid>,
}

impl Secrets for HeldSecrets {
    fn secret(&self, key: &SecretKey) -> Option<Zeroizing<Vec<u8>>> {
        let (_, value) = self.rows.get(&SecretName::from(*key))?;
        Some(value.clone())
    }

    fn credentials(&self, uid: Option<Uid>) -> Option<(SecretKey, Zeroizing<Vec<u8>>)> {
        let of = |uid: Uid| {
            let (digest, value) = self.rows.get(&SecretName::of_credentials(uid))?;
            let digest = *digest;
            Some((SecretKey { uid, digest }, value.clone()))
        };
        uid.and_then(of).or_else(|| self.carried.and_then(of))
    }
}

impl Store {
    /// Objects that need a worker, and what their intents hold.
    #[must_use]
    pub fn live(&self) -> Vec<(Uid, BodyKind)> {
        self.shared.index().live()
    }

    /// What the object's intent holds, if it needs a worker.
    #[must_use]
    pub fn live_kind(&self, uid: Uid) -> Option<BodyKind> {
        let index = self.shared.index();
        let entry = index.objects.get(&uid)?;
        (!entry.is_over()).then_some(entry.kind)
    }

    /// What is wrong with the store, by name, or nothing.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        *self
            .shared
            .problem
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this store took the place of one that was lost.
    #[must_use]
    pub fn is_replacement(&self) -> bool {
        self.shared.identity.replacement
    }

    /// Objects held, and reports waiting.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let index = self.shared.index();
        (index.held().len(), index.waiting())
    }

    /// The object's newest intent, its journal and its secrets; `None` if there is nothing to be done for it.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub async fn load(&self, uid: Uid) -> Result<Option<Loaded>, Error> {
        self.read(move |shared| {
            let over = shared
                .index()
                .objects
                .get(&uid)
                .is_none_or(index::Entry::is_over);
            if over {
                return Ok(None);
            }
            let key = rows::object_key(Table::Intent, uid);
            let Some(row) = shared.read::<rows::IntentRow>(&key)? else {
                return Ok(None);
            };
            let journal = shared
                .read::<Journal>(&rows::object_key(Table::Journal, uid))?
                .unwrap_or_default();
            let secrets = shared.unseal(&row)?;
            Ok(Some(Loaded {
                intent: row.intent,
                journal,
                secrets,
            }))
        })
        .await
    }

    /// Replaces the object's journal.
    ///
    /// # Errors
    /// When it is not durable.
    pub async fn write_journal(&self, uid: Uid, journal: Journal) -> Result<(), Error> {
        self.commit(move |draft| {
            let known = draft
                .index
                .objects
                .get(&uid)
                .is_some_and(|entry| entry.retired.is_none());
            if known {
                draft.put(rows::object_key(Table::Journal, uid), &journal)?;
            }
            Ok(())
        })
        .await
    }

    /// Runs an operation in the commit task and returns what it returned once it is durable.
    async fn commit<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Draft<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |draft| {
            match operation(draft).and_then(|value| draft.put_position().map(|()| value)) {
                Ok(value) => Some(Box::new(move |outcome: Result<(), Error>| {
                    // A caller that went away has no use for the answer; what it asked for is done all the same.
                    drop(answer.send(outcome.map(|()| value)));
                })),
                Err(error) => {
                    drop(answer.send(Err(error)));
                    None
                }
            }
        });
        self.jobs.send(job).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)?
    }

    /// Runs a reading operation on a blocking thread.
    async fn read<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Shared) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || operation(&shared))
            .await
            .map_err(|_| Error::Panicked { operation: "read" })?
    }
}

impl Shared {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_engine<T>(
        &self,
        operation: impl FnOnce(&Engine) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let engine = self.engine.read().unwrap_or_else(PoisonError::into_inner);
        operation(engine.as_ref().ok_or(Error::Closed)?)
    }

    fn read_record(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.with_engine(|engine| engine.read(&self.files, key))
    }

    fn read<T: serde::de::DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, Error> {
        self.read_record(key)?
            .map(|record| record::decode(&record))
            .transpose()
            .map_err(|source| engine::damaged(key, source))
    }

    fn unseal(&self, row: &rows::IntentRow) -> Result<HeldSecrets, Error> {
        let mut held = HeldSecrets {
            rows: BTreeMap::new(),
            carried: row.carried,
        };
        for name in scan::entry_of(row).secrets {
            let key = rows::secret_key(&name);
            let Some(row) = self.read::<rows::SecretSealed>(&key)? else {
                continue;
            };
            match self.seal.unseal(&key, &row.sealed) {
                Ok(value) => {
                    held.rows.insert(name, (row.digest, value));
                }
                // The seal key was replaced. The driver waits for the secret, which says what is missing.
                Err(error) => tracing::error!(
                    secret = %name.uid,
                    error = %Chain(&error),
                    "a secret cannot be unsealed; was the key file replaced?"
                ),
            }
        }
        Ok(held)
    }

    /// The database failed and has to be opened again.
    fn is_broken(&self) -> bool {
        self.problem
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// Notes a failed commit, and makes room where that was the reason.
    fn break_down(&self, error: &Error) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.label());
        if error.class() == Class::Full {
            drop(std::fs::remove_file(self.settings.ballast()));
        }
    }

    /// Notes a commit that went well, and takes the ballast again once there is room for it.
    fn mend(&self) {
        let was = self
            .problem
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if was.is_some() {
            tracing::info!("the store writes again");
        }
        let ballast = self.settings.ballast();
        let size = self.settings.ballast_bytes;
        if !ballast.exists()
            && free_bytes(&self.settings.dir) > size.saturating_mul(4)
            && let Err(error) = files::hold_ballast(&ballast, size)
        {
            tracing::warn!(
                error = %Chain(&error),
                "no ballast could be taken"
            );
        }
    }
}
