//! The key that secrets are sealed with: where it is, what is said when it is not there, and how it moves.

use super::*;

/// A store with one secret that an object uses, closed.
async fn sealed(dir: &Path) -> SecretRow {
    let row = SecretRow::new(uid(77), b"correct horse battery staple".to_vec());
    let running = Running::start(dir);
    running.store.take_secret(row.clone()).await.unwrap();
    let used = intent(1, fence(1, 1), 0, vec![row.name]);
    assert_eq!(take(&running.store, used).await, IntentOutcome::Stored);
    running.stop().await;
    row
}

fn refused(dir: &Path) -> Error {
    match open(&settings(dir)) {
        Err(error) => error,
        Ok(_) => unreachable!("it was opened"),
    }
}

async fn reads(running: &Running, row: &SecretRow) {
    let loaded = running.store.load(uid(1)).await.unwrap().unwrap();
    let value = loaded.secrets.secret(&row.key()).expect("it unseals");
    assert_eq!(*value, b"correct horse battery staple");
}

#[tokio::test]
async fn without_the_right_key_nothing_is_changed_and_the_error_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let row = sealed(dir.path()).await;
    let key = dir.path().join("seal.key");
    let right = std::fs::read(&key).unwrap();

    std::fs::remove_file(&key).unwrap();
    let error = refused(dir.path());
    assert!(matches!(error, Error::KeyMissing { .. }), "{error}");
    assert!(error.to_string().contains("key_file"), "{error}");
    assert!(!key.exists(), "no key is made for what another sealed");

    std::fs::write(&key, [7; 32]).unwrap();
    let error = refused(dir.path());
    assert!(matches!(error, Error::KeyWrong { .. }), "{error}");
    assert!(!dir.path().join("store.lost").exists(), "nor set aside");

    std::fs::write(&key, right).unwrap();
    let running = Running::start(dir.path());
    reads(&running, &row).await;
    running.stop().await;
}

#[tokio::test]
async fn a_key_where_older_agents_kept_it_moves_and_what_it_sealed_is_sealed_anew() {
    for made_before in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let row = sealed(dir.path()).await;
        let (outside, former) = (dir.path().join("seal.key"), dir.path().join("former.key"));
        std::fs::rename(&outside, &former).unwrap();
        if made_before {
            // As systemd hands one in.
            std::fs::write(&outside, [9; 32]).unwrap();
        }
        let opened = open_moving(&settings(dir.path()), Some(&former)).unwrap();
        assert!(opened.lost.is_none(), "{:?}", opened.lost);
        let running = Running::of(opened);
        reads(&running, &row).await;
        running.stop().await;
        assert!(!former.exists());
        let running = Running::start(dir.path());
        reads(&running, &row).await;
        assert_eq!(
            take(&running.store, intent(2, fence(1, 1), 0, vec![])).await,
            IntentOutcome::Stored
        );
        running.stop().await;
        Running::start(dir.path()).stop().await;
    }
}
