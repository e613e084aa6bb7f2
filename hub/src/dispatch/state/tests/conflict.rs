use super::*;

#[test]
fn a_hub_behind_its_agent_dispatches_nothing() {
    let (mut state, a) = (State::new(HubEpoch(3)), agent("a"));
    state.desire(&a, intent(1, fence(3, 1), 1));
    let (session, ..) = connect(&mut state, &a, &hello(4, Vec::new()));
    assert!(state.next(&a, session).is_empty());
    let conflict = state.sessions()[0].conflict.unwrap();
    assert_eq!(
        (conflict.object, conflict.hub.epoch, conflict.agent.epoch),
        (None, HubEpoch(3), HubEpoch(4))
    );
}

#[test]
fn a_newer_revision_at_the_agent_is_a_conflict_even_under_a_newer_epoch() {
    let (mut state, a) = (State::new(HubEpoch(3)), agent("a"));
    let (session, ..) = connect(
        &mut state,
        &a,
        &hello(2, vec![holding(&intent(1, fence(2, 9), 9))]),
    );
    let changes = state.desire(&a, intent(1, fence(3, 4), 4));
    assert!(changes.contains(&Change::Session(a.clone())));
    assert!(state.next(&a, session).is_empty());
    assert_eq!(
        state.sessions()[0].conflict,
        Some(Conflict {
            object: Some(uid(1)),
            hub: fence(3, 4),
            agent: fence(2, 9)
        })
    );
}

#[test]
fn other_content_under_a_held_revision_is_a_conflict_too() {
    let (mut state, a) = (State::new(HubEpoch(3)), agent("a"));
    state.desire(&a, intent(1, fence(3, 4), 4));
    let (session, ..) = connect(
        &mut state,
        &a,
        &hello(2, vec![holding(&intent(1, fence(2, 4), 9))]),
    );
    assert!(state.next(&a, session).is_empty());
    assert_eq!(state.sessions()[0].conflict.unwrap().object, Some(uid(1)));
}

/// A hub at epoch 3 with one restored object, resumed from an agent at epoch 9 that holds a later one.
fn resumed(accept: Accept) -> (State, AgentName, u64, Vec<Change>) {
    let (mut state, a) = (State::new(HubEpoch(3)), agent("a"));
    state.desire(&a, intent(1, fence(3, 4), 4));
    let held = hello(9, vec![holding(&intent(1, fence(9, 7), 7))]);
    let (_, _, changes) = connect(&mut state, &a, &held);
    assert_eq!(changes, [Change::Session(a.clone())]);
    state.resume(&a, accept, HubEpoch(10));
    let (session, _, changes) = connect(&mut state, &a, &held);
    (state, a, session, changes)
}

#[test]
fn who_resumes_a_session_makes_the_agent_dial_again() {
    let (mut state, a, standing) = (State::new(HubEpoch(3)), agent("a"), Standing::default());
    state.open(&hello(9, Vec::new()), info(&a), standing.clone());
    assert_eq!(standing.over(), None);
    state.resume(&a, Accept::Hub, HubEpoch(10));
    assert_eq!(standing.over(), Some(Over::Resumed));
    assert_eq!(state.epoch(), HubEpoch(10));
}

#[test]
fn after_the_choice_the_object_waits_for_its_revision_and_then_goes_on() {
    let (mut state, a, session, changes) = resumed(Accept::Hub);
    assert_eq!(state.sessions()[0].conflict, None);
    assert!(changes.contains(&Change::Ahead(uid(1))));
    assert!(state.next(&a, session).is_empty());
    assert_eq!(
        state.ahead(uid(1)),
        Some(Ahead {
            revision: Revision(7),
            content: intent(1, fence(9, 7), 7).digest(),
            accept: Accept::Hub
        })
    );
    assert_eq!(state.unsettled(&a), [uid(1)]);
    state.desire(&a, intent(1, fence(10, 8), 4));
    assert_eq!(intents(&state.next(&a, session)), [(uid(1), fence(10, 8))]);
    assert_eq!(state.ahead(uid(1)), None);
    assert!(state.unsettled(&a).is_empty());
}

#[test]
fn what_a_person_let_stand_is_not_sent_over() {
    let (mut state, a, session, _) = resumed(Accept::Agents);
    let theirs = intent(1, fence(9, 7), 7).digest();
    let changes = state.desire_or(&a, intent(1, fence(10, 7), 4), Some(theirs));
    assert_eq!(
        changes,
        [Change::Acked(
            uid(1),
            fence(10, 7),
            IntentOutcome::AlreadyHeld
        )]
    );
    assert!(state.next(&a, session).is_empty());
    assert!(state.unsettled(&a).is_empty());
    state.accept(&a, None);
    state.desire(&a, intent(1, fence(10, 8), 5));
    assert_eq!(intents(&state.next(&a, session)), [(uid(1), fence(10, 8))]);
}

#[test]
fn objects_without_a_difference_go_on_under_the_new_epoch() {
    let (mut state, a) = (State::new(HubEpoch(3)), agent("a"));
    state.desire(&a, intent(1, fence(3, 1), 1));
    connect(&mut state, &a, &hello(9, Vec::new()));
    state.resume(&a, Accept::Agents, HubEpoch(10));
    let (session, ..) = connect(&mut state, &a, &hello(9, Vec::new()));
    assert_eq!(intents(&state.next(&a, session)), [(uid(1), fence(10, 1))]);
}
