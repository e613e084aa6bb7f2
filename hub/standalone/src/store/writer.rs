//! The one writer: checks writes in order, commits them in groups, publishes and answers.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::disk::{Change, Disk, Error};
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

    /// Writes until the last handle is gone. After an error of the disk nothing more is written:
    /// what is on it is unknown until it is opened anew.
    pub(crate) fn run(mut self) -> Result<(), Error> {
        while let Some(first) = self.orders.blocking_recv() {
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
            if !changes.is_empty() {
                // Dropped answers tell the waiting clients that the store is closed.
                self.disk.commit(&changes, version)?;
                self.shared.publish(events);
            }
            for (client, answer) in answers {
                // A client that went away does not want to know.
                drop(client.send(answer));
            }
        }
        Ok(())
    }

    fn take(&self, group: &mut Group, version: &mut u64, order: Order) {
        let Order { write, answer } = order;
        let result = self.check(group, &write).and_then(|old| {
            let row = Arc::new(Row::new(write.key, *version + 1, write.object));
            if row.body.len() > LARGEST {
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
        let current = self.newest(group, &write.key);
        match (write.expect, &current) {
            (Expect::Absent, Some(_)) => Err(Refused::Exists),
            (Expect::Absent, None) => self.open_namespace(group, &write.key).map(|()| None),
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
        let held = old.as_ref().map_or(0, |old| old.body.len());
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
