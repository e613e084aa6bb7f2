use std::net::{Ipv4Addr, SocketAddr};

use vitistack_protocol::ids::{Generation, ObjectRef, Revision};
use vitistack_protocol::message::Extensions;
use vitistack_protocol::message::control::Held;
use vitistack_protocol::message::intent::Credentials;
use vitistack_protocol::message::numbered::{BodyKind, IntentOutcome};

use super::*;

mod conflict;

fn agent(name: &str) -> AgentName {
    AgentName::new("edge-west", name).unwrap()
}

fn uid(last: u8) -> Uid {
    Uid([last; 16])
}

fn fence(epoch: u64, revision: u64) -> Fence {
    Fence {
        epoch: HubEpoch(epoch),
        revision: Revision(revision),
    }
}

fn object(last: u8) -> ObjectRef {
    ObjectRef {
        uid: uid(last),
        namespace: "production".to_owned(),
        name: format!("m-{last}"),
    }
}

fn intent(last: u8, fence: Fence, body: u8) -> Intent {
    Intent {
        fence,
        object: object(last),
        generation: Generation(1),
        kind: BodyKind::Machine,
        body: vec![body],
        absent: false,
        secrets: Vec::new(),
        extensions: Extensions::default(),
    }
}

fn report(last: u8, sequence: u64) -> Report {
    Report {
        sequence: Sequence(sequence),
        object: object(last),
        fence: fence(1, 1),
        generation: Generation(1),
        kind: BodyKind::Machine,
        body: vec![sequence.to_le_bytes()[0]],
        gone: false,
        extensions: Extensions::default(),
    }
}

fn hello(epoch: u64, held: Vec<Held>) -> Hello {
    Hello {
        min_version: 1,
        max_version: 1,
        build: "test".to_owned(),
        capabilities: 0,
        boot: [1; 16],
        store: [2; 16],
        epoch: HubEpoch(epoch),
        held,
        outbox: (Sequence(0), Sequence(0)),
        extensions: Extensions::default(),
    }
}

fn holding(intent: &Intent) -> Held {
    Held {
        uid: intent.object.uid,
        fence: intent.fence,
        intent: intent.digest(),
        report: Digest::default(),
    }
}

fn connect(state: &mut State, agent: &AgentName, hello: &Hello) -> (u64, Vec<Uid>, Vec<Change>) {
    let info = info(agent);
    let (opened, changes) = state.open(hello, info, Standing::default());
    (opened.session, opened.resend, changes)
}

fn info(agent: &AgentName) -> SessionInfo {
    SessionInfo {
        agent: agent.clone(),
        session: 0,
        build: "test".to_owned(),
        connected_at: Timestamp::UNIX_EPOCH,
        remote: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
        health: None,
        conflict: None,
        certificate_until: Timestamp::UNIX_EPOCH,
    }
}

impl State {
    fn desire(&mut self, agent: &AgentName, intent: Intent) -> Vec<Change> {
        self.desire_or(agent, intent, None)
    }
}

fn ack(intent: &Intent, outcome: IntentOutcome, held: Fence) -> IntentAck {
    IntentAck {
        uid: intent.object.uid,
        fence: intent.fence,
        outcome,
        held,
    }
}

/// The fences of the intents in `work`.
fn intents(work: &[Work]) -> Vec<(Uid, Fence)> {
    work.iter()
        .filter_map(|work| match work {
            Work::Intent(intent) => Some((intent.object.uid, intent.fence)),
            Work::Secret(_) => None,
        })
        .collect()
}

#[test]
fn the_newest_fence_is_what_is_sent_and_only_once() {
    let (mut state, a) = (State::new(HubEpoch(1)), agent("a"));
    state.desire(&a, intent(1, fence(1, 2), 2));
    state.desire(&a, intent(1, fence(1, 1), 1));
    let (session, ..) = connect(&mut state, &a, &hello(0, Vec::new()));
    assert_eq!(intents(&state.next(&a, session)), [(uid(1), fence(1, 2))]);
    assert!(state.next(&a, session).is_empty());
    let sent = intent(1, fence(1, 2), 2);
    state.intent_acked(
        &a,
        session,
        &sent,
        ack(&sent, IntentOutcome::Stored, sent.fence),
        Instant::now(),
    );
    assert!(state.next(&a, session).is_empty());
    assert_eq!(state.held(uid(1)), Some(fence(1, 2)));
    state.desire(&a, intent(1, fence(1, 3), 3));
    assert_eq!(intents(&state.next(&a, session)), [(uid(1), fence(1, 3))]);
}

