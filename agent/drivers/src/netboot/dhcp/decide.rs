//! Which request gets which answer, and where it is sent.
//!
//! Pure: the slot of the asking MAC comes in, an answer or silence comes out. Without a slot there is never an answer.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use dhcproto::v4::MessageType;

use super::packet::{Answer, Boot, Client, Lease, Platform, Request};
use super::{CLIENT_PORT, SERVER_PORT};
use crate::netboot::Parameters;
use crate::netboot::http::script;
use crate::netboot::leases::{Leased, Leases};
use crate::netboot::slot::{Mac, Purpose, Slot};

#[cfg(test)]
mod tests;

/// The file that is not there. Its name is what an operator reads on the server's screen.
const NO_FILE: &str = "nothing-to-boot-here-use-the-disk.efi";

/// What the answers say of this service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    /// Ours, on the interface.
    pub(crate) address: Ipv4Addr,
    pub(crate) netmask: Ipv4Addr,
    /// The HTTP service.
    pub(crate) http: SocketAddrV4,
}

/// The configured mode, with what it needs to decide.
#[derive(Debug)]
pub(crate) enum Policy<'a> {
    /// We give addresses.
    Own(Own<'a>),
    /// Somebody else on the wire does.
    Proxy,
    /// Somebody else does, and requests come by a relay.
    Relay,
}

/// What the own mode gives.
#[derive(Debug)]
pub(crate) struct Own<'a> {
    pub(crate) leases: &'a mut Leases,
    pub(crate) parameters: &'a Parameters,
}

/// Which of our ports the request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// 67.
    Server,
    /// 4011; the answer goes back to where the request came from.
    Pxe {
        /// There.
        from: SocketAddrV4,
    },
}

/// What to do about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) reply: Option<(Answer, To)>,
    pub(crate) effect: Option<Effect>,
}

/// What the rest of the service must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Firmware or iPXE asked what to boot.
    BootRequested,
    /// The answer leases this address. `New`: it must be on disk before the answer goes out.
    Leased { address: Ipv4Addr, new: bool },
    /// The lease ended.
    Released,
    /// The client takes this address from another server.
    Learnt { address: Ipv4Addr },
    /// The client took another server's offer, in the own mode.
    ForeignChosen,
}

/// Where the answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// To everybody, because the client cannot hear otherwise.
    Broadcast,
    /// To a client without an address yet, by its MAC.
    Link { mac: Mac, address: Ipv4Addr },
    /// To a socket.
    Socket(SocketAddrV4),
}

const SILENCE: Decision = Decision {
    reply: None,
    effect: None,
};

/// Decides about `request`; `slot` is the open slot of its MAC.
pub(crate) fn decide(
    request: &Request,
    port: Port,
    slot: Option<&Slot>,
    policy: Policy<'_>,
    site: Site,
    now: Instant,
) -> Decision {
    let Some(slot) = slot else {
        return SILENCE;
    };
    match (policy, port, request.relay()) {
        (Policy::Own(ours), Port::Server, None) => own(request, slot, ours, site, now),
        (Policy::Proxy, Port::Server, None) => beside(request, slot, site, To::Broadcast),
        (Policy::Relay, Port::Server, Some(relay)) => {
            let to = To::Socket(SocketAddrV4::new(relay, SERVER_PORT));
            beside(request, slot, site, to)
        }
        (Policy::Proxy | Policy::Relay, Port::Pxe { from }, None) => {
            boot_server(request, slot, site, from)
        }
        // A relay that we were not told of, or a port that the mode does not serve.
        (Policy::Own(_), _, _) | (Policy::Proxy, _, Some(_)) | (Policy::Relay, _, _) => SILENCE,
    }
}

/// The own mode: addresses, and with them what to boot.
fn own(request: &Request, slot: &Slot, ours: Own<'_>, site: Site, now: Instant) -> Decision {
    match request.kind {
        MessageType::Discover => {
            let address = ours.leases.offer(request.mac, request.wanted(), now);
            Decision {
                reply: address
                    .map(|address| grant(request, slot, site, &ours, MessageType::Offer, address)),
                effect: boot_requested(request.client),
            }
        }
        MessageType::Request => own_request(request, slot, ours, site, now),
        MessageType::Decline | MessageType::Release => {
            // DECLINE names the address in an option, RELEASE in the header (RFC 2131 table 5).
            let (Some(address), Some(server)) = (
                request.wanted().or_else(|| request.own_address()),
                request.chosen_server(),
            ) else {
                return SILENCE;
            };
            if server != site.address {
                return SILENCE;
            }
            if request.kind == MessageType::Decline {
                ours.leases.decline(request.mac, address, now);
            } else {
                ours.leases.release(request.mac, address, now);
            }
            Decision {
                reply: None,
                effect: Some(Effect::Released),
            }
        }
        MessageType::Inform => {
            let Some(address) = request.own_address() else {
                return SILENCE;
            };
            let answer = Answer {
                kind: MessageType::Ack,
                server: site.address,
                lease: Some(Lease {
                    address,
                    netmask: site.netmask,
                    duration: None,
                    parameters: ours.parameters.clone(),
                }),
                boot: boot(request.client, slot, site),
            };
            let to = To::Socket(SocketAddrV4::new(address, CLIENT_PORT));
            Decision {
                reply: Some((answer, to)),
                effect: None,
            }
        }
        _ => SILENCE,
    }
}

