//! What the driver holds of the netboot service: open a slot, close it, look at what was seen.
//!
//! Cheap to clone. Nothing here waits: the table is behind a lock that is held for map look-ups only.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{broadcast, watch};
use vitistack_protocol::ids::Uid;

use super::slot::{Mac, Seen, Service, Slot};
pub use super::table::SlotTaken;
use super::table::Table;

#[cfg(test)]
mod tests;

/// Names of objects that wait to be looked at. A receiver that lags loses the oldest and is told so; it then looks at
/// everything, which is what it does from time to time anyway.
const CHANGES: usize = 256;

/// The netboot service as the driver sees it.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    table: Mutex<Table>,
    changes: broadcast::Sender<Uid>,
    /// How many slots were ever opened.
    opened: watch::Sender<u64>,
    status: watch::Sender<Status>,
}

#[derive(Clone, Debug)]
struct Status {
    service: Service,
    address: Option<SocketAddrV4>,
}

impl Handle {
    /// A service that is not configured: slots may be opened, nobody is ever served.
    #[must_use]
    pub fn disabled() -> Self {
        Self::new(Service::Disabled)
    }

    pub(crate) fn new(service: Service) -> Self {
        Self {
            shared: Arc::new(Shared {
                table: Mutex::new(Table::default()),
                changes: broadcast::Sender::new(CHANGES),
                opened: watch::Sender::new(0),
                status: watch::Sender::new(Status {
                    service,
                    address: None,
                }),
            }),
        }
    }

    /// Opens `slot`, or replaces the one that the same object opened before. What was seen is kept while the operation
    /// is the same.
    ///
    /// # Errors
    /// If another object's slot is open for the MAC address. An installer's slot takes the place of another object's
    /// local one, and a local slot with a phone-home that of one without; nothing takes the place of another's
    /// installer.
    pub fn open(&self, slot: Slot) -> Result<(), SlotTaken> {
        self.with(|table| table.open(slot))?;
        self.shared.opened.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Changes whenever a slot is opened.
    pub(crate) fn opened(&self) -> watch::Receiver<u64> {
        self.shared.opened.subscribe()
    }

    /// Ends the slot of `mac` and its URLs, if `object` holds it.
    pub fn close(&self, mac: Mac, object: Uid) {
        self.with(|table| table.close(mac, object));
    }

    /// What was seen of `mac`: reports and boot requests if `object` holds the slot, the lease in any case.
    #[must_use]
    pub fn seen(&self, mac: Mac, object: Uid) -> Seen {
        self.with(|table| table.seen(mac, object, Instant::now()))
    }

    /// How the service is.
    #[must_use]
    pub fn service(&self) -> Service {
        self.shared.status.borrow().service.clone()
    }

    /// Address of the HTTP service; `None` while there is none.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddrV4> {
        self.shared.status.borrow().address
    }

    /// Objects whose [`Seen`] changed.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Uid> {
        self.shared.changes.subscribe()
    }

    pub(crate) fn with<T>(&self, read: impl FnOnce(&mut Table) -> T) -> T {
        // A panic inside the table's plain map operations leaves no half-made state behind.
        let mut table = self
            .shared
            .table
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        read(&mut table)
    }

    pub(crate) fn wake(&self, object: Uid) {
        // Nobody listening is no loss: the driver looks again by itself.
        drop(self.shared.changes.send(object));
    }

    pub(crate) fn set_service(&self, service: Service) {
        self.shared.status.send_if_modified(|status| {
            let changed = status.service != service;
            status.service = service;
            changed
        });
    }

    pub(crate) fn set_address(&self, address: Option<SocketAddrV4>) {
        self.shared
            .status
            .send_modify(|status| status.address = address);
    }

    /// Whether DHCP showed `address` to be a known server's.
    pub(crate) fn is_known_address(&self, address: Ipv4Addr) -> bool {
        self.with(|table| table.is_known_address(address))
    }
}
