//! What the journal says of one operation, read once.

use std::net::IpAddr;

use serde::de::DeserializeOwned;
use vitistack_protocol::ids::{Digest, OperationId};
use vitistack_protocol::message::report::Inventory;

use super::step::{Attempt, Failure, INVENTORY_PARTS, Written, number};
use crate::journal::{Journal, Stage};

/// Whether something that the world does not show was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Begun {
    /// Never begun in this attempt.
    #[default]
    No,
    /// It may have happened: the agent ended in the middle.
    Maybe,
    /// It happened.
    Yes,
}

/// The record of one operation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    /// Tries so far.
    pub(crate) attempt: u8,
    /// What the newest try was to do.
    pub(crate) begun: Option<Attempt>,
    /// The same, also if the agent died before it was marked done. The journal of the operation before is gone by then.
    pub(crate) intended: Option<Attempt>,
    pub(crate) installer: Begun,
    /// What the installer was started to put on the disk; `None` from an agent that did not write it down.
    pub(crate) inputs: Option<Digest>,
    /// The installer wrote in the newest try.
    pub(crate) writing: bool,
    pub(crate) written: Option<Written>,
    pub(crate) failure: Option<Failure>,
    pub(crate) guest: Begun,
    /// Where the guest phoned home from.
    pub(crate) phoned_home: Option<IpAddr>,
    /// Where the guest answered a probe.
    pub(crate) probed: Option<IpAddr>,
    pub(crate) wiped: bool,
    /// The inspection was brought to its end.
    pub(crate) ended: bool,
    /// Some try began to start the installer.
    pub(crate) ever_started: bool,
    /// Some try wrote to a disk.
    pub(crate) ever_wrote: bool,
}

impl Record {
    /// What `journal` says of `operation`; nothing, if it is another one's.
    pub(crate) fn read(journal: &Journal, operation: OperationId) -> Self {
        if journal.operation != Some(operation) {
            return Self::default();
        }
        let begun = |step| match journal.newest(step).map(|mark| mark.stage) {
            None => Begun::No,
            Some(Stage::AboutTo) => Begun::Maybe,
            Some(Stage::Done) => Begun::Yes,
        };
        let intended: Option<Attempt> = noted(journal, number::BEGIN);
        Self {
            attempt: journal.attempt,
            // An attempt that the agent died in the middle of beginning is begun again, with other URLs.
            begun: intended.clone().filter(|_| journal.done(number::BEGIN)),
            intended,
            installer: begun(number::START_INSTALLER),
            inputs: noted(journal, number::START_INSTALLER),
            // A record's act does nothing, so about to record is recorded.
            writing: journal.newest(number::RECORD_WRITING).is_some(),
            written: noted(journal, number::RECORD_WRITTEN),
            failure: noted(journal, number::RECORD_FAILURE),
            guest: begun(number::START_GUEST),
            phoned_home: noted(journal, number::PHONED_HOME),
            probed: noted(journal, number::RECORD_PROBE),
            wiped: journal.newest(number::RECORD_WIPED).is_some(),
            ended: journal.newest(number::END_INSPECTION).is_some(),
            ever_started: journal.ever_begun(number::START_INSTALLER),
            ever_wrote: journal.ever_begun(number::RECORD_WRITING)
                || journal.ever_begun(number::RECORD_WRITTEN),
        }
    }

    /// Tries with the newest fingerprint.
    pub(crate) fn tries(&self) -> u8 {
        self.begun.as_ref().map_or(0, |attempt| {
            self.attempt.saturating_sub(attempt.first).saturating_add(1)
        })
    }
}

/// The newest note of `step` in the newest attempt that holds a `T`.
fn noted<T: DeserializeOwned>(journal: &Journal, step: u16) -> Option<T> {
    journal
        .marks
        .iter()
        .rev()
        .filter(|mark| mark.step == step && mark.attempt == journal.attempt)
        .find_map(|mark| postcard::from_bytes(&mark.note).ok())
}

/// The inventory that an inspection recorded, once its last part is there.
pub(crate) fn inspected(journal: &Journal, operation: OperationId) -> Option<Inventory> {
    if journal.operation != Some(operation) {
        return None;
    }
    let mut bytes = Vec::new();
    for part in 0..INVENTORY_PARTS {
        let step = number::RECORD_INSPECTED + u16::try_from(part).ok()?;
        let Some(mark) = journal.marks.iter().rev().find(|mark| {
            mark.step == step && mark.attempt == journal.attempt && !mark.note.is_empty()
        }) else {
            break;
        };
        bytes.extend_from_slice(&mark.note);
    }
    // Too few parts do not decode: postcard's strings and lists carry their lengths.
    postcard::from_bytes(&bytes).ok()
}
