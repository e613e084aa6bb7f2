//! HTTP for iPXE, the installer and the installed guest.
//!
//! - `script`, `archive`, `range`: pure.
//! - `routes`: what is answered to which path.
//! - `file`: files with HEAD and Range, in constant memory.
//! - this file: the listener, with its limits. One task a connection, all owned by [`Server::run`].

use std::convert::Infallible;
use std::net::{SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tower::ServiceExt as _;
use tracing::debug;
use vitistack_protocol::Chain;

use super::error::Error;
use super::handle::Handle;
use super::interface::Interface;
use super::slot::PhonedHome;
use super::socket;

pub(crate) mod archive;
pub(crate) mod file;
pub(crate) mod range;
pub(crate) mod routes;
pub(crate) mod script;

#[cfg(test)]
mod tests;

/// Connections at a time; further ones wait in the listener's backlog.
const CONNECTIONS: usize = 256;
/// A client that has not sent its headers by then is none of ours.
const HEADERS: Duration = Duration::from_secs(10);
/// Of a request's headers in all.
const HEADER_BYTES: usize = 16 * 1024;

/// What the routes need.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) handle: Handle,
    /// As clients reach us.
    pub(crate) address: SocketAddrV4,
    pub(crate) assets: PathBuf,
    pub(crate) key: Arc<Ed25519KeyPair>,
    /// 64 hexadecimal digits, for the boot file.
    pub(crate) public_key: String,
    pub(crate) phoned_home: mpsc::Sender<PhonedHome>,
    /// From when on an unknown capability is unknown for good.
    pub(crate) settled: Instant,
}

/// The listener.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    router: Router,
    address: SocketAddrV4,
}

impl Server {
    /// Listens on the interface's address. With port 0 a free one is taken. Until `settled` an unknown capability may
    /// only be one that the driver has not opened again yet, after a start of the agent.
    pub(crate) fn bind(
        handle: Handle,
        interface: &Interface,
        port: u16,
        assets: PathBuf,
        key: Arc<Ed25519KeyPair>,
        phoned_home: mpsc::Sender<PhonedHome>,
        settled: Instant,
    ) -> Result<Self, Error> {
        let listener = socket::tcp(interface, port)?;
        let port = listener
            .local_addr()
            .map_err(|source| Error::Receive {
                what: "HTTP socket",
                source,
            })?
            .port();
        let address = SocketAddrV4::new(interface.address, port);
        let public_key = hex::encode(key.public_key());
        let router = routes::router(Context {
            handle,
            address,
            assets,
            key,
            public_key,
            phoned_home,
            settled,
        });
        Ok(Self {
            listener,
            router,
            address,
        })
    }

    pub(crate) fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// Accepts until the listener breaks. Open connections end with this future.
    pub(crate) async fn run(self) -> Result<Infallible, Error> {
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            // Cancel-safe: a permit or an accepted connection is returned or not taken at all, and the set stays.
            let accepted = tokio::select! {
                accepted = accept(&self.listener, &permits) => accepted,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((stream, peer, permit)) => {
                    let router = self.router.clone();
                    connections.spawn(async move {
                        serve(stream, peer, router).await;
                        drop(permit);
                    });
                }
                // Out of descriptors, or the client was gone before we looked: neither ends the service.
                Err(error) => {
                    debug!(
                        error = %Chain(&error),
                        "connection not accepted"
                    );
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits)
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, permit))
}

async fn serve(stream: TcpStream, peer: SocketAddr, router: Router) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            Ok::<_, Infallible>(
                router
                    .oneshot(request)
                    .await
                    .unwrap_or_else(|never| match never {}),
            )
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        debug!(%peer, error = %Chain(&error), "connection ended");
    }
}
