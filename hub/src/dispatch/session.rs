//! One session with one agent, from its Hello to its end.
//!
//! Tasks of a session, all in its one `JoinSet`: the reader of the control stream, the reader of report batches, and a
//! short one for each intent or secret under way. Channels: `replies` (8) from the control reader to the session, which
//! alone writes the control stream; when it is full the reader waits, and the agent with it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{debug, info, warn};
use vitistack_fault as fault;
use vitistack_protocol::Chain;
use vitistack_protocol::codec::BATCH;
use vitistack_protocol::identity::Leaf;
use vitistack_protocol::message::control::{
    Goodbye, Health, Hello, IntentAck, Renew, Renewed, ReportAck, ReportBatch, SecretAck,
    Unsupported, Welcome,
};
use vitistack_protocol::message::intent::{HeldSecret, Intent, SecretRow};
use vitistack_protocol::message::numbered::IntentOutcome;
use vitistack_protocol::transport::{
    Class, CloseCode, Connection, Error, Line, Priority, Receiver, Sender, within,
};

use super::server::Context;
use super::state::{SessionInfo, Standing, Work};

/// The protocol version that this build speaks.
const VERSION: u16 = 1;

/// How long the agent may take to say Hello.
const HELLO: Duration = Duration::from_secs(10);

/// How long a control frame may wait for room on the line.
const SEND: Duration = Duration::from_secs(30);

/// How long an agent may take to ack: its disk may be slow, its line slower.
const ACK: Duration = Duration::from_secs(60);

/// How long a session that may only renew lives.
const RENEWAL: Duration = Duration::from_secs(30);

/// Replies of the control reader that wait to be written.
const REPLIES: usize = 8;

/// What the control reader wants written.
enum Reply {
    /// Boxed, since a channel has room for 32 of the largest variant, at every session.
    Renewed(Box<(Renewed, Leaf)>),
    Unsupported(Unsupported),
}

/// What a task of the session came to.
enum Done {
    Secret(HeldSecret),
    Intent(Arc<Intent>, IntentAck),
    /// The agent ended a stream that it had opened.
    Quiet,
}

/// Why a session is over: how to close it.
struct End {
    code: CloseCode,
    message: &'static str,
}

pub(super) async fn run(connection: Connection, leaf: Leaf, context: Context) {
    // Boxed, as in `server::serve`.
    match Box::pin(greet(&connection, &leaf, &context)).await {
        Ok(Some(session)) => session.run().await,
        Ok(None) => {}
        Err(error) => {
            info!(
                error = %Chain(&error),
                "a session did not begin"
            );
            let end = end_of(&error);
            connection.close(end.code, end.message);
        }
    }
}

/// Hello and Welcome. `None` when the session is over already: it could only renew, or speaks another version.
async fn greet(
    connection: &Connection,
    leaf: &Leaf,
    context: &Context,
) -> Result<Option<Session>, Error> {
    let (mut send, mut receive, hello) = within(HELLO, "receive a hello", async {
        let (send, mut receive) = connection.accept(Priority::Control).await?;
        let hello: Hello = receive.receive().await?;
        Ok((send, receive, hello))
    })
    .await?;
    if !(hello.min_version..=hello.max_version).contains(&VERSION) {
        let goodbye = Goodbye {
            code: CloseCode::Version.number(),
            message: format!("this hub speaks protocol version {VERSION}"),
        };
        send.send(&goodbye).await?;
        send.finish();
        send.delivered().await;
        connection.close(CloseCode::Version, "no protocol version in common");
        return Ok(None);
    }
    let mut welcome = Welcome {
        version: VERSION,
        session: 0,
        epoch: context.handle.epoch(),
        keep_alive_ms: u32::try_from(Line::Normal.keep_alive(0.5).as_millis()).unwrap_or(u32::MAX),
        resend: Vec::new(),
        extensions: Default::default(),
    };
    if leaf.is_over(SystemTime::now()) {
        welcome.extensions = Welcome::renew_only_extensions();
        let renewal = renew_only(&mut send, &mut receive, &welcome, leaf, context);
        within(RENEWAL, "renew an ended certificate", renewal).await?;
        connection.close(CloseCode::Done, "renewed; dial again");
        return Ok(None);
    }
    let standing = Standing::default();
    let info = SessionInfo {
        agent: leaf.name.clone(),
        session: 0,
        build: hello.build.clone(),
        connected_at: Timestamp::now(),
        remote: connection.remote(),
        health: None,
        conflict: None,
        certificate_until: timestamp(leaf.not_after),
    };
    let opened = context.handle.open(&hello, info, standing.clone());
    let number = opened.session;
    welcome.session = number;
    welcome.resend = opened.resend;
    welcome.extensions = Welcome::received_extensions(opened.received);
    let session = Session {
        connection: connection.clone(),
        leaf: leaf.clone(),
        context: context.clone(),
        number,
        standing,
        send,
        receive: Some(receive),
    };
    info!(
        session = number,
        build = hello.build,
        remote = %connection.remote(),
        held = hello.held.len(),
        "agent connected"
    );
    session.welcome(&welcome).await
}

