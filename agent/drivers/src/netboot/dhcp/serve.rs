//! The DHCP server's socket loop.
//!
//! One task. It owns the leases and their file; it tells the table who leases what, and the driver who asked to boot.
//! Packets are handled one after the other: a booting server sends a handful.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::time::Instant;

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tracing::{debug, info, warn};
use vitistack_protocol::Chain;

use super::decide::{Decision, Effect, Own, Policy, Port, Site, To, decide};
use super::packet::{self, Request};
use super::watch::Verdict;
use super::{CLIENT_PORT, PXE_PORT, SERVER_PORT};
use crate::netboot::Parameters;
use crate::netboot::error::Error;
use crate::netboot::frame::{self, End};
use crate::netboot::handle::Handle;
use crate::netboot::interface::{self, Interface};
use crate::netboot::lease_file;
use crate::netboot::leases::Leases;
use crate::netboot::slot::Mac;
use crate::netboot::socket;

/// Longest packet that is read; longer ones are cut and then do not parse. Firmware sends up to an Ethernet frame.
const LONGEST: usize = 2048;

/// The DHCP server of one mode.
#[derive(Debug)]
pub(crate) struct Server {
    handle: Handle,
    interface: Interface,
    site: Site,
    mode: Mode,
    server: UdpSocket,
    /// Only beside another DHCP server.
    pxe: Option<UdpSocket>,
    /// Raw frames, to clients without an address.
    link: OwnedFd,
}

/// The mode and what belongs to it.
#[derive(Debug)]
pub(crate) enum Mode {
    Own {
        leases: Box<Leases>,
        parameters: Parameters,
        file: PathBuf,
        verdict: watch::Receiver<Verdict>,
        /// To the probe: somebody took another server's offer. When full, a look is due anyway.
        suspect: mpsc::Sender<()>,
    },
    Proxy,
    Relay,
}

impl Server {
    /// Opens the sockets.
    pub(crate) fn bind(
        handle: Handle,
        interface: Interface,
        http: SocketAddrV4,
        mode: Mode,
    ) -> Result<Self, Error> {
        let server = socket::udp(&interface, Ipv4Addr::UNSPECIFIED, SERVER_PORT)?;
        let pxe = match &mode {
            Mode::Own { .. } => None,
            Mode::Proxy | Mode::Relay => {
                Some(socket::udp(&interface, Ipv4Addr::UNSPECIFIED, PXE_PORT)?)
            }
        };
        let link = nix::sys::socket::socket(
            AddressFamily::Packet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            None,
        )
        .map_err(|source| Error::Open {
            what: "packet socket",
            source: source.into(),
        })?;
        let site = Site {
            address: interface.address,
            netmask: interface.netmask,
            http,
        };
        Ok(Self {
            handle,
            interface,
            site,
            mode,
            server,
            pxe,
            link,
        })
    }

    /// Serves until a socket breaks.
    pub(crate) async fn run(mut self) -> Result<Infallible, Error> {
        let mut at_server = [0; LONGEST];
        let mut at_pxe = [0; LONGEST];
        loop {
            // Cancel-safe: per tokio's documentation no packet is lost when recv_from is dropped.
            let (port, bytes) = tokio::select! {
                received = self.server.recv_from(&mut at_server) => {
                    let (length, _) = received.map_err(broken("DHCP socket"))?;
                    (Port::Server, at_server.get(..length))
                }
                received = receive(self.pxe.as_ref(), &mut at_pxe) => {
                    let (length, from) = received.map_err(broken("PXE socket"))?;
                    (Port::Pxe { from }, at_pxe.get(..length))
                }
            };
            if let Some(request) = bytes.and_then(packet::parse) {
                self.answer(&request, port).await?;
            }
        }
    }

