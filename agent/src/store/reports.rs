//! The outbox: the newest report of each object, in the order in which they became true.
//!
//! A report waits while its sequence is above the acked one. A newer report of the same object takes the older one's
//! place, so the outbox is bounded by the number of objects, not by the length of an outage.

use tokio::sync::watch;
use vitistack_fault as fault;
use vitistack_protocol::ids::{Fence, Generation, ObjectRef, Sequence, Uid};
use vitistack_protocol::message::Extensions;
use vitistack_protocol::message::numbered::BodyKind;
use vitistack_protocol::message::report::Report;

use super::error::Error;
use super::outbox::{enqueue, send_again};
use super::rows::{self, ReportRow, Table};
use super::{Store, intents};

/// What the executor found out about an object; the store adds the sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The object.
    pub object: ObjectRef,
    /// The intent that the facts were found under.
    pub fence: Fence,
    /// Generation that this intent carried.
    pub generation: Generation,
    /// What `body` holds.
    pub kind: BodyKind,
    /// Postcard bytes of a `MachineReport` or a `HostReport`.
    pub body: Vec<u8>,
    /// Nothing of the object is left at the site.
    pub gone: bool,
}

impl Store {
    /// Puts facts into the outbox if they are other ones than the last. Returns whether they were.
    ///
    /// # Errors
    /// When they are not durable.
    pub async fn report(&self, facts: Facts) -> Result<bool, Error> {
        self.commit(move |draft| {
            let uid = facts.object.uid;
            let Some(entry) = draft.index.objects.get(&uid).cloned() else {
                return Ok(false);
            };
            let report = Report {
                sequence: Sequence(0),
                object: facts.object,
                fence: facts.fence,
                generation: facts.generation,
                kind: facts.kind,
                body: facts.body,
                gone: facts.gone,
                extensions: Extensions::default(),
            };
            let known = entry.report.map(|report| report.digest);
            if entry.retired.is_some() || known == Some(report.digest()) {
                return Ok(false);
            }
            enqueue(draft, uid, entry, report)?;
            Ok(true)
        })
        .await
    }

    /// At most `max` waiting reports behind `after`, in order.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub async fn waiting_reports(&self, after: Sequence, max: usize) -> Result<Vec<Report>, Error> {
        self.read(move |shared| {
            let objects = shared.index().waiting_after(after, max);
            let mut reports = Vec::with_capacity(objects.len());
            for uid in objects {
                let row = shared.read::<ReportRow>(&rows::object_key(Table::Report, uid))?;
                reports.extend(row.map(|row| row.report));
            }
            // A report that was replaced between the two reads comes back with its new, higher sequence.
            reports.sort_by_key(|report| report.sequence);
            let durable = shared.index().position.last;
            reports.retain(|report| report.sequence <= durable);
            Ok(reports)
        })
        .await
    }

    /// The hub took over everything up to `through`. Ends what tombstones left whose reports were among them.
    ///
    /// # Errors
    /// When it is not durable.
    pub async fn ack_reports(&self, through: Sequence) -> Result<(), Error> {
        fault::before("agent.reports.acked");
        self.commit(move |draft| {
            let acked = through.min(draft.position.last);
            if acked <= draft.position.acked {
                return Ok(());
            }
            draft.position.acked = acked;
            let over: Vec<Uid> = draft
                .index
                .objects
                .iter()
                .filter(|(_, entry)| {
                    entry.retired.is_none()
                        && entry.is_over()
                        && entry.report.is_some_and(|report| report.sequence <= acked)
                })
                .map(|(uid, _)| *uid)
                .collect();
            for uid in over {
                intents::retire(draft, uid, acked)?;
            }
            for uid in draft.index.surplus_retired() {
                intents::forget(draft, uid);
            }
            Ok(())
        })
        .await?;
        fault::after("agent.reports.acked");
        Ok(())
    }

    /// Puts the last reports of `objects` into the outbox again. The hub has had reports of this store up to `received`:
    /// if that is more than were made here, the disk is that of an earlier day, and what is reported from now on gets
    /// later numbers. What waits under an earlier one is no report that the hub knows, and so among `objects`.
    ///
    /// # Errors
    /// When it is not durable.
    pub async fn resend_reports(&self, objects: Vec<Uid>, received: Sequence) -> Result<(), Error> {
        if self.shared.index().position.last < received {
            self.commit(move |draft| {
                draft.position.last = draft.position.last.max(received);
                Ok(())
            })
            .await?;
        }
        for uid in objects {
            self.commit(move |draft| match draft.index.objects.get(&uid).cloned() {
                Some(entry) => send_again(draft, uid, entry, None),
                None => Ok(()),
            })
            .await?;
        }
        Ok(())
    }

    /// Holds the newest sequence and changes with it.
    #[must_use]
    pub fn outbox_changed(&self) -> watch::Receiver<Sequence> {
        self.shared.outbox.subscribe()
    }
}
