//! The endpoint that agents dial: accepts, lets joins and sessions run in tasks of their own, and ends them all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::field::{Empty, display};
use tracing::{Instrument as _, Span, debug, info_span, warn};
use vitistack_protocol::Chain;
use vitistack_protocol::identity::{self, AgentVerifier, HUB_LIFE, Leaf};
use vitistack_protocol::transport::{self, Arrival, CloseCode, Incoming, Listener};

use super::{Handle, join, session};
use crate::enrolment::{self, Authority};

/// How often reports that nobody claims and full stores are looked at.
const SWEEP: Duration = Duration::from_secs(5);

/// How often the endpoint's own certificate is made anew.
const OWN_CERTIFICATE: Duration = Duration::from_secs(HUB_LIFE.as_secs() / 2);

/// Joins at a time; each asks the API a few times. The rest wait within their own deadline.
const JOINS: usize = 8;

/// How long sessions may take to end, and peers to hear of it.
const STOP: Duration = Duration::from_secs(3);

/// What can go wrong with the endpoint.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be set up.
    #[error("cannot listen for agents on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: transport::Error,
    },
    /// The address is not known.
    #[error("cannot tell the address that agents dial")]
    Address {
        /// Why.
        source: std::io::Error,
    },
    /// The hub's own certificate.
    #[error("cannot make the hub's own certificate")]
    Certificate {
        /// Why.
        source: enrolment::Error,
    },
    /// The watch of agents ended: nobody would be revoked any more.
    #[error("the watch of agents ended early")]
    Roster,
    /// The rules for agents' certificates.
    #[error("cannot set up the check of agents' certificates")]
    Verifier {
        /// Why.
        source: identity::Error,
    },
}

/// Listens for agents. Runs until cancelled.
pub struct Server {
    listener: Listener,
    authority: Arc<Authority>,
    handle: Handle,
}

/// What every connection needs.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) handle: Handle,
    pub(super) authority: Arc<Authority>,
    pub(super) joins: Arc<Semaphore>,
    pub(super) cancel: CancellationToken,
}

impl Server {
    /// Binds the endpoint; port 0 takes a free one. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be had or the hub's certificate cannot be made.
    pub fn bind(
        address: SocketAddr,
        authority: Arc<Authority>,
        handle: Handle,
    ) -> Result<Self, Error> {
        let verifier = AgentVerifier::new(authority.signer(), authority.roster().clone())
            .map_err(|source| Error::Verifier { source })?;
        let own = authority
            .endpoint_identity(SystemTime::now())
            .map_err(|source| Error::Certificate { source })?;
        let listener = Listener::bind(address, authority.keys(), &own, Arc::new(verifier))
            .map_err(|source| Error::Listen { address, source })?;
        Ok(Self {
            listener,
            authority,
            handle,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> Result<SocketAddr, Error> {
        self.listener
            .address()
            .map_err(|source| Error::Address { source })
    }

    /// Serves until `cancel`, then closes every session with a code that means "dial again" and returns within
    /// a few seconds. Also keeps the roster current.
    ///
    /// # Errors
    /// When the hub's own certificate cannot be made anew.
    pub async fn run(self, cancel: CancellationToken) -> Result<(), Error> {
        let Self {
            listener,
            authority,
            handle,
        } = self;
        let context = Context {
            handle: handle.clone(),
            authority: Arc::clone(&authority),
            joins: Arc::new(Semaphore::new(JOINS)),
            cancel: cancel.child_token(),
        };
        let mut tasks = JoinSet::new();
        let mut roster = JoinSet::new();
        roster.spawn({
            let (authority, cancel) = (Arc::clone(&authority), cancel.child_token());
            async move { authority.follow(cancel).await }
        });
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut own_certificate = interval(OWN_CERTIFICATE);
        // The first tick is at once, and the certificate is fresh.
        own_certificate.tick().await;
        let outcome = loop {
            tokio::select! {
                // The stop first: it also ends the roster's task, which is then no fault.
                biased;
                // Cancel-safe, all: waiting, accepting (see `Listener::accept`), ticks and `join_next`.
                () = cancel.cancelled() => break Ok(()),
                _ = roster.join_next(), if !cancel.is_cancelled() => break Err(Error::Roster),
                // Before accepting: strangers who keep dialling hold no session up.
                Some(done) = tasks.join_next() => go_on(done, &mut tasks, &context),
                incoming = listener.accept() => {
                    let Some(incoming) = incoming else { break Ok(()) };
                    let span = info_span!("connection", remote = %incoming.remote(), agent = Empty);
                    tasks.spawn(arrive(incoming, context.clone()).instrument(span));
                }
                _ = sweep.tick() => handle.sweep(Instant::now()),
                _ = own_certificate.tick() => {
                    let fresh = authority
                        .endpoint_identity(SystemTime::now())
                        .map_err(|source| Error::Certificate { source });
                    match fresh {
                        Ok(own) => if let Err(error) = listener.present(&own) {
                            warn!(
                                error = %Chain(&error),
                                "the endpoint keeps its certificate"
                            );
                        },
                        Err(error) => break Err(error),
                    }
                }
            }
        };
        context.cancel.cancel();
        let stop = async {
            listener.close(CloseCode::Shutdown, "the hub stops").await;
            while tasks.join_next().await.is_some() {}
        };
        if timeout(STOP, stop).await.is_err() {
            warn!("some sessions did not end in time");
        }
        outcome
    }
}

/// How a task of a connection ends: perhaps with a session that has begun.
type Ended = Option<Greeted>;

/// A session that has begun.
struct Greeted {
    session: session::Begun,
    span: Span,
    /// The certificate, if this may be the first session under it.
    arrived: Option<Leaf>,
}

/// Lets a session that has begun run, in a task of its own, and takes the token of an agent that has arrived away.
fn go_on(done: Result<Ended, JoinError>, tasks: &mut JoinSet<Ended>, context: &Context) {
    match done {
        Ok(None) => {}
        Ok(Some(Greeted {
            session,
            span,
            arrived,
        })) => {
            if let Some(leaf) = arrived {
                let Context {
                    authority, joins, ..
                } = context.clone();
                let removal = async move {
                    // The semaphore is never closed. A fleet that comes back asks the API a few times at once and no more.
                    let _turn = joins.acquire().await;
                    authority.arrived(&leaf).await;
                    None
                };
                tasks.spawn(removal.instrument(span.clone()));
            }
            let session = async {
                session.run().await;
                None
            };
            tasks.spawn(session.instrument(span));
        }
        Err(error) => warn!(error = %Chain(&error), "a connection's task ended badly"),
    }
}

/// The handshake, and all of a join. A session that has begun gets a task of its own: there are thousands, and a task is
/// as large as the largest of what it ever waits for.
async fn arrive(incoming: Incoming, context: Context) -> Ended {
    match incoming.handshake().await {
        Ok(Arrival::Session { connection, leaf }) => {
            let span = Span::current();
            span.record("agent", display(&leaf.name));
            let arrived = Authority::is_arrival(&leaf, SystemTime::now()).then(|| leaf.clone());
            let session = session::begin(connection, leaf, context).await?;
            return Some(Greeted {
                session,
                span,
                arrived,
            });
        }
        Ok(Arrival::Join { connection }) => join::run(connection, context).await,
        // Strangers and storms end here too, so it is no warning.
        Err(error) => debug!(
            error = %Chain(&error),
            "a handshake failed"
        ),
    }
    None
}
