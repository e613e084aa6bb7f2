//! The line to the hub: joining, dialling, one session at a time, and the certificate that it rests on.
//!
//! Owns the agent's identity on disk and the connection. Must not know how intents are stored or carried out; see
//! [`ports`] for what it asks of the rest of the agent.
//!
//! Tasks: [`run`] is one future; a session inside it owns the tasks that `session` lists. There are no channels to the
//! outside but [`Link`], which says how the line is.

mod backoff;
mod dial;
mod identity;
mod join;
pub mod ports;
mod session;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use vitistack_protocol::Chain;
use vitistack_protocol::identity::{AgentName, Error as IdentityError};
use vitistack_protocol::ids::HubEpoch;
use vitistack_protocol::transport::{self, Dialer, Ending, Line};

use backoff::{Backoff, Cause};
use identity::Identity;
use ports::{Intake, Outbox, StoreError, Vitals};

/// What an operator decides about the line.
#[derive(Clone, Debug)]
pub struct Options {
    /// `host:port` of the hub.
    pub hub: String,
    /// Where the join token is read from while there is no certificate.
    pub token_file: Option<PathBuf>,
    /// Folder of key and certificates; made 0700 if it is not there.
    pub identity: PathBuf,
    /// Name that the agent would like; the hub decides.
    pub name: String,
    /// What bytes cost.
    pub line: Line,
    /// Version of the program, for people.
    pub build: String,
}

/// How the line is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// There is no certificate and no token that could be used.
    #[default]
    NotJoined,
    /// Dialling, or waiting to dial again.
    Down,
    /// A session is up.
    Up {
        /// Who this agent is.
        agent: AgentName,
        /// The hub's number of the session.
        session: u64,
    },
    /// A session is up and nothing is taken over it: the hub is behind this agent, a person must choose.
    Paused {
        /// The hub's epoch.
        hub: HubEpoch,
        /// The newest epoch that this agent has accepted.
        accepted: HubEpoch,
    },
}

/// What can go wrong with the line. Nearly all of it ends in another try.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the identity.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// Verb.
        operation: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The identity on disk, or what the hub gave for it, is not usable.
    #[error("the {what} is not usable")]
    Identity {
        /// What.
        what: &'static str,
        /// Why.
        source: IdentityError,
    },
    /// The token file holds no token.
    #[error("{} holds no join token", path.display())]
    Token {
        /// The token file.
        path: PathBuf,
        /// Why.
        source: vitistack_protocol::identity::token::ParseTokenError,
    },
    /// There is nothing to join with.
    #[error("there is no certificate, and no join token in {}", path.display())]
    NoToken {
        /// The token file.
        path: PathBuf,
    },
    /// There is nothing to join with, nor a place to look.
    #[error("there is no certificate, and no token_file is configured to join with")]
    NoTokenFile,
    /// The hub said no.
    #[error("the hub refused: {message}")]
    Refused {
        /// Its words.
        message: String,
    },
    /// The hub's host name.
    #[error("cannot find the address of the hub {hub:?}")]
    Resolve {
        /// As configured.
        hub: String,
        /// Why.
        source: std::io::Error,
    },
    /// The host name has no address.
    #[error("the hub {hub:?} has no address")]
    NoAddress {
        /// As configured.
        hub: String,
    },
    /// The line.
    #[error("cannot {operation}")]
    Line {
        /// What was tried.
        operation: &'static str,
        /// Why.
        source: transport::Error,
    },
    /// The hub did not keep the protocol.
    #[error("the hub does not keep the protocol: {detail}")]
    Protocol {
        /// What it did.
        detail: &'static str,
    },
    /// The store.
    #[error("the store failed in a session")]
    Store {
        /// Why.
        #[from]
        source: StoreError,
    },
    /// A task of a session.
    #[error("a task of the session ended badly")]
    Task {
        /// Why.
        source: tokio::task::JoinError,
    },
}

