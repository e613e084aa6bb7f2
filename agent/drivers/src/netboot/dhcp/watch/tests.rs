use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::{Verdict, Watch};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// Lets time run to the end of a round; returns how many questions were asked on the way.
fn round(watch: &mut Watch, now: &mut Instant) -> u32 {
    let mut asked = 0;
    loop {
        *now = (*now).max(watch.next());
        if watch.tick(*now) {
            asked += 1;
        } else {
            return asked;
        }
    }
}

#[test]
fn it_is_clear_only_after_a_whole_round_without_an_answer() {
    let mut now = Instant::now();
    let begin = now;
    let mut watch = Watch::new(now);
    assert_eq!(watch.verdict(), Verdict::Looking);
    assert_eq!(round(&mut watch, &mut now), 4);
    assert_eq!(watch.verdict(), Verdict::Clear);
    assert_eq!(now - begin, Duration::from_secs(5));
    assert_eq!(watch.next() - now, Duration::from_secs(60));
}

#[test]
fn an_answer_counts_until_a_round_without_one() {
    let mut now = Instant::now();
    let mut watch = Watch::new(now);
    assert!(watch.tick(now));
    watch.heard(SERVER, now);
    round(&mut watch, &mut now);
    assert_eq!(watch.verdict(), Verdict::Foreign(SERVER));
    assert_eq!(watch.next() - now, Duration::from_secs(10));
    round(&mut watch, &mut now);
    assert_eq!(watch.verdict(), Verdict::Clear);
}

#[test]
fn an_offer_to_somebody_else_silences_at_once() {
    let mut now = Instant::now();
    let mut watch = Watch::new(now);
    round(&mut watch, &mut now);
    watch.heard(SERVER, now);
    assert_eq!(watch.verdict(), Verdict::Foreign(SERVER));
    assert_eq!(watch.next() - now, Duration::from_secs(10));
}

#[test]
fn a_suspicion_asks_at_once() {
    let mut now = Instant::now();
    let mut watch = Watch::new(now);
    round(&mut watch, &mut now);
    assert!(!watch.tick(now));
    watch.suspect(now);
    assert!(watch.tick(now));
    assert_eq!(watch.verdict(), Verdict::Clear);
}
