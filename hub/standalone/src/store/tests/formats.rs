//! Stores that earlier programs wrote.

use super::super::engine::Engine;
use super::super::record;
use super::super::seal::Seal;
use super::super::whole::Sums;
use super::sealing::{CANARY, holds_canary};
use super::*;

/// What programs before format 2 wrote: plain rows in `sled/`, and a marker.
fn plain_store(directory: &Path, large: &str) {
    let store = directory.join("store");
    std::fs::create_dir_all(&store).unwrap();
    let sled = sled::open(store.join("sled")).unwrap();
    let objects = [
        (
            "namespaces\0\0ns\0",
            2_u64,
            json!({ "metadata": { "name": "ns" } }),
        ),
        ("secrets\0ns\0bmc\0", 3, json!({ "data": { "p": CANARY } })),
        ("secrets\0ns\0large\0", 4, json!({ "data": { "p": large } })),
    ];
    for (name, version, object) in objects {
        let body = object.to_string().into_bytes();
        let mut record = vec![1];
        record.extend_from_slice(&crc32fast::hash(&body).to_be_bytes());
        record.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
        record.extend_from_slice(&version.to_be_bytes());
        record.extend_from_slice(&body);
        for (index, chunk) in record.chunks(3584).enumerate() {
            let index = u16::try_from(index).unwrap().to_be_bytes();
            let key = [b"o/".as_slice(), name.as_bytes(), &index].concat();
            sled.insert(key, chunk).unwrap();
        }
    }
    sled.insert(b"m/version", &4_u64.to_be_bytes()).unwrap();
    sled.flush().unwrap();
    std::fs::write(store.join("initialized"), "1\n").unwrap();
}

#[tokio::test]
async fn a_store_of_plain_rows_is_sealed_at_its_opening() {
    let directory = tempfile::tempdir().unwrap();
    let large = "x".repeat(100_000);
    plain_store(directory.path(), &large);
    let store = directory.path().join("store");
    assert!(holds_canary(&store), "the search bites");

    let (handle, thread) = start(directory.path());
    let check = |handle: &Handle| {
        let row = handle.row(&key("ns", "bmc")).unwrap();
        assert_eq!(
            (row.version, &row.object()["data"]["p"]),
            (3, &CANARY.into())
        );
        let row = handle.row(&key("ns", "large")).unwrap();
        assert_eq!(row.object()["data"]["p"], large.as_str());
    };
    check(&handle);
    assert_eq!(handle.version(), 4);
    create(&handle, key("ns", "new"), json!({})).await.unwrap();
    drop(handle);
    thread.join().unwrap().unwrap();
    assert!(!holds_canary(&store));
    assert!(!store.join("sled").exists());

    // A crash after the new rows had their name, and before the old ones were gone.
    let left = store.join("sled");
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("db"), CANARY).unwrap();
    std::fs::write(store.join("initialized"), "1\n").unwrap();
    let (handle, thread) = start(directory.path());
    check(&handle);
    assert!(handle.row(&key("ns", "new")).is_some());
    drop(handle);
    thread.join().unwrap().unwrap();
    assert!(!holds_canary(&store));

    // And one in the middle of the copy.
    let again = tempfile::tempdir().unwrap();
    plain_store(again.path(), &large);
    std::fs::create_dir_all(again.path().join("store/rows.new/blobs")).unwrap();
    let (handle, thread) = start(again.path());
    check(&handle);
    drop(handle);
    thread.join().unwrap().unwrap();
}

/// What programs of format 2 wrote: rows that are sealed and not packed.
fn unpacked_store(directory: &Path, large: &str) {
    let (handle, thread) = start(directory);
    drop(handle);
    thread.join().unwrap().unwrap();
    let store = directory.join("store");
    let seal = Seal::read(&directory.join("seal.key")).unwrap().unwrap();
    let (mut batch, mut sums) = (sled::Batch::default(), Sums::default());
    for (key, version, object) in [
        (
            namespace("ns"),
            2_u64,
            json!({ "metadata": { "name": "ns" } }),
        ),
        (key("ns", "large"), 3, json!({ "data": { "p": large } })),
    ] {
        let stem = record::stem(&key);
        let mut record = vec![2];
        record.extend_from_slice(&version.to_be_bytes());
        let place = [stem.as_slice(), &record].concat();
        let body = object.to_string();
        record.extend_from_slice(&seal.seal(&place, body.as_bytes()).unwrap());
        sums.set(&stem, Some(&record));
        for (index, chunk) in record.chunks(record::CHUNK).enumerate() {
            batch.insert(record::chunk_key(&stem, index), chunk);
        }
    }
    let mut engine = Engine::open(&store.join("rows")).unwrap();
    engine.commit(batch, 3, &sums).unwrap();
    drop(engine);
    std::fs::write(store.join("initialized"), "2\n").unwrap();
    std::fs::remove_file(store.join("commits")).ok();
}

#[tokio::test]
async fn a_row_that_is_not_packed_is_read_and_written_over_whole() {
    let directory = tempfile::tempdir().unwrap();
    let large = "x".repeat(20_000);
    unpacked_store(directory.path(), &large);
    let (handle, thread) = start(directory.path());
    let row = handle.row(&key("ns", "large")).unwrap();
    assert_eq!(row.object()["data"]["p"], large.as_str());
    let next = json!({ "data": { "p": "small" } });
    let write = put(key("ns", "large"), Expect::Version(row.version), next);
    handle.write(write).await.unwrap();
    drop(handle);
    thread.join().unwrap().unwrap();

    let (handle, thread) = start(directory.path());
    let row = handle.row(&key("ns", "large")).unwrap();
    assert_eq!(row.object()["data"]["p"], "small");
    drop(handle);
    thread.join().unwrap().unwrap();
    let marker = std::fs::read_to_string(directory.path().join("store/initialized")).unwrap();
    assert_eq!(marker, "3\n", "an older program is kept away");
}
