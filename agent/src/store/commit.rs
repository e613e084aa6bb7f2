//! Group commit: one task takes operations from a bounded queue and writes many of them with one fsync.
//!
//! Task: [`Service::run`], started once by `run`, owner of the write path. Channel: `mpsc(256)` of operations; when it
//! is full, callers wait for a place, which is the back-pressure on the session and on the workers. An operation is a
//! function of a [`Draft`]: it reads the index, adds rows and changes, and answers its caller only after the fsync.
//!
//! A failed commit leaves sled unusable in its process (it says so itself after the first write error), so the database
//! is opened again; where the disk is full, the ballast goes first.

use std::time::Duration;

use std::sync::{Arc, PoisonError};

use tokio::sync::mpsc;
use tokio::time::Instant;
use vitistack_protocol::Chain;
use vitistack_protocol::ids::{Digest, Sequence};

use super::Shared;
use super::engine::{Engine, Writes};
use super::error::{Class, Error};
use super::files;
use super::index::{Change, Cost, Index};
use super::record;
use super::rows::{self, Position, Table};
use super::whole::Whole;

/// How long the first operation of a batch waits for company: a fraction of what an eMMC's fsync takes.
const WINDOW: Duration = Duration::from_millis(5);
/// Most operations in one batch.
const BATCH: usize = 64;
/// Operations that may wait for the commit task.
pub(crate) const QUEUE: usize = 256;
/// Least time between two tries to open a database that failed.
const REOPEN_EVERY: Duration = Duration::from_secs(1);

/// An operation: changes the draft, and returns what answers the caller once the outcome is known. `None` where the
/// caller was answered already and the draft is to be thrown away.
pub(crate) type Job = Box<dyn FnOnce(&mut Draft<'_>) -> Option<Finish> + Send>;
/// Answers the caller of one operation.
pub(crate) type Finish = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// What one operation wants to write. Only [`Draft::index`] is read: a draft does not see its own changes.
pub(crate) struct Draft<'a> {
    /// Everything that was written or stands before this operation in the batch.
    pub(crate) index: &'a Index,
    /// The counters, to be changed in place; written when the operation ends.
    pub(crate) position: Position,
    shared: &'a Shared,
    batch: &'a Writes,
    writes: Writes,
    changes: Vec<Change>,
}

impl Draft<'_> {
    /// Refuses where `bytes` more would not leave room for what must always be writable: journals, reports, acks.
    pub(crate) fn make_sure_of_room(&self, bytes: usize) -> Result<(), Error> {
        let settings = &self.shared.settings;
        let used = self.index.used() + bytes as u64;
        let free = files::free_bytes(&settings.dir);
        if used > settings.quota_bytes || free < settings.ballast_bytes {
            return Err(Error::Full {
                used,
                quota: settings.quota_bytes,
                free,
            });
        }
        Ok(())
    }

    /// Writes `value` under `key`.
    pub(crate) fn put<T: serde::Serialize>(
        &mut self,
        key: Vec<u8>,
        value: &T,
    ) -> Result<(), Error> {
        let (value, file) = rows::value_of(&self.shared.files, value)?;
        let cost = Cost::of(&key, &value, file.as_ref());
        self.changes.push(Change::Row(key.clone(), Some(cost)));
        self.writes.push((key, Some(value)));
        Ok(())
    }

    /// Removes the row under `key`, if there is one.
    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        if self.index.has_row(&key) {
            self.changes.push(Change::Row(key.clone(), None));
            self.writes.push((key, None));
        }
    }

    /// The record under `key` as the operations before this one left it.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(
        &self,
        key: &[u8],
    ) -> Result<Option<T>, Error> {
        let pending = self.batch.iter().rev().find(|(written, _)| written == key);
        let record = match pending {
            Some((_, None)) => return Ok(None),
            Some((_, Some(value))) => Some(super::engine::resolve(&self.shared.files, key, value)?),
            None => self.shared.read_record(key)?,
        };
        record
            .map(|record| record::decode(&record))
            .transpose()
            .map_err(|source| super::engine::damaged(key, source))
    }

    /// Writes the counters, if the operation changed them. The last thing that is done with a draft.
    pub(crate) fn put_position(&mut self) -> Result<(), Error> {
        if self.position != self.index.position {
            let position = self.position;
            self.put(rows::single_key(Table::Position), &position)?;
            self.changes.push(Change::Position(position));
        }
        Ok(())
    }

    /// Notes a difference of the index that goes with the writes.
    pub(crate) fn change(&mut self, change: Change) {
        self.changes.push(change);
    }
}

/// The commit task.
pub struct Service {
    pub(super) shared: Arc<Shared>,
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) index: Index,
}

