//! The agent's side of connecting.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint};

use super::connection::ended;
use super::{Connection, Error, HANDSHAKE, Line, settings, within};

/// Dials `remote` and expects a hub that calls itself `name`. Every attempt has a socket of its own, so that a new
/// attempt also leaves a stale NAT mapping behind. `jitter` of 0..1 spreads the keep-alives.
///
/// # Errors
/// When there is no answer in time, the hub is not the one that the configuration trusts, or it refuses this agent.
/// TLS 1.3 lets the agent finish first, so a refusal of its certificate may show only at the first frame.
pub async fn dial(
    remote: SocketAddr,
    name: &str,
    tls: rustls::ClientConfig,
    line: Line,
    jitter: f64,
) -> Result<Connection, Error> {
    let local = SocketAddr::new(
        match remote {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        },
        0,
    );
    let tls = QuicClientConfig::try_from(tls).map_err(|source| Error::Tls { source })?;
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(settings::agent(line, jitter)));
    let endpoint = Endpoint::client(local).map_err(|source| Error::Bind {
        address: local,
        source,
    })?;
    let connecting = endpoint
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