#[test]
fn a_reconnect_sends_only_what_differs() {
    let (mut state, a) = (State::new(HubEpoch(2)), agent("a"));
    let same = intent(1, fence(2, 5), 1);
    let other = intent(2, fence(2, 5), 2);
    state.desire(&a, same.clone());
    state.desire(&a, other.clone());
    // What the agent holds was sent by an earlier start of the hub, so the epochs differ.
    let mut held_same = holding(&same);
    held_same.fence = fence(1, 5);
    let mut held_other = holding(&other);
    held_other.fence = fence(1, 4);
    held_other.intent = Digest::of(b"older");
    let (session, _, changes) = connect(&mut state, &a, &hello(1, vec![held_same, held_other]));
    assert_eq!(intents(&state.next(&a, session)), [(uid(2), other.fence)]);
    assert!(changes.contains(&Change::Acked(
        uid(1),
        same.fence,
        IntentOutcome::AlreadyHeld
    )));
}

#[test]
fn secrets_go_before_the_intents_that_name_them() {
    let (mut state, a) = (State::new(HubEpoch(1)), agent("a"));
    let row = SecretRow::new(uid(9), b"pw".to_vec());
    let held = row.held();
    let mut named = intent(1, fence(1, 1), 1);
    named.secrets = vec![held.name];
    state.secret(&a, row);
    state.desire(&a, named);
    let (session, ..) = connect(&mut state, &a, &hello(0, Vec::new()));
    let work = state.next(&a, session);
    assert!(matches!(work.as_slice(), [Work::Secret(row)] if row.held() == held));
    assert!(state.next(&a, session).is_empty());
    state.secret_acked(&a, session, held);
    assert_eq!(intents(&state.next(&a, session)).len(), 1);
}

#[test]
fn a_secret_that_nobody_has_yet_does_not_hold_the_intent_back_and_follows_it() {
    let (mut state, a) = (State::new(HubEpoch(1)), agent("a"));
    let row = SecretRow::new(uid(9), b"pw".to_vec());
    let mut named = intent(1, fence(1, 1), 1);
    named.secrets = vec![row.name];
    state.desire(&a, named);
    let (session, ..) = connect(&mut state, &a, &hello(0, Vec::new()));
    assert_eq!(intents(&state.next(&a, session)).len(), 1);
    state.secret(&a, row);
    assert!(matches!(
        state.next(&a, session).as_slice(),
        [Work::Secret(_)]
    ));
}

#[test]
fn a_secret_is_dropped_with_the_last_intent_that_names_it() {
    let (mut state, a) = (State::new(HubEpoch(1)), agent("a"));
    let row = SecretRow::new(uid(9), b"pw".to_vec());
    for last in [1, 2] {
        let mut named = intent(last, fence(1, 1), 1);
        named.secrets = vec![row.name];
        state.secret(&a, row.clone());
        state.desire(&a, named);
    }
    state.forget(uid(1));
    assert_eq!(state.peers.get(&a).unwrap().secrets.len(), 1);
    state.desire(&a, intent(2, fence(1, 2), 1));
    assert!(state.peers.get(&a).unwrap().secrets.is_empty());
}

#[test]
fn a_secret_that_was_dropped_is_sent_again_when_it_is_named_again() {
    let (mut state, a) = (State::new(HubEpoch(1)), agent("a"));
    let row = SecretRow::new(uid(9), b"pw".to_vec());
    let (session, ..) = connect(&mut state, &a, &hello(0, Vec::new()));
    for object in [1, 2] {
        let mut named = intent(object, fence(1, 1), 1);
        named.secrets = vec![row.name];
        state.secret(&a, row.clone());
        state.desire(&a, named);
        let work = state.next(&a, session);
        assert!(
            matches!(work.as_slice(), [Work::Secret(_)]),
            "object {object}"
        );
        state.secret_acked(&a, session, row.held());
        state.forget(uid(object));
    }
}

