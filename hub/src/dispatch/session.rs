//! One session with one agent, from its Hello to its end.
//!
//! A session is one task, which reads both of the agent's streams and alone writes the control stream; while that waits
//! for room on the line nothing is read, and the agent waits too. Each intent or secret under way has a short task in the
//! session's `JoinSet`.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tracing::{debug, info, warn};
use vitistack_fault as fault;
use vitistack_protocol::Chain;
use vitistack_protocol::codec::{BATCH, Frame};
use vitistack_protocol::identity::Leaf;
use vitistack_protocol::message::control::{
    Goodbye, Health, Hello, IntentAck, Renew, ReportAck, ReportBatch, SecretAck, Unsupported,
    Welcome,
};
use vitistack_protocol::message::intent::{HeldSecret, Intent, SecretRow};
use vitistack_protocol::message::numbered::IntentOutcome;
use vitistack_protocol::transport::{
    Class, CloseCode, Connection, Error, Line, Priority, Receiver, Sender, within,
};

use super::server::Context;
use super::state::{Over, SessionInfo, Standing, Work};

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

/// What the agent has taken.
enum Done {
    Secret(HeldSecret),
    Intent(Arc<Intent>, IntentAck),
}

/// Why a session is over: how to close it.
struct End {
    code: CloseCode,
    message: &'static str,
}

impl End {
    fn new(code: CloseCode, message: &'static str) -> Self {
        Self { code, message }
    }
}

/// A session after its Welcome. Dropped, it is over.
pub(super) struct Begun {
    session: Box<Session>,
    receive: Receiver,
}

impl Begun {
    /// Serves the agent to the end of the session.
    pub(super) fn run(self) -> impl Future<Output = ()> {
        self.session.run(self.receive)
    }
}

/// Greets an agent. `None` when that was all.
pub(super) async fn begin(connection: Connection, leaf: Leaf, context: Context) -> Option<Begun> {
    match greet(connection.clone(), leaf, context).await {
        Ok(begun) => begun,
        Err(error) => {
            info!(
                error = %Chain(&error),
                "a session did not begin"
            );
            let end = end_of(&error);
            connection.close(end.code, end.message);
            None
        }
    }
}

/// Hello and Welcome. `None` when the session is over already: it could only renew, or speaks another version.
async fn greet(
    connection: Connection,
    leaf: Leaf,
    context: Context,
) -> Result<Option<Begun>, Error> {
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
        let renewal = renew_only(&mut send, &mut receive, &welcome, &leaf, &context);
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
    let mut session = Box::new(Session {
        connection,
        leaf,
        context,
        number,
        standing,
        send,
    });
    info!(
        session = number,
        build = hello.build,
        remote = %session.connection.remote(),
        held = hello.held.len(),
        "agent connected"
    );
    within(SEND, "send a welcome", session.send.send(&welcome)).await?;
    Ok(Some(Begun { session, receive }))
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
}

impl Drop for Session {
    /// However the task ends, panic included, the agent does not stay listed as connected.
    fn drop(&mut self) {
        self.context.handle.close(&self.leaf.name, self.number);
    }
}

impl Session {
    async fn run(mut self: Box<Self>, receive: Receiver) {
        let mut tasks = JoinSet::new();
        let Err(end) = self.serve(receive, &mut tasks).await;
        info!(session = self.number, code = ?end.code, reason = end.message, "session over");
        self.connection.close(end.code, end.message);
        tasks.shutdown().await;
    }

