//! Objects at rest: what a copy of the store shows, and what becomes of stores without the right key.

use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::super::error::Error;
use super::super::must_be_outside;
use super::*;

pub(super) const CANARY: &str = "canary-5e1d";

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found
}

pub(super) fn holds_canary(directory: &Path) -> bool {
    let encoded = BASE64_STANDARD.encode(CANARY);
    files(directory).iter().any(|file| {
        let bytes = std::fs::read(file).unwrap();
        [CANARY, &encoded].iter().any(|text| {
            bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        })
    })
}

/// A store with one Secret in it, closed.
async fn sealed(directory: &Path) {
    let (handle, thread) = start(directory);
    create(&handle, namespace("ns"), json!({})).await.unwrap();
    let secret = json!({ "data": { "password": BASE64_STANDARD.encode(CANARY) } });
    create(&handle, key("ns", "bmc"), secret).await.unwrap();
    let text = json!({ "spec": { "userData": CANARY } });
    create(&handle, key("ns", "machine"), text).await.unwrap();
    drop(handle);
    thread.join().unwrap().unwrap();
}

#[tokio::test]
async fn a_copy_of_the_store_shows_nothing_of_what_is_in_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    sealed(directory.path()).await;
    assert!(!holds_canary(&directory.path().join("store")));
    let mode = std::fs::metadata(directory.path().join("seal.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let (handle, thread) = start(directory.path());
    let row = handle.row(&key("ns", "machine")).unwrap();
    assert_eq!(row.object()["spec"]["userData"], CANARY);
    drop(handle);
    thread.join().unwrap().unwrap();
}

#[tokio::test]
async fn without_the_right_key_nothing_is_changed_and_the_error_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    sealed(directory.path()).await;
    let key_file = directory.path().join("seal.key");
    let right = std::fs::read(&key_file).unwrap();

    std::fs::remove_file(&key_file).unwrap();
    let error = reopen(directory.path()).unwrap_err();
    assert!(matches!(&error, Error::KeyMissing { .. }), "{error}");
    assert!(error.to_string().contains("--key-file"), "{error}");
    assert!(!key_file.exists(), "no key is made for what another sealed");

    std::fs::write(&key_file, [7; 32]).unwrap();
    let error = reopen(directory.path()).unwrap_err();
    assert!(matches!(&error, Error::KeyWrong { .. }), "{error}");

    std::fs::write(&key_file, b"short").unwrap();
    let error = reopen(directory.path()).unwrap_err();
    assert!(error.to_string().contains("5 bytes"), "{error}");

    std::fs::write(&key_file, right).unwrap();
    let (handle, _writer) = reopen(directory.path()).unwrap();
    assert!(handle.row(&key("ns", "bmc")).is_some());
}

#[test]
fn a_key_inside_the_data_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::os::unix::fs::symlink(&data, directory.path().join("link")).unwrap();
    for inside in ["data/key", "data/a/b", "link/key", "data/../data/key"] {
        let refused = must_be_outside(&directory.path().join(inside), &data);
        let error = refused.expect_err(inside);
        assert!(error.to_string().contains("--key-file"), "{error}");
    }
    for outside in ["key", "data.key", "elsewhere/key"] {
        must_be_outside(&directory.path().join(outside), &data).unwrap();
    }
}
