//! One session with the hub, from our Hello to its end.
//!
//! Tasks of a session, all in its one `JoinSet`: the reader of the control stream, the sender of report batches, the
//! taker of the hub's streams, and a short one for each intent or secret (as many as streams are granted, 16). Channel:
//! `heard` (8) from the control reader to the session; when it is full the reader waits, and the hub with it.

mod reports;
mod taking;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use vitistack_protocol::ids::Sequence;
use vitistack_protocol::message::Extensions;
use vitistack_protocol::message::control::{
    Goodbye, Hello, Renew, Renewed, ReportAck, Unsupported, Welcome,
};
use vitistack_protocol::transport::{
    CloseCode, Connection, Line, Priority, Receiver, Sender, within,
};

use super::backoff::Cause;
use super::identity::Identity;
use super::ports::{Intake, Outbox, Position, Vitals};
use super::{Error, Link, Ports};

/// The protocol version that this build speaks.
const VERSION: u16 = 1;

/// How long the hub may take to say Welcome.
const WELCOME: Duration = Duration::from_secs(15);

/// How long a control frame may wait for room on the line.
const SEND: Duration = Duration::from_secs(30);

/// How long the hub may take to sign a certificate, before it is asked again.
const RENEWAL: Duration = Duration::from_secs(60);

/// What the control reader hands to the session.
const HEARD: usize = 8;

/// A session that is about to begin.
pub(super) struct Session<I, O, V> {
    pub(super) connection: Connection,
    pub(super) identity: Identity,
    pub(super) ports: Ports<I, O, V>,
    /// Where a renewed certificate goes.
    pub(super) folder: PathBuf,
    pub(super) line: Line,
    pub(super) build: String,
    pub(super) boot: [u8; 16],
}

/// What the hub said on the control stream.
enum Heard {
    Acked(Sequence),
    Renewed(Renewed),
    Unsupported(u16, u16),
    /// The hub ended the control stream, and with it the session.
    End,
}

impl<I: Intake, O: Outbox, V: Vitals> Session<I, O, V> {
    /// Runs to the end and says why it ended, for the next try.
    pub(super) async fn run(
        mut self,
        link: &watch::Sender<Link>,
        cancel: &CancellationToken,
        now: SystemTime,
    ) -> Result<Cause, Error> {
        let outcome = self.talk(link, cancel, now).await;
        let (code, message) = match &outcome {
            Ok(_) => (CloseCode::Done, "the agent is done"),
            Err(Error::Line { .. }) => (CloseCode::Protocol, "the line failed"),
            Err(_) => (CloseCode::Internal, "the agent failed"),
        };
        if cancel.is_cancelled() {
            self.connection
                .close(CloseCode::Shutdown, "the agent stops");
        } else {
            self.connection.close(code, message);
        }
        outcome
    }

    async fn talk(
        &mut self,
        link: &watch::Sender<Link>,
        cancel: &CancellationToken,
        now: SystemTime,
    ) -> Result<Cause, Error> {
        let position = self.ports.intake.position().await?;
        let (mut send, mut receive, welcome) = self.greet(&position).await?;
        if welcome.is_renew_only() {
            info!("the certificate has ended; renewing it");
            self.renew_now(&mut send, &mut receive).await?;
            return Ok(Cause::Again);
        }
        let is_paused = welcome.epoch < position.epoch;
        if is_paused {
            error!(
                hub = welcome.epoch.0,
                accepted = position.epoch.0,
                "the hub is behind this agent; nothing is taken until a person has resumed it"
            );
            link.send_replace(Link::Paused {
                hub: welcome.epoch,
                accepted: position.epoch,
            });
        } else {
            self.ports.intake.raise_epoch(welcome.epoch).await?;
            let received = welcome.received();
            let outbox = &self.ports.outbox;
            outbox.resend(&welcome.resend, received).await?;
            info!(
                session = welcome.session,
                agent = %self.identity.leaf().name,
                "connected to the hub"
            );
            link.send_replace(Link::Up {
                agent: self.identity.leaf().name.clone(),
                session: welcome.session,
            });
        }
        let mut tasks: JoinSet<Result<(), Error>> = JoinSet::new();
        let (heard, hearing) = mpsc::channel(HEARD);
        tasks.spawn(listen(receive, heard));
        let taking = if is_paused {
            taking::Mode::Paused {
                accepted: position.epoch,
            }
        } else {
            taking::Mode::Open
        };
        tasks.spawn(taking::run(
            self.connection.clone(),
            self.ports.intake.clone(),
            taking,
        ));
        if !is_paused {
            tasks.spawn(reports::run(
                self.connection.clone(),
                self.ports.outbox.clone(),
            ));
        }
        let outcome = self.serve(send, hearing, &mut tasks, cancel, now).await;
        tasks.shutdown().await;
        outcome
    }

    /// Hello and Welcome.
    async fn greet(&self, position: &Position) -> Result<(Sender, Receiver, Welcome), Error> {
        let hello = hello(position, self.boot, &self.build);
        let line = |source| Error::Line {
            operation: "begin a session",
            source,
        };
        let (send, receive, frame) = within(WELCOME, "receive a welcome", async {
            let (mut send, mut receive) = self.connection.open(Priority::Control).await?;
            send.send(&hello).await?;
            let frame = receive.frame().await?;
            Ok((send, receive, frame))
        })
        .await
        .map_err(line)?;
        let frame = frame.ok_or(Error::Protocol {
            detail: "it did not answer the hello",
        })?;
        if frame.is::<Goodbye>() {
            let goodbye: Goodbye = frame.decode().map_err(|source| line(source.into()))?;
            return Err(Error::Refused {
                message: goodbye.message,
            });
        }
        let welcome: Welcome = frame.decode().map_err(|source| line(source.into()))?;
        if welcome.version == VERSION {
            Ok((send, receive, welcome))
        } else {
            Err(Error::Protocol {
                detail: "it chose a protocol version that was not offered",
            })
        }
    }

