//! The HTTP shell: accepts TLS connections, checks the bearer token, and routes requests.
//!
//! Tasks: one accept loop, one task a connection in its JoinSet. A watch is a body that is polled
//! by its connection; it ends with the server's token. At most [`CONNECTIONS`] at a time; more wait
//! in the listener's backlog.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use subtle::ConstantTimeEq as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::failure::Failure;
use crate::path::{self, Target};

mod answer;
mod delete;
mod read;
mod route;
mod watch;

use answer::Body;

/// Connections at a time. A hub takes one or two, each kubectl one.
const CONNECTIONS: usize = 512;
/// How long a peer may take for its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client may take for the headers of its next request. More than the 90 s for which
/// clients keep idle connections, so that they give them up first and never find one closed.
const HEADERS: Duration = Duration::from_secs(120);
/// How often an HTTP/2 client is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);
/// How long open requests may take once the server ends.
const DRAIN: Duration = Duration::from_secs(3);
/// Pause after a failed accept, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What requests are answered from.
#[derive(Debug)]
pub(crate) struct Service {
    /// The operations.
    pub(crate) engine: Arc<Engine>,
    /// SHA-256 of the bearer token.
    pub(crate) token_digest: [u8; 32],
    /// Names the documents of this process, for caches.
    pub(crate) digest: String,
    /// Ends watches.
    pub(crate) ending: CancellationToken,
}

/// Serves until `service.ending` is cancelled, then lets open requests finish.
pub(crate) async fn serve(listener: TcpListener, tls: TlsAcceptor, service: Arc<Service>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        // Cancel-safe: `cancelled`, `join_next`, `acquire_owned` and `accept` all lose nothing
        // when dropped; a permit that was taken for a connection that never came is given back.
        tokio::select! {
            () = service.ending.cancelled() => break,
            Some(_) = connections.join_next() => {}
            (permit, accepted) = next(&listener, permits.clone()) => match accepted {
                Ok(stream) => {
                    connections.spawn(connection(stream, tls.clone(), service.clone(), permit));
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN * 2, drained).await.is_err() {
        connections.shutdown().await;
    }
}

async fn next(
    listener: &TcpListener,
    permits: Arc<Semaphore>,
) -> (Option<OwnedSemaphorePermit>, std::io::Result<TcpStream>) {
    // The semaphore is never closed.
    let permit = permits.acquire_owned().await.ok();
    (permit, listener.accept().await.map(|(stream, _)| stream))
}

async fn connection(
    stream: TcpStream,
    tls: TlsAcceptor,
    service: Arc<Service>,
    _permit: Option<OwnedSemaphorePermit>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = &error as &dyn std::error::Error, "no TCP_NODELAY");
    }
    let stream = match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "TLS handshake failed"
            );
            return;
        }
        Err(_) => return,
    };
    let ending = service.ending.clone();
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(PING))
        .max_concurrent_streams(Some(250));
    let handler = service_fn(move |request| {
        let service = service.clone();
        async move { Ok::<_, std::convert::Infallible>(answer(&service, request).await) }
    });
    let serving = builder.serve_connection(TokioIo::new(stream), handler);
    tokio::pin!(serving);
    let result = tokio::select! {
        // Cancel-safe: the connection is only borrowed, and is polled on below.
        result = serving.as_mut() => result,
        () = ending.cancelled() => {
            serving.as_mut().graceful_shutdown();
            tokio::time::timeout(DRAIN, serving).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = result {
        tracing::debug!(error = &*error, "connection ended");
    }
}

async fn answer(service: &Arc<Service>, request: Request<Incoming>) -> Response<Body> {
    let started = std::time::Instant::now();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let result = match path::parse(uri.path()) {
        Some(target @ (Target::Health | Target::Version)) => {
            route::open(service, &target).map_err(Box::new)
        }
        _ if !authorized(service, &request) => Err(Box::new(Failure::unauthorized())),
        None => Err(Box::new(Failure::no_route())),
        Some(target) => route::answer(service, target, request)
            .await
            .map_err(Box::new),
    };
    let response = result.unwrap_or_else(|failure| answer::failure(&failure));
    tracing::debug!(
        %method,
        path = uri.path(),
        code = response.status().as_u16(),
        micros = started.elapsed().as_micros(),
        "request",
    );
    response
}

/// Digests are compared, and in constant time, so that timing tells nothing of the token.
fn authorized(service: &Service, request: &Request<Incoming>) -> bool {
    let header = request.headers().get(hyper::header::AUTHORIZATION);
    let given = header
        .and_then(|h| h.to_str().ok())
        .and_then(|h| h.strip_prefix("Bearer "));
    given.is_some_and(|token| {
        let digest = crate::identity::digest(token.trim());
        bool::from(digest.ct_eq(&service.token_digest))
    })
}
