//! Carries intents out: one worker an object, serial, with a write-ahead journal.
//!
//! Tasks: [`Service::run`] is the supervisor, started once by `run`; it owns a `JoinSet` with one worker for each live
//! object. Channels: a set of wakes (latest wins, bounded by the number of objects, never full); `mpsc(64)` of guests
//! that phoned home, filled by the netboot service, which answers its guest with 503 when it is full. A worker does
//! `observe → plan → journal "about to" → report → act → journal "done"`, again and again, and sleeps in between.
//!
//! Dropping a worker at any point is the same as a crash at that point: what counts is in the store. So cancellation is
//! abrupt, and a newer intent that asks for something else interrupts an act that is under way.
//!
//! The executor is the only writer of journals and the only one that adds to the outbox.

mod backoff;
mod marks;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use vitistack_drivers::driver::{Driver, Heard};
use vitistack_drivers::netboot::slot::PhonedHome;
use vitistack_protocol::ids::Uid;
use vitistack_protocol::message::numbered::BodyKind;

use crate::store::Store;
use worker::{Call, Mailbox, Wake, Worker};

/// Guests that may wait to be heard.
pub const PHONE_QUEUE: usize = 64;

/// A worker panicked: a defect, after which the process starts again from what is in the store.
#[derive(Debug, thiserror::Error)]
#[error("a worker panicked")]
pub struct Panicked;

/// Wakes workers. Cheap to clone.
#[derive(Clone, Default)]
pub struct Handle {
    wakes: Arc<Wakes>,
}

#[derive(Default)]
struct Wakes {
    pending: Mutex<BTreeMap<Uid, Wake>>,
    notify: Notify,
}

impl Handle {
    /// A newer intent of the object is in the store.
    pub fn intent_stored(&self, uid: Uid) {
        self.push(uid, Wake::Hub);
    }

    /// A secret that the object uses is in the store, or another value of it.
    pub fn secret_stored(&self, uid: Uid) {
        self.push(uid, Wake::Hub);
    }

    /// Something was seen of the object: look again.
    pub fn wake(&self, uid: Uid) {
        self.push(uid, Wake::Event);
    }

    fn push(&self, uid: Uid, wake: Wake) {
        let mut pending = self
            .wakes
            .pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = pending.entry(uid).or_insert(wake);
        *known = (*known).max(wake);
        drop(pending);
        self.wakes.notify.notify_one();
    }

    fn take(&self) -> BTreeMap<Uid, Wake> {
        std::mem::take(
            &mut *self
                .wakes
                .pending
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

/// The drivers by what an intent holds.
pub struct Drivers<M, H> {
    /// For machines.
    pub machine: Arc<M>,
    /// For hosts by themselves.
    pub host: Arc<H>,
}

/// The supervisor.
pub struct Service<M, H> {
    /// Where intents come from and where journals and reports go.
    pub store: Store,
    /// Who acts.
    pub drivers: Drivers<M, H>,
    /// Who wakes.
    pub handle: Handle,
    /// Guests that phoned home.
    pub phoned_home: mpsc::Receiver<PhonedHome>,
    /// From 0 to 1, another one at each call; spreads retries.
    pub jitter: fn() -> f64,
}

impl<M: Driver, H: Driver> Service<M, H> {
    /// Starts a worker for everything that is live in the store, and runs until cancelled. Returns once every worker
    /// has stopped.
    ///
    /// # Errors
    /// When a worker panicked.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<(), Panicked> {
        let mut workers = Workers {
            set: JoinSet::new(),
            mailboxes: BTreeMap::new(),
        };
        for (uid, kind) in self.store.live() {
            self.start(&mut workers, uid, kind, &cancel);
        }
        loop {
            tokio::select! {
                // Each arm is cancel-safe: `cancelled`, `notified`, `recv` and `join_next` lose nothing when dropped.
                () = cancel.cancelled() => break,
                () = self.handle.wakes.notify.notified() => {
                    for (uid, wake) in self.handle.take() {
                        self.deliver(&mut workers, uid, wake, &cancel);
                    }
                }
                Some(call) = self.phoned_home.recv() => workers.pass_on(call),
                Some(ended) = workers.set.join_next() => {
                    let uid = ended.map_err(|_| Panicked)?;
                    // What arrived between the worker's last look and its end starts it again.
                    if let Some(mailbox) = workers.mailboxes.remove(&uid)
                        && let Some(wake) = mailbox.take()
                    {
                        self.deliver(&mut workers, uid, wake, &cancel);
                    }
                }
            }
        }
        while let Some(ended) = workers.set.join_next().await {
            ended.map_err(|_| Panicked)?;
        }
        Ok(())
    }

    fn deliver(&self, workers: &mut Workers, uid: Uid, wake: Wake, cancel: &CancellationToken) {
        if let Some(mailbox) = workers.mailboxes.get(&uid) {
            mailbox.put(wake);
        } else if let Some(kind) = self.store.live_kind(uid) {
            self.start(workers, uid, kind, cancel);
        }
    }

    fn start(&self, workers: &mut Workers, uid: Uid, kind: BodyKind, cancel: &CancellationToken) {
        let (mailbox, calls) = Mailbox::new();
        let mailbox = Arc::new(mailbox);
        workers.mailboxes.insert(uid, Arc::clone(&mailbox));
        match kind {
            BodyKind::Machine => {
                let worker = self.worker(&self.drivers.machine, uid, mailbox, calls, cancel);
                let span = tracing::info_span!("machine", %uid);
                workers.set.spawn(worker.run().instrument(span));
            }
            BodyKind::Host => {
                let worker = self.worker(&self.drivers.host, uid, mailbox, calls, cancel);
                let span = tracing::info_span!("host", %uid);
                workers.set.spawn(worker.run().instrument(span));
            }
        }
    }

    fn worker<D: Driver>(
        &self,
        driver: &Arc<D>,
        uid: Uid,
        mailbox: Arc<Mailbox>,
        calls: mpsc::Receiver<Call>,
        cancel: &CancellationToken,
    ) -> Worker<D> {
        Worker::new(
            uid,
            self.store.clone(),
            Arc::clone(driver),
            mailbox,
            calls,
            cancel.clone(),
            self.jitter,
        )
    }
}

struct Workers {
    set: JoinSet<Uid>,
    mailboxes: BTreeMap<Uid, Arc<Mailbox>>,
}

impl Workers {
    /// Gives a call to the worker that it is for. The guest of an object without one is told that it is not wanted.
    fn pass_on(&self, call: PhonedHome) {
        let PhonedHome {
            object,
            operation,
            address,
            instance_id,
            durable,
        } = call;
        let heard = Heard {
            operation,
            address: IpAddr::V4(address),
            instance_id,
        };
        match self.mailboxes.get(&object) {
            // A full mailbox drops the call, and with it the guest's answer: it calls again.
            Some(mailbox) => mailbox.call(Call { heard, durable }),
            None => {
                durable.send(false).ok();
            }
        }
    }
}
