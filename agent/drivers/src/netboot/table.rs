//! The slots, what was seen of each server, and who may use which URL.
//!
//! Owns the rules of who may open a slot where one is open, and which address a capability is good for. Pure and
//! synchronous: time comes in as an argument, nothing is sent or read here.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vitistack_installer_wire as wire;
use vitistack_protocol::ids::Uid;

use super::slot::{Mac, Purpose, Seen, Slot};
use crate::capability::Capability;

#[cfg(test)]
mod tests;

/// How long after its last boot request a server may be inside its firmware or iPXE. BIOS memory tests and UEFI's walk
/// through its boot entries take minutes; longer only means that a router solicitation is answered without need.
const BOOT_WINDOW: Duration = Duration::from_secs(300);

/// The installer reports progress each second. Waking the driver that often would make it ask the BMC that often.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// Another object's slot is open for this MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the boot slot of this address is held by {holder}")]
pub struct SlotTaken {
    /// The object that holds it.
    pub holder: Uid,
}

/// What a capability is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// The second initrd.
    Boot,
    /// The signed plan.
    Plan,
    /// Installer reports.
    Report,
    /// The image.
    Image,
    /// The guest's phone-home.
    PhoneHome,
}

/// A capability that holds.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    /// The open slot.
    pub(crate) slot: Arc<Slot>,
}

/// Everything that is known of the boot network's servers.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: HashMap<Mac, Entry>,
    grants: HashMap<Capability, (Mac, Use)>,
    /// Who holds which address from us. Outlives the slot: an installed server keeps its lease.
    leases: HashMap<Mac, Ipv4Addr>,
}

#[derive(Debug)]
struct Entry {
    slot: Arc<Slot>,
    report: Option<Reported>,
    inventory: Option<wire::Inventory>,
    boot_requests: u32,
    last_boot_request: Option<Instant>,
    /// Address of the firmware or iPXE as another DHCP server gave it (proxy and relay).
    learnt: Option<Ipv4Addr>,
    /// First address that used a capability, where no lease of ours says which one it must be.
    bound: HashMap<Capability, Ipv4Addr>,
}

#[derive(Debug)]
struct Reported {
    report: wire::Report,
    at: Instant,
    woke_at: Instant,
}

/// What became of an installer's report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// Kept, and the driver should look.
    Wake(Uid),
    /// Kept; the driver was woken for the like of it a moment ago.
    Kept,
    /// It speaks of an operation that is not the slot's.
    OtherOperation,
}

impl Table {
    /// Opens `slot`, or says who holds the address. The same object replaces its own slot; what was seen is kept as
    /// long as the operation is the same.
    ///
    /// # Errors
    /// If the slot of another object has precedence, see [`Table::may_replace`].
    pub(crate) fn open(&mut self, slot: Slot) -> Result<(), SlotTaken> {
        let slot = Arc::new(slot);
        let mac = slot.mac;
        let old = self.entries.remove(&mac);
        if let Some(entry) = old {
            if !Self::may_replace(&entry.slot, &slot) {
                let holder = entry.slot.object;
                self.entries.insert(mac, entry);
                return Err(SlotTaken { holder });
            }
            self.forget_grants(&entry);
            let kept = if entry.slot.object == slot.object {
                entry.renewed(Arc::clone(&slot))
            } else {
                Entry {
                    learnt: entry.learnt,
                    ..Entry::new(Arc::clone(&slot))
                }
            };
            self.entries.insert(mac, kept);
        } else {
            self.entries.insert(mac, Entry::new(Arc::clone(&slot)));
        }
        for (capability, purpose) in capabilities(&slot.purpose) {
            self.grants.insert(capability, (mac, purpose));
        }
        Ok(())
    }

    /// An object replaces its own slot. Of two objects the installer has precedence over a guest that is expected to
    /// phone home, and that over mere presence, so that a host's worker never takes the boot away from the Machine
    /// that claimed it, whichever runs first after a restart. Nobody replaces another's installer.
    fn may_replace(old: &Slot, new: &Slot) -> bool {
        fn rank(purpose: &Purpose) -> u8 {
            match purpose {
                Purpose::Local { phone_home: None } => 0,
                Purpose::Local {
                    phone_home: Some(_),
                } => 1,
                Purpose::Installer(_) => 2,
            }
        }
        old.object == new.object || rank(&new.purpose) > rank(&old.purpose)
    }

