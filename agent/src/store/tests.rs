//! The store against crashes, damage and full disks, on real files.

use std::path::Path;
use std::time::Duration;

use tokio::task::JoinHandle;
use vitistack_drivers::driver::Secrets as _;
use vitistack_drivers::journal::{Journal, Mark, Stage};
use vitistack_protocol::ids::{
    Digest, Fence, Generation, HubEpoch, ObjectRef, OperationId, Revision, Sequence, Uid,
};
use vitistack_protocol::message::Extensions;
use vitistack_protocol::message::body;
use vitistack_protocol::message::intent::{
    BmcTrust, HostIntent, HostTarget, Intent, SecretName, SecretRow,
};
use vitistack_protocol::message::numbered::{BodyKind, BootMode, Inspection, IntentOutcome};

use super::*;

mod held;
mod key;
mod restored;
mod secrets;

/// A store with its commit task; dropping it without [`Running::stop`] is a crash as far as the process can have one.
struct Running {
    store: Store,
    task: JoinHandle<Result<(), Error>>,
}

impl Running {
    fn start(dir: &Path) -> Self {
        let opened = open(&settings(dir)).expect("opens");
        assert!(opened.lost.is_none(), "{:?}", opened.lost);
        Self::of(opened)
    }

    fn of(opened: Opened) -> Self {
        let mut tasks = tokio::task::JoinSet::new();
        let service = opened.service;
        let (done, ended) = oneshot::channel();
        tasks.spawn(async move { drop(done.send(service.run().await)) });
        tasks.detach_all();
        let task = tokio::task::spawn_blocking(move || ended.blocking_recv().expect("ran"));
        Self {
            store: opened.store,
            task,
        }
    }

    async fn stop(self) {
        drop(self.store);
        self.task.await.unwrap().unwrap();
    }
}

fn settings(dir: &Path) -> Settings {
    Settings {
        dir: dir.join("store"),
        key_file: dir.join("seal.key"),
        quota_bytes: 1024 * 1024,
        ballast_bytes: 64 * 1024,
    }
}

fn uid(number: u8) -> Uid {
    Uid([number; 16])
}

fn fence(epoch: u64, revision: u64) -> Fence {
    Fence {
        epoch: HubEpoch(epoch),
        revision: Revision(revision),
    }
}

/// An intent for host `number` whose body grows with `ballast`.
fn intent(number: u8, fence: Fence, ballast: usize, secrets: Vec<SecretName>) -> Intent {
    let object = ObjectRef {
        uid: uid(number),
        namespace: "edge".into(),
        name: format!("host-{number}"),
    };
    let credentials = secrets.iter().find(|name| name.content.is_none());
    let body = HostIntent {
        target: HostTarget {
            host: object.clone(),
            bmc_address: "redfish+http://127.0.0.1:1/".into(),
            credentials: credentials.map(|name| name.uid),
            trust: BmcTrust {
                ca_bundle: "x".repeat(ballast),
                ..BmcTrust::default()
            },
            boot_mac: [2, 0, 0, 0, 0, number],
            boot_mode: BootMode::ALL[0],
            maintenance: false,
        },
        inspection: Inspection::ALL[0],
        inspection_operation: OperationId([number; 16]),
        claimed_by: None,
        provisioned: None,
        externally_provisioned: false,
        extensions: Extensions::default(),
    };
    Intent {
        fence,
        object,
        generation: Generation(1),
        kind: BodyKind::Host,
        body: body::encode(&body),
        absent: false,
        secrets,
        extensions: Extensions::default(),
    }
}

fn tombstone(number: u8, fence: Fence) -> Intent {
    Intent {
        absent: true,
        ..intent(number, fence, 0, Vec::new())
    }
}

fn facts(number: u8, fence: Fence, body: &[u8], gone: bool) -> Facts {
    Facts {
        object: intent(number, fence, 0, Vec::new()).object,
        fence,
        generation: Generation(1),
        kind: BodyKind::Host,
        body: body.to_vec(),
        gone,
    }
}

