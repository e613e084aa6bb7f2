//! How the journal grows: pure functions from one journal to the next.
//!
//! Of one step in one attempt at most one `AboutTo` and one `Done` are kept, the newest, so that a journal is bounded by
//! steps times attempts.

use vitistack_drivers::driver::Step;
use vitistack_drivers::journal::{Journal, Mark, Stage};
use vitistack_protocol::ids::OperationId;

/// The journal before `step` is carried out; `None` if it stands so already, because the step was begun before a crash
/// or a failure and is resumed.
pub(crate) fn begun<S: Step>(
    journal: &Journal,
    step: &S,
    operation: OperationId,
) -> Option<Journal> {
    let mut next = if journal.operation == Some(operation) {
        journal.clone()
    } else {
        Journal {
            operation: Some(operation),
            attempt: 0,
            marks: Vec::new(),
        }
    };
    let note = step.note();
    let open = next
        .newest(step.number())
        .is_some_and(|mark| mark.stage == Stage::AboutTo);
    if open
        && next
            .newest(step.number())
            .is_some_and(|mark| mark.note == note)
    {
        return None;
    }
    if step.begins_attempt() && !open || next.attempt == 0 {
        next.attempt = next.attempt.saturating_add(1);
    }
    append(&mut next, step.number(), Stage::AboutTo, note);
    Some(next)
}

/// The journal after `step` of the current attempt was carried out.
pub(crate) fn done(journal: &Journal, step: u16, note: Vec<u8>) -> Journal {
    let mut next = journal.clone();
    append(&mut next, step, Stage::Done, note);
    next
}

fn append(journal: &mut Journal, step: u16, stage: Stage, note: Vec<u8>) {
    let attempt = journal.attempt;
    journal
        .marks
        .retain(|mark| (mark.step, mark.attempt, mark.stage) != (step, attempt, stage));
    journal.marks.push(Mark {
        step,
        attempt,
        stage,
        note,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fake {
        number: u16,
        begins: bool,
        note: &'static str,
    }

    impl Step for Fake {
        fn number(&self) -> u16 {
            self.number
        }
        fn name(&self) -> &'static str {
            "fake"
        }
        fn operation(&self) -> Option<OperationId> {
            Some(OPERATION)
        }
        fn begins_attempt(&self) -> bool {
            self.begins
        }
        fn note(&self) -> Vec<u8> {
            self.note.into()
        }
    }

    const OPERATION: OperationId = OperationId([1; 16]);
    const FIRST: Fake = Fake {
        number: 1,
        begins: true,
        note: "url",
    };
    const SECOND: Fake = Fake {
        number: 2,
        begins: false,
        note: "",
    };

    #[test]
    fn a_resumed_step_is_neither_marked_twice_nor_a_new_attempt() {
        let journal = begun(&Journal::default(), &FIRST, OPERATION).unwrap();
        assert_eq!(journal.attempt, 1);
        assert_eq!(begun(&journal, &FIRST, OPERATION), None);
    }

    #[test]
    fn a_step_that_begins_an_attempt_raises_it_once_it_was_done_before() {
        let journal = begun(&Journal::default(), &FIRST, OPERATION).unwrap();
        let journal = done(&journal, 1, b"out".to_vec());
        let journal = begun(&journal, &SECOND, OPERATION).unwrap();
        assert_eq!(journal.attempt, 1);
        let journal = begun(&journal, &FIRST, OPERATION).unwrap();
        assert_eq!(journal.attempt, 2);
        assert!(!journal.done(1), "the new attempt has done nothing yet");
        assert!(journal.ever_begun(2));
    }

    #[test]
    fn another_operation_starts_with_an_empty_journal() {
        let journal = done(
            &begun(&Journal::default(), &FIRST, OPERATION).unwrap(),
            1,
            Vec::new(),
        );
        let other = OperationId([2; 16]);
        let next = begun(&journal, &SECOND, other).unwrap();
        assert_eq!((next.operation, next.attempt), (Some(other), 1));
        assert_eq!(next.marks.len(), 1);
    }

    #[test]
    fn a_step_that_is_repeated_for_ever_does_not_grow_the_journal() {
        let mut journal = begun(&Journal::default(), &FIRST, OPERATION).unwrap();
        for _ in 0..100 {
            journal = begun(&journal, &SECOND, OPERATION).unwrap_or(journal);
            journal = done(&journal, 2, Vec::new());
        }
        assert_eq!(journal.marks.len(), 3);
        assert!(journal.done(2));
    }
}
