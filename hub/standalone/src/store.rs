//! The objects: all of them in memory, each write on disk before it is seen or answered.
//!
//! Owns the version counter, the map of rows and the ring of recent events. One writer thread
//! takes writes from a bounded queue, checks each against the newest rows, writes the whole batch
//! and fsyncs it ([`disk`]), and only then publishes it and answers. So nothing that a client saw
//! is lost by a power cut, and readers never wait for the disk. Must not know HTTP or the rules of
//! kinds.
//!
//! Channels: `mpsc(QUEUE)` of writes, senders wait while it is full; `watch` of the newest version,
//! latest wins, which wakes watches.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

mod disk;
mod engine;
mod error;
mod files;
mod migrate;
mod packed;
mod record;
mod row;
mod seal;
#[cfg(test)]
mod tests;
mod whole;
mod writer;

pub(crate) use error::Error as DiskError;
pub(crate) use row::{Key, Owner, Row};
pub(crate) use seal::must_be_outside;

/// Writes that may wait. More waiting clients than this are held at the sender.
const QUEUE: usize = 256;
/// Events kept for watches that come back.
const RING_EVENTS: usize = 8192;
/// Bytes that the ring may hold: those of about a thousand writes. A watch that is further behind lists anew.
const RING_BYTES: usize = 1 << 20;
/// Bytes that a row takes beside its text: its key, its metadata, its event.
const ROW_BYTES: usize = 512;

/// What happened to one object.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// The version that the store had afterwards.
    pub(crate) version: u64,
    /// The row before; none for a new object.
    pub(crate) old: Option<Arc<Row>>,
    /// The row after; for a removed object its last state.
    pub(crate) new: Arc<Row>,
    /// Whether the object is gone.
    pub(crate) removed: bool,
}

/// What the writer must find for a write to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// No object of the key.
    Absent,
    /// The object at this version.
    Version(u64),
}

/// One write.
#[derive(Debug)]
pub(crate) struct Write {
    /// Which object.
    pub(crate) key: Key,
    /// What must be so.
    pub(crate) expect: Expect,
    /// The next state, or the last one.
    pub(crate) object: Value,
    /// Whether the object goes.
    pub(crate) remove: bool,
}

/// Why a write does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// There is an object of the key.
    #[error("the object exists")]
    Exists,
    /// The object is not at the expected version.
    #[error("the object has changed")]
    Changed,
    /// The object is gone.
    #[error("the object is gone")]
    Missing,
    /// There is no such namespace.
    #[error("the namespace does not exist")]
    NamespaceMissing,
    /// The namespace is being deleted.
    #[error("the namespace is being deleted")]
    NamespaceTerminating,
    /// The object is larger than an object may be.
    #[error("the object is larger than {0} bytes")]
    TooLarge(usize),
    /// The disk has no room for it.
    #[error("the disk is full: {0} bytes are free")]
    Full(u64),
    /// The disk takes nothing at present.
    #[error("the disk cannot be written")]
    Unwritable,
    /// The store takes no writes any more.
    #[error("the store takes no writes")]
    Closed,
}

#[derive(Debug)]
pub(super) struct Order {
    pub(super) write: Write,
    pub(super) answer: oneshot::Sender<Result<Arc<Row>, Refused>>,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<Key, Arc<Row>>,
    version: u64,
    ring: VecDeque<Event>,
    ring_bytes: usize,
    /// Every event after this version is in the ring.
    floor: u64,
}

#[derive(Debug)]
struct Shared {
    state: RwLock<State>,
    newest: watch::Sender<u64>,
}

/// Access to the store; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
}

/// What a list found.
#[derive(Debug)]
pub(crate) struct Page {
    /// Rows in key order.
    pub(crate) rows: Vec<Arc<Row>>,
    /// The version at which this was the truth.
    pub(crate) version: u64,
}

/// What happened since a version.
#[derive(Debug)]
pub(crate) enum Since {
    /// These events, perhaps none, and the version up to which that is all.
    Events(Vec<Event>, u64),
    /// The version is older than what is held, whose oldest is this.
    Expired(u64),
}

/// The writer, to be run to its end on a thread of its own.
pub(crate) use writer::Writer;

/// Opens the store in `directory`, sealed with the key in `key_file`: reads all rows, returns access and the writer.
/// The key is made where the store is new or not sealed yet.
pub(crate) fn open(directory: &Path, key_file: &Path) -> Result<(Handle, Writer), DiskError> {
    let (disk, rows, version) = disk::Disk::open(directory, key_file)?;
    let state = State {
        rows,
        version,
        floor: version,
        ..State::default()
    };
    let (newest, _) = watch::channel(version);
    let shared = Arc::new(Shared {
        state: RwLock::new(state),
        newest,
    });
    let (orders, queue) = mpsc::channel(QUEUE);
    let writer = Writer::new(disk, shared.clone(), queue);
    Ok((Handle { shared, orders }, writer))
}