fn journal(note: &[u8]) -> Journal {
    Journal {
        operation: Some(OperationId([9; 16])),
        attempt: 2,
        marks: vec![Mark {
            step: 3,
            attempt: 2,
            stage: Stage::AboutTo,
            note: note.to_vec(),
        }],
    }
}

async fn take(store: &Store, intent: Intent) -> IntentOutcome {
    store.take_intent(intent).await.unwrap().outcome
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let row = SecretRow::new(uid(77), b"hunter2".to_vec());
    let (key, held) = (row.key(), row.held());
    let running = Running::start(dir.path());
    let store = running.store.clone();
    store.take_secret(row).await.unwrap();
    for (number, ballast) in [(1, 0), (2, 20_000)] {
        let intent = intent(number, fence(4, 7), ballast, vec![held.name]);
        assert_eq!(take(&store, intent).await, IntentOutcome::Stored);
    }
    store
        .write_journal(uid(2), journal(b"capability"))
        .await
        .unwrap();
    assert!(
        store
            .report(facts(2, fence(4, 7), b"one", false))
            .await
            .unwrap()
    );
    let before = store.position();
    drop(store);
    running.stop().await;

    let running = Running::start(dir.path());
    let store = &running.store;
    assert_eq!(store.position(), before);
    assert_eq!(before.epoch, HubEpoch(4));
    assert_eq!(before.outbox, (Sequence(1), Sequence(1)));
    assert_eq!(before.secrets, [held]);
    let loaded = store.load(uid(2)).await.unwrap().unwrap();
    assert_eq!(
        loaded.intent,
        intent(2, fence(4, 7), 20_000, vec![held.name])
    );
    assert_eq!(loaded.journal, journal(b"capability"));
    assert_eq!(*loaded.secrets.secret(&key).unwrap(), b"hunter2");
    let reports = store.waiting_reports(Sequence(0), 10).await.unwrap();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].body, b"one");
    running.stop().await;
}

#[tokio::test]
async fn fences_hold_across_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let newest = intent(1, fence(4, 7), 0, Vec::new());
    assert_eq!(
        take(&running.store, newest.clone()).await,
        IntentOutcome::Stored
    );
    running.stop().await;

    let running = Running::start(dir.path());
    let store = &running.store;
    let cases = [
        ("again", newest, IntentOutcome::AlreadyHeld),
        (
            "past",
            intent(1, fence(4, 6), 0, vec![]),
            IntentOutcome::OlderRevision,
        ),
        (
            "old hub",
            intent(1, fence(3, 9), 0, vec![]),
            IntentOutcome::OlderEpoch,
        ),
        (
            "old hub, new object",
            intent(2, fence(3, 9), 0, vec![]),
            IntentOutcome::OlderEpoch,
        ),
        (
            "other content",
            intent(1, fence(4, 7), 1, vec![]),
            IntentOutcome::ContentDiffers,
        ),
    ];
    for (name, intent, expected) in cases {
        let taken = store.take_intent(intent).await.unwrap();
        assert_eq!(taken.outcome, expected, "{name}");
    }
    let mut unreadable = intent(3, fence(4, 1), 0, vec![]);
    unreadable.body.truncate(3);
    assert_eq!(take(store, unreadable).await, IntentOutcome::NotUnderstood);
    assert_eq!(store.position().held.len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_later_hub_that_does_not_mention_an_object_deletes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let store = running.store.clone();
    for number in [1, 2] {
        let intent = intent(number, fence(4, 7), 0, Vec::new());
        assert_eq!(take(&store, intent).await, IntentOutcome::Stored);
    }
    store.raise_epoch(HubEpoch(5)).await.unwrap();
    let mentioned = intent(1, fence(5, 8), 1, Vec::new());
    assert_eq!(take(&store, mentioned).await, IntentOutcome::Stored);
    assert_eq!(store.live().len(), 2);
    assert!(store.load(uid(2)).await.unwrap().is_some());
    drop(store);
    running.stop().await;
    let running = Running::start(dir.path());
    assert_eq!(running.store.live().len(), 2);
    running.stop().await;
}