impl Error {
    /// How soon another try makes sense.
    fn cause(&self) -> Cause {
        match self {
            Self::Line { source, .. } => match source.ending() {
                Some(Ending::Reset) => Cause::Restarted,
                Some(ending) => Cause::of(ending),
                None => Cause::Failed,
            },
            Self::File { .. }
            | Self::Identity { .. }
            | Self::Token { .. }
            | Self::NoToken { .. }
            | Self::NoTokenFile
            | Self::Refused { .. } => Cause::Refused,
            Self::Resolve { .. }
            | Self::NoAddress { .. }
            | Self::Protocol { .. }
            | Self::Store { .. }
            | Self::Task { .. } => Cause::Failed,
        }
    }
}

/// What the uplink works with.
pub struct Ports<I, O, V> {
    /// Where intents go.
    pub intake: Arc<I>,
    /// Where reports come from.
    pub outbox: Arc<O>,
    /// Where health comes from.
    pub vitals: Arc<V>,
}

impl<I, O, V> Clone for Ports<I, O, V> {
    fn clone(&self) -> Self {
        Self {
            intake: Arc::clone(&self.intake),
            outbox: Arc::clone(&self.outbox),
            vitals: Arc::clone(&self.vitals),
        }
    }
}

/// Keeps a session with the hub until cancelled: joins if there is no certificate, dials, waits, dials again. Every
/// fault ends in another try, since each may be cured from outside: a new token, a hub that comes back, a freed disk.
pub async fn run<I: Intake, O: Outbox, V: Vitals>(
    options: Options,
    ports: Ports<I, O, V>,
    link: watch::Sender<Link>,
    cancel: CancellationToken,
) {
    // New at every start, so that the hub can tell a restarted agent from one that was away.
    let boot: [u8; 16] = rand::random();
    let mut backoff = Backoff::default();
    let mut dialer = Dialer::default();
    loop {
        let begun = Instant::now();
        let attempt = attempt(&options, &ports, &mut dialer, boot, &link, &cancel);
        let cause = tokio::select! {
            // Cancel-safe: what `attempt` leaves half done is given up with its connection; the session inside watches
            // the token itself and says goodbye first, so this arm only cuts joining and dialling short.
            biased;
            outcome = attempt => match outcome {
                Ok(cause) => cause,
                Err(error) => {
                    warn!(error = %Chain(&error), "no session with the hub");
                    if *link.borrow() == Link::NotJoined && error.cause() == Cause::Refused {
                        Cause::NotJoined
                    } else {
                        error.cause()
                    }
                }
            },
            () = stopped(&cancel) => return,
        };
        if cancel.is_cancelled() {
            return;
        }
        link.send_if_modified(|link| {
            let down = *link != Link::NotJoined && *link != Link::Down;
            if down {
                *link = Link::Down;
            }
            down
        });
        let wait = backoff.delay(cause, begun.elapsed(), rand::random());
        info!(?cause, wait_ms = wait.as_millis(), "dialling again");
        tokio::select! {
            // Cancel-safe: both only wait.
            () = cancel.cancelled() => return,
            () = sleep(wait) => {}
        }
    }
}

/// Cancelled, and the session had its time to say goodbye.
async fn stopped(cancel: &CancellationToken) {
    cancel.cancelled().await;
    sleep(Duration::from_secs(2)).await;
}

/// One session, from the identity on disk to the end of the line.
async fn attempt<I: Intake, O: Outbox, V: Vitals>(
    options: &Options,
    ports: &Ports<I, O, V>,
    dialer: &mut Dialer,
    boot: [u8; 16],
    link: &watch::Sender<Link>,
    cancel: &CancellationToken,
) -> Result<Cause, Error> {
    let identity = match Identity::load(&options.identity).await? {
        Some(identity) => identity,
        None => {
            link.send_replace(Link::NotJoined);
            let identity = join::join(dialer, options).await?;
            info!(agent = %identity.leaf().name, "joined");
            identity
        }
    };
    link.send_if_modified(|link| {
        let first = *link == Link::NotJoined;
        if first {
            *link = Link::Down;
        }
        first
    });
    let connection = dial::dial(dialer, &options.hub, options.line, || identity.tls()).await?;
    let session = session::Session {
        connection,
        identity,
        ports: ports.clone(),
        folder: options.identity.clone(),
        line: options.line,
        build: options.build.clone(),
        boot,
    };
    session.run(link, cancel, SystemTime::now()).await
}
