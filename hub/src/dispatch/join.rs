//! The join protocol: one `Join`, answered by `Joined` or `Goodbye`.

use std::time::{Duration, SystemTime};

use tracing::{info, warn};
use vitistack_fault as fault;
use vitistack_protocol::Chain;
use vitistack_protocol::message::control::{Goodbye, Join, Unsupported};
use vitistack_protocol::transport::{
    CloseCode, Connection, Error, Priority, Receiver, Sender, within,
};

use super::server::Context;
use crate::enrolment;

/// How long one attempt to join may take, from the handshake to the answer.
const JOIN: Duration = Duration::from_secs(20);

/// How long the peer has to take the answer.
const ANSWER: Duration = Duration::from_secs(5);

pub(super) async fn run(connection: Connection, context: Context) {
    let (code, message) = match within(JOIN, "join", attempt(&connection, &context)).await {
        Ok(()) => (CloseCode::Done, "joined"),
        Err(error) => {
            info!(
                error = %Chain(&error),
                "an attempt to join failed"
            );
            (CloseCode::JoinRefused, "the join did not succeed")
        }
    };
    connection.close(code, message);
}

async fn attempt(connection: &Connection, context: &Context) -> Result<(), Error> {
    let (mut send, mut receive) = connection.accept(Priority::Control).await?;
    let Some(join) = ask(&mut send, &mut receive).await? else {
        return Ok(());
    };
    // The semaphore is never closed; without a permit there is only the deadline.
    let _turn = context.joins.acquire().await;
    let is_connected = |name: &_| context.handle.is_connected(name);
    let answer = context
        .authority
        .join(&join, is_connected, SystemTime::now())
        .await;
    match answer {
        Ok(joined) => {
            fault::before("hub.join.send");
            send.send(&joined).await?;
        }
        Err(error) => {
            let message = match &error {
                enrolment::Error::Refused { refusal } => refusal.to_string(),
                enrolment::Error::Api { .. }
                | enrolment::Error::Damaged { .. }
                | enrolment::Error::Identity { .. }
                | enrolment::Error::Contended { .. } => {
                    "the hub could not do it; see its log".to_owned()
                }
            };
            warn!(
                error = %Chain(&error),
                "a join was refused"
            );
            send.send(&Goodbye {
                code: CloseCode::JoinRefused.number(),
                message,
            })
            .await?;
        }
    }
    send.finish();
    let delivered = within(ANSWER, "deliver the answer to a join", async {
        send.delivered().await;
        Ok(())
    })
    .await;
    fault::after("hub.join.send");
    delivered
}

/// Waits for the `Join`; everything else is answered `Unsupported`. `None` when the peer has nothing more to say.
async fn ask(send: &mut Sender, receive: &mut Receiver) -> Result<Option<Join>, Error> {
    while let Some(frame) = receive.frame().await? {
        if frame.is::<Join>() {
            return Ok(Some(frame.decode()?));
        }
        send.send(&Unsupported {
            kind: frame.header.kind,
            version: frame.header.version,
        })
        .await?;
    }
    Ok(None)
}
