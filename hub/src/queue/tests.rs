use super::*;

fn key(name: &str) -> Key {
    Key {
        kind: Kind::Machine,
        namespace: "edge".into(),
        name: name.into(),
    }
}

fn taken(schedule: &mut Schedule, now: Instant) -> Vec<String> {
    let mut names = Vec::new();
    while let Ok(job) = schedule.take(now) {
        names.push(job.key.name);
    }
    names
}

#[test]
fn new_objects_go_before_updates_then_accounts_then_resync() {
    let now = Instant::now();
    let mut schedule = Schedule::default();
    schedule.add(key("account"), Priority::Account, now);
    schedule.add(key("resync"), Priority::Resync, now);
    schedule.add(key("update"), Priority::Update, now);
    let now = now + REST;
    schedule.add(key("new"), Priority::NewOrDeleted, now);
    schedule.add(key("update-2"), Priority::Update, now);
    assert_eq!(
        taken(&mut schedule, now),
        ["new", "update", "update-2", "account", "resync"]
    );
}

#[test]
fn an_account_rests_once_and_is_told_with_what_comes_meanwhile() {
    let now = Instant::now();
    let later = now + REST / 2;
    let mut schedule = Schedule::default();
    for name in ["alone", "told with news"] {
        schedule.add(key(name), Priority::Account, now);
        schedule.add(key(name), Priority::Account, later);
    }
    assert!(taken(&mut schedule, later).is_empty(), "it rests");
    schedule.add(key("told with news"), Priority::Update, later);
    assert_eq!(taken(&mut schedule, later), ["told with news"]);
    schedule.finish(&key("told with news"), Outcome::Done, 0.0, later);
    assert_eq!(
        schedule.take(later),
        Err(Some(now + REST)),
        "the first counts"
    );
    assert_eq!(taken(&mut schedule, now + REST), ["alone"]);
}

#[test]
fn an_account_cuts_a_long_wait_short_and_rests_after_work() {
    let now = Instant::now();
    let mut schedule = Schedule::default();
    schedule.add(key("a"), Priority::Update, now);
    schedule.take(now).expect("the key is due");
    schedule.finish(&key("a"), Outcome::After(Duration::from_secs(60)), 0.0, now);
    schedule.add(key("a"), Priority::Account, now);
    assert_eq!(schedule.take(now), Err(Some(now + REST)));
    let now = now + REST;
    schedule.take(now).expect("it has rested");
    schedule.add(key("a"), Priority::Account, now);
    schedule.finish(&key("a"), Outcome::Done, 0.0, now);
    assert_eq!(schedule.take(now), Err(Some(now + REST)));
}

#[test]
fn a_key_is_queued_once_and_keeps_its_highest_priority() {
    let now = Instant::now();
    let mut schedule = Schedule::default();
    schedule.add(key("a"), Priority::Resync, now);
    schedule.add(key("b"), Priority::Update, now);
    schedule.add(key("a"), Priority::NewOrDeleted, now);
    schedule.add(key("a"), Priority::Resync, now);
    assert_eq!(taken(&mut schedule, now), ["a", "b"]);
}

#[test]
fn a_key_that_changes_while_it_is_worked_on_comes_back_afterwards() {
    let now = Instant::now();
    let mut schedule = Schedule::default();
    schedule.add(key("a"), Priority::Update, now);
    assert_eq!(taken(&mut schedule, now), ["a"]);
    schedule.add(key("a"), Priority::Update, now);
    assert!(taken(&mut schedule, now).is_empty(), "one worker a key");
    schedule.finish(&key("a"), Outcome::Done, 0.0, now);
    assert_eq!(taken(&mut schedule, now), ["a"]);
    schedule.finish(&key("a"), Outcome::Done, 0.0, now);
    assert_eq!(schedule.take(now), Err(None));
}

#[test]
fn failures_back_off_and_a_success_forgets_them() {
    let mut now = Instant::now();
    let mut schedule = Schedule::default();
    schedule.add(key("a"), Priority::Update, now);
    let mut delays = Vec::new();
    for _ in 0..12 {
        schedule.take(now).expect("the key is due");
        schedule.finish(&key("a"), Outcome::Retry, 1.0, now);
        let until = schedule
            .take(now)
            .expect_err("in back-off")
            .expect("a moment");
        delays.push((until - now).as_millis());
        now = until;
    }
    assert_eq!(delays[..4], [100, 200, 400, 800]);
    assert_eq!(delays[11], 30_000);
    schedule.take(now).expect("the key is due");
    schedule.finish(&key("a"), Outcome::Done, 1.0, now);
    schedule.add(key("a"), Priority::Update, now);
    schedule.take(now).expect("the key is due");
    schedule.finish(&key("a"), Outcome::Retry, 1.0, now);
    let until = schedule
        .take(now)
        .expect_err("in back-off")
        .expect("a moment");
    assert_eq!((until - now).as_millis(), 100);
}

#[test]
fn a_change_cuts_a_wait_short_but_not_the_backoff_of_work_in_progress() {
    let now = Instant::now();
    let mut schedule = Schedule::default();
    schedule.add(key("a"), Priority::Update, now);
    schedule.take(now).expect("the key is due");
    schedule.finish(&key("a"), Outcome::After(Duration::from_secs(60)), 0.0, now);
    schedule.add(key("a"), Priority::Update, now);
    schedule.take(now).expect("a change is worked on at once");
    schedule.add(key("a"), Priority::Update, now);
    schedule.finish(&key("a"), Outcome::Retry, 0.0, now);
    assert_eq!(
        schedule.take(now),
        Err(Some(now + Duration::from_millis(50)))
    );
}

#[tokio::test]
async fn waiting_workers_are_woken_by_work_and_by_time() {
    let queue = Queue::default();
    queue.add(key("a"), Priority::Update);
    queue.add(key("b"), Priority::Update);
    let (first, second) = tokio::join!(queue.next(), queue.next());
    assert_eq!(
        [first.key.name.as_str(), second.key.name.as_str()],
        ["a", "b"]
    );
    queue.finish(&key("a"), Outcome::After(Duration::from_millis(20)));
    let before = Instant::now();
    assert_eq!(queue.next().await.key, key("a"));
    assert!(before.elapsed() >= Duration::from_millis(20));
}