#[tokio::test]
async fn the_outbox_holds_the_newest_report_of_each_object_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let store = &running.store;
    for number in [1, 2] {
        take(store, intent(number, fence(1, 1), 0, vec![])).await;
    }
    let changed = store.outbox_changed();
    for (number, body) in [(1, "a"), (2, "b"), (1, "c")] {
        let facts = facts(number, fence(1, 1), body.as_bytes(), false);
        assert!(store.report(facts).await.unwrap());
    }
    assert_eq!(*changed.borrow(), Sequence(3));
    let unchanged = facts(1, fence(1, 1), b"c", false);
    assert!(!store.report(unchanged).await.unwrap(), "nothing new");

    let bodies =
        |reports: Vec<vitistack_protocol::message::report::Report>| -> Vec<(u64, Vec<u8>)> {
            reports
                .into_iter()
                .map(|report| (report.sequence.0, report.body))
                .collect()
        };
    let all = store.waiting_reports(Sequence(0), 10).await.unwrap();
    assert_eq!(bodies(all), [(2, b"b".to_vec()), (3, b"c".to_vec())]);
    let one = store.waiting_reports(Sequence(2), 10).await.unwrap();
    assert_eq!(bodies(one), [(3, b"c".to_vec())]);

    store.ack_reports(Sequence(2)).await.unwrap();
    assert_eq!(store.position().outbox, (Sequence(3), Sequence(3)));
    store.ack_reports(Sequence(99)).await.unwrap();
    assert_eq!(store.position().outbox, (Sequence(0), Sequence(0)));

    store
        .resend_reports(vec![uid(2), uid(9)], Sequence(0))
        .await
        .unwrap();
    let again = store.waiting_reports(Sequence(0), 10).await.unwrap();
    assert_eq!(
        bodies(again),
        [(4, b"b".to_vec())],
        "a sequence is never used twice"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_carried_out_tombstone_leaves_its_fence_and_answers_a_forgetful_hub() {
    let dir = tempfile::tempdir().unwrap();
    let row = SecretRow::new(uid(77), b"hunter2".to_vec());
    let name = row.name;
    let running = Running::start(dir.path());
    let store = &running.store;
    store.take_secret(row).await.unwrap();
    take(store, intent(1, fence(1, 1), 9_000, vec![name])).await;
    store.write_journal(uid(1), journal(b"")).await.unwrap();
    take(store, tombstone(1, fence(1, 2))).await;
    assert_eq!(store.position().secrets, [], "nobody names it any more");
    assert_eq!(store.live(), [(uid(1), BodyKind::Host)]);
    store
        .report(facts(1, fence(1, 2), b"gone", true))
        .await
        .unwrap();
    assert_eq!(store.live(), [], "nothing is left to do");
    assert_eq!(
        store.position().held.len(),
        1,
        "but the hub does not know yet"
    );
    store.ack_reports(Sequence(1)).await.unwrap();
    assert_eq!(store.position().held, []);
    running.stop().await;

    let running = Running::start(dir.path());
    let store = &running.store;
    let past = intent(1, fence(1, 1), 9_000, vec![name]);
    assert_eq!(take(store, past).await, IntentOutcome::OlderRevision);
    let again = tombstone(1, fence(2, 3));
    assert_eq!(take(store, again).await, IntentOutcome::AlreadyHeld);
    let reports = store.waiting_reports(Sequence(0), 10).await.unwrap();
    assert_eq!(reports.len(), 1);
    assert!(reports[0].gone && reports[0].fence == fence(2, 3));
    assert_eq!(store.live(), []);

    let revived = intent(1, fence(2, 4), 0, vec![]);
    assert_eq!(take(store, revived).await, IntentOutcome::Stored);
    let loaded = store.load(uid(1)).await.unwrap().unwrap();
    assert_eq!(loaded.journal, Journal::default());
    let files = std::fs::read_dir(dir.path().join("store/files")).unwrap();
    assert_eq!(files.count(), 0, "no file stays that no row names");
    running.stop().await;
}

#[tokio::test]
async fn secrets_rest_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let row = SecretRow::new(uid(1), b"correct horse battery staple".to_vec());
    running.store.take_secret(row).await.unwrap();
    running.stop().await;
    let mut seen = 0;
    let mut dirs = vec![dir.path().join("store")];
    while let Some(next) = dirs.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            seen += 1;
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(13).any(|window| window == b"correct horse");
            assert!(!found, "{}", path.display());
        }
    }
    assert!(seen > 2);
}

