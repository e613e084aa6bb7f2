//! The work queue of the controllers.
//!
//! Owns the order of work: a key is in it at most once, is worked on by one worker at a time, and comes back after a
//! back-off if its work failed. New and deleted objects go before updates, updates before what is only told again, and
//! that before the periodic resync. What is only told again also rests for [`REST`] first, so that news that follow at
//! once are told with it.
//! [`Schedule`] is the pure part and takes the time as an argument; [`Queue`] adds waiting. Nothing is ever dropped: the
//! number of keys is bounded by the number of objects.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// First back-off of a failed key; doubles with each failure.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// How long [`Priority::Account`] rests before it is ready: longer than an intent takes to a site that is there and what it
/// says of it back, also where a rack is installed at once; short enough that nobody who looks at a host wonders.
pub(crate) const REST: Duration = Duration::from_secs(3);
/// Longest back-off. Half a minute, so that a cause that went away is noticed while somebody still looks.
const LAST_BACKOFF: Duration = Duration::from_secs(30);

/// The kinds that have a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Datacenter,
    MachineProvider,
    KubernetesProvider,
    Machine,
    BareMetalHost,
    Agent,
}

impl Kind {
    /// Every kind.
    pub(crate) const ALL: [Self; 6] = [
        Self::Datacenter,
        Self::MachineProvider,
        Self::KubernetesProvider,
        Self::Machine,
        Self::BareMetalHost,
        Self::Agent,
    ];

    /// Name of the controller in metrics, as controller-runtime writes it: the kind in lower case.
    pub(crate) fn controller(self) -> &'static str {
        match self {
            Self::Datacenter => "datacenter",
            Self::MachineProvider => "machineprovider",
            Self::KubernetesProvider => "kubernetesprovider",
            Self::Machine => "machine",
            Self::BareMetalHost => "baremetalhost",
            Self::Agent => "agent",
        }
    }
}

/// What a worker works on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}/{}",
            self.kind.controller(),
            self.namespace,
            self.name
        )
    }
}

/// How urgent a key is. The order of the variants is the order of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Priority {
    /// The object is new or is being deleted.
    NewOrDeleted,
    /// Something that it depends on changed.
    Update,
    /// Something changed that its status only tells again, such as a count: it rests, waits behind more urgent work, and is
    /// told with what else is new by then, in one write.
    Account,
    /// Nothing is known to have changed.
    Resync,
}

/// How the work on a key ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing to do until something changes.
    Done,
    /// Look again after this long even if nothing changes.
    After(Duration),
    /// Failed in a way that may go away by itself.
    Retry,
}

/// A key on its way to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) key: Key,
    /// How long it waited since it was due.
    pub(crate) waited: Duration,
}

#[derive(Debug)]
struct Slot {
    state: SlotState,
    failures: u32,
}

#[derive(Debug)]
enum SlotState {
    /// In `ready` under this order.
    Ready(Priority, u64, Instant),
    /// In `waiting` until then, ready with this urgency afterwards.
    Waiting(Instant, Priority),
    /// With a worker; wanted again with this urgency.
    Working(Option<Priority>),
}

/// The pure part of the queue.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// How long [`Priority::Account`] rests.
    rest: Duration,
    /// A tree, as the others: it gives back what a resync of many objects took.
    slots: BTreeMap<Key, Slot>,
    ready: BTreeSet<(Priority, u64, Key)>,
    waiting: BTreeSet<(Reverse<Instant>, Key)>,
    order: u64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self::resting(REST)
    }
}

impl Schedule {
    /// An empty one where [`Priority::Account`] rests for `rest`.
    fn resting(rest: Duration) -> Self {
        Self {
            rest,
            slots: BTreeMap::new(),
            ready: BTreeSet::new(),
            waiting: BTreeSet::new(),
            order: 0,
        }
    }

    /// Wants `key` to be worked on. A key that waits is worked on at once: something changed.
    pub(crate) fn add(&mut self, key: Key, priority: Priority, now: Instant) {
        let Some(slot) = self.slots.get_mut(&key) else {
            return self.enqueue(key, priority, 0, now);
        };
        let failures = slot.failures;
        match slot.state {
            SlotState::Working(ref mut again) => {
                *again = Some(again.map_or(priority, |before| before.min(priority)));
            }
            SlotState::Ready(before, _, _) if before <= priority => {}
            SlotState::Ready(before, order, _) => {
                self.ready.remove(&(before, order, key.clone()));
                self.make_ready(key, priority, failures, now);
            }
            SlotState::Waiting(until, _)
                if priority == Priority::Account && until <= now + self.rest => {}
            SlotState::Waiting(until, _) => {
                self.waiting.remove(&(Reverse(until), key.clone()));
                self.enqueue(key, priority, failures, now);
            }
        }
    }

