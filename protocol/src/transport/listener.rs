//! The hub's endpoint: paced handshakes, and who it was that came.

use std::net::SocketAddr;
use std::sync::Arc;

use quinn::crypto::rustls::{HandshakeData, QuicServerConfig};
use quinn::{Endpoint, ServerConfig, TokioRuntime};
use rustls::pki_types::CertificateDer;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::ended;
use super::{CloseCode, Connection, EndpointKeys, Error, HANDSHAKE, settings, within};
use crate::identity::authority::HubIdentity;
use crate::identity::{AgentVerifier, Leaf, tls};

/// Handshakes at a time. Ten thousand agents at once finish sooner this way, and without a failure, than all together.
const HANDSHAKES: usize = 200;

/// Datagrams wait here while the endpoint's task is busy; the system's default of 208 KiB overflows in a storm.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// Connections that wait for their turn; beyond it the newest are refused, and dial again.
const WAITING: usize = 16 * 1024;

/// The hub's UDP endpoint.
pub struct Listener {
    endpoint: Endpoint,
    verifier: Arc<AgentVerifier>,
    handshakes: Arc<Semaphore>,
}

/// A connection whose handshake has not begun.
pub struct Incoming {
    inner: quinn::Incoming,
    trust_domain: String,
    turn: OwnedSemaphorePermit,
}

/// A connection whose handshake is done.
pub enum Arrival {
    /// An agent with a certificate, which may have ended: see [`Leaf::is_over`].
    Session {
        /// The line.
        connection: Connection,
        /// Who, by certificate.
        leaf: Leaf,
    },
    /// Somebody who wants to join.
    Join {
        /// The line.
        connection: Connection,
    },
}

impl Listener {
    /// Listens on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be had or the hub's certificate is not usable.
    pub fn bind(
        address: SocketAddr,
        keys: &EndpointKeys,
        identity: &HubIdentity,
        verifier: Arc<AgentVerifier>,
    ) -> Result<Self, Error> {
        let config = server_config(identity, &verifier)?;
        let bind = |source| Error::Bind { address, source };
        let socket = socket(address).map_err(bind)?;
        let endpoint = Endpoint::new(
            keys.endpoint(),
            Some(config),
            socket,
            Arc::new(TokioRuntime),
        )
        .map_err(bind)?;
        Ok(Self {
            endpoint,
            verifier,
            handshakes: Arc::new(Semaphore::new(HANDSHAKES)),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Shows another certificate from the next handshake on.
    ///
    /// # Errors
    /// When the certificate is not usable; the one before stays.
    pub fn present(&self, identity: &HubIdentity) -> Result<(), Error> {
        let config = server_config(identity, &self.verifier)?;
        self.endpoint.set_server_config(Some(config));
        Ok(())
    }

    /// The next connection, when its turn has come; `None` once the listener is closed. Cancel-safe: a turn that was
    /// not used goes back, and quinn keeps the connections that wait.
    pub async fn accept(&self) -> Option<Incoming> {
        let turn = Arc::clone(&self.handshakes).acquire_owned().await.ok()?;
        let inner = self.endpoint.accept().await?;
        Some(Incoming {
            inner,
            trust_domain: self.verifier.trust_domain().to_owned(),
            turn,
        })
    }

    /// Closes every connection with `code`, takes no more, and returns when the peers were told.
    pub async fn close(&self, code: CloseCode, message: &str) {
        self.endpoint
            .close(quinn::VarInt::from(code.number()), message.as_bytes());
        self.endpoint.wait_idle().await;
    }
}

impl Incoming {
    /// From where.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.inner.remote_address()
    }

    /// Finishes the handshake and says who it is. Runs in a task of its own.
    ///
    /// # Errors
    /// When the handshake fails or takes too long, or a session comes without a certificate.
    pub async fn handshake(self) -> Result<Arrival, Error> {
        let Self {
            inner,
            trust_domain,
            turn,
        } = self;
        let connecting = inner.accept().map_err(ended("shake hands"))?;
        let connection = within(HANDSHAKE, "shake hands", async {
            connecting.await.map_err(ended("shake hands"))
        })
        .await?;
        drop(turn);
        let protocol = connection
            .handshake_data()
            .and_then(|data| data.downcast::<HandshakeData>().ok())
            .and_then(|data| data.protocol);
        let shown = connection
            .peer_identity()
            .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok());
        let connection = Connection::new(connection);
        if protocol.as_deref() == Some(tls::JOIN_ALPN) {
            return Ok(Arrival::Join { connection });
        }
        let refuse = |error: Error, message| {
            connection.close(CloseCode::Anonymous, message);
            Err(error)
        };
        let Some(end_entity) = shown.as_ref().and_then(|chain| chain.first()) else {
            return refuse(Error::Anonymous, "a session needs a certificate");
        };
        match Leaf::parse(end_entity, &trust_domain) {
            Ok(leaf) => Ok(Arrival::Session { connection, leaf }),
            Err(source) => refuse(Error::Identity { source }, "the certificate names no agent"),
        }
    }
}

fn server_config(
    identity: &HubIdentity,
    verifier: &Arc<AgentVerifier>,
) -> Result<ServerConfig, Error> {
    let tls =
        tls::hub(identity, Arc::clone(verifier)).map_err(|source| Error::Identity { source })?;
    let tls = QuicServerConfig::try_from(tls).map_err(|source| Error::Tls { source })?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config
        .transport_config(Arc::new(settings::hub()))
        .max_incoming(WAITING);
    Ok(config)
}

fn socket(address: SocketAddr) -> std::io::Result<std::net::UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // The system may grant less (net.core.rmem_max); then a storm is only slower.
    drop(socket.set_recv_buffer_size(RECEIVE_BUFFER));
    socket.bind(&address.into())?;
    Ok(socket.into())
}