impl Service {
    /// Runs until every [`Store`](super::Store) is dropped, and writes what was queued until then.
    ///
    /// # Errors
    /// When the database turned out to be damaged: the process has to start again, which sets it aside.
    pub async fn run(mut self) -> Result<(), Error> {
        let mut opened_at = Instant::now();
        loop {
            let mut batch = Vec::with_capacity(BATCH);
            if self.jobs.recv_many(&mut batch, BATCH).await == 0 {
                return Ok(());
            }
            let end = Instant::now() + WINDOW;
            while batch.len() < BATCH {
                let space = BATCH - batch.len();
                match tokio::time::timeout_at(end, self.jobs.recv_many(&mut batch, space)).await {
                    Ok(received) if received > 0 => {}
                    Ok(_) | Err(_) => break,
                }
            }
            let broken = self.shared.is_broken();
            if broken {
                // Bounds the tries on a disk that stays broken; the queue is the back-pressure meanwhile.
                tokio::time::sleep_until(opened_at + REOPEN_EVERY).await;
                opened_at = Instant::now();
            }
            let shared = Arc::clone(&self.shared);
            let index = std::mem::take(&mut self.index);
            let done =
                tokio::task::spawn_blocking(move || write(&shared, index, batch, broken)).await;
            match done {
                Ok((index, None)) => self.index = index,
                Ok((index, Some(error))) if error.class() == Class::Corrupt => {
                    self.index = index;
                    return Err(error);
                }
                Ok((index, Some(error))) => {
                    tracing::error!(
                        error = %Chain(&error),
                        "the store could not write"
                    );
                    self.index = index;
                }
                // The callers' channels were dropped with the panic: each of them has its error.
                Err(_) => {
                    return Err(Error::Panicked {
                        operation: "commit",
                    });
                }
            }
        }
    }
}

/// Writes one batch. Returns the index to go on with and the error that all of the batch shared.
fn write(
    shared: &Shared,
    mut index: Index,
    jobs: Vec<Job>,
    reopen: bool,
) -> (Index, Option<Error>) {
    if reopen {
        match reopen_database(shared) {
            Ok(fresh) => index = fresh,
            Err(error) => {
                refuse(shared, &index, jobs, &error);
                return (index, Some(error));
            }
        }
    }
    let mut writes = Writes::new();
    let mut changes = Vec::new();
    let mut finishes = Vec::new();
    let mut unnamed = Vec::new();
    for job in jobs {
        let mut draft = Draft {
            index: &index,
            position: index.position,
            shared,
            batch: &writes,
            writes: Vec::new(),
            changes: Vec::new(),
        };
        if let Some(finish) = job(&mut draft) {
            let (drafted, changed) = (draft.writes, draft.changes);
            writes.extend(drafted);
            unnamed.extend(changed.iter().filter_map(|change| index.apply(change)));
            changes.extend(changed);
            finishes.push(finish);
        }
    }
    let outcome = if writes.is_empty() {
        Ok(())
    } else {
        index.commits += 1;
        commit(shared, &index, writes)
    };
    match outcome {
        Ok(()) => {
            publish(shared, &index, &changes, &unnamed);
            for finish in finishes {
                finish(Ok(()));
            }
            (index, None)
        }
        Err(error) => {
            shared.break_down(&error);
            for finish in finishes {
                finish(Err(in_batch(&error)));
            }
            (index, Some(error))
        }
    }
}

/// Writes a batch, and what all rows add up to after it.
fn commit(shared: &Shared, index: &Index, mut writes: Writes) -> Result<(), Error> {
    let whole = Whole::of(index.total(), index.commits);
    let (value, _) = rows::value_of(&shared.files, &whole)?;
    writes.push((rows::single_key(Table::Whole), Some(value)));
    shared.with_engine(|engine| {
        engine.commit(writes)?;
        engine.witness().write(index.commits);
        Ok(())
    })
}

/// Shows the world what is durable now.
fn publish(shared: &Shared, index: &Index, changes: &[Change], unnamed: &[Digest]) {
    let last: Sequence = {
        let mut public = shared.index.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            public.apply(change);
        }
        public.position.last
    };
    for file in unnamed {
        if !index.names(*file) {
            shared.files.remove(*file);
        }
    }
    shared.outbox.send_if_modified(|known| {
        let newer = *known != last;
        *known = last;
        newer
    });
    shared.mend();
}

/// Answers every operation of a batch that cannot even be tried.
fn refuse(shared: &Shared, index: &Index, jobs: Vec<Job>, error: &Error) {
    for job in jobs {
        let mut draft = Draft {
            index,
            position: index.position,
            shared,
            batch: &Vec::new(),
            writes: Vec::new(),
            changes: Vec::new(),
        };
        if let Some(finish) = job(&mut draft) {
            finish(Err(in_batch(error)));
        }
    }
}

fn in_batch(error: &Error) -> Error {
    Error::Batch {
        reason: error.to_string(),
        class: error.class(),
    }
}

/// Opens the database again after a failure and reads the index from what is there.
fn reopen_database(shared: &Shared) -> Result<Index, Error> {
    let mut place = shared
        .engine
        .write()
        .unwrap_or_else(PoisonError::into_inner);
    // sled locks its file: the old one has to go before the new one can come.
    drop(place.take());
    let engine = Engine::open(&shared.settings.database())?;
    let index = super::scan::index(&engine, &shared.files)?;
    if !index.has_row(&rows::single_key(Table::Identity)) {
        return Err(Error::Emptied {
            path: shared.settings.dir.clone(),
            store: hex::encode(shared.identity.store),
        });
    }
    *place = Some(engine);
    drop(place);
    *shared.index.lock().unwrap_or_else(PoisonError::into_inner) = index.clone();
    tracing::info!("the store was opened again");
    Ok(index)
}
