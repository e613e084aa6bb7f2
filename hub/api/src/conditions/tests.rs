use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;

use super::*;

fn at(second: i64) -> Time {
    Time(Timestamp::from_second(second).expect("in range"))
}

fn ready(state: State, reason: Reason, message: &str) -> Statement {
    Statement {
        kind: types::READY,
        state,
        reason,
        message: message.to_owned(),
    }
}

#[test]
fn the_transition_time_moves_only_with_the_status() {
    let mut list = Vec::new();
    assert!(set(
        &mut list,
        ready(State::False, Reason::Progressing, "a"),
        1,
        &at(10)
    ));
    assert!(set(
        &mut list,
        ready(State::False, Reason::BmcUnreachable, "b"),
        2,
        &at(20)
    ));
    assert_eq!(list[0].last_transition_time, at(10));
    assert_eq!(list[0].reason, "BMCUnreachable");
    assert_eq!(list[0].observed_generation, Some(2));
    assert!(set(
        &mut list,
        ready(State::True, Reason::AsExpected, ""),
        2,
        &at(30)
    ));
    assert_eq!(list[0].last_transition_time, at(30));
}

#[test]
fn saying_the_same_again_changes_nothing() {
    let mut list = Vec::new();
    assert!(set(
        &mut list,
        ready(State::True, Reason::AsExpected, "x"),
        1,
        &at(1)
    ));
    assert!(!set(
        &mut list,
        ready(State::True, Reason::AsExpected, "x"),
        1,
        &at(99)
    ));
}

#[test]
fn conditions_are_kept_in_the_order_of_their_types() {
    let mut list = Vec::new();
    for kind in [types::STALLED, types::READY, types::AVAILABLE] {
        let statement = Statement {
            kind,
            ..ready(State::True, Reason::AsExpected, "")
        };
        assert!(set(&mut list, statement, 1, &at(1)));
    }
    let kinds: Vec<_> = list.iter().map(|known| known.type_.as_str()).collect();
    assert_eq!(kinds, ["Available", "Ready", "Stalled"]);
    assert!(remove(&mut list, types::READY));
    assert!(!remove(&mut list, types::READY));
    assert!(find(&list, types::READY).is_none());
    assert!(is_true(&list, types::STALLED));
}

#[test]
fn a_message_is_cut_to_what_the_schema_takes() {
    let mut list = Vec::new();
    set(
        &mut list,
        ready(State::True, Reason::AsExpected, &"ä".repeat(20_000)),
        1,
        &at(1),
    );
    assert_eq!(list[0].message.len(), 32768);
}

#[test]
fn every_reason_has_a_name_of_its_own_and_an_advice() {
    let names: BTreeSet<_> = Reason::all().map(Reason::as_str).collect();
    assert_eq!(names.len(), Reason::all().count());
    for reason in Reason::all() {
        assert!(!reason.what_to_do().is_empty(), "{reason:?}");
        assert!(!reason.meaning().is_empty(), "{reason:?}");
        assert_eq!(Reason::parse(reason.as_str()), Some(reason));
    }
}