fn password(password: &str) -> SecretRow {
    let credentials = Credentials {
        username: "admin".to_owned(),
        password: password.to_owned(),
    };
    SecretRow::of_credentials(uid(9), &credentials)
}

/// The digests of the secret rows in `work`, which holds nothing else.
fn rows(work: &[Work]) -> Vec<Digest> {
    let rows = work.iter().map(|work| match work {
        Work::Secret(row) => row.digest,
        Work::Intent(intent) => panic!("the intent of {} is sent", intent.object.name),
    });
    rows.collect()
}

/// Objects 1 and 2 use the credentials `row`, and the agent holds what it is to hold.
fn two_that_use(row: &SecretRow) -> (State, AgentName, Vec<Held>) {
    let (mut state, a) = (State::new(HubEpoch(1)), agent("a"));
    let mut held = Vec::new();
    for last in [1, 2] {
        let mut named = intent(last, fence(1, 1), 1);
        named.secrets = vec![row.name];
        held.push(holding(&named));
        state.secret(&a, row.clone());
        state.desire(&a, named);
    }
    (state, a, held)
}

#[test]
fn a_rotated_password_is_sent_once_and_no_intent_with_it() {
    let (old, new) = (password("old"), password("new"));
    let (mut state, a, held) = two_that_use(&old);
    let mut hello = hello(1, held);
    hello.extensions = Hello::extensions_for(&[old.held()]);
    let (session, ..) = connect(&mut state, &a, &hello);
    assert!(state.next(&a, session).is_empty());
    state.secret(&a, new.clone());
    assert_eq!(rows(&state.next(&a, session)), [new.digest]);
    assert!(state.next(&a, session).is_empty());
    state.secret_acked(&a, session, new.held());
    state.secret(&a, new);
    assert!(state.next(&a, session).is_empty());
}

#[test]
fn a_password_that_was_rotated_while_the_line_was_down_is_sent_when_it_is_back() {
    let (old, new) = (password("old"), password("new"));
    let (mut state, a, held) = two_that_use(&new);
    for (case, row, expected) in [("old", &old, vec![new.digest]), ("new", &new, Vec::new())] {
        let mut hello = hello(1, held.clone());
        hello.extensions = Hello::extensions_for(&[row.held()]);
        let (session, ..) = connect(&mut state, &a, &hello);
        assert_eq!(rows(&state.next(&a, session)), expected, "{case}");
    }
}

#[test]
fn a_password_that_changes_while_it_is_under_way_follows_the_older_one() {
    let (old, new) = (password("old"), password("new"));
    let (mut state, a, held) = two_that_use(&old);
    let (session, ..) = connect(&mut state, &a, &hello(1, held));
    assert_eq!(rows(&state.next(&a, session)), [old.digest]);
    state.secret(&a, new.clone());
    assert!(
        state.next(&a, session).is_empty(),
        "two at once could arrive in either order"
    );
    state.secret_acked(&a, session, old.held());
    assert_eq!(rows(&state.next(&a, session)), [new.digest]);
    state.secret_acked(&a, session, new.held());
    assert!(state.next(&a, session).is_empty());
}

#[test]
fn a_row_that_the_agent_says_it_lacks_is_sent_again() {
    let row = password("calvin");
    let (mut state, a, held) = two_that_use(&row);
    let mut hello = hello(1, held);
    hello.extensions = Hello::extensions_for(&[row.held()]);
    let (session, ..) = connect(&mut state, &a, &hello);
    assert!(state.next(&a, session).is_empty());
    state.missing(uid(2));
    assert_eq!(rows(&state.next(&a, session)), [row.digest]);
    state.secret_acked(&a, session, row.held());
    assert!(state.next(&a, session).is_empty());
}