impl Handle {
    /// Writes, and returns once the write is on disk and seen.
    pub(crate) async fn write(&self, write: Write) -> Result<Arc<Row>, Refused> {
        let (answer, written) = oneshot::channel();
        let order = Order { write, answer };
        self.orders.send(order).await.map_err(|_| Refused::Closed)?;
        written.await.map_err(|_| Refused::Closed)?
    }

    /// One object.
    pub(crate) fn row(&self, key: &Key) -> Option<Arc<Row>> {
        self.shared.read().rows.get(key).cloned()
    }

    /// The objects of a resource, in one namespace or all, as they are now.
    pub(crate) fn list(&self, resource: &Arc<str>, namespace: Option<&str>) -> Page {
        let state = self.shared.read();
        Page {
            rows: state.range(resource, namespace),
            version: state.version,
        }
    }

    /// The objects as they were at `version`; refused with the oldest version that is known.
    pub(crate) fn list_at(
        &self,
        resource: &Arc<str>,
        namespace: Option<&str>,
        version: u64,
    ) -> Result<Page, u64> {
        let state = self.shared.read();
        if version < state.floor || version > state.version {
            return Err(state.floor);
        }
        let mut rows: BTreeMap<Key, Arc<Row>> = state
            .range(resource, namespace)
            .into_iter()
            .map(|row| (row.key.clone(), row))
            .collect();
        let later = state
            .ring
            .iter()
            .rev()
            .take_while(|event| event.version > version);
        for event in later.filter(|event| event.new.key.is_in(resource, namespace)) {
            match &event.old {
                Some(old) => rows.insert(old.key.clone(), old.clone()),
                None => rows.remove(&event.new.key),
            };
        }
        Ok(Page {
            rows: rows.into_values().collect(),
            version,
        })
    }

    /// Every row of every kind.
    pub(crate) fn everything(&self) -> Vec<Arc<Row>> {
        self.shared.read().rows.values().cloned().collect()
    }

    /// Up to `most` events after `version` that concern a resource, in one namespace or all.
    pub(crate) fn since(
        &self,
        resource: &Arc<str>,
        namespace: Option<&str>,
        version: u64,
        most: usize,
    ) -> Since {
        let state = self.shared.read();
        if version < state.floor || version > state.version {
            return Since::Expired(state.floor);
        }
        let start = state.ring.partition_point(|event| event.version <= version);
        let mut reached = state.version;
        let mut events = Vec::new();
        for event in state.ring.range(start..) {
            if events.len() == most {
                break;
            }
            reached = event.version;
            if event.new.key.is_in(resource, namespace) {
                events.push(event.clone());
            }
        }
        Since::Events(events, reached)
    }

    /// The newest version.
    pub(crate) fn version(&self) -> u64 {
        self.shared.read().version
    }

    /// Wakes whenever the newest version changes.
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.shared.newest.subscribe()
    }
}

impl Shared {
    /// A panic while the lock was held cannot leave a half-made state: the writer publishes by
    /// infallible steps only.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, events: Vec<Event>) {
        let Some(last) = events.last().map(|event| event.version) else {
            return;
        };
        let mut state = self.write();
        for event in events {
            state.push(event);
        }
        drop(state);
        self.newest.send_replace(last);
    }
}

impl State {
    fn range(&self, resource: &Arc<str>, namespace: Option<&str>) -> Vec<Arc<Row>> {
        let first = Key::new(resource.clone(), namespace.unwrap_or_default(), "");
        self.rows
            .range(first..)
            .take_while(|(key, _)| key.is_in(resource, namespace))
            .map(|(_, row)| row.clone())
            .collect()
    }

    fn push(&mut self, event: Event) {
        if event.removed {
            self.rows.remove(&event.new.key);
        } else {
            self.rows.insert(event.new.key.clone(), event.new.clone());
        }
        self.version = event.version;
        self.ring_bytes += event.bytes();
        self.ring.push_back(event);
        while self.ring.len() > RING_EVENTS || self.ring_bytes > RING_BYTES {
            let Some(oldest) = self.ring.pop_front() else {
                break;
            };
            self.ring_bytes -= oldest.bytes();
            self.floor = oldest.version;
        }
    }
}

impl Event {
    /// What the ring holds on account of it: the row before is what was new in an earlier event, or still is a row.
    fn bytes(&self) -> usize {
        self.new.packed.bytes().len() + ROW_BYTES
    }
}
