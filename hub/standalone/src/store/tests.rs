use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{
    DiskError, Expect, Handle, Key, Page, Refused, Row, Since, Write, Writer, engine, open,
};

mod damage;
mod formats;
mod sealing;

/// The store in `directory`, with its key beside it.
fn reopen(directory: &Path) -> Result<(Handle, Writer), DiskError> {
    open(&directory.join("store"), &directory.join("seal.key"))
}

/// A store whose writer runs on a thread, ended by dropping the handle.
fn start(directory: &Path) -> (Handle, std::thread::JoinHandle<Result<(), DiskError>>) {
    let (handle, writer) = reopen(directory).unwrap();
    (handle, std::thread::spawn(move || writer.run()))
}

fn key(namespace: &str, name: &str) -> Key {
    Key::new("secrets".into(), namespace, name)
}

fn namespace(name: &str) -> Key {
    Key::new("namespaces".into(), "", name)
}

fn put(key: Key, expect: Expect, object: Value) -> Write {
    Write {
        key,
        expect,
        object,
        remove: false,
    }
}

async fn create(handle: &Handle, key: Key, object: Value) -> Result<Arc<Row>, Refused> {
    handle.write(put(key, Expect::Absent, object)).await
}

fn names(page: &Page) -> Vec<&str> {
    page.rows.iter().map(|row| row.key.name.as_str()).collect()
}

#[test]
fn a_store_that_is_held_is_waited_for_and_then_said_to_be_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let rows = directory.path().join("store/rows");
    std::fs::create_dir_all(&rows).unwrap();
    let holder = std::fs::File::create(rows.join("db")).unwrap();
    holder.lock().unwrap();
    let error = engine::until_free(&rows, Duration::ZERO).unwrap_err();
    assert!(matches!(error, DiskError::InUse(_)), "{error}");
    assert!(error.to_string().contains("--data-dir"), "{error}");
    let stopping = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        drop(holder);
    });
    reopen(directory.path()).unwrap();
    stopping.join().unwrap();
}

#[tokio::test]
async fn objects_of_any_size_are_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (handle, thread) = start(directory.path());
    create(&handle, namespace("ns"), json!({})).await.unwrap();
    let large = json!({ "data": "x".repeat(200_000) });
    let row = create(&handle, key("ns", "large"), large.clone())
        .await
        .unwrap();
    let small = put(
        key("ns", "large"),
        Expect::Version(row.version),
        json!({ "data": "y" }),
    );
    let shrunk = handle.write(small).await.unwrap();
    let again = put(key("ns", "large"), Expect::Version(shrunk.version), large);
    handle.write(again).await.unwrap();
    let row = create(&handle, key("ns", "gone"), json!({ "data": "z" }))
        .await
        .unwrap();
    let remove = Write {
        key: key("ns", "gone"),
        expect: Expect::Version(row.version),
        object: json!({}),
        remove: true,
    };
    handle.write(remove).await.unwrap();
    let before = handle.list(&"secrets".into(), None);
    drop(handle);
    thread.join().unwrap().unwrap();

    let (handle, thread) = start(directory.path());
    let after = handle.list(&"secrets".into(), None);
    assert_eq!(after.version, before.version);
    assert_eq!(names(&after), ["large"]);
    assert_eq!(after.rows[0].text(), before.rows[0].text());
    assert_eq!(after.rows[0].version, before.rows[0].version);
    drop(handle);
    thread.join().unwrap().unwrap();
}

#[tokio::test]
async fn writes_hold_only_on_what_they_expect() {
    let directory = tempfile::tempdir().unwrap();
    let (handle, _thread) = start(directory.path());
    create(&handle, namespace("ns"), json!({})).await.unwrap();
    let row = create(&handle, key("ns", "a"), json!({ "v": 1 }))
        .await
        .unwrap();
    assert_eq!(
        create(&handle, key("ns", "a"), json!({}))
            .await
            .unwrap_err(),
        Refused::Exists
    );
    let stale = put(key("ns", "a"), Expect::Version(row.version - 1), json!({}));
    assert_eq!(handle.write(stale).await.unwrap_err(), Refused::Changed);
    let missing = put(key("ns", "b"), Expect::Version(row.version), json!({}));
    assert_eq!(handle.write(missing).await.unwrap_err(), Refused::Missing);
    let nowhere = create(&handle, key("none", "a"), json!({})).await;
    assert_eq!(nowhere.unwrap_err(), Refused::NamespaceMissing);
    let ending = json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } });
    create(&handle, namespace("ending"), ending).await.unwrap();
    let late = create(&handle, key("ending", "a"), json!({})).await;
    assert_eq!(late.unwrap_err(), Refused::NamespaceTerminating);
    let huge = create(
        &handle,
        key("ns", "huge"),
        json!({ "d": "x".repeat(2 << 20) }),
    )
    .await;
    assert!(matches!(huge.unwrap_err(), Refused::TooLarge(_)));
}