/// A certificate that has ended may do one thing.
async fn renew_only(
    send: &mut Sender,
    receive: &mut Receiver,
    welcome: &Welcome,
    leaf: &Leaf,
    context: &Context,
) -> Result<(), Error> {
    send.send(welcome).await?;
    while let Some(frame) = receive.frame().await? {
        if !frame.is::<Renew>() {
            send.send(&Unsupported {
                kind: frame.header.kind,
                version: frame.header.version,
            })
            .await?;
            continue;
        }
        let renew: Renew = frame.decode()?;
        match context.authority.renew(leaf, &renew, SystemTime::now()) {
            Ok((renewed, _)) => {
                send.send(&renewed).await?;
                info!("an ended certificate was renewed");
            }
            Err(error) => warn!(
                error = %Chain(&error),
                "a renewal was refused"
            ),
        }
        send.finish();
        send.delivered().await;
        return Ok(());
    }
    Ok(())
}

struct Session {
    connection: Connection,
    leaf: Leaf,
    context: Context,
    number: u64,
    standing: Standing,
    send: Sender,
    /// Taken by the reader's task.
    receive: Option<Receiver>,
}

impl Drop for Session {
    /// However the task ends, panic included, the agent does not stay listed as connected.
    fn drop(&mut self) {
        self.context.handle.close(&self.leaf.name, self.number);
    }
}

impl Session {
    async fn welcome(mut self, welcome: &Welcome) -> Result<Option<Self>, Error> {
        within(SEND, "send a welcome", self.send.send(welcome)).await?;
        Ok(Some(self))
    }

    async fn run(mut self) {
        let (replies, mut replied) = mpsc::channel(REPLIES);
        let mut tasks: JoinSet<Result<Done, Error>> = JoinSet::new();
        if let Some(receive) = self.receive.take() {
            let reader = ControlReader {
                receive,
                replies,
                leaf: self.leaf.clone(),
                context: self.context.clone(),
                number: self.number,
            };
            tasks.spawn(reader.run());
        }
        tasks.spawn(read_reports(
            self.connection.clone(),
            self.leaf.clone(),
            self.context.clone(),
            self.number,
        ));
        let end = self.serve(&mut tasks, &mut replied).await;
        info!(session = self.number, code = ?end.code, reason = end.message, "session over");
        self.connection.close(end.code, end.message);
        tasks.shutdown().await;
    }