    /// Ends the slot of `mac` if `object` holds it; its URLs end with it.
    pub(crate) fn close(&mut self, mac: Mac, object: Uid) {
        if self
            .entries
            .get(&mac)
            .is_some_and(|entry| entry.slot.object == object)
            && let Some(entry) = self.entries.remove(&mac)
        {
            self.forget_grants(&entry);
        }
    }

    /// What was seen of `mac`. Boot requests and reports only for the holder of the slot; the lease for everybody.
    pub(crate) fn seen(&self, mac: Mac, object: Uid, now: Instant) -> Seen {
        let lease = self.leases.get(&mac).copied();
        let Some(entry) = self
            .entries
            .get(&mac)
            .filter(|entry| entry.slot.object == object)
        else {
            return Seen {
                lease,
                ..Seen::default()
            };
        };
        Seen {
            installer: entry
                .report
                .as_ref()
                .map(|reported| reported.report.clone()),
            inventory: entry.inventory.clone(),
            installer_age: entry
                .report
                .as_ref()
                .map(|reported| now.saturating_duration_since(reported.at)),
            lease,
            boot_requests: entry.boot_requests,
        }
    }

    /// The open slot of `mac`. `None` means: this MAC gets no packet.
    pub(crate) fn slot(&self, mac: Mac) -> Option<&Arc<Slot>> {
        self.entries.get(&mac).map(|entry| &entry.slot)
    }

    /// The slot's server asked what to boot. Returns the object to wake.
    pub(crate) fn boot_requested(&mut self, mac: Mac, now: Instant) -> Option<Uid> {
        let entry = self.entries.get_mut(&mac)?;
        entry.boot_requests = entry.boot_requests.saturating_add(1);
        entry.last_boot_request = Some(now);
        Some(entry.slot.object)
    }

    /// Whether `mac` has an open slot and asked what to boot a short while ago.
    pub(crate) fn in_boot_window(&self, mac: Mac, now: Instant) -> bool {
        self.entries
            .get(&mac)
            .and_then(|entry| entry.last_boot_request)
            .is_some_and(|at| now.saturating_duration_since(at) < BOOT_WINDOW)
    }

    /// We leased `address` to `mac`. Returns the object to wake if that is news.
    pub(crate) fn leased(&mut self, mac: Mac, address: Ipv4Addr) -> Option<Uid> {
        // Whoever had it before let it run out.
        self.leases
            .retain(|holder, held| *holder == mac || *held != address);
        (self.leases.insert(mac, address) != Some(address))
            .then(|| self.entries.get(&mac).map(|entry| entry.slot.object))
            .flatten()
    }

    /// `mac` gave its lease back, or found the address in use.
    pub(crate) fn released(&mut self, mac: Mac) {
        self.leases.remove(&mac);
    }

    /// Another DHCP server's `address` is used by `mac`.
    pub(crate) fn learnt(&mut self, mac: Mac, address: Ipv4Addr) {
        if let Some(entry) = self.entries.get_mut(&mac) {
            entry.learnt = Some(address);
        }
    }

    /// Whether `address` belongs to a server with an open slot, as far as DHCP showed it.
    pub(crate) fn is_known_address(&self, address: Ipv4Addr) -> bool {
        self.entries.iter().any(|(mac, entry)| {
            entry.learnt == Some(address) || self.leases.get(mac) == Some(&address)
        })
    }

    /// The slot whose server may fetch its boot script from `address`. Where the address is ours to give, it must be
    /// the leased one.
    pub(crate) fn script_slot(&mut self, mac: Mac, address: Ipv4Addr) -> Option<Arc<Slot>> {
        let entry = self.entries.get_mut(&mac)?;
        match self.leases.get(&mac) {
            Some(leased) if *leased != address => None,
            Some(_) => Some(Arc::clone(&entry.slot)),
            None => {
                entry.learnt = Some(address);
                Some(Arc::clone(&entry.slot))
            }
        }
    }

