use super::*;

fn held_by(holder: &str, renewed: i64) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(holder.to_owned()),
        lease_duration_seconds: Some(15),
        renew_time: jiff::Timestamp::from_second(renewed).ok().map(MicroTime),
        ..LeaseSpec::default()
    }
}

#[test]
fn a_lease_of_somebody_else_is_taken_only_after_we_saw_no_renewal_for_its_duration() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    // The holder's clock is years behind ours: only our own waiting counts.
    let (decision, seen) = decide(None, &held_by("other", 1), "we", at(0));
    assert_eq!(decision, Decision::Wait);
    let (decision, seen) = decide(Some(seen), &held_by("other", 1), "we", at(14));
    assert_eq!(decision, Decision::Wait);
    let (decision, seen) = decide(Some(seen), &held_by("other", 6), "we", at(15));
    assert_eq!(decision, Decision::Wait, "a renewal starts the wait again");
    let (decision, _) = decide(Some(seen), &held_by("other", 6), "we", at(30));
    assert_eq!(decision, Decision::Take);
}

#[test]
fn a_lease_that_is_ours_or_was_given_up_is_taken_at_once() {
    for holder in ["we", ""] {
        let (decision, _) = decide(None, &held_by(holder, 1), "we", Instant::now());
        assert_eq!(decision, Decision::Take, "{holder:?}");
    }
}