    async fn serve(
        &mut self,
        tasks: &mut JoinSet<Result<Done, Error>>,
        replied: &mut mpsc::Receiver<Reply>,
    ) -> End {
        let mut roster = self.context.authority.roster().changed();
        let cancel = self.context.cancel.clone();
        let Standing {
            wake,
            superseded,
            resumed,
        } = self.standing.clone();
        loop {
            let roster_now = self.context.authority.roster();
            if !roster_now.admits(&self.leaf.name, &self.leaf.enrolment) {
                return End {
                    code: CloseCode::Revoked,
                    message: "the agent is not admitted any more",
                };
            }
            if let Err(error) = self.push(tasks).await {
                return end_of(&error);
            }
            // A session does not outlive its certificate; an agent that renewed in time has moved this on.
            let left = self
                .leaf
                .not_after
                .duration_since(SystemTime::now())
                .unwrap_or_default();
            tokio::select! {
                // Cancel-safe, all: waiting, `Notify`, `watch`, `mpsc::recv`, `join_next`, sleeping.
                () = cancel.cancelled() => return End {
                    code: CloseCode::Shutdown,
                    message: "the hub stops",
                },
                () = superseded.cancelled() => return End {
                    code: CloseCode::Superseded,
                    message: "a later session of this agent has taken over",
                },
                () = resumed.cancelled() => return End {
                    code: CloseCode::Done,
                    message: "resumed; dial again",
                },
                () = wake.notified() => {}
                _ = roster.changed() => {}
                ending = self.connection.closed() => {
                    debug!(%ending, "the connection ended");
                    return End { code: CloseCode::Done, message: "the connection ended" };
                }
                () = sleep(left) => return End {
                    code: CloseCode::Done,
                    message: "the certificate has ended; dial again to renew it",
                },
                Some(reply) = replied.recv() => if let Err(error) = Box::pin(self.reply(reply)).await {
                    return end_of(&error);
                },
                Some(done) = tasks.join_next() => {
                    let done = match done {
                        Ok(done) => done,
                        Err(error) => {
                            warn!(error = %Chain(&error), "a stream's task ended badly");
                            return End { code: CloseCode::Internal, message: "internal fault" };
                        }
                    };
                    match done {
                        Ok(done) => self.finished(done),
                        Err(error) => {
                            info!(error = %Chain(&error), "a stream failed");
                            return end_of(&error);
                        }
                    }
                }
            }
        }
    }

    /// Sends what is due: secrets and intents on streams of their own, acks on the control stream.
    async fn push(&mut self, tasks: &mut JoinSet<Result<Done, Error>>) -> Result<(), Error> {
        let handle = &self.context.handle;
        for work in handle.next(&self.leaf.name, self.number) {
            let connection = self.connection.clone();
            match work {
                Work::Secret(row) => tasks.spawn(within(
                    ACK,
                    "deliver a secret",
                    deliver_secret(connection, row),
                )),
                Work::Intent(intent) => tasks.spawn(within(
                    ACK,
                    "deliver an intent",
                    deliver_intent(connection, intent),
                )),
            };
        }
        if let Some(through) = handle.ack_due(&self.leaf.name, self.number) {
            let ack = ReportAck { through };
            fault::before("hub.reports.ack");
            Box::pin(within(SEND, "ack reports", self.send.send(&ack))).await?;
            fault::after("hub.reports.ack");
        }
        Ok(())
    }

    async fn reply(&mut self, reply: Reply) -> Result<(), Error> {
        match reply {
            Reply::Renewed(renewal) => {
                let (renewed, leaf) = *renewal;
                within(SEND, "send a certificate", self.send.send(&renewed)).await?;
                info!("certificate renewed");
                self.context.handle.certificate(
                    &self.leaf.name,
                    self.number,
                    timestamp(leaf.not_after),
                );
                self.leaf = leaf;
                Ok(())
            }
            Reply::Unsupported(unsupported) => {
                within(SEND, "send unsupported", self.send.send(&unsupported)).await
            }
        }
    }

    fn finished(&self, done: Done) {
        let (handle, agent) = (&self.context.handle, &self.leaf.name);
        match done {
            Done::Secret(held) => handle.secret_acked(agent, self.number, held),
            Done::Intent(intent, ack) => {
                if ack.outcome.holds() {
                    debug!(object = %intent.object.uid, fence = ?intent.fence, "the agent holds the intent");
                } else {
                    warn!(
                        object = %intent.object.uid,
                        fence = ?intent.fence,
                        held = ?ack.held,
                        outcome = ?ack.outcome,
                        "the agent refused the intent"
                    );
                }
                fault::before("hub.intent.acked");
                handle.intent_acked(agent, self.number, &intent, ack);
                fault::after("hub.intent.acked");
            }
            Done::Quiet => {}
        }
    }
}