    /// The slot of `capability` when `address` uses it for `purpose`; `None` if it is not good for that.
    ///
    /// A URL of the boot is good for the leased address; where another server gives the addresses, for the first
    /// one that used it, since firmware, installer and guest may be given different ones. The guest's phone-home is
    /// good from anywhere: its user may have configured a static address.
    pub(crate) fn grant(
        &mut self,
        capability: Capability,
        purpose: Use,
        address: Ipv4Addr,
    ) -> Option<Grant> {
        let (mac, granted) = *self.grants.get(&capability)?;
        if granted != purpose {
            return None;
        }
        let leased = self.leases.get(&mac).copied();
        let entry = self.entries.get_mut(&mac)?;
        let holds = match (purpose, leased) {
            (Use::PhoneHome, _) => true,
            (_, Some(leased)) => leased == address,
            (_, None) => *entry.bound.entry(capability).or_insert(address) == address,
        };
        holds.then(|| Grant {
            slot: Arc::clone(&entry.slot),
        })
    }

    /// Keeps the installer's report for the slot of `mac`.
    pub(crate) fn reported(&mut self, mac: Mac, report: wire::Report, now: Instant) -> Received {
        let Some(entry) = self.entries.get_mut(&mac) else {
            return Received::OtherOperation;
        };
        let Purpose::Installer(boot) = &entry.slot.purpose else {
            return Received::OtherOperation;
        };
        if report.operation != boot.operation.to_string() {
            return Received::OtherOperation;
        }
        let news = report.inventory.is_some() && report.inventory != entry.inventory;
        if let Some(inventory) = &report.inventory {
            entry.inventory = Some(inventory.clone());
        }
        let wake = news
            || entry.report.as_ref().is_none_or(|old| {
                let moved = match (&old.report.state, &report.state) {
                    (wire::State::Writing { .. }, wire::State::Writing { .. }) => false,
                    (old, new) => old != new,
                };
                moved || now.saturating_duration_since(old.woke_at) >= PROGRESS_INTERVAL
            });
        let woke_at = match &entry.report {
            Some(old) if !wake => old.woke_at,
            Some(_) | None => now,
        };
        entry.report = Some(Reported {
            report,
            at: now,
            woke_at,
        });
        if wake {
            Received::Wake(entry.slot.object)
        } else {
            Received::Kept
        }
    }

    fn forget_grants(&mut self, entry: &Entry) {
        for (capability, _) in capabilities(&entry.slot.purpose) {
            self.grants.remove(&capability);
        }
    }
}

impl Entry {
    fn new(slot: Arc<Slot>) -> Self {
        Self {
            slot,
            report: None,
            inventory: None,
            boot_requests: 0,
            last_boot_request: None,
            learnt: None,
            bound: HashMap::new(),
        }
    }

    /// The same object opened again: the same operation goes on, another one starts with nothing seen.
    fn renewed(self, slot: Arc<Slot>) -> Self {
        let same = match (&self.slot.purpose, &slot.purpose) {
            (Purpose::Installer(old), Purpose::Installer(new)) => old.operation == new.operation,
            (Purpose::Local { .. }, Purpose::Local { .. }) => true,
            (Purpose::Installer(_), Purpose::Local { .. })
            | (Purpose::Local { .. }, Purpose::Installer(_)) => false,
        };
        if same {
            return Self { slot, ..self };
        }
        Self {
            last_boot_request: self.last_boot_request,
            learnt: self.learnt,
            ..Self::new(slot)
        }
    }
}

/// Every capability that a slot publishes.
fn capabilities(purpose: &Purpose) -> Vec<(Capability, Use)> {
    match purpose {
        Purpose::Local { phone_home } => phone_home
            .iter()
            .map(|(_, capability)| (*capability, Use::PhoneHome))
            .collect(),
        Purpose::Installer(boot) => {
            let urls = boot.urls;
            let mut all = vec![
                (urls.boot, Use::Boot),
                (urls.plan, Use::Plan),
                (urls.report, Use::Report),
                (urls.image, Use::Image),
            ];
            all.extend(
                boot.phone_home
                    .map(|capability| (capability, Use::PhoneHome)),
            );
            all
        }
    }
}