    async fn serve(
        &mut self,
        receive: Receiver,
        tasks: &mut JoinSet<Result<Done, Error>>,
    ) -> Result<Infallible, End> {
        // Each lives on until it has its frame: half a frame that was dropped would be lost.
        let mut control = pin!(control_frame(receive));
        let mut is_over = false;
        let mut reports = pin!(report_frame(self.connection.clone(), None));
        let mut losses = self.context.authority.roster().losses();
        let cancel = self.context.cancel.clone();
        let standing = self.standing.clone();
        let over = |code, message| Err(End::new(code, message));
        loop {
            let roster_now = self.context.authority.roster();
            if !roster_now.admits(&self.leaf.name, &self.leaf.enrolment) {
                return over(CloseCode::Revoked, "the agent is not admitted any more");
            }
            match standing.over() {
                None => {}
                Some(Over::Superseded) => {
                    return over(
                        CloseCode::Superseded,
                        "a later session of this agent has taken over",
                    );
                }
                Some(Over::Resumed) => return over(CloseCode::Done, "resumed; dial again"),
            }
            self.push(tasks).await.map_err(failed)?;
            // A session does not outlive its certificate; an agent that renewed in time has moved this on.
            let left = self
                .leaf
                .not_after
                .duration_since(SystemTime::now())
                .unwrap_or_default();
            tokio::select! {
                // Cancel-safe, all: waiting, `Notify`, `watch`, `join_next`, sleeping, and the frames by the above.
                () = cancel.cancelled() => return over(CloseCode::Shutdown, "the hub stops"),
                () = standing.changed() => {}
                _ = losses.changed() => {}
                ending = self.connection.closed() => {
                    debug!(%ending, "the connection ended");
                    return over(CloseCode::Done, "the connection ended");
                }
                () = sleep(left) => return over(
                    CloseCode::Done,
                    "the certificate has ended; dial again to renew it",
                ),
                taken = &mut control, if !is_over => match taken.map_err(failed)? {
                    Some((receive, frame)) => {
                        // Boxed: it is over soon, and the session's task is as large as what it waits for.
                        Box::pin(self.take(frame)).await.map_err(failed)?;
                        control.set(control_frame(receive));
                    }
                    None => is_over = true,
                },
                taken = &mut reports => {
                    let (stream, frame) = taken.map_err(failed)?;
                    self.take_reports(&frame).map_err(failed)?;
                    reports.set(report_frame(self.connection.clone(), Some(stream)));
                }
                Some(done) = tasks.join_next() => self.finished(done)?,
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

    /// A frame of the control stream.
    async fn take(&mut self, frame: Frame) -> Result<(), Error> {
        let handle = &self.context.handle;
        if frame.is::<Health>() {
            handle.health(&self.leaf.name, self.number, frame.decode()?);
        } else if frame.is::<Renew>() {
            self.renew(&frame.decode()?).await?;
        } else if frame.is::<Unsupported>() {
            let unsupported: Unsupported = frame.decode()?;
            warn!(
                kind = unsupported.kind,
                version = unsupported.version,
                "the agent does not understand a frame"
            );
        } else {
            let unsupported = Unsupported {
                kind: frame.header.kind,
                version: frame.header.version,
            };
            within(SEND, "send unsupported", self.send.send(&unsupported)).await?;
        }
        Ok(())
    }

    async fn renew(&mut self, renew: &Renew) -> Result<(), Error> {
        let authority = &self.context.authority;
        let (renewed, leaf) = match authority.renew(&self.leaf, renew, SystemTime::now()) {
            Ok(renewal) => renewal,
            Err(error) => {
                warn!(
                    error = %Chain(&error),
                    "a renewal was refused"
                );
                return Ok(());
            }
        };
        within(SEND, "send a certificate", self.send.send(&renewed)).await?;
        info!("certificate renewed");
        let until = timestamp(leaf.not_after);
        self.context
            .handle
            .certificate(&self.leaf.name, self.number, until);
        self.leaf = leaf;
        Ok(())
    }

    /// A frame of a stream of reports.
    fn take_reports(&self, frame: &Frame) -> Result<(), Error> {
        // One-way streams of a later version are read over: there is no way to answer on them.
        if !frame.is::<ReportBatch>() {
            debug!(kind = frame.header.kind, "a one-way frame was read over");
            return Ok(());
        }
        let mut batch: ReportBatch = frame.decode()?;
        batch.reports.truncate(BATCH);
        fault::before("hub.reports.take");
        self.context
            .handle
            .reports(&self.leaf.name, self.number, batch.reports, Instant::now());
        fault::after("hub.reports.take");
        Ok(())
    }

    /// A task of an intent or a secret has ended.
    fn finished(&self, done: Result<Result<Done, Error>, JoinError>) -> Result<(), End> {
        let done = done.map_err(|error| {
            warn!(error = %Chain(&error), "a stream's task ended badly");
            End::new(CloseCode::Internal, "internal fault")
        })?;
        let done = done.map_err(failed)?;
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
        }
        Ok(())
    }
}

/// The next frame of the control stream; none when the agent has ended it.
async fn control_frame(mut receive: Receiver) -> Result<Option<(Receiver, Frame)>, Error> {
    let frame = receive.frame().await?;
    Ok(frame.map(|frame| (receive, frame)))
}

/// The next frame of `stream`, or of the first that comes after it. One stream at a time, so that reports are taken in
/// the order in which they were sent.
async fn report_frame(
    connection: Connection,
    mut stream: Option<Receiver>,
) -> Result<(Receiver, Frame), Error> {
    loop {
        let mut current = match stream.take() {
            Some(stream) => stream,
            None => connection.accept_one_way().await?,
        };
        if let Some(frame) = current.frame().await? {
            return Ok((current, frame));
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

fn failed(error: Error) -> End {
    info!(error = %Chain(&error), "a stream failed");
    end_of(&error)
}

fn end_of(error: &Error) -> End {
    match error.class() {
        Class::Protocol => End::new(CloseCode::Protocol, "a frame was not acceptable"),
        Class::Retry => End::new(CloseCode::Timeout, "no answer in time"),
        Class::Fatal => End::new(CloseCode::Internal, "internal fault"),
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::MAX)
}
