//! What is in the store, small enough for memory: fences, digests, positions and costs, never a body.
//!
//! Pure. The commit task works on one index and publishes every [`Change`] to a second one after it is durable, so that
//! nobody ever reads what a power cut could still take back.

use std::collections::BTreeMap;

use vitistack_protocol::ids::{Digest, Fence, Sequence, Uid};
use vitistack_protocol::message::control::Held;
use vitistack_protocol::message::intent::SecretName;
use vitistack_protocol::message::numbered::BodyKind;

use super::rows::{FileValue, Position};
use super::whole::{self, Total};

/// How many carried-out tombstones keep their fence. The oldest go first; a hub that repeats an intent older than that
/// many deletions is refused by its epoch.
pub(crate) const RETIRED_KEPT: usize = 1024;

/// Everything of one store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    /// Objects by UID, retired ones included.
    pub(crate) objects: BTreeMap<Uid, Entry>,
    /// Counters.
    pub(crate) position: Position,
    /// Secrets at rest, and what they hold.
    pub(crate) secrets: BTreeMap<SecretName, Digest>,
    waiting: BTreeMap<Sequence, Uid>,
    costs: BTreeMap<Vec<u8>, Cost>,
    files: BTreeMap<Digest, u32>,
    used: u64,
    sum: u128,
    /// Commits of the database so far.
    pub(crate) commits: u64,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// What its intent holds.
    pub(crate) kind: BodyKind,
    /// The newest fence.
    pub(crate) fence: Fence,
    /// The newest content.
    pub(crate) content: Digest,
    /// A tombstone.
    pub(crate) absent: bool,
    /// See `IntentRow::retired`.
    pub(crate) retired: Option<Sequence>,
    /// Secrets that the intent names, and what a tombstone carries over (`IntentRow::carried`) behind them.
    pub(crate) secrets: Vec<SecretName>,
    /// The newest report.
    pub(crate) report: Option<Reported>,
}

/// The newest report of an object, without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reported {
    /// Its place.
    pub(crate) sequence: Sequence,
    /// Its content.
    pub(crate) digest: Digest,
    /// The intent that it was made under.
    pub(crate) fence: Fence,
    /// It says that nothing is left.
    pub(crate) gone: bool,
}

/// What a row takes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Key, value and file.
    pub(crate) bytes: u64,
    /// The file that the row names.
    pub(crate) file: Option<Digest>,
    /// What the row adds to the sum of all (`whole::sum_of`).
    pub(crate) sum: u128,
}

impl Cost {
    /// Of the row `key`, whose value names `file`.
    pub(crate) fn of(key: &[u8], value: &[u8], file: Option<&FileValue>) -> Self {
        Self {
            bytes: (key.len() + value.len()) as u64 + file.map_or(0, |file| file.length),
            file: file.map(|file| file.digest),
            sum: whole::sum_of(key, value),
        }
    }
}

/// One difference.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// The object is so now; `None`: it is forgotten.
    Object(Uid, Option<Entry>),
    /// The counters are so now.
    Position(Position),
    /// The secret holds this now; `None`: it is gone.
    Secret(SecretName, Option<Digest>),
    /// The row costs this now; `None`: it is gone.
    Row(Vec<u8>, Option<Cost>),
}

impl Index {
    /// Makes `change` so. Returns the file that no row names any longer.
    pub(crate) fn apply(&mut self, change: &Change) -> Option<Digest> {
        match change {
            Change::Object(uid, entry) => {
                let old = match entry {
                    Some(entry) => self.objects.insert(*uid, entry.clone()),
                    None => self.objects.remove(uid),
                };
                if let Some(report) = old.and_then(|old| old.report) {
                    self.waiting.remove(&report.sequence);
                }
                if let Some(report) = entry.as_ref().and_then(|entry| entry.report)
                    && report.sequence > self.position.acked
                {
                    // The position of the same operation follows and drops what it acks.
                    self.waiting.insert(report.sequence, *uid);
                }
                None
            }
            Change::Position(position) => {
                self.position = *position;
                self.waiting = self.waiting.split_off(&Sequence(position.acked.0 + 1));
                None
            }
            Change::Secret(name, digest) => {
                match digest {
                    Some(digest) => self.secrets.insert(*name, *digest),
                    None => self.secrets.remove(name),
                };
                None
            }
            Change::Row(key, cost) => {
                let old = match cost {
                    Some(cost) => self.costs.insert(key.clone(), *cost),
                    None => self.costs.remove(key),
                };
                let old = old.unwrap_or_default();
                let new = cost.unwrap_or_default();
                self.used = (self.used + new.bytes).saturating_sub(old.bytes);
                self.sum = self.sum.wrapping_add(new.sum).wrapping_sub(old.sum);
                if let Some(file) = new.file {
                    *self.files.entry(file).or_default() += 1;
                }
                let file = old.file?;
                let names = self.files.get_mut(&file)?;
                *names -= 1;
                (*names == 0).then(|| {
                    self.files.remove(&file);
                    file
                })
            }
        }
    }

