//! Secret rows: which of them an object uses, and when they go.

use vitistack_protocol::message::intent::Credentials;

use super::*;

/// Credentials in the Secret `number`.
fn password(number: u8, password: &str) -> SecretRow {
    let credentials = Credentials {
        username: "admin".to_owned(),
        password: password.to_owned(),
    };
    SecretRow::of_credentials(uid(number), &credentials)
}

/// The password that a worker of the object would use.
async fn used(store: &Store, number: u8) -> Option<String> {
    let loaded = store.load(uid(number)).await.unwrap().unwrap();
    let host: HostIntent = loaded.intent.read().unwrap();
    let (key, value) = loaded.secrets.credentials(host.target.credentials)?;
    assert_eq!(key.digest, Digest::of(&value));
    let credentials: Credentials = postcard::from_bytes(&value).unwrap();
    Some(credentials.password.clone())
}

fn names(store: &Store) -> Vec<SecretName> {
    let secrets = store.position().secrets;
    secrets.into_iter().map(|held| held.name).collect()
}

#[tokio::test]
async fn a_rotated_password_takes_the_place_of_the_older_one_for_all_that_use_it() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let store = &running.store;
    let (old, new) = (password(70, "old"), password(70, "new"));
    let value = SecretRow::new(uid(70), b"user data in the same Secret".to_vec());
    assert_eq!(store.take_secret(old.clone()).await.unwrap(), []);
    store.take_secret(value.clone()).await.unwrap();
    for (number, secrets) in [
        (1, vec![old.name, value.name]),
        (2, vec![old.name]),
        (3, vec![]),
    ] {
        take(store, intent(number, fence(1, 1), 0, secrets)).await;
    }
    let waiting = store.take_secret(new.clone()).await.unwrap();
    assert_eq!(waiting, [uid(1), uid(2)]);
    assert_eq!(store.position().secrets, [new.held(), value.held()]);
    running.stop().await;

    let running = Running::start(dir.path());
    let store = &running.store;
    assert_eq!(store.position().secrets, [new.held(), value.held()]);
    for number in [1, 2] {
        assert_eq!(used(store, number).await.as_deref(), Some("new"));
    }
    let loaded = store.load(uid(1)).await.unwrap().unwrap();
    assert_eq!(
        *loaded.secrets.secret(&value.key()).unwrap(),
        value.value,
        "a value at one content is not replaced"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_full_store_takes_a_corrected_password() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let store = &running.store;
    let wrong = password(70, "wrong");
    store.take_secret(wrong.clone()).await.unwrap();
    take(store, intent(1, fence(1, 1), 0, vec![wrong.name])).await;
    let mut number = 1;
    for ballast in [100_000, 10_000, 1_000] {
        let mut outcome = IntentOutcome::Stored;
        while outcome == IntentOutcome::Stored {
            number += 1;
            outcome = take(store, intent(number, fence(1, 1), ballast, vec![])).await;
        }
        assert_eq!(outcome, IntentOutcome::StoreFull);
    }
    let other = password(71, &"x".repeat(2_000));
    let other = store.take_secret(other).await;
    assert!(matches!(other, Err(Error::Full { .. })), "{other:?}");
    store.take_secret(password(70, "right")).await.unwrap();
    assert_eq!(used(store, 1).await.as_deref(), Some("right"));
    running.stop().await;
}

#[tokio::test]
async fn a_tombstone_that_names_no_secret_goes_on_with_the_credentials_that_the_object_used() {
    let dir = tempfile::tempdir().unwrap();
    let row = password(70, "old");
    let rotated = password(70, "rotated");
    let running = Running::start(dir.path());
    running.store.take_secret(row.clone()).await.unwrap();
    take(&running.store, intent(1, fence(1, 1), 0, vec![row.name])).await;
    take(&running.store, tombstone(1, fence(1, 2))).await;
    running.stop().await;

    // Also after a power cut, under the fence of a hub that started anew, and with a password that comes late.
    let running = Running::start(dir.path());
    let store = &running.store;
    assert_eq!(used(store, 1).await.as_deref(), Some("old"));
    take(store, tombstone(1, fence(2, 2))).await;
    assert_eq!(used(store, 1).await.as_deref(), Some("old"));
    take(store, tombstone(1, fence(2, 3))).await;
    assert_eq!(used(store, 1).await.as_deref(), Some("old"));
    assert_eq!(store.take_secret(rotated).await.unwrap(), [uid(1)]);
    assert_eq!(used(store, 1).await.as_deref(), Some("rotated"));

    store
        .report(facts(1, fence(2, 3), b"gone", true))
        .await
        .unwrap();
    let gone = store.waiting_reports(Sequence(0), 1).await.unwrap();
    store.ack_reports(gone[0].sequence).await.unwrap();
    assert_eq!(names(store), [], "nothing uses it any more");
    running.stop().await;
}

#[tokio::test]
async fn a_tombstone_prefers_its_own_credentials_once_they_are_here() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let store = &running.store;
    let (old, new) = (password(70, "old"), password(71, "new"));
    let buried = |secrets| Intent {
        absent: true,
        ..intent(1, fence(1, 2), 0, secrets)
    };
    store.take_secret(old.clone()).await.unwrap();
    take(store, intent(1, fence(1, 1), 0, vec![old.name])).await;
    take(store, buried(vec![new.name])).await;
    assert_eq!(used(store, 1).await.as_deref(), Some("old"));
    assert_eq!(store.take_secret(new.clone()).await.unwrap(), [uid(1)]);
    assert_eq!(used(store, 1).await.as_deref(), Some("new"));

    // One that finds its own in place leaves nothing of the older ones behind.
    take(store, intent(2, fence(1, 1), 0, vec![old.name])).await;
    let second = Intent {
        object: intent(2, fence(1, 1), 0, vec![]).object,
        ..buried(vec![new.name])
    };
    take(store, second).await;
    let again = Intent {
        fence: fence(1, 3),
        ..buried(vec![new.name])
    };
    take(store, again).await;
    assert_eq!(names(store), [new.name]);
    running.stop().await;
}

#[tokio::test]
async fn only_a_tombstone_falls_back_and_without_anything_there_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let store = &running.store;
    let (old, new) = (password(70, "old"), password(71, "new"));
    store.take_secret(old.clone()).await.unwrap();
    take(store, intent(1, fence(1, 1), 0, vec![old.name])).await;
    // What is to stay is not tried with the credentials of another Secret: a BMC locks its account.
    take(store, intent(1, fence(1, 2), 0, vec![new.name])).await;
    assert_eq!(used(store, 1).await, None);
    assert_eq!(names(store), []);
    take(store, tombstone(2, fence(1, 1))).await;
    assert_eq!(used(store, 2).await, None, "it was never held here");
    // The Secret that the object was to use may still come.
    take(store, tombstone(1, fence(1, 3))).await;
    assert_eq!(used(store, 1).await, None);
    assert_eq!(store.take_secret(new).await.unwrap(), [uid(1)]);
    assert_eq!(used(store, 1).await.as_deref(), Some("new"));
    running.stop().await;
}