    /// The main loop. It alone writes the control stream.
    async fn serve(
        &mut self,
        mut send: Sender,
        mut hearing: mpsc::Receiver<Heard>,
        tasks: &mut JoinSet<Result<(), Error>>,
        cancel: &CancellationToken,
        now: SystemTime,
    ) -> Result<Cause, Error> {
        let mut health = interval(match self.line {
            Line::Normal => Duration::from_secs(10),
            Line::Metered => Duration::from_secs(60),
        });
        health.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let spread: f64 = rand::random();
        let mut renewal = Instant::now() + self.identity.leaf().renew_in(now, spread);
        loop {
            tokio::select! {
                // Cancel-safe, all: waiting, ticks, `mpsc::recv`, `join_next`, sleeping.
                () = cancel.cancelled() => return Ok(Cause::Again),
                ending = self.connection.closed() => {
                    info!(%ending, "the session ended");
                    return Ok(Cause::of(&ending));
                }
                _ = health.tick() => {
                    let health = self.ports.vitals.health().await;
                    say(&mut send, &health).await?;
                }
                () = sleep_until(renewal) => {
                    let csr = self.identity.request()?;
                    say(&mut send, &Renew { csr }).await?;
                    renewal = Instant::now() + RENEWAL;
                }
                Some(heard) = hearing.recv() => match heard {
                    Heard::Acked(through) => self.ports.outbox.acked(through).await?,
                    Heard::Renewed(renewed) => {
                        self.keep(renewed).await?;
                        renewal = Instant::now()
                            + self.identity.leaf().renew_in(SystemTime::now(), spread);
                    }
                    Heard::Unsupported(kind, version) => {
                        say(&mut send, &Unsupported { kind, version }).await?;
                    }
                    Heard::End => return Ok(Cause::Failed),
                },
                Some(done) = tasks.join_next() => {
                    done.map_err(|source| Error::Task { source })??;
                }
            }
        }
    }

    /// The one thing that an ended certificate may do.
    async fn renew_now(&mut self, send: &mut Sender, receive: &mut Receiver) -> Result<(), Error> {
        let csr = self.identity.request()?;
        let renewed: Renewed = within(RENEWAL, "renew the certificate", async {
            send.send(&Renew { csr }).await?;
            receive.receive().await
        })
        .await
        .map_err(|source| Error::Line {
            operation: "renew the certificate",
            source,
        })?;
        self.keep(renewed).await
    }

    /// Puts a new certificate on disk. This session goes on with the old one; the next dials with the new.
    async fn keep(&mut self, renewed: Renewed) -> Result<(), Error> {
        let Renewed { chain, roots } = renewed;
        let identity = self.identity.renewed(chain, roots)?;
        identity.save(&self.folder).await?;
        self.identity = identity;
        info!("the certificate was renewed");
        Ok(())
    }
}

/// What the agent says first.
fn hello(position: &Position, boot: [u8; 16], build: &str) -> Hello {
    let Position {
        store,
        epoch,
        held,
        secrets,
        outbox,
    } = position;
    Hello {
        min_version: VERSION,
        max_version: VERSION,
        build: build.to_owned(),
        capabilities: 0,
        boot,
        store: *store,
        epoch: *epoch,
        held: held.clone(),
        outbox: *outbox,
        extensions: if secrets.is_empty() {
            Extensions::default()
        } else {
            Hello::extensions_for(secrets)
        },
    }
}

async fn say<M: vitistack_protocol::codec::Message>(
    send: &mut Sender,
    message: &M,
) -> Result<(), Error> {
    within(SEND, "send a control frame", send.send(message))
        .await
        .map_err(|source| Error::Line {
            operation: "talk to the hub",
            source,
        })
}

/// Reads the control stream until it ends.
async fn listen(mut receive: Receiver, heard: mpsc::Sender<Heard>) -> Result<(), Error> {
    let line = |source| Error::Line {
        operation: "listen to the hub",
        source,
    };
    let unreadable = |source: vitistack_protocol::codec::Error| line(source.into());
    loop {
        let said = match receive.frame().await.map_err(line)? {
            None => Heard::End,
            Some(frame) if frame.is::<ReportAck>() => {
                let ack: ReportAck = frame.decode().map_err(unreadable)?;
                Heard::Acked(ack.through)
            }
            Some(frame) if frame.is::<Renewed>() => {
                Heard::Renewed(frame.decode().map_err(unreadable)?)
            }
            Some(frame) if frame.is::<Unsupported>() => {
                let unsupported: Unsupported = frame.decode().map_err(unreadable)?;
                warn!(
                    kind = unsupported.kind,
                    version = unsupported.version,
                    "the hub does not understand a frame"
                );
                continue;
            }
            Some(frame) => Heard::Unsupported(frame.header.kind, frame.header.version),
        };
        let is_end = matches!(said, Heard::End);
        // Fails only when the session is over, and this task with it.
        if heard.send(said).await.is_err() || is_end {
            return Ok(());
        }
    }
}
