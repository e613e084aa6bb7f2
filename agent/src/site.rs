//! Joins uplink, store and executor: what the uplink asks for, answered from disk, and the workers woken.

use tokio::sync::watch;
use vitistack_protocol::ids::{HubEpoch, Sequence, Uid};
use vitistack_protocol::message::intent::{Intent, SecretRow};
use vitistack_protocol::message::numbered::IntentOutcome;
use vitistack_protocol::message::report::Report;

use crate::executor;
use crate::store::{self, Store};
use crate::uplink::ports::{Intake, Outbox, Position, StoreError, Taken};

/// The site as the uplink sees it.
#[derive(Clone)]
pub struct Site {
    /// Where everything is kept.
    pub store: Store,
    /// Who is woken.
    pub executor: executor::Handle,
}

impl Intake for Site {
    async fn position(&self) -> Result<Position, StoreError> {
        Ok(self.store.position())
    }

    async fn raise_epoch(&self, epoch: HubEpoch) -> Result<(), StoreError> {
        self.store
            .raise_epoch(epoch)
            .await
            .map_err(failed("remember the hub's epoch"))
    }

    async fn intent(&self, intent: Intent) -> Result<Taken, StoreError> {
        let uid = intent.object.uid;
        let taken = self
            .store
            .take_intent(intent)
            .await
            .map_err(failed("keep an intent"))?;
        if taken.outcome == IntentOutcome::Stored {
            self.executor.intent_stored(uid);
        }
        Ok(taken)
    }

    async fn secret(&self, row: SecretRow) -> Result<(), StoreError> {
        let waiting = self
            .store
            .take_secret(row)
            .await
            .map_err(failed("keep a secret"))?;
        for uid in waiting {
            self.executor.secret_stored(uid);
        }
        Ok(())
    }
}

impl Outbox for Site {
    async fn next(&self, after: Sequence, max: usize) -> Result<Vec<Report>, StoreError> {
        self.store
            .waiting_reports(after, max)
            .await
            .map_err(failed("read the outbox"))
    }

    async fn acked(&self, through: Sequence) -> Result<(), StoreError> {
        self.store
            .ack_reports(through)
            .await
            .map_err(failed("empty the outbox"))
    }

    fn changed(&self) -> watch::Receiver<Sequence> {
        self.store.outbox_changed()
    }

    async fn resend(&self, objects: &[Uid], received: Sequence) -> Result<(), StoreError> {
        self.store
            .resend_reports(objects.to_vec(), received)
            .await
            .map_err(failed("put reports into the outbox again"))
    }
}

fn failed(operation: &'static str) -> impl Fn(store::Error) -> StoreError {
    move |error| StoreError {
        operation,
        source: Box::new(error),
    }
}