    /// How many rows there are, and what they add up to.
    pub(crate) fn total(&self) -> Total {
        (self.costs.len() as u64, self.sum)
    }

    /// Bytes of live rows and files.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// Whether a row names the file.
    pub(crate) fn names(&self, file: Digest) -> bool {
        self.files.contains_key(&file)
    }

    /// Whether a row stands under the key.
    pub(crate) fn has_row(&self, key: &[u8]) -> bool {
        self.costs.contains_key(key)
    }

    /// What a `Hello` says of the objects.
    pub(crate) fn held(&self) -> Vec<Held> {
        self.objects
            .iter()
            .filter(|(_, entry)| entry.retired.is_none())
            .map(|(uid, entry)| Held {
                uid: *uid,
                fence: entry.fence,
                intent: entry.content,
                report: entry.report.map(|report| report.digest).unwrap_or_default(),
            })
            .collect()
    }

    /// First and last report that waits; zeros when none does.
    pub(crate) fn outbox(&self) -> (Sequence, Sequence) {
        let ends = (self.waiting.keys().next(), self.waiting.keys().next_back());
        match ends {
            (Some(first), Some(last)) => (*first, *last),
            _ => (Sequence(0), Sequence(0)),
        }
    }

    /// How many reports wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// At most `max` objects whose reports wait behind `after`, in order.
    pub(crate) fn waiting_after(&self, after: Sequence, max: usize) -> Vec<Uid> {
        use std::ops::Bound;
        self.waiting
            .range((Bound::Excluded(after), Bound::Unbounded))
            .take(max)
            .map(|(_, uid)| *uid)
            .collect()
    }

    /// Objects that need a worker: what is not retired and not already reported gone under its newest fence.
    pub(crate) fn live(&self) -> Vec<(Uid, BodyKind)> {
        self.objects
            .iter()
            .filter(|(_, entry)| !entry.is_over())
            .map(|(uid, entry)| (*uid, entry.kind))
            .collect()
    }

    /// Secrets of `candidates` that no object names any longer, `except` left out of account.
    pub(crate) fn unnamed(&self, candidates: &[SecretName], except: Uid) -> Vec<SecretName> {
        candidates
            .iter()
            .filter(|name| {
                !self
                    .objects
                    .iter()
                    .any(|(uid, entry)| *uid != except && entry.secrets.contains(name))
            })
            .copied()
            .collect()
    }

    /// Objects that use the secret.
    pub(crate) fn naming(&self, name: &SecretName) -> Vec<Uid> {
        self.objects
            .iter()
            .filter(|(_, entry)| entry.secrets.contains(name))
            .map(|(uid, _)| *uid)
            .collect()
    }

    /// The Secret whose credentials the object uses: of those that it names, the first that has arrived.
    pub(crate) fn credentials_of(&self, entry: &Entry) -> Option<Uid> {
        let mut named = entry.secrets.iter().filter(|name| name.content.is_none());
        let first = named.clone().next();
        let here = named.find(|name| self.secrets.contains_key(name));
        here.or(first).map(|name| name.uid)
    }

    /// Retired objects above [`RETIRED_KEPT`], oldest first.
    pub(crate) fn surplus_retired(&self) -> Vec<Uid> {
        let mut retired: Vec<(Sequence, Uid)> = self
            .objects
            .iter()
            .filter_map(|(uid, entry)| entry.retired.map(|sequence| (sequence, *uid)))
            .collect();
        let surplus = retired.len().saturating_sub(RETIRED_KEPT);
        retired.sort_unstable();
        retired
            .into_iter()
            .take(surplus)
            .map(|(_, uid)| uid)
            .collect()
    }
}

impl Entry {
    /// Nothing is left to do for it.
    pub(crate) fn is_over(&self) -> bool {
        self.retired.is_some()
            || self.absent
                && self
                    .report
                    .is_some_and(|report| report.gone && report.fence == self.fence)
    }
}