    /// The next job, or the moment when there may be one.
    pub(crate) fn take(&mut self, now: Instant) -> Result<Job, Option<Instant>> {
        while let Some((Reverse(until), key)) = self.waiting.last().cloned() {
            if until > now {
                break;
            }
            self.waiting.remove(&(Reverse(until), key.clone()));
            let Some(slot) = self.slots.get(&key) else {
                continue;
            };
            let failures = slot.failures;
            if let SlotState::Waiting(_, priority) = slot.state {
                self.make_ready(key, priority, failures, until);
            }
        }
        let Some((_, _, key)) = self.ready.pop_first() else {
            return Err(self.waiting.last().map(|(Reverse(until), _)| *until));
        };
        let mut waited = Duration::ZERO;
        if let Some(slot) = self.slots.get_mut(&key) {
            if let SlotState::Ready(_, _, since) = slot.state {
                waited = now.saturating_duration_since(since);
            }
            slot.state = SlotState::Working(None);
        }
        Ok(Job { key, waited })
    }

    /// A worker is done with `key`. `jitter` is in 0..1 and spreads the back-off between half and all of it.
    pub(crate) fn finish(&mut self, key: &Key, outcome: Outcome, jitter: f64, now: Instant) {
        let Some(mut slot) = self.slots.remove(key) else {
            return;
        };
        let again = match slot.state {
            SlotState::Working(again) => again,
            SlotState::Ready(..) | SlotState::Waiting(..) => None,
        };
        slot.failures = match outcome {
            Outcome::Retry => slot.failures.saturating_add(1),
            Outcome::Done | Outcome::After(_) => 0,
        };
        let delay = match outcome {
            Outcome::Done => None,
            Outcome::After(delay) => Some(delay),
            Outcome::Retry => Some(backoff(slot.failures, jitter)),
        };
        match (again, delay) {
            // A change while the work failed does not skip the back-off, or a conflict would spin.
            (Some(_), Some(delay)) if outcome == Outcome::Retry => {
                self.wait(key.clone(), Priority::Resync, slot.failures, now + delay);
            }
            (Some(priority), _) => self.enqueue(key.clone(), priority, slot.failures, now),
            (None, Some(delay)) => {
                self.wait(key.clone(), Priority::Resync, slot.failures, now + delay);
            }
            (None, None) => {}
        }
    }

    /// Keys of each kind that wait for a worker: ready ones, not those in a back-off.
    pub(crate) fn depth(&self, kind: Kind) -> usize {
        self.ready
            .iter()
            .filter(|(_, _, key)| key.kind == kind)
            .count()
    }

    fn enqueue(&mut self, key: Key, priority: Priority, failures: u32, now: Instant) {
        if priority == Priority::Account {
            self.wait(key, priority, failures, now + self.rest);
        } else {
            self.make_ready(key, priority, failures, now);
        }
    }

    fn make_ready(&mut self, key: Key, priority: Priority, failures: u32, since: Instant) {
        self.order += 1;
        self.ready.insert((priority, self.order, key.clone()));
        let state = SlotState::Ready(priority, self.order, since);
        self.slots.insert(key, Slot { state, failures });
    }

    fn wait(&mut self, key: Key, priority: Priority, failures: u32, until: Instant) {
        self.waiting.insert((Reverse(until), key.clone()));
        let state = SlotState::Waiting(until, priority);
        self.slots.insert(key, Slot { state, failures });
    }
}

fn backoff(failures: u32, jitter: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let full = FIRST_BACKOFF
        .saturating_mul(1 << doublings)
        .min(LAST_BACKOFF);
    full.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

/// The queue that workers wait at.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    schedule: Mutex<Schedule>,
    changed: Notify,
}

impl Queue {
    /// One where [`Priority::Account`] rests for `rest`: a test of what rests must not hang on how fast the machine is.
    #[cfg(test)]
    pub(crate) fn resting(rest: Duration) -> Self {
        Self {
            schedule: Mutex::new(Schedule::resting(rest)),
            changed: Notify::new(),
        }
    }

    /// Wants `key` to be worked on.
    pub(crate) fn add(&self, key: Key, priority: Priority) {
        self.schedule().add(key, priority, Instant::now());
        self.changed.notify_one();
    }

    /// Waits for the next job. Cancel-safe: a job is taken only in the poll that returns it.
    pub(crate) async fn next(&self) -> Job {
        loop {
            // Registered before looking, so that an `add` in between is not missed.
            let changed = self.changed.notified();
            let next = self.schedule().take(Instant::now());
            match next {
                Ok(job) => {
                    // One `add` wakes one worker; the one that leaves passes the baton to the next.
                    self.changed.notify_one();
                    return job;
                }
                Err(None) => changed.await,
                Err(Some(until)) => {
                    tokio::select! {
                        // Both arms are cancel-safe: neither takes anything.
                        () = changed => {}
                        () = tokio::time::sleep_until(until) => {}
                    }
                }
            }
        }
    }

    /// A worker is done with `key`.
    pub(crate) fn finish(&self, key: &Key, outcome: Outcome) {
        let jitter = rand::random::<f64>();
        self.schedule().finish(key, outcome, jitter, Instant::now());
        self.changed.notify_one();
    }

    /// Keys of `kind` that wait for a worker.
    pub(crate) fn depth(&self, kind: Kind) -> usize {
        self.schedule().depth(kind)
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        // The schedule is consistent between any two statements that can panic, so a poisoned one is still good.
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
