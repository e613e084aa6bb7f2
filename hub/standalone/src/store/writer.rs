//! The one writer: checks writes in order, commits them in groups, publishes and answers.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::disk::{Change, Disk};
use super::error::Error;
use super::row::{Key, Row};
use super::{Event, Expect, Order, Refused, Shared, Write};

/// Writes that share one fsync.
const GROUP: usize = 64;
/// As etcd's limit of a request: what applies here applies there.
const LARGEST: usize = 1 << 20;
/// The store key of namespaces.
const NAMESPACES: &str = "namespaces";

type Answer = (
    oneshot::Sender<Result<Arc<Row>, Refused>>,
    Result<Arc<Row>, Refused>,
);

/// Runs on a thread of its own until every [`super::Handle`] is gone, or the disk fails.
#[derive(Debug)]
pub(crate) struct Writer {
    disk: Disk,
    shared: Arc<Shared>,
    orders: mpsc::Receiver<Order>,
}

/// The writes of one group that hold so far.
#[derive(Default)]
struct Group {
    /// The newest row of each key that the group touched; none is removed.
    newest: HashMap<Key, Option<Arc<Row>>>,
    changes: Vec<Change>,
    events: Vec<Event>,
    answers: Vec<Answer>,
}

impl Writer {
    pub(super) fn new(disk: Disk, shared: Arc<Shared>, orders: mpsc::Receiver<Order>) -> Self {
        Self {
            disk,
            shared,
            orders,
        }
    }

    /// Writes until the last handle is gone. While the disk takes nothing (it is full, mostly), writes are refused and
    /// everything can be read; the first write that finds it well again goes through.
    ///
    /// # Errors
    ///
    /// When the files turn out to be damaged.
    pub(crate) fn run(mut self) -> Result<(), Error> {
        while let Some(first) = self.orders.blocking_recv() {
            if self.disk.is_broken() {
                self.mend()?;
            }
            let mut group = Group::default();
            let mut version = self.shared.read().version;
            let mut next = Some(first);
            while let Some(order) = next {
                self.take(&mut group, &mut version, order);
                next = if group.answers.len() < GROUP {
                    self.orders.try_recv().ok()
                } else {
                    None
                };
            }
            let Group {
                changes,
                events,
                answers,
                ..
            } = group;
            let mut refused = None;
            if !changes.is_empty() {
                match self.disk.commit(&changes, version) {
                    Ok(()) => self.shared.publish(events),
                    // Dropped answers tell the waiting clients that the store is closed.
                    Err(error) if !error.may_pass() => return Err(error),
                    Err(error) => refused = Some(self.refusal(error)),
                }
            }
            for (client, answer) in answers {
                let answer = match (&refused, answer) {
                    (Some(refused), Ok(_)) => Err(refused.clone()),
                    (_, answer) => answer,
                };
                // A client that went away does not want to know.
                drop(client.send(answer));
            }
        }
        Ok(())
    }

    /// Tries to make the disk writable again. That it is not is no error of this.
    fn mend(&mut self) -> Result<(), Error> {
        let shared = self.shared.clone();
        let version = shared.read().version;
        let truth = |key: &Key| shared.read().rows.get(key).cloned();
        match self.disk.mend(truth, version) {
            None => Ok(()),
            Some(Ok(())) => {
                tracing::info!("the store of the API writes again");
                Ok(())
            }
            Some(Err(error)) if !error.may_pass() => Err(error),
            Some(Err(error)) => {
                self.refusal(error);
                Ok(())
            }
        }
    }

    /// What clients are told of an error of the disk. It is logged once for every write or try that met it.
    fn refusal(&self, error: Error) -> Refused {
        let refused = if error.is_full() {
            Refused::Full(self.disk.free_bytes())
        } else {
            Refused::Unwritable
        };
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the store of the API cannot be written; everything can be read, and writes are refused"
        );
        refused
    }

    fn take(&self, group: &mut Group, version: &mut u64, order: Order) {
        let Order { write, answer } = order;
        let result = self.check(group, &write).and_then(|old| {
            let row = Arc::new(Row::new(write.key, *version + 1, write.object));
            if row.length() > LARGEST {
                return Err(Refused::TooLarge(LARGEST));
            }
            *version += 1;
            group.record(old, row.clone(), write.remove);
            Ok(row)
        });
        group.answers.push((answer, result));
    }

    /// The row that the write replaces, if the write may be.
    fn check(&self, group: &Group, write: &Write) -> Result<Option<Arc<Row>>, Refused> {
        if self.disk.is_broken() {
            return Err(match self.disk.is_nearly_full() {
                Some(free) => Refused::Full(free),
                None => Refused::Unwritable,
            });
        }
        let current = self.newest(group, &write.key);
        match (write.expect, &current) {
            (Expect::Absent, Some(_)) => Err(Refused::Exists),
            (Expect::Absent, None) => {
                self.open_namespace(group, &write.key)?;
                self.disk
                    .is_nearly_full()
                    .map_or(Ok(None), |free| Err(Refused::Full(free)))
            }
            (Expect::Version(_), None) => Err(Refused::Missing),
            (Expect::Version(version), Some(row)) if row.version != version => {
                Err(Refused::Changed)
            }
            (Expect::Version(_), Some(_)) => Ok(current),
        }
    }

    /// Checked here and not before: a namespace may go between a check and a write.
    fn open_namespace(&self, group: &Group, key: &Key) -> Result<(), Refused> {
        if key.namespace.is_empty() {
            return Ok(());
        }
        let namespace = Key::new(NAMESPACES.into(), "", &key.namespace);
        match self.newest(group, &namespace) {
            None => Err(Refused::NamespaceMissing),
            Some(row) if row.meta.deleting => Err(Refused::NamespaceTerminating),
            Some(_) => Ok(()),
        }
    }

    fn newest(&self, group: &Group, key: &Key) -> Option<Arc<Row>> {
        match group.newest.get(key) {
            Some(row) => row.clone(),
            None => self.shared.read().rows.get(key).cloned(),
        }
    }
}

impl Group {
    fn record(&mut self, old: Option<Arc<Row>>, row: Arc<Row>, remove: bool) {
        let held = old.as_ref().map_or(0, |old| old.at_rest);
        self.changes.push(if remove {
            Change::Remove {
                key: row.key.clone(),
                held,
            }
        } else {
            Change::Put {
                row: row.clone(),
                held,
            }
        });
        self.newest
            .insert(row.key.clone(), (!remove).then(|| row.clone()));
        self.events.push(Event {
            version: row.version,
            old,
            new: row,
            removed: remove,
        });
    }
}
