//! The agent's side of connecting.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint};

use super::connection::ended;
use super::{Connection, Error, HANDSHAKE, Line, settings, within};

/// Dials hubs, one at a time.
///
/// It keeps one endpoint for all attempts: each has 3 MiB of room for what it receives, which a new one would have to
/// find and clear at every attempt.
#[derive(Default)]
pub struct Dialer {
    endpoint: Option<Endpoint>,
}

impl Dialer {
    /// Dials `remote` and expects a hub that calls itself `name`. Every attempt has a socket of its own, so that a new
    /// attempt also leaves a stale NAT mapping behind. `jitter` of 0..1 spreads the keep-alives. What is left of an
    /// earlier connection goes on from the new socket, to be closed.
    ///
    /// # Errors
    /// When there is no answer in time, the hub is not the one that the configuration trusts, or it refuses this agent.
    /// TLS 1.3 lets the agent finish first, so a refusal of its certificate may show only at the first frame.
    pub async fn dial(
        &mut self,
        remote: SocketAddr,
        name: &str,
        tls: rustls::ClientConfig,
        line: Line,
        jitter: f64,
    ) -> Result<Connection, Error> {
        let tls = QuicClientConfig::try_from(tls).map_err(|source| Error::Tls { source })?;
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(Arc::new(settings::agent(line, jitter)));
        let connecting = self
            .endpoint(remote)?
            .connect_with(config, remote, name)
            .map_err(|source| Error::Dial { remote, source })?;
        within(HANDSHAKE, "connect", async {
            connecting
                .await
                .map(Connection::new)
                .map_err(ended("connect"))
        })
        .await
    }

    /// The endpoint, on a new socket.
    fn endpoint(&mut self, remote: SocketAddr) -> Result<&Endpoint, Error> {
        let address = SocketAddr::new(
            match remote {
                SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            },
            0,
        );
        let bind = |source| Error::Bind { address, source };
        match &mut self.endpoint {
            Some(endpoint) => {
                let socket = UdpSocket::bind(address).map_err(bind)?;
                endpoint.rebind(socket).map_err(bind)?;
                Ok(endpoint)
            }
            none => Ok(none.insert(Endpoint::client(address).map_err(bind)?)),
        }
    }
}
