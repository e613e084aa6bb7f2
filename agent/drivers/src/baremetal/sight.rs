//! What either driver sees of one server, and what this process remembers to see it: since when, how often, which slot.
//!
//! Nothing here survives a restart, and nothing needs to: a forgotten slot is opened again from the journal, a forgotten
//! clock starts again.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::net::SocketAddrV4;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use vitistack_protocol::ids::{Digest, OperationId, Uid};
use vitistack_protocol::message::intent::HostTarget;
use vitistack_protocol::message::report::Nic;

use super::BareMetal;
use super::bmc::Bmc;
use super::error::{Error, Trouble};
use super::record::{Begun, Record};
use super::redfish::{BootTarget, System};
use super::step::Task;
use crate::capability::Capability;
use crate::driver::Secrets;
use crate::netboot::slot::{BootUrls, Mac, Seen, Service};

/// A boot override that was set this long ago says nothing about a BMC that loses overrides.
const BOOT_SET_COUNTS: Duration = Duration::from_secs(120);

/// And a power on this long ago nothing about a server that goes off by itself.
const POWER_ON_COUNTS: Duration = Duration::from_secs(600);

/// What was seen of a server.
#[derive(Clone, Debug)]
pub struct Sight {
    pub(crate) bmc: Result<System, Trouble>,
    pub(crate) certificate: Option<Digest>,
    pub(crate) service: Service,
    pub(crate) address: Option<SocketAddrV4>,
    pub(crate) seen: Seen,
    /// The slot that this process opened for the object.
    pub(crate) slot: Option<SlotKey>,
    pub(crate) fresh: Fresh,
    /// Since the installer was started in this attempt.
    pub(crate) started: Duration,
    /// Since the installer's state last changed.
    pub(crate) unchanged: Duration,
    /// Since the installed system was started.
    pub(crate) guest: Duration,
    /// Since the operating system was asked to shut down.
    pub(crate) shutdown: Option<Duration>,
    /// What the boot override was set to a short while ago, the newest last.
    pub(crate) boot_sets: Vec<BootTarget>,
    /// How often the server was switched on to be kept running, a short while ago.
    pub(crate) power_ons: usize,
}

/// Randomness for a plan that begins an attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fresh {
    pub(crate) urls: BootUrls,
    pub(crate) phone_home: Capability,
}

/// Tells one slot from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotKey {
    Local {
        mac: Mac,
        phone_home: Option<Capability>,
    },
    Installer {
        mac: Mac,
        boot: Capability,
        /// What its plan says.
        task: Task,
    },
}

impl SlotKey {
    pub(crate) fn mac(self) -> Mac {
        match self {
            Self::Local { mac, .. } | Self::Installer { mac, .. } => mac,
        }
    }
}

impl Fresh {
    fn random() -> Result<Self, Error> {
        let one = || Capability::random().map_err(|_| Error::Random);
        Ok(Self {
            urls: BootUrls {
                boot: one()?,
                plan: one()?,
                report: one()?,
                image: one()?,
            },
            phone_home: one()?,
        })
    }
}

/// What this process remembers of every object.
#[derive(Debug, Default)]
pub(crate) struct Memories(Mutex<HashMap<Uid, Memory>>);

#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) slot: Option<SlotKey>,
    /// By clock: what it measures, and since when.
    clocks: HashMap<Clock, (u64, Instant)>,
    pub(crate) shutdown: Option<Instant>,
    pub(crate) boot_sets: Vec<(BootTarget, Instant)>,
    pub(crate) power_ons: Vec<Instant>,
    pub(crate) nics: Option<Vec<Nic>>,
    /// The image that the object is to be installed with, until it is.
    pub(crate) image: Option<Digest>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Clock {
    Started,
    Unchanged,
    Guest,
}

impl Memories {
    pub(crate) fn with<T>(&self, object: Uid, change: impl FnOnce(&mut Memory) -> T) -> T {
        change(self.lock().entry(object).or_default())
    }

    pub(crate) fn forget(&self, object: Uid) {
        self.lock().remove(&object);
    }

    /// Objects that are to be installed with `image`.
    fn waiting_for(&self, image: Digest) -> Vec<Uid> {
        let memories = self.lock();
        let waiting = memories
            .iter()
            .filter(|(_, memory)| memory.image == Some(image));
        waiting.map(|(object, _)| *object).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uid, Memory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// How long `clock` has been measuring the thing that `tag` names.
    fn elapsed(&mut self, clock: Clock, tag: u64, now: Instant) -> Duration {
        let (measured, since) = self.clocks.entry(clock).or_insert((tag, now));
        if *measured != tag {
            (*measured, *since) = (tag, now);
        }
        now.saturating_duration_since(*since)
    }
}

/// What is looked at, and how closely.
pub(crate) struct Look<'a> {
    pub(crate) object: Uid,
    pub(crate) target: &'a HostTarget,
    pub(crate) operation: OperationId,
    pub(crate) record: &'a Record,
    /// How old the view of the BMC may be.
    pub(crate) age: Duration,
}

impl BareMetal {
    /// Has everybody who waits for `image` look again: it is here, or could not be fetched.
    pub(crate) fn image_settled(&self, image: Digest) {
        for object in self.memories().waiting_for(image) {
            self.netboot().wake(object);
        }
    }

    /// Looks at a server. Changes nothing.
    pub(crate) async fn look(
        &self,
        look: &Look<'_>,
        secrets: &dyn Secrets,
    ) -> Result<(Sight, Option<Bmc>), Error> {
        let bmc = self.lanes().open(look.target, secrets);
        let (system, bmc) = match bmc {
            Ok(bmc) => (bmc.system(look.age).await, Some(bmc)),
            Err(error) => (Err(error), None),
        };
        let netboot = self.netboot();
        let seen = netboot.seen(Mac(look.target.boot_mac), look.object);
        let fresh = Fresh::random()?;
        let now = Instant::now();
        let running = system
            .as_ref()
            .is_ok_and(|system| system.power == super::redfish::Power::On);
        let sight = self.memories().with(look.object, |memory| {
            if !running {
                memory.shutdown = None;
            }
            let lately = |at: &Instant, window| now.saturating_duration_since(*at) < window;
            memory
                .boot_sets
                .retain(|(_, at)| lately(at, BOOT_SET_COUNTS));
            memory.power_ons.retain(|at| lately(at, POWER_ON_COUNTS));
            let attempt = tag(&(look.operation.0, look.record.attempt));
            let started = tag(&(attempt, look.record.installer != Begun::No));
            let guest = tag(&(attempt, look.record.guest != Begun::No, running));
            let state = seen
                .installer
                .as_ref()
                .map(|report| format!("{:?}", report.state));
            Sight {
                bmc: system.map_err(|error| Trouble::from(&error)),
                certificate: bmc.as_ref().and_then(Bmc::certificate),
                service: netboot.service(),
                address: netboot.address(),
                slot: memory.slot,
                fresh,
                started: memory.elapsed(Clock::Started, started, now),
                unchanged: memory.elapsed(Clock::Unchanged, tag(&(attempt, state)), now),
                guest: memory.elapsed(Clock::Guest, guest, now),
                shutdown: memory.shutdown.map(|at| now.saturating_duration_since(at)),
                boot_sets: memory.boot_sets.iter().map(|(set, _)| *set).collect(),
                power_ons: memory.power_ons.len(),
                seen,
            }
        });
        Ok((sight, bmc))
    }
}

fn tag(value: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
