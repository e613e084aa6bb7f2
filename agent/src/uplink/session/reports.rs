//! Sends what the outbox holds, in order, on one one-way stream a session.
//!
//! One stream and not one a batch, because acks are cumulative: a batch that overtook another would be acked for both.

use std::sync::Arc;

use vitistack_fault as fault;
use vitistack_protocol::codec::BATCH;
use vitistack_protocol::ids::Sequence;
use vitistack_protocol::message::control::ReportBatch;
use vitistack_protocol::message::report::Report;
use vitistack_protocol::transport::{Connection, Priority};

use crate::uplink::Error;
use crate::uplink::ports::Outbox;

/// Bytes of bodies in one batch, well below the cap of the message. A single report may be longer.
const BATCH_BYTES: usize = 1024 * 1024;

pub(super) async fn run<O: Outbox>(connection: Connection, outbox: Arc<O>) -> Result<(), Error> {
    let line = |source| Error::Line {
        operation: "send reports",
        source,
    };
    let mut stream = None;
    let mut changed = outbox.changed();
    let mut sent = Sequence(0);
    loop {
        // Marked as seen before the outbox is read, so that a report that comes in between wakes us again.
        changed.borrow_and_update();
        let waiting = outbox.next(sent, BATCH).await?;
        if waiting.is_empty() {
            if changed.changed().await.is_err() {
                // The store is gone: the agent stops.
                return Ok(());
            }
            continue;
        }
        let sender = match &mut stream {
            Some(sender) => sender,
            none => none.insert(
                connection
                    .open_one_way(Priority::Report)
                    .await
                    .map_err(line)?,
            ),
        };
        for reports in batches(waiting) {
            let last = reports.last().map(|report| report.sequence);
            fault::before("agent.reports.send");
            sender.send(&ReportBatch { reports }).await.map_err(line)?;
            fault::after("agent.reports.send");
            sent = last.unwrap_or(sent);
        }
    }
}

/// Splits by size, keeping the order.
fn batches(waiting: Vec<Report>) -> Vec<Vec<Report>> {
    let mut batches: Vec<Vec<Report>> = Vec::new();
    let mut room = 0;
    for report in waiting {
        let size = report.body.len() + 1024;
        match batches.last_mut() {
            Some(batch) if size <= room => {
                room -= size;
                batch.push(report);
            }
            _ => {
                room = BATCH_BYTES.saturating_sub(size);
                batches.push(vec![report]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests;
