//! Damaged files and other formats: states with words, no panic, and nothing that is silently less than it was.

use std::path::PathBuf;

use super::super::error::Error;
use super::*;

const OBJECTS: usize = 60;

/// A store with objects of some sizes, closed; in a directory that can be copied.
async fn filled(directory: &Path) {
    let (handle, thread) = start(directory);
    create(&handle, namespace("ns"), json!({})).await.unwrap();
    for number in 0..OBJECTS {
        let object = json!({ "n": number, "filling": "x".repeat(number * 97) });
        create(&handle, key("ns", &format!("o-{number}")), object)
            .await
            .unwrap();
    }
    drop(handle);
    thread.join().unwrap().unwrap();
}

/// Every file below a directory, relative to it.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.push(path.strip_prefix(directory).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(&file);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(from.join(&file), target).unwrap();
    }
    std::fs::create_dir_all(to.join("store/rows/blobs")).unwrap();
}

/// Opens the store; that it opens means that all of it is there.
fn all_or_error(directory: &Path, what: &str) -> Option<Error> {
    match reopen(directory) {
        Err(error) => {
            assert!(!error.to_string().is_empty());
            Some(error)
        }
        Ok((handle, _writer)) => {
            for number in 0..OBJECTS {
                let row = handle.row(&key("ns", &format!("o-{number}")));
                let row = row.unwrap_or_else(|| panic!("{what}: object {number} is silently gone"));
                assert_eq!(row.object()["n"], number, "{what}");
            }
            None
        }
    }
}

#[tokio::test]
async fn a_flipped_byte_in_any_file_is_harmless_or_an_error_that_says_so() {
    let sound = tempfile::tempdir().unwrap();
    filled(sound.path()).await;
    let mut errors = 0;
    for file in files(sound.path()) {
        let length = std::fs::metadata(sound.path().join(&file)).unwrap().len();
        let name = file.display().to_string();
        let places: Vec<u64> = match length {
            0 => continue,
            1..=64 => (0..length).collect(),
            _ => (0..24).map(|part| part * (length - 1) / 23).collect(),
        };
        for place in places {
            let damaged = tempfile::tempdir().unwrap();
            copy(sound.path(), damaged.path());
            let path = damaged.path().join(&file);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[usize::try_from(place).unwrap()] ^= 0x55;
            std::fs::write(&path, bytes).unwrap();
            let what = format!("{name} at {place} of {length}");
            errors += usize::from(all_or_error(damaged.path(), &what).is_some());
        }
    }
    assert!(errors > 20, "only {errors} flips were noticed");
}

#[tokio::test]
async fn half_a_snapshot_is_no_damage() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path()).await;
    let half = "store/rows/snap.FFFFFFFFFFFFFFF0.generating";
    std::fs::write(directory.path().join(half), b"cut off").unwrap();
    assert!(all_or_error(directory.path(), half).is_none());
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    filled(directory.path()).await;
    let marker = directory.path().join("store/initialized");
    std::fs::write(&marker, "4\n").unwrap();
    let before = files(directory.path());
    let error = reopen(directory.path()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Newer {
                found: 4,
                known: 3,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("newer program"), "{error}");
    assert_eq!(files(directory.path()), before);
    std::fs::write(&marker, "3\n").unwrap();
    assert!(all_or_error(directory.path(), "the older one again").is_none());
}