#[tokio::test]
async fn a_full_store_refuses_intents_and_still_takes_facts() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let store = &running.store;
    take(store, intent(1, fence(1, 1), 0, vec![])).await;
    for number in 2..12 {
        take(store, intent(number, fence(1, 1), 100_000, vec![])).await;
    }
    let late = intent(99, fence(1, 1), 100_000, vec![]);
    let taken = store.take_intent(late).await.unwrap();
    assert_eq!(taken.outcome, IntentOutcome::StoreFull);
    assert_eq!(taken.held.revision, Revision(0));
    store
        .write_journal(uid(1), journal(&[7; 1000]))
        .await
        .unwrap();
    assert!(
        store
            .report(facts(1, fence(1, 1), b"still here", false))
            .await
            .unwrap()
    );
    assert_eq!(store.problem(), None);
    running.stop().await;
}

#[tokio::test]
async fn a_crash_between_file_and_row_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    take(&running.store, intent(1, fence(1, 1), 9_000, vec![])).await;
    running.stop().await;
    let files = dir.path().join("store/files");
    std::fs::write(
        files.join(hex::encode([3; 32])),
        b"its row was never written",
    )
    .unwrap();
    std::fs::write(files.join("half.new"), b"not even renamed").unwrap();
    let running = Running::start(dir.path());
    assert_eq!(std::fs::read_dir(&files).unwrap().count(), 1);
    assert!(running.store.load(uid(1)).await.unwrap().is_some());
    running.stop().await;
}

/// A stopped store with 30 objects, one of them in a file.
async fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    for number in 1..30 {
        take(&running.store, intent(number, fence(1, 1), 3_000, vec![])).await;
    }
    take(&running.store, intent(30, fence(1, 1), 9_000, vec![])).await;
    running.stop().await;
    dir
}

/// Damages a copy of the stopped store by `damage` and opens it. Returns what it says and how many objects it holds.
fn damaged(sound: &Path, damage: impl FnOnce(&Path)) -> (Option<Error>, usize) {
    let dir = tempfile::tempdir().unwrap();
    let copied = std::process::Command::new("cp")
        .args(["-a", "--"])
        .args([sound.join("store"), sound.join("seal.key")])
        .arg(dir.path())
        .status()
        .unwrap();
    assert!(copied.success());
    damage(&dir.path().join("store"));
    let opened = open(&settings(dir.path())).unwrap();
    let aside = dir.path().join("store.lost").exists();
    assert_eq!(opened.lost.is_some(), aside);
    (opened.lost, opened.store.position().held.len())
}

async fn after_damage(damage: impl FnOnce(&Path)) -> (Option<Error>, usize) {
    damaged(filled().await.path(), damage)
}

#[tokio::test]
async fn half_a_snapshot_is_no_damage() {
    let (lost, held) = after_damage(|store| {
        let half = store.join("db/snap.FFFFFFFFFFFFFFF0.generating");
        std::fs::write(half, b"cut off by a full disk or a power cut").unwrap();
    })
    .await;
    assert!(lost.is_none(), "{lost:?}");
    assert_eq!(held, 30);
}

