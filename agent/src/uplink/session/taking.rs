//! Takes the streams that the hub opens: one intent or one secret each, answered when it is on disk.

use std::sync::Arc;

use tokio::task::JoinSet;
use tracing::{debug, error, info};
use vitistack_fault as fault;
use vitistack_protocol::ids::{Fence, HubEpoch, Revision};
use vitistack_protocol::message::control::{IntentAck, SecretAck, Unsupported};
use vitistack_protocol::message::intent::{Intent, SecretRow};
use vitistack_protocol::message::numbered::IntentOutcome;
use vitistack_protocol::transport::{self, Connection, Priority, Receiver, Sender};

use crate::uplink::Error;
use crate::uplink::ports::Intake;

/// Whether intents are taken.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    /// They are.
    Open,
    /// The hub is behind: every intent is refused with what was accepted.
    Paused {
        /// The newest epoch that was ever accepted.
        accepted: HubEpoch,
    },
}

/// Runs until the connection ends or the store fails. The hub opens no more streams than were granted, so the tasks
/// here are bounded.
pub(super) async fn run<I: Intake>(
    connection: Connection,
    intake: Arc<I>,
    mode: Mode,
) -> Result<(), Error> {
    let line = |source| Error::Line {
        operation: "take a stream",
        source,
    };
    let mut tasks: JoinSet<Result<(), Error>> = JoinSet::new();
    loop {
        tokio::select! {
            // Cancel-safe, both: accepting and `join_next`.
            stream = connection.accept(Priority::Control) => {
                let (send, receive) = stream.map_err(line)?;
                tasks.spawn(take(send, receive, Arc::clone(&intake), mode));
            }
            Some(done) = tasks.join_next() => match done.map_err(|source| Error::Task { source })? {
                Ok(()) => {}
                // Only this stream: the hub has given it up, and will open another.
                Err(Error::Line {
                    source: transport::Error::Stream { .. },
                    ..
                }) => {}
                Err(error) => return Err(error),
            },
        }
    }
}

async fn take<I: Intake>(
    mut send: Sender,
    mut receive: Receiver,
    intake: Arc<I>,
    mode: Mode,
) -> Result<(), Error> {
    let line = |source| Error::Line {
        operation: "take an intent",
        source,
    };
    let unreadable = |source: vitistack_protocol::codec::Error| line(source.into());
    let Some(frame) = receive.frame().await.map_err(line)? else {
        return Ok(());
    };
    if frame.is::<Intent>() {
        let ack = intent(frame.decode().map_err(unreadable)?, intake.as_ref(), mode).await?;
        fault::before("agent.intent.ack");
        send.send(&ack).await.map_err(line)?;
        fault::after("agent.intent.ack");
    } else if frame.is::<SecretRow>() {
        let row: SecretRow = frame.decode().map_err(unreadable)?;
        let held = row.held();
        if !row.is_intact() {
            return Err(Error::Protocol {
                detail: "a secret does not have the digest that it comes with",
            });
        }
        intake.secret(row).await?;
        fault::before("agent.secret.ack");
        send.send(&SecretAck { held }).await.map_err(line)?;
        fault::after("agent.secret.ack");
    } else {
        send.send(&Unsupported {
            kind: frame.header.kind,
            version: frame.header.version,
        })
        .await
        .map_err(line)?;
    }
    send.finish();
    Ok(())
}

/// Stores an intent and says what became of it. When this returns `Stored`, it is on disk.
async fn intent<I: Intake>(intent: Intent, intake: &I, mode: Mode) -> Result<IntentAck, Error> {
    let (uid, fence) = (intent.object.uid, intent.fence);
    if let Mode::Paused { accepted } = mode {
        return Ok(IntentAck {
            uid,
            fence,
            outcome: IntentOutcome::OlderEpoch,
            held: Fence {
                epoch: accepted,
                revision: Revision(0),
            },
        });
    }
    let taken = intake.intent(intent).await?;
    match taken.outcome {
        IntentOutcome::Stored => info!(object = %uid, ?fence, "intent stored"),
        IntentOutcome::AlreadyHeld => debug!(object = %uid, ?fence, "intent held already"),
        IntentOutcome::ContentDiffers => error!(
            object = %uid,
            ?fence,
            "the hub sent another content under a revision that is held; an operator must look"
        ),
        IntentOutcome::OlderEpoch
        | IntentOutcome::OlderRevision
        | IntentOutcome::StoreFull
        | IntentOutcome::NotUnderstood => {
            info!(object = %uid, ?fence, held = ?taken.held, outcome = ?taken.outcome, "intent refused");
        }
    }
    Ok(IntentAck {
        uid,
        fence,
        outcome: taken.outcome,
        held: taken.held,
    })
}
