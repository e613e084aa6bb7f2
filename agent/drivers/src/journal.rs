//! What the executor remembers of one object across restarts: the write-ahead journal of its operations.
//!
//! The executor is its only writer. Before an act it appends an [`Stage::AboutTo`] mark, syncs, acts, and appends
//! [`Stage::Done`] with the note that the act returned. A driver reads it in `plan`: a step that is marked `AboutTo`
//! without `Done` may or may not have happened, and the plan must be right in both cases.

use serde::{Deserialize, Serialize};
use vitistack_protocol::ids::OperationId;

/// Marks of the newest operation of one object, oldest first, and how often it was tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// The operation that `marks` belong to; a new one starts with no marks.
    pub operation: Option<OperationId>,
    /// Tries of that operation, from 1; 0 before the first. A step with [`StepKind::begins_attempt`] raises it.
    ///
    /// [`StepKind::begins_attempt`]: crate::driver::Step::begins_attempt
    pub attempt: u8,
    /// What was begun and what was done in this attempt, and what earlier attempts left (see [`Mark::attempt`]).
    pub marks: Vec<Mark>,
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The driver's number of the step; numbers are never reused for another meaning.
    pub step: u16,
    /// The attempt that it belongs to.
    pub attempt: u8,
    /// Begun or done.
    pub stage: Stage,
    /// What the driver wants to find again: with `AboutTo` what it decided (a capability), with `Done` what came out.
    /// At most 1 KiB, never a BMC credential.
    pub note: Vec<u8>,
}

/// Begun or done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// The act may have happened.
    AboutTo,
    /// The act happened and returned.
    Done,
}

impl Journal {
    /// The newest mark of `step` in the current attempt.
    #[must_use]
    pub fn newest(&self, step: u16) -> Option<&Mark> {
        self.marks
            .iter()
            .rev()
            .find(|mark| mark.step == step && mark.attempt == self.attempt)
    }

    /// Whether `step` is marked done in the current attempt.
    #[must_use]
    pub fn done(&self, step: u16) -> bool {
        self.newest(step)
            .is_some_and(|mark| mark.stage == Stage::Done)
    }

    /// Whether `step` was ever begun in this operation, in any attempt.
    #[must_use]
    pub fn ever_begun(&self, step: u16) -> bool {
        self.marks.iter().any(|mark| mark.step == step)
    }
}
