//! Addresses of the own mode: each known MAC keeps one address, two MACs never have the same.
//!
//! Pure; time comes in. A MAC keeps its address after the lease ran out, until somebody else needs it, so an installed
//! server is found where it was. The address that a MAC gets first is derived from the MAC, so that losing the lease
//! file changes nothing in a range that is not crowded.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use sha2::Digest as _;

use super::slot::Mac;

#[cfg(test)]
mod tests;

/// How long an offer keeps its address from others. Clients answer within seconds; firmware collects offers for up to
/// half a minute.
const OFFER: Duration = Duration::from_secs(60);

/// How long an address is left alone that a client found in use.
const DECLINED: Duration = Duration::from_secs(3600);

/// The addresses and who holds them.
#[derive(Debug)]
pub(crate) struct Leases {
    range: RangeInclusive<u32>,
    lease: Duration,
    /// Never leased: our own, and those of the servers that leases name.
    reserved: Vec<Ipv4Addr>,
    held: HashMap<Mac, Held>,
    declined: HashMap<Ipv4Addr, Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    address: Ipv4Addr,
    until: Instant,
    /// Acknowledged, not only offered: belongs into the lease file.
    leased: bool,
}

impl Leases {
    /// `remembered` are leases of an earlier run; when they were given is not known, so they hold for a whole lease
    /// from `now`.
    pub(crate) fn new(
        range: &RangeInclusive<Ipv4Addr>,
        lease: Duration,
        reserved: Vec<Ipv4Addr>,
        remembered: impl IntoIterator<Item = (Mac, Ipv4Addr)>,
        now: Instant,
    ) -> Self {
        let mut leases = Self {
            range: range.start().to_bits()..=range.end().to_bits(),
            lease,
            reserved,
            held: HashMap::new(),
            declined: HashMap::new(),
        };
        for (mac, address) in remembered {
            if leases.is_free(mac, address, now) {
                leases.held.insert(
                    mac,
                    Held {
                        address,
                        until: now + lease,
                        leased: true,
                    },
                );
            }
        }
        leases
    }

    /// The address to offer to `mac`: its own if it has one, else the one it asks for, else one derived from the MAC.
    /// `None` if all are held.
    pub(crate) fn offer(
        &mut self,
        mac: Mac,
        wanted: Option<Ipv4Addr>,
        now: Instant,
    ) -> Option<Ipv4Addr> {
        if let Some(held) = self.held.get_mut(&mac) {
            held.until = held.until.max(now + OFFER);
            return Some(held.address);
        }
        let address = wanted
            .filter(|wanted| self.is_free(mac, *wanted, now))
            .or_else(|| self.search(mac, now))?;
        self.take(mac, address, now + OFFER, false);
        Some(address)
    }

    /// Leases `address` to `mac` if it is `mac`'s or nobody's.
    pub(crate) fn lease(&mut self, mac: Mac, address: Ipv4Addr, now: Instant) -> Leased {
        if !self.is_free(mac, address, now) {
            return Leased::Refused;
        }
        let known = self
            .held
            .get(&mac)
            .is_some_and(|held| held.leased && held.address == address);
        self.take(mac, address, now + self.lease, true);
        if known { Leased::Known } else { Leased::New }
    }

    /// `mac` does not need its address now. It gets it again if nobody else took it.
    pub(crate) fn release(&mut self, mac: Mac, address: Ipv4Addr, now: Instant) {
        if let Some(held) = self.held.get_mut(&mac)
            && held.address == address
        {
            held.until = now;
        }
    }

    /// `mac` found its address in use by somebody that we do not know.
    pub(crate) fn decline(&mut self, mac: Mac, address: Ipv4Addr, now: Instant) {
        if self
            .held
            .get(&mac)
            .is_some_and(|held| held.address == address)
        {
            self.held.remove(&mac);
            self.declined.insert(address, now + DECLINED);
        }
    }

    /// How long a lease holds.
    pub(crate) fn duration(&self) -> Duration {
        self.lease
    }

    /// What the lease file keeps, in the order of addresses.
    pub(crate) fn remember(&self) -> Vec<(Mac, Ipv4Addr)> {
        let mut all: Vec<_> = self
            .held
            .iter()
            .filter(|(_, held)| held.leased)
            .map(|(mac, held)| (*mac, held.address))
            .collect();
        all.sort_by_key(|(_, address)| *address);
        all
    }

    fn take(&mut self, mac: Mac, address: Ipv4Addr, until: Instant, leased: bool) {
        // Whoever had it before let it run out, or `is_free` would have said no.
        self.held.retain(|_, held| held.address != address);
        self.held.insert(
            mac,
            Held {
                address,
                until,
                leased,
            },
        );
    }

    fn is_free(&self, mac: Mac, address: Ipv4Addr, now: Instant) -> bool {
        self.range.contains(&address.to_bits())
            && !self.reserved.contains(&address)
            && self
                .declined
                .get(&address)
                .is_none_or(|until| *until <= now)
            && !self
                .held
                .iter()
                .any(|(holder, held)| *holder != mac && held.address == address && held.until > now)
    }

    /// The first address from the MAC's own place on that nobody ever had; else the first whose lease ran out.
    fn search(&self, mac: Mac, now: Instant) -> Option<Ipv4Addr> {
        let size = u64::from(*self.range.end()).checked_sub(u64::from(*self.range.start()))? + 1;
        let digest = sha2::Sha256::digest(mac.0);
        let place = digest
            .iter()
            .take(8)
            .fold(0, |place: u64, byte| (place << 8) | u64::from(*byte))
            % size;
        let mut expired = None;
        for step in 0..size {
            let offset = u32::try_from((place + step) % size).ok()?;
            let address = Ipv4Addr::from_bits(self.range.start().checked_add(offset)?);
            if !self.is_free(mac, address, now) {
                continue;
            }
            if !self.held.values().any(|held| held.address == address) {
                return Some(address);
            }
            expired = expired.or(Some(address));
        }
        expired
    }
}

/// What became of a request for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leased {
    /// Prolonged.
    Known,
    /// The lease file has to learn it before the client does.
    New,
    /// Not ours to give, or another's.
    Refused,
}
