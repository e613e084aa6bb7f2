//! TFTP for firmware: the two first boot programs, read only, to servers that DHCP showed to be known.
//!
//! - `packet`, `transfer`: pure.
//! - this file: one task that listens, one task a transfer, all owned by [`Server::run`].

use std::convert::Infallible;
use std::net::{SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tracing::{debug, info};
use vitistack_protocol::Chain;

use self::packet::{ErrorCode, Packet};
use self::transfer::{Step, Transfer};
use super::error::Error;
use super::handle::Handle;
use super::interface::Interface;
use super::socket;

pub(crate) mod packet;
pub(crate) mod transfer;

/// Everything that may be read. Compared whole, so there is no path to escape by.
const FILES: [&str; 2] = ["undionly.kpxe", "snponly.efi"];

const PORT: u16 = 69;

/// Transfers at a time. One more is not answered; the client asks again after a second.
const TRANSFERS: usize = 64;

/// First pause before a packet is sent again; it doubles.
const RESEND: Duration = Duration::from_secs(1);

/// Listens for read requests.
#[derive(Debug)]
pub(crate) struct Server {
    handle: Handle,
    interface: Interface,
    assets: PathBuf,
    socket: UdpSocket,
}

impl Server {
    pub(crate) fn bind(
        handle: Handle,
        interface: Interface,
        assets: PathBuf,
    ) -> Result<Self, Error> {
        let socket = socket::udp(&interface, interface.address, PORT)?;
        Ok(Self {
            handle,
            interface,
            assets,
            socket,
        })
    }

    /// Serves until the socket breaks.
    pub(crate) async fn run(self) -> Result<Infallible, Error> {
        let mut transfers = JoinSet::new();
        let mut buffer = [0; 2048];
        loop {
            // Cancel-safe: recv_from loses nothing when dropped, and join_next keeps its set.
            let (length, from) = tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    received.map_err(|source| Error::Receive { what: "TFTP socket", source })?
                }
                Some(_) = transfers.join_next() => continue,
            };
            let SocketAddr::V4(from) = from else {
                continue;
            };
            if !self.handle.is_known_address(*from.ip()) {
                continue;
            }
            let Some(Packet::Read(request)) = buffer.get(..length).and_then(packet::parse) else {
                continue;
            };
            let name = request.file.trim_start_matches('/');
            let Some(name) = FILES.into_iter().find(|file| *file == name) else {
                debug!(%from, file = request.file, "tftp file not found");
                let refusal = packet::error(ErrorCode::NotFound, "not found");
                // Lost, it is asked for again.
                drop(self.socket.send_to(&refusal, from).await);
                continue;
            };
            if transfers.len() >= TRANSFERS {
                continue;
            }
            let path = self.assets.join(name);
            let options = request.options;
            let socket = match socket::udp(&self.interface, self.interface.address, 0) {
                Ok(socket) => socket,
                Err(error) => {
                    debug!(
                        error = %Chain(&error),
                        "tftp transfer not begun"
                    );
                    continue;
                }
            };
            transfers.spawn(async move {
                let file = tokio::fs::read(&path).await;
                let Ok(file) = file else {
                    info!(path = %path.display(), "a netboot asset cannot be read");
                    let refusal = packet::error(ErrorCode::NotFound, "not found");
                    drop(socket.send_to(&refusal, from).await);
                    return;
                };
                send(socket, from, Transfer::new(file, options)).await;
            });
        }
    }
}

/// Carries one transfer to its end. An error of the socket is a lost packet; the transfer gives up by itself.
async fn send(socket: UdpSocket, to: SocketAddrV4, mut transfer: Transfer) {
    if socket.connect(to).await.is_err() {
        return;
    }
    let mut buffer = [0; 2048];
    let mut step = transfer.begin();
    let mut resend = RESEND;
    loop {
        match &step {
            Step::Send(bytes) => drop(socket.send(bytes).await),
            Step::Nothing => {}
            Step::Complete => {
                debug!(%to, "tftp transfer complete");
                return;
            }
            Step::GiveUp => {
                debug!(%to, "tftp transfer ended early");
                return;
            }
        }
        let deadline = tokio::time::Instant::now() + resend;
        step = loop {
            match tokio::time::timeout_at(deadline, socket.recv(&mut buffer)).await {
                Ok(Ok(length)) => {
                    let packet = buffer.get(..length).and_then(packet::parse);
                    match packet.map_or(Step::Nothing, |packet| transfer.receive(&packet)) {
                        // A stray packet does not put off the next resend.
                        Step::Nothing => {}
                        step => {
                            resend = RESEND;
                            break step;
                        }
                    }
                }
                Ok(Err(_)) => break Step::GiveUp,
                Err(_) => {
                    resend *= 2;
                    break transfer.time_out();
                }
            }
        };
    }
}