#[tokio::test]
async fn one_of_many_racing_writers_wins() {
    let directory = tempfile::tempdir().unwrap();
    let (handle, _thread) = start(directory.path());
    create(&handle, namespace("ns"), json!({})).await.unwrap();
    let row = create(&handle, key("ns", "a"), json!({})).await.unwrap();
    let writes = (0..50).map(|n| {
        handle.write(put(
            key("ns", "a"),
            Expect::Version(row.version),
            json!({ "n": n }),
        ))
    });
    let results = futures::future::join_all(writes).await;
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1);
}

#[tokio::test]
async fn the_past_can_be_listed_and_followed() {
    let directory = tempfile::tempdir().unwrap();
    let (handle, _thread) = start(directory.path());
    let secrets: Arc<str> = "secrets".into();
    create(&handle, namespace("ns"), json!({})).await.unwrap();
    let a = create(&handle, key("ns", "a"), json!({ "v": 1 }))
        .await
        .unwrap();
    let then = handle.version();
    let change = put(
        key("ns", "a"),
        Expect::Version(a.version),
        json!({ "v": 2 }),
    );
    handle.write(change).await.unwrap();
    create(&handle, key("ns", "b"), json!({})).await.unwrap();

    let past = handle.list_at(&secrets, None, then).unwrap();
    assert_eq!(names(&past), ["a"]);
    assert_eq!(past.rows[0].object()["v"], 1);
    assert_eq!(names(&handle.list(&secrets, None)), ["a", "b"]);

    let Since::Events(events, reached) = handle.since(&secrets, None, then, 10) else {
        panic!("the ring holds it")
    };
    assert_eq!((events.len(), reached), (2, handle.version()));
    assert!(events[0].old.is_some() && events[1].old.is_none());
    let elsewhere = handle.since(&secrets, Some("other"), then, 10);
    assert!(matches!(elsewhere, Since::Events(events, _) if events.is_empty()));
}

#[tokio::test]
async fn a_version_of_an_earlier_process_is_expired() {
    let directory = tempfile::tempdir().unwrap();
    let (handle, thread) = start(directory.path());
    create(&handle, namespace("a"), json!({})).await.unwrap();
    let early = handle.version();
    create(&handle, namespace("b"), json!({})).await.unwrap();
    let last = handle.version();
    drop(handle);
    thread.join().unwrap().unwrap();
    let (handle, _thread) = start(directory.path());
    let namespaces: Arc<str> = "namespaces".into();
    assert!(matches!(
        handle.since(&namespaces, None, early, 10),
        Since::Expired(_)
    ));
    assert!(handle.list_at(&namespaces, None, early).is_err());
    assert!(matches!(
        handle.since(&namespaces, None, last, 10),
        Since::Events(..)
    ));
    assert!(matches!(
        handle.since(&namespaces, None, last + 9, 10),
        Since::Expired(_)
    ));
}

#[tokio::test]
async fn an_emptied_store_is_not_taken_for_a_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let (handle, thread) = start(directory.path());
    drop(handle);
    thread.join().unwrap().unwrap();
    std::fs::remove_dir_all(directory.path().join("store/rows")).unwrap();
    assert!(matches!(
        reopen(directory.path()).unwrap_err(),
        DiskError::Emptied(_)
    ));
}

#[tokio::test]
async fn a_damaged_row_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let (handle, thread) = start(directory.path());
    create(&handle, namespace("a"), json!({ "v": 1 }))
        .await
        .unwrap();
    drop(handle);
    thread.join().unwrap().unwrap();
    let sled = sled::open(directory.path().join("store/rows")).unwrap();
    let (key, value) = sled.scan_prefix(b"o/").next().unwrap().unwrap();
    let mut damaged = value.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    sled.insert(key, damaged).unwrap();
    sled.flush().unwrap();
    drop(sled);
    let error = reopen(directory.path()).unwrap_err();
    assert!(matches!(&error, DiskError::Damaged(_)), "{error}");
}
