//! The network interface that the servers boot on: its number, MAC address, IPv4 address and netmask.
//!
//! Owns nothing that changes: a look is taken at bring-up and again from time to time, and two looks are compared.

use std::net::Ipv4Addr;

use nix::sys::socket::LinkAddr;

use super::slot::Mac;

/// One look at an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    /// Kernel's number, the scope of link-local addresses.
    pub(crate) index: u32,
    pub(crate) mac: Mac,
    /// First IPv4 address.
    pub(crate) address: Ipv4Addr,
    pub(crate) netmask: Ipv4Addr,
    /// The interface as a packet socket names it.
    pub(crate) link: LinkAddr,
}

/// Why an interface cannot carry the service.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The kernel did not say.
    #[error("list the network interfaces")]
    List(#[source] nix::Error),
    /// No such interface, or it is no Ethernet.
    #[error("there is no Ethernet interface {name:?}")]
    Missing { name: String },
    /// Nothing to answer from.
    #[error("interface {name:?} has no IPv4 address")]
    NoAddress { name: String },
}

/// Looks at the interface `name`.
pub(crate) fn find(name: &str) -> Result<Interface, Error> {
    let mut link = None;
    let mut ipv4 = None;
    let all = nix::ifaddrs::getifaddrs().map_err(Error::List)?;
    for entry in all.filter(|entry| entry.interface_name == name) {
        let Some(address) = entry.address else {
            continue;
        };
        if let Some(found) = address.as_link_addr() {
            link = link.or(Some(*found));
        } else if let Some(found) = address.as_sockaddr_in() {
            let netmask = entry
                .netmask
                .as_ref()
                .and_then(|mask| mask.as_sockaddr_in())
                .map_or(Ipv4Addr::BROADCAST, |mask| mask.ip());
            ipv4 = ipv4.or_else(|| Some((found.ip(), netmask)));
        }
    }
    let missing = || Error::Missing {
        name: name.to_owned(),
    };
    let link = link.ok_or_else(missing)?;
    let mac = Mac(link.addr().ok_or_else(missing)?);
    let index = u32::try_from(link.ifindex()).map_err(|_| missing())?;
    let (address, netmask) = ipv4.ok_or_else(|| Error::NoAddress {
        name: name.to_owned(),
    })?;
    Ok(Interface {
        name: name.to_owned(),
        index,
        mac,
        address,
        netmask,
        link,
    })
}

impl Interface {
    /// Whether sockets that are bound by this look still do at the other. The MAC address does not count: a bridge takes
    /// that of its ports, which come and go with every virtual server.
    pub(crate) fn is_bound_like(&self, other: &Self) -> bool {
        self.index == other.index && self.address == other.address && self.netmask == other.netmask
    }

    /// The network as people write it: address and prefix length.
    pub(crate) fn network(&self) -> String {
        let mask = self.netmask.to_bits();
        let address = Ipv4Addr::from_bits(self.address.to_bits() & mask);
        format!("{address}/{}", mask.count_ones())
    }

    /// Whether a host of this network can have `address`: not the network's, not its broadcast, not ours.
    pub(crate) fn can_lease(&self, address: Ipv4Addr) -> bool {
        let mask = self.netmask.to_bits();
        let host = address.to_bits() & !mask;
        address.to_bits() & mask == self.address.to_bits() & mask
            && host != 0
            && host != !mask
            && address != self.address
    }
}
