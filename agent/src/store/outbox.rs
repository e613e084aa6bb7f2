//! The order of reports: each new one, and each that is told again, takes the place at the end.

use vitistack_protocol::ids::{Fence, Sequence, Uid};
use vitistack_protocol::message::report::Report;

use super::commit::Draft;
use super::error::Error;
use super::index::{Change, Entry};
use super::rows::{self, ReportRow, Table};
use super::scan::reported_of;

/// Gives the last report of an object a new place at the end, under `fence` if one is given. Writes `entry` either way.
pub(crate) fn send_again(
    draft: &mut Draft<'_>,
    uid: Uid,
    entry: Entry,
    fence: Option<Fence>,
) -> Result<(), Error> {
    let row = draft.read::<ReportRow>(&rows::object_key(Table::Report, uid))?;
    match row {
        Some(ReportRow { mut report, .. }) => {
            report.fence = fence.unwrap_or(report.fence);
            enqueue(draft, uid, entry, report)
        }
        None => {
            draft.change(Change::Object(uid, Some(entry)));
            Ok(())
        }
    }
}

/// Puts `report` at the end, as the newest of its object.
pub(crate) fn enqueue(
    draft: &mut Draft<'_>,
    uid: Uid,
    mut entry: Entry,
    mut report: Report,
) -> Result<(), Error> {
    let sequence = Sequence(draft.position.last.0 + 1);
    draft.position.last = sequence;
    report.sequence = sequence;
    let row = ReportRow {
        digest: report.digest(),
        report,
    };
    entry.report = Some(reported_of(&row));
    draft.put(rows::object_key(Table::Report, uid), &row)?;
    draft.change(Change::Object(uid, Some(entry)));
    Ok(())
}