/// Reads the control stream; answers go through the session.
struct ControlReader {
    receive: Receiver,
    replies: mpsc::Sender<Reply>,
    leaf: Leaf,
    context: Context,
    number: u64,
}

impl ControlReader {
    async fn run(mut self) -> Result<Done, Error> {
        while let Some(frame) = self.receive.frame().await? {
            if frame.is::<Health>() {
                let health = frame.decode()?;
                self.context
                    .handle
                    .health(&self.leaf.name, self.number, health);
            } else if frame.is::<Renew>() {
                self.renew(&frame.decode()?).await;
            } else if frame.is::<Unsupported>() {
                let unsupported: Unsupported = frame.decode()?;
                warn!(
                    kind = unsupported.kind,
                    version = unsupported.version,
                    "the agent does not understand a frame"
                );
            } else {
                self.reply(Reply::Unsupported(Unsupported {
                    kind: frame.header.kind,
                    version: frame.header.version,
                }))
                .await;
            }
        }
        Ok(Done::Quiet)
    }

    async fn renew(&mut self, renew: &Renew) {
        match self
            .context
            .authority
            .renew(&self.leaf, renew, SystemTime::now())
        {
            Ok(renewal) => self.reply(Reply::Renewed(Box::new(renewal))).await,
            Err(error) => warn!(
                error = %Chain(&error),
                "a renewal was refused"
            ),
        }
    }

    async fn reply(&self, reply: Reply) {
        // Fails only when the session is over, and this task with it.
        drop(self.replies.send(reply).await);
    }
}

/// Reads report batches. One stream at a time, so that reports are taken in the order in which they were sent.
async fn read_reports(
    connection: Connection,
    leaf: Leaf,
    context: Context,
    number: u64,
) -> Result<Done, Error> {
    loop {
        let mut stream = connection.accept_one_way().await?;
        while let Some(frame) = stream.frame().await? {
            // One-way streams of a later version are read over: there is no way to answer on them.
            if !frame.is::<ReportBatch>() {
                debug!(kind = frame.header.kind, "a one-way frame was read over");
                continue;
            }
            let mut batch: ReportBatch = frame.decode()?;
            batch.reports.truncate(BATCH);
            fault::before("hub.reports.take");
            context
                .handle
                .reports(&leaf.name, number, batch.reports, Instant::now());
            fault::after("hub.reports.take");
        }
    }
}

async fn deliver_secret(connection: Connection, row: Arc<SecretRow>) -> Result<Done, Error> {
    let (mut send, mut receive) = connection.open(Priority::Intent).await?;
    fault::before("hub.secret.send");
    send.send(row.as_ref()).await?;
    send.finish();
    fault::after("hub.secret.send");
    let ack: SecretAck = receive.receive().await?;
    Ok(Done::Secret(ack.held))
}

async fn deliver_intent(connection: Connection, intent: Arc<Intent>) -> Result<Done, Error> {
    let (mut send, mut receive) = connection.open(Priority::Intent).await?;
    fault::before("hub.intent.send");
    send.send(intent.as_ref()).await?;
    send.finish();
    fault::after("hub.intent.send");
    let frame = receive.frame().await?.ok_or(Error::Stream {
        operation: "receive an ack",
    })?;
    let ack = if frame.is::<Unsupported>() {
        IntentAck {
            uid: intent.object.uid,
            fence: intent.fence,
            outcome: IntentOutcome::NotUnderstood,
            held: intent.fence,
        }
    } else {
        frame.decode()?
    };
    Ok(Done::Intent(intent, ack))
}

fn end_of(error: &Error) -> End {
    match error.class() {
        Class::Protocol => End {
            code: CloseCode::Protocol,
            message: "a frame was not acceptable",
        },
        Class::Retry => End {
            code: CloseCode::Timeout,
            message: "no answer in time",
        },
        Class::Fatal => End {
            code: CloseCode::Internal,
            message: "internal fault",
        },
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::MAX)
}
