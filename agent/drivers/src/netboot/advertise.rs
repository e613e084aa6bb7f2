//! Router advertisements for booting servers.
//!
//! iPXE configures IPv6 beside IPv4 and waits some 16 seconds for a router where there is none, at every boot. An
//! advertisement ends that wait. Ours says that we are no router (lifetime 0), gives no prefix, and asks for no DHCPv6;
//! it goes to the asking server alone, only while that boots, and only where no real router speaks.
//!
//! One task. `packet` is pure.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tracing::debug;
use vitistack_protocol::Chain;

use self::packet::Message;
use super::error::Error;
use super::handle::Handle;
use super::interface::Interface;
use super::slot::Mac;
use super::socket;

pub(crate) mod packet;

const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// Answers router solicitations on one interface.
#[derive(Debug)]
pub(crate) struct Advertiser {
    handle: Handle,
    interface: Interface,
    socket: UdpSocket,
}

impl Advertiser {
    pub(crate) fn bind(handle: Handle, interface: Interface) -> Result<Self, Error> {
        let socket = socket::icmpv6(&interface)?;
        Ok(Self {
            handle,
            interface,
            socket,
        })
    }

    /// Answers until the socket breaks.
    pub(crate) async fn run(self) -> Result<Infallible, Error> {
        let mut routed_until: Option<Instant> = None;
        let mut buffer = [0; 2048];
        // As any host does when it comes up: whoever routes here says so now, before a server boots.
        self.send(&packet::solicitation(), ALL_ROUTERS).await;
        loop {
            let (length, from) =
                self.socket
                    .recv_from(&mut buffer)
                    .await
                    .map_err(|source| Error::Receive {
                        what: "ICMPv6 socket",
                        source,
                    })?;
            let SocketAddr::V6(from) = from else {
                continue;
            };
            let now = Instant::now();
            match buffer.get(..length).and_then(packet::parse) {
                Some(Message::Advertisement { lifetime }) if !lifetime.is_zero() => {
                    routed_until = Some(now + lifetime);
                }
                Some(Message::Solicitation { source }) => {
                    let routed = routed_until.is_some_and(|until| now < until);
                    if !routed && self.is_booting(source, *from.ip(), now) {
                        debug!(to = %from.ip(), "router advertisement");
                        self.send(&packet::advertisement(), *from.ip()).await;
                    }
                }
                Some(Message::Advertisement { lifetime: _ }) | None => {}
            }
        }
    }

    fn is_booting(&self, source: Option<Mac>, from: Ipv6Addr, now: Instant) -> bool {
        source
            .or_else(|| packet::mac_of(from))
            .is_some_and(|mac| self.handle.with(|table| table.in_boot_window(mac, now)))
    }

    /// The client repeats its question if this one is lost.
    async fn send(&self, bytes: &[u8], to: Ipv6Addr) {
        let to = SocketAddrV6::new(to, 0, 0, self.interface.index);
        // Waiting for a neighbour that went away must not hold up the others.
        let sent =
            tokio::time::timeout(Duration::from_secs(1), self.socket.send_to(bytes, to)).await;
        if let Ok(Err(error)) = sent {
            let to = IpAddr::V6(*to.ip());
            debug!(error = %Chain(&error), %to, "neighbour discovery packet not sent");
        }
    }
}