#[test]
fn a_report_counts_only_from_the_agent_that_the_object_is_desired_at() {
    let (mut state, a, b) = (State::new(HubEpoch(1)), agent("a"), agent("b"));
    state.desire(&a, intent(1, fence(1, 1), 1));
    let (session, ..) = connect(&mut state, &b, &hello(0, Vec::new()));
    let changes = state.reports(&b, session, vec![report(1, 1)], Instant::now());
    assert!(changes.is_empty());
    assert_eq!(state.report(uid(1)), None);
    let (session, ..) = connect(&mut state, &a, &hello(0, Vec::new()));
    state.reports(&a, session, vec![report(1, 7)], Instant::now());
    let received = state.report(uid(1)).unwrap();
    assert_eq!(received.agent, a);
    assert_eq!(received.report.sequence, Sequence(7));
}

#[test]
fn a_report_that_came_before_its_controller_is_shown_when_the_object_is_desired() {
    let (mut state, a) = (State::new(HubEpoch(1)), agent("a"));
    let (session, ..) = connect(&mut state, &a, &hello(0, Vec::new()));
    state.reports(&a, session, vec![report(1, 1)], Instant::now());
    assert_eq!(state.report(uid(1)), None);
    let changes = state.desire(&a, intent(1, fence(1, 1), 1));
    assert!(changes.contains(&Change::Report(uid(1))));
    assert!(state.report(uid(1)).is_some());
    assert_eq!(state.ack_due(&a, session), None);
}

#[test]
fn acks_are_cumulative_and_stop_before_the_first_report_that_was_not_accepted() {
    let (mut state, a, now) = (State::new(HubEpoch(1)), agent("a"), Instant::now());
    for last in [1, 2, 3] {
        state.desire(&a, intent(last, fence(1, 1), last));
    }
    let (session, ..) = connect(&mut state, &a, &hello(0, Vec::new()));
    let batch = vec![report(1, 1), report(2, 2), report(3, 3)];
    state.reports(&a, session, batch, now);
    state.accepted(uid(3), Sequence(3));
    assert_eq!(state.ack_due(&a, session), None);
    state.accepted(uid(1), Sequence(1));
    assert_eq!(state.ack_due(&a, session), Some(Sequence(1)));
    assert_eq!(state.ack_due(&a, session), None);
    // A newer report of the second object replaces the one that held the acks back.
    state.reports(&a, session, vec![report(2, 4)], now);
    assert_eq!(state.ack_due(&a, session), Some(Sequence(3)));
    state.accepted(uid(2), Sequence(4));
    assert_eq!(state.ack_due(&a, session), Some(Sequence(4)));
}

#[test]
fn a_report_that_nobody_claims_holds_acks_back_only_for_a_while() {
    let (mut state, a, now) = (State::new(HubEpoch(1)), agent("a"), Instant::now());
    let (session, ..) = connect(&mut state, &a, &hello(0, Vec::new()));
    state.reports(&a, session, vec![report(1, 1)], now);
    state.sweep(now + UNCLAIMED / 2);
    assert_eq!(state.ack_due(&a, session), None);
    state.sweep(now + UNCLAIMED);
    assert_eq!(state.ack_due(&a, session), Some(Sequence(1)));
}

#[test]
fn an_agent_that_makes_objects_up_cannot_fill_the_hubs_memory() {
    let (mut state, a, now) = (State::new(HubEpoch(1)), agent("a"), Instant::now());
    state.desire(&a, intent(1, fence(1, 1), 1));
    let (session, ..) = connect(&mut state, &a, &hello(0, Vec::new()));
    for sequence in 1..20_000_u64 {
        let mut made_up = report(2, sequence);
        let (number, _) = made_up.object.uid.0.split_first_chunk_mut().unwrap();
        *number = sequence.to_be_bytes();
        state.reports(&a, session, vec![made_up], now);
    }
    assert!(state.peers.get(&a).unwrap().reports.len() < 10_000);
    // What is desired here still gets through.
    state.reports(&a, session, vec![report(1, 30_000)], now);
    assert!(state.report(uid(1)).is_some());
}

