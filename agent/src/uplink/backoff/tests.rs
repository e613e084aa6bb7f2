use super::*;

const SHORT: Duration = Duration::from_secs(1);

#[test]
fn the_first_try_comes_within_half_a_second_of_a_reset_and_a_second_of_a_stop() {
    for (cause, longest) in [(Cause::Restarted, 500), (Cause::Stopped, 1000)] {
        for random in [0.0, 0.5, 1.0] {
            let wait = Backoff::default().delay(cause, GOOD, random);
            assert_eq!(wait, Duration::from_millis(longest).mul_f64(random));
        }
    }
}

#[test]
fn failures_double_the_ceiling_up_to_the_cap() {
    let mut backoff = Backoff::default();
    let waits: Vec<u64> = (0..9)
        .map(|_| backoff.delay(Cause::Failed, SHORT, 1.0).as_secs())
        .collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
}

#[test]
fn jitter_is_full() {
    let mut backoff = Backoff { failures: 5 };
    assert_eq!(backoff.delay(Cause::Failed, SHORT, 0.0), Duration::ZERO);
}

#[test]
fn a_good_session_starts_anew_and_a_short_one_does_not() {
    let mut backoff = Backoff { failures: 5 };
    assert_eq!(backoff.delay(Cause::Restarted, SHORT, 1.0).as_secs(), 32);
    assert_eq!(backoff.delay(Cause::Stopped, GOOD, 1.0).as_secs(), 1);
    assert_eq!(backoff.delay(Cause::Restarted, SHORT, 1.0).as_secs(), 2);
}

#[test]
fn a_refusal_is_asked_again_slowly() {
    let mut backoff = Backoff::default();
    for random in [0.0, 1.0] {
        let wait = backoff.delay(Cause::Refused, SHORT, random);
        assert!((30..=60).contains(&wait.as_secs()), "{wait:?}");
    }
}

#[test]
fn a_new_token_is_found_within_seconds() {
    let wait = Backoff::default().delay(Cause::NotJoined, SHORT, 1.0);
    assert!((1..=6).contains(&wait.as_secs()), "{wait:?}");
}

#[test]
fn every_ending_has_its_cause() {
    let closed = |code| Ending::Closed {
        code,
        message: String::new(),
    };
    for (ending, cause) in [
        (Ending::Reset, Cause::Restarted),
        (Ending::Silent, Cause::Failed),
        (closed(Some(CloseCode::Shutdown)), Cause::Stopped),
        (closed(Some(CloseCode::Done)), Cause::Again),
        (closed(Some(CloseCode::Revoked)), Cause::Refused),
        (closed(Some(CloseCode::Superseded)), Cause::Failed),
        (closed(None), Cause::Failed),
    ] {
        assert_eq!(Cause::of(&ending), cause, "{ending:?}");
    }
}