    async fn answer(&mut self, request: &Request, port: Port) -> Result<(), Error> {
        let Some(slot) = self.handle.with(|table| table.slot(request.mac).cloned()) else {
            return Ok(());
        };
        let policy = match &mut self.mode {
            Mode::Own {
                leases,
                parameters,
                verdict,
                ..
            } => match *verdict.borrow() {
                Verdict::Clear => Policy::Own(Own { leases, parameters }),
                Verdict::Looking | Verdict::Foreign(_) => return Ok(()),
            },
            Mode::Proxy => Policy::Proxy,
            Mode::Relay => Policy::Relay,
        };
        let now = Instant::now();
        let Decision { reply, effect } = decide(request, port, Some(&slot), policy, self.site, now);
        if let Some(effect) = effect {
            self.apply(request, effect, now).await?;
        }
        if let Some((answer, to)) = reply {
            debug!(mac = %request.mac, client = ?request.client, ?answer, ?to, "dhcp answer");
            match request.answer(&answer) {
                Some(bytes) => self.send(port, to, &bytes).await,
                None => warn!(mac = %request.mac, "a dhcp answer does not fit its packet"),
            }
        }
        Ok(())
    }

    async fn apply(
        &mut self,
        request: &Request,
        effect: Effect,
        now: Instant,
    ) -> Result<(), Error> {
        let mac = request.mac;
        match effect {
            Effect::BootRequested => {
                info!(%mac, client = ?request.client, "server asks what to boot");
                if let Some(object) = self.handle.with(|table| table.boot_requested(mac, now)) {
                    self.handle.wake(object);
                }
            }
            Effect::Leased { address, new } => {
                if new {
                    self.remember().await?;
                    info!(%mac, %address, "address leased");
                }
                if let Some(object) = self.handle.with(|table| table.leased(mac, address)) {
                    self.handle.wake(object);
                }
            }
            Effect::Released => self.handle.with(|table| table.released(mac)),
            Effect::Learnt { address } => self.handle.with(|table| table.learnt(mac, address)),
            Effect::ForeignChosen => {
                if let Mode::Own { suspect, .. } = &self.mode {
                    // Full means that the probe has been told already.
                    suspect.try_send(()).ok();
                }
            }
        }
        Ok(())
    }

    /// Writes the lease file before the client is told.
    async fn remember(&self) -> Result<(), Error> {
        let Mode::Own { leases, file, .. } = &self.mode else {
            return Ok(());
        };
        let all = leases.remember();
        let path = file.clone();
        let written = tokio::task::spawn_blocking(move || lease_file::write(&path, &all)).await;
        written
            .unwrap_or_else(|panicked| Err(io::Error::other(panicked)))
            .map_err(|source| Error::LeaseFile {
                path: file.clone(),
                source,
            })
    }

    /// A packet that cannot be sent is lost like any other: the client asks again.
    async fn send(&self, port: Port, to: To, bytes: &[u8]) {
        let sent = match to {
            To::Broadcast => {
                let to = SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT);
                self.server.send_to(bytes, to).await.map(drop)
            }
            To::Socket(to) => {
                let socket = match (port, &self.pxe) {
                    (Port::Pxe { .. }, Some(pxe)) => pxe,
                    (Port::Pxe { .. } | Port::Server, _) => &self.server,
                };
                socket.send_to(bytes, to).await.map(drop)
            }
            To::Link { mac, address } => self.send_frame(mac, address, bytes),
        };
        if let Err(error) = sent {
            debug!(
                error = %Chain(&error),
                ?to,
                "dhcp answer not sent"
            );
        }
    }

    fn send_frame(&self, mac: Mac, address: Ipv4Addr, bytes: &[u8]) -> io::Result<()> {
        // Looked up each time: a bridge changes its address when a virtual server joins, just before that boots.
        let mac_now = interface::find(&self.interface.name)
            .map_or(self.interface.mac, |interface| interface.mac);
        let from = End {
            mac: mac_now,
            socket: SocketAddrV4::new(self.interface.address, SERVER_PORT),
        };
        let to = End {
            mac,
            socket: SocketAddrV4::new(address, CLIENT_PORT),
        };
        let frame = frame::udp(from, to, bytes).ok_or(io::ErrorKind::InvalidInput)?;
        nix::sys::socket::sendto(
            self.link.as_raw_fd(),
            &frame,
            &self.interface.link,
            MsgFlags::empty(),
        )?;
        Ok(())
    }
}

/// Never ready where there is no socket.
async fn receive(
    socket: Option<&UdpSocket>,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddrV4)> {
    let Some(socket) = socket else {
        return std::future::pending().await;
    };
    loop {
        if let (length, SocketAddr::V4(from)) = socket.recv_from(buffer).await? {
            return Ok((length, from));
        }
    }
}

fn broken(what: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Receive { what, source }
}