#[test]
fn a_later_session_supersedes_and_the_earlier_one_can_do_nothing_more() {
    let (mut state, a) = (State::new(HubEpoch(1)), agent("a"));
    state.desire(&a, intent(1, fence(1, 1), 1));
    let first = Standing::default();
    let info = || SessionInfo {
        agent: a.clone(),
        session: 0,
        build: String::new(),
        connected_at: Timestamp::UNIX_EPOCH,
        remote: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
        health: None,
        conflict: None,
        certificate_until: Timestamp::UNIX_EPOCH,
    };
    let old = state
        .open(&hello(0, Vec::new()), info(), first.clone())
        .0
        .session;
    let second = state.open(&hello(0, Vec::new()), info(), Standing::default());
    let new = second.0.session;
    assert_eq!(first.over(), Some(Over::Superseded));
    assert!(state.next(&a, old).is_empty());
    assert!(
        state
            .reports(&a, old, vec![report(1, 1)], Instant::now())
            .is_empty()
    );
    assert!(state.close(&a, old).is_empty());
    assert_eq!(state.sessions().len(), 1);
    assert_eq!(intents(&state.next(&a, new)).len(), 1);
}

#[test]
fn a_refused_intent_is_not_repeated_but_a_full_store_is_asked_again_later() {
    for (outcome, again) in [
        (IntentOutcome::NotUnderstood, 0),
        (IntentOutcome::ContentDiffers, 0),
        (IntentOutcome::StoreFull, 1),
    ] {
        let (mut state, a, now) = (State::new(HubEpoch(1)), agent("a"), Instant::now());
        let sent = intent(1, fence(1, 1), 1);
        state.desire(&a, sent.clone());
        let (session, ..) = connect(&mut state, &a, &hello(0, Vec::new()));
        state.next(&a, session);
        state.intent_acked(&a, session, &sent, ack(&sent, outcome, fence(0, 0)), now);
        assert!(state.next(&a, session).is_empty(), "{outcome:?}");
        state.sweep(now + Duration::from_secs(60));
        assert_eq!(state.next(&a, session).len(), again, "{outcome:?}");
    }
}

#[test]
fn the_hub_asks_again_for_reports_that_it_does_not_know() {
    let (mut state, a) = (State::new(HubEpoch(1)), agent("a"));
    let known = report(1, 1);
    let held = |last: u8, report: Digest| Held {
        report,
        ..holding(&intent(last, fence(1, 1), last))
    };
    let all = vec![
        held(1, known.digest()),
        held(2, Digest::of(b"never seen")),
        held(3, Digest::default()),
    ];
    let (session, resend, _) = connect(&mut state, &a, &hello(0, all.clone()));
    assert_eq!(resend, [uid(1), uid(2)]);
    state.reports(&a, session, vec![known], Instant::now());
    let (_, resend, _) = connect(&mut state, &a, &hello(0, all));
    assert_eq!(resend, [uid(2)]);
}

#[test]
fn another_store_starts_its_numbers_anew() {
    let (mut state, a) = (State::new(HubEpoch(1)), agent("a"));
    state.desire(&a, intent(1, fence(1, 1), 1));
    let (session, ..) = connect(&mut state, &a, &hello(0, Vec::new()));
    state.reports(&a, session, vec![report(1, 500)], Instant::now());
    state.accepted(uid(1), Sequence(500));
    let mut emptied = hello(0, Vec::new());
    emptied.store = [9; 16];
    let (session, ..) = connect(&mut state, &a, &emptied);
    assert_eq!(state.report(uid(1)), None);
    assert_eq!(state.ack_due(&a, session), None);
    state.reports(&a, session, vec![report(1, 1)], Instant::now());
    assert_eq!(state.report(uid(1)).unwrap().report.sequence, Sequence(1));
    state.accepted(uid(1), Sequence(1));
    assert_eq!(state.ack_due(&a, session), Some(Sequence(1)));
}

#[test]
fn no_more_than_the_agent_grants_is_under_way() {
    let (mut state, a) = (State::new(HubEpoch(1)), agent("a"));
    for last in 0..40 {
        state.desire(&a, intent(last, fence(1, 1), last));
    }
    let (session, ..) = connect(&mut state, &a, &hello(0, Vec::new()));
    assert_eq!(state.next(&a, session).len(), IN_FLIGHT);
    assert!(state.next(&a, session).is_empty());
}