#[tokio::test]
async fn an_emptied_store_is_told_from_a_new_one() {
    let (lost, held) = after_damage(|store| {
        std::fs::remove_dir_all(store.join("db")).unwrap();
    })
    .await;
    assert!(matches!(lost, Some(Error::Emptied { .. })), "{lost:?}");
    assert_eq!(held, 0);
}

#[tokio::test]
async fn a_changed_or_missing_file_is_noticed() {
    let (lost, _) = after_damage(|store| {
        let file = std::fs::read_dir(store.join("files"))
            .unwrap()
            .next()
            .unwrap();
        let path = file.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[4_321] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    })
    .await;
    assert!(matches!(lost, Some(Error::Damaged { .. })), "{lost:?}");
}

#[tokio::test]
async fn flipped_and_cut_bytes_of_the_database_are_states_and_not_panics() {
    let mut noticed = 0;
    let sound = filled().await;
    for file in ["db/db", "db/conf", "marker.json", "commits", "files"] {
        for part in 0..16 {
            let (lost, held) = damaged(sound.path(), |store| {
                let mut path = store.join(file);
                if path.is_dir() {
                    path = std::fs::read_dir(path)
                        .unwrap()
                        .next()
                        .unwrap()
                        .unwrap()
                        .path();
                }
                let mut bytes = std::fs::read(&path).unwrap();
                let place = part * (bytes.len() - 1) / 15;
                bytes[place] ^= 0x55;
                std::fs::write(&path, bytes).unwrap();
            });
            let whole = lost.is_none() && held == 30;
            let replaced = lost.is_some() && held == 0;
            assert!(whole || replaced, "{file} {part}/15: {held} held, {lost:?}");
            noticed += usize::from(replaced);
        }
    }
    assert!(noticed > 10, "only {noticed} flips were noticed");
    let (lost, held) = after_damage(|store| {
        let log = std::fs::File::options()
            .write(true)
            .open(store.join("db/db"))
            .unwrap();
        log.set_len(30_000).unwrap();
    })
    .await;
    assert!(lost.is_some() || held == 30, "{held} held");
}

#[tokio::test]
async fn an_earlier_state_of_the_database_is_not_taken_for_the_newest() {
    let (lost, held) = after_damage(|store| {
        // As seen from the database: one commit more was noted than it knows of.
        let number = std::fs::read(store.join("commits")).unwrap();
        let later = u64::from_be_bytes(number[..8].try_into().unwrap()) + 1;
        let bytes = [
            later.to_be_bytes().as_slice(),
            &crc32fast::hash(&later.to_be_bytes()).to_be_bytes(),
        ]
        .concat();
        std::fs::write(store.join("commits"), bytes).unwrap();
    })
    .await;
    assert!(matches!(lost, Some(Error::Incomplete { .. })), "{lost:?}");
    assert_eq!(held, 0);
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    Running::start(dir.path()).stop().await;
    let marker = dir.path().join("store/marker.json");
    let text = std::fs::read_to_string(&marker).unwrap();
    std::fs::write(&marker, text.replace("\"format\":2", "\"format\":3")).unwrap();
    let Err(error) = open(&settings(dir.path())) else {
        unreachable!("a newer store was opened");
    };
    assert_eq!(error.class(), Class::Newer);
    assert!(error.to_string().contains("format 3"), "{error}");
    assert!(!dir.path().join("store.lost").exists());
}

#[tokio::test]
async fn many_writers_share_few_commits() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..200 {
        let store = running.store.clone();
        writers.spawn(async move { take(&store, intent(number, fence(1, 1), 0, vec![])).await });
    }
    let deadline = Duration::from_secs(60);
    let outcomes = tokio::time::timeout(deadline, writers.join_all())
        .await
        .unwrap();
    assert!(
        outcomes
            .iter()
            .all(|outcome| *outcome == IntentOutcome::Stored)
    );
    assert_eq!(running.store.counts(), (200, 0));
    running.stop().await;
}
