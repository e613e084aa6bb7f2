//! The network of a netbooted server: every NIC up, an address from whoever answers, and the agent within reach.
//!
//! The NIC that the firmware booted from is not known for certain, and another NIC may be on another network with its
//! own DHCP server. So each NIC is asked, and the first whose lease leads to the agent stays; the others go down again.
//! It owns one task, [`Lease::keep`], that renews the lease while an installation lasts.

pub mod dhcp;
mod link;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::console::say;
use crate::modules::Loader;

pub use link::{Interface, interfaces};

/// Switches with spanning tree hold a port for half a minute; slow BIOS hand-overs and busy servers take the rest.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long links may take to come up before those that are there are asked for addresses.
const CARRIER: Duration = Duration::from_millis(500);
/// Between two looks at a link.
const LOOK: Duration = Duration::from_millis(50);
/// Between two packets of an exchange.
const RESEND: Duration = Duration::from_secs(2);
/// Packets an exchange before the NIC's turn is over.
const SENDS: u32 = 4;
/// To reach the agent once there is an address.
const REACH: Duration = Duration::from_secs(5);

/// No network.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel's routing socket.
    #[error("open a routing socket")]
    Netlink(#[source] std::io::Error),
    /// A NIC could not be changed.
    #[error("configure {name}")]
    Configure {
        /// Kernel's name.
        name: String,
        #[source]
        /// The kernel's answer.
        source: rtnetlink::Error,
    },
    /// The socket of the DHCP client.
    #[error("open a DHCP socket on {name}")]
    Socket {
        /// Kernel's name.
        name: String,
        #[source]
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// Nothing led to the agent in all that time.
    #[error("no interface got an address from which {server} answers")]
    Unreachable {
        /// The agent.
        server: SocketAddr,
    },
}

/// An address in use.
#[derive(Debug)]
pub struct Lease {
    /// Where.
    pub interface: Interface,
    offer: dhcp::Offer,
}

/// Gets an address from which `server` answers. `first` is the MAC that the firmware booted from, if it was told.
///
/// # Errors
/// After [`PATIENCE`], or where the kernel refuses.
pub async fn up(
    loader: &mut Loader,
    server: SocketAddr,
    first: Option<&str>,
) -> Result<Lease, Error> {
    let mut links = link::Links::open().map_err(Error::Netlink)?;
    let end = Instant::now() + PATIENCE;
    // In the first round; if the agent is not reached from there, every interface has its turn.
    let mut enough = first;
    while Instant::now() < end {
        loader.scan();
        let mut found = interfaces();
        found.sort_by_key(|interface| Some(interface.mac.as_str()) != first);
        for interface in &found {
            links.up(interface).await?;
        }
        carrier(&found, first).await;
        let offers = offers(&found, enough.take()).await;
        if offers.is_empty() {
            let names: Vec<_> = found
                .iter()
                .map(|interface| interface.name.as_str())
                .collect();
            say(format_args!(
                "no address yet; interfaces: {}",
                names.join(", ")
            ));
        }
        for (interface, offer) in offers {
            links
                .add(&interface, offer.address, offer.prefix, offer.router)
                .await?;
            let at = format!("{}/{} on {}", offer.address, offer.prefix, interface.name);
            if let Ok(Ok(_)) = timeout(REACH, TcpStream::connect(server)).await {
                say(format_args!("address {at}"));
                return Ok(Lease { interface, offer });
            }
            say(format_args!("{server} does not answer from {at}"));
            links.down(&interface, offer.address, offer.prefix).await?;
        }
    }
    Err(Error::Unreachable { server })
}

/// A link takes a moment after it was set up. Returns early once the one that the firmware booted from is there.
async fn carrier(interfaces: &[Interface], first: Option<&str>) {
    let end = Instant::now() + CARRIER;
    let is_first = |interface: &&Interface| Some(interface.mac.as_str()) == first;
    while Instant::now() < end {
        let booted = interfaces.iter().find(is_first);
        if booted.is_some_and(Interface::has_carrier) {
            return;
        }
        sleep(LOOK).await;
    }
}

/// Asks on all interfaces with a carrier at once. Once the one with the MAC `enough` has an answer, those that are silent
/// are not waited for.
async fn offers(interfaces: &[Interface], enough: Option<&str>) -> Vec<(Interface, dhcp::Offer)> {
    let mut asking = JoinSet::new();
    for (rank, interface) in interfaces.iter().enumerate() {
        if interface.has_carrier() {
            let interface = interface.clone();
            asking.spawn(async move {
                let offer = acquire(&interface).await;
                (rank, interface, offer)
            });
        }
    }
    let mut answers = Vec::new();
    // A task that panicked has no answer.
    while let Some(ended) = asking.join_next().await {
        match ended {
            Ok((rank, interface, Ok(Some(offer)))) => {
                let is_enough = Some(interface.mac.as_str()) == enough;
                answers.push((rank, interface, offer));
                if is_enough {
                    break;
                }
            }
            Ok((_, _, Err(error))) => say(crate::console::chain(&error)),
            Ok((_, _, Ok(None))) | Err(_) => {}
        }
    }
    answers.sort_by_key(|(rank, _, _)| *rank);
    let in_order = answers.into_iter();
    in_order
        .map(|(_, interface, offer)| (interface, offer))
        .collect()
}

/// Discover, offer, request, ack. `None` if nobody answered.
async fn acquire(interface: &Interface) -> Result<Option<dhcp::Offer>, Error> {
    let open = |source| Error::Socket {
        name: interface.name.clone(),
        source,
    };
    let Some(mac) = interface.mac_bytes() else {
        return Ok(None);
    };
    let socket = link::dhcp_socket(&interface.name).map_err(open)?;
    let everybody = SocketAddr::from((Ipv4Addr::BROADCAST, dhcp::SERVER_PORT));
    let exchange = dhcp::Exchange {
        transaction: transaction(mac),
        mac,
    };
    let discover = exchange.discover();
    let Some(offer) = ask(&socket, everybody, &discover, |bytes| exchange.offer(bytes)).await
    else {
        return Ok(None);
    };
    let request = exchange.request(&offer);
    let answer = ask(&socket, everybody, &request, |bytes| exchange.answer(bytes)).await;
    Ok(match answer {
        Some(dhcp::Answer::Ack(lease)) => Some(lease),
        Some(dhcp::Answer::Nak) | None => None,
    })
}

/// Tells exchanges apart. Not from the kernel's random numbers: those of a virtual machine without a source of its own
/// are not ready for minutes after its start, and asking for them blocks.
fn transaction(mac: [u8; 6]) -> u32 {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let [_, _, rest @ ..] = mac;
    u32::from_be_bytes(rest) ^ now.subsec_nanos()
}

/// Sends until something comes back that `read` understands.
async fn ask<T>(
    socket: &UdpSocket,
    to: SocketAddr,
    packet: &[u8],
    read: impl Fn(&[u8]) -> Option<T>,
) -> Option<T> {
    let mut buffer = vec![0; 1500];
    for _ in 0..SENDS {
        // A link that has just come up refuses packets for a moment; the next round sends again.
        drop(socket.send_to(packet, to).await);
        let end = Instant::now() + RESEND;
        while let Ok(received) = tokio::time::timeout_at(end, socket.recv(&mut buffer)).await {
            let length = received.unwrap_or(0);
            if let Some(value) = buffer.get(..length).and_then(&read) {
                return Some(value);
            }
        }
    }
    None
}

impl Lease {
    /// Renews the lease at half its time, for ever. A server that does not answer changes nothing: the address stays,
    /// since a half-written disk is worse than a conflict that the DHCP server can see coming.
    pub async fn keep(self) {
        let Self {
            interface,
            mut offer,
        } = self;
        let Some(mac) = interface.mac_bytes() else {
            return;
        };
        loop {
            let half = (offer.lease / 2).max(Duration::from_secs(10));
            sleep(half).await;
            let exchange = dhcp::Exchange {
                transaction: transaction(mac),
                mac,
            };
            let Ok(socket) = link::dhcp_socket(&interface.name) else {
                continue;
            };
            let server = SocketAddr::from((offer.server, dhcp::SERVER_PORT));
            let renewal = exchange.renew(&offer);
            let answer = ask(&socket, server, &renewal, |bytes| exchange.answer(bytes)).await;
            if let Some(dhcp::Answer::Ack(lease)) = answer {
                offer = lease;
            }
        }
    }
}