/// REQUEST in its four states (RFC 2131 section 4.3.2). Only a client that chose us is ever refused.
fn own_request(
    request: &Request,
    slot: &Slot,
    ours: Own<'_>,
    site: Site,
    now: Instant,
) -> Decision {
    let chosen = request.chosen_server();
    if chosen.is_some_and(|server| server != site.address) {
        return Decision {
            reply: None,
            effect: Some(Effect::ForeignChosen),
        };
    }
    let Some(address) = request.wanted().or_else(|| request.own_address()) else {
        return SILENCE;
    };
    let new = match ours.leases.lease(request.mac, address, now) {
        Leased::New => true,
        Leased::Known => false,
        Leased::Refused if chosen.is_some() => {
            let answer = Answer {
                kind: MessageType::Nak,
                server: site.address,
                lease: None,
                boot: None,
            };
            return Decision {
                reply: Some((answer, To::Broadcast)),
                effect: None,
            };
        }
        // It may be another server's lease.
        Leased::Refused => return SILENCE,
    };
    Decision {
        reply: Some(grant(request, slot, site, &ours, MessageType::Ack, address)),
        effect: Some(Effect::Leased { address, new }),
    }
}

/// An offer or an acknowledgement of `address`.
fn grant(
    request: &Request,
    slot: &Slot,
    site: Site,
    ours: &Own<'_>,
    kind: MessageType,
    address: Ipv4Addr,
) -> (Answer, To) {
    let answer = Answer {
        kind,
        server: site.address,
        lease: Some(Lease {
            address,
            netmask: site.netmask,
            duration: Some(ours.leases.duration()),
            parameters: ours.parameters.clone(),
        }),
        boot: boot(request.client, slot, site),
    };
    let to = if let Some(own) = request.own_address() {
        To::Socket(SocketAddrV4::new(own, CLIENT_PORT))
    } else if request.wants_broadcast() {
        To::Broadcast
    } else {
        To::Link {
            mac: request.mac,
            address,
        }
    };
    (answer, to)
}

/// Proxy and relay: the address is another server's, what to boot is ours.
fn beside(request: &Request, slot: &Slot, site: Site, to: To) -> Decision {
    match request.kind {
        MessageType::Discover => Decision {
            reply: boot(request.client, slot, site).map(|boot| {
                let answer = Answer {
                    kind: MessageType::Offer,
                    server: site.address,
                    lease: None,
                    boot: Some(boot),
                };
                (answer, to)
            }),
            effect: boot_requested(request.client),
        },
        // Broadcast to all servers, it says which address the client takes.
        MessageType::Request => Decision {
            reply: None,
            effect: request
                .wanted()
                .or_else(|| request.own_address())
                .map(|address| Effect::Learnt { address }),
        },
        _ => SILENCE,
    }
}

/// Port 4011: a client that has an address asks its boot server.
fn boot_server(request: &Request, slot: &Slot, site: Site, from: SocketAddrV4) -> Decision {
    if !matches!(request.kind, MessageType::Request | MessageType::Inform) {
        return SILENCE;
    }
    let reply = boot(request.client, slot, site).map(|boot| {
        let answer = Answer {
            kind: MessageType::Ack,
            server: site.address,
            lease: None,
            boot: Some(boot),
        };
        (answer, To::Socket(from))
    });
    Decision {
        reply,
        effect: Some(Effect::Learnt {
            address: *from.ip(),
        }),
    }
}

fn boot_requested(client: Client) -> Option<Effect> {
    match client {
        Client::Pxe(_) | Client::Http(_) | Client::Ipxe => Some(Effect::BootRequested),
        Client::System => None,
    }
}

/// What `client` boots.
///
/// On a server that is to boot its disk, iPXE has taken over from the firmware already, and its script hands back. BIOS
/// is told nothing and goes on at once. UEFI would ask again for a minute, then for HTTP boot again, before it goes on
/// to the disk; told a file that there is not, it goes on within seconds.
fn boot(client: Client, slot: &Slot, site: Site) -> Option<Boot> {
    let http = |path: &str| format!("http://{}/{path}", site.http);
    match (client, &slot.purpose) {
        (Client::System, _) => None,
        (Client::Ipxe, Purpose::Installer(_) | Purpose::Local { .. }) => {
            Some(Boot::Script(http(&script::path(slot.mac))))
        }
        (Client::Pxe(Platform::Bios), Purpose::Local { .. }) => None,
        (Client::Pxe(Platform::Uefi), Purpose::Local { .. }) => Some(Boot::Tftp(NO_FILE)),
        (Client::Http(Platform::Uefi), Purpose::Local { .. }) => Some(Boot::Http(http(NO_FILE))),
        (Client::Pxe(Platform::Bios), Purpose::Installer(_)) => Some(Boot::Tftp("undionly.kpxe")),
        (Client::Pxe(Platform::Uefi), Purpose::Installer(_)) => Some(Boot::Tftp("snponly.efi")),
        (Client::Http(Platform::Uefi), Purpose::Installer(_)) => {
            Some(Boot::Http(http("assets/snponly.efi")))
        }
        (
            Client::Pxe(Platform::Other) | Client::Http(Platform::Bios | Platform::Other),
            Purpose::Installer(_) | Purpose::Local { .. },
        ) => None,
    }
}
