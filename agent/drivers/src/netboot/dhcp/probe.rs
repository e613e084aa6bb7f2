//! Looks for another DHCP server, for the own mode.
//!
//! One task: it sends a question when [`Watch`] says so, listens to offers on the client port all the time, and keeps
//! the verdict in a `watch` channel that the server reads, and the handle's service state.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use rand::Rng as _;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};
use vitistack_protocol::Chain;

use super::packet;
use super::watch::{Verdict, Watch};
use super::{CLIENT_PORT, SERVER_PORT};
use crate::netboot::error::Error;
use crate::netboot::handle::Handle;
use crate::netboot::interface::Interface;
use crate::netboot::slot::Service;
use crate::netboot::socket;

/// Looks for other servers until its socket breaks.
#[derive(Debug)]
pub(crate) struct Probe {
    handle: Handle,
    interface: Interface,
    socket: UdpSocket,
    verdict: watch::Sender<Verdict>,
    suspect: mpsc::Receiver<()>,
}

/// What the server needs of its probe.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) verdict: watch::Receiver<Verdict>,
    pub(crate) suspect: mpsc::Sender<()>,
}

impl Probe {
    pub(crate) fn bind(handle: Handle, interface: Interface) -> Result<(Self, Reader), Error> {
        let socket = socket::udp(&interface, Ipv4Addr::UNSPECIFIED, CLIENT_PORT)?;
        let (verdict, reader) = watch::channel(Verdict::Looking);
        let (suspect, suspected) = mpsc::channel(1);
        let probe = Self {
            handle,
            interface,
            socket,
            verdict,
            suspect: suspected,
        };
        let reader = Reader {
            verdict: reader,
            suspect,
        };
        Ok((probe, reader))
    }

    pub(crate) async fn run(mut self) -> Result<Infallible, Error> {
        let mut state = Watch::new(Instant::now());
        let mut buffer = [0; 2048];
        loop {
            let due = tokio::time::Instant::from_std(state.next());
            // Cancel-safe, all three: recv_from and recv lose nothing when dropped, and the time is absolute.
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    let (length, _) = received.map_err(|source| Error::Receive {
                        what: "DHCP client socket",
                        source,
                    })?;
                    let server = buffer.get(..length).and_then(packet::foreign_offer);
                    if let Some(server) = server.filter(|server| *server != self.interface.address) {
                        state.heard(server, Instant::now());
                    }
                }
                Some(()) = self.suspect.recv() => state.suspect(Instant::now()),
                () = tokio::time::sleep_until(due) => {
                    if state.tick(Instant::now()) {
                        self.ask().await;
                    }
                }
            }
            self.publish(state.verdict());
        }
    }

    /// A question that is not sent is asked again a second later.
    async fn ask(&self) {
        let transaction = rand::rng().random();
        if let Some(bytes) = packet::probe(self.interface.mac, transaction) {
            let to = SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER_PORT);
            if let Err(error) = self.socket.send_to(&bytes, to).await {
                warn!(
                    error = %Chain(&error),
                    "dhcp probe not sent"
                );
            }
        }
    }

    fn publish(&self, verdict: Verdict) {
        let changed = self.verdict.send_if_modified(|old| {
            let changed = *old != verdict;
            *old = verdict;
            changed
        });
        if !changed {
            return;
        }
        match verdict {
            Verdict::Looking => {}
            Verdict::Clear => {
                info!("no other dhcp server answers: serving");
                self.handle.set_service(Service::Serving);
            }
            Verdict::Foreign(server) => {
                warn!(%server, "another dhcp server answers on the boot network: silent until it is gone");
                self.handle
                    .set_service(Service::ForeignDhcpServer { server });
            }
        }
    }
}
