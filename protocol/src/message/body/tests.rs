use super::*;
use crate::codec::samples;
use crate::ids::{Fence, Generation, HubEpoch, Revision, Sequence};

#[test]
fn the_digest_of_an_intent_ignores_only_its_fence() {
    let intent = samples::intent();
    let mut later = intent.clone();
    later.fence = Fence {
        epoch: HubEpoch(99),
        revision: Revision(99),
    };
    assert_eq!(intent.digest(), later.digest());
    later.generation = Generation(77);
    assert_ne!(intent.digest(), later.digest());
    let mut tombstone = intent.clone();
    tombstone.absent = true;
    assert_ne!(intent.digest(), tombstone.digest());
}

#[test]
fn the_digest_of_a_report_ignores_only_its_sequence() {
    let report = samples::report();
    let mut later = report.clone();
    later.sequence = Sequence(4711);
    assert_eq!(report.digest(), later.digest());
    later.gone = true;
    assert_ne!(report.digest(), later.digest());
}

#[test]
fn a_body_is_read_only_as_its_own_kind_and_to_its_last_byte() {
    let intent = samples::intent();
    assert_eq!(
        intent.read::<MachineIntent>().unwrap(),
        samples::machine_intent()
    );
    assert!(matches!(
        intent.read::<HostIntent>(),
        Err(Error::Kind { .. })
    ));
    let mut longer = intent.clone();
    longer.body.push(0);
    assert!(matches!(
        longer.read::<MachineIntent>(),
        Err(Error::Trailing { count: 1, .. })
    ));
    let mut shorter = intent;
    shorter.body.truncate(9);
    assert!(matches!(
        shorter.read::<MachineIntent>(),
        Err(Error::Decode { .. })
    ));
}

#[test]
fn a_secret_row_knows_whether_its_value_was_changed() {
    let mut row = SecretRow::of_credentials(
        Uid([7; 16]),
        &Credentials {
            username: "operator".to_owned(),
            password: "correct horse".to_owned(),
        },
    );
    assert!(row.is_intact());
    assert_eq!(row.credentials().unwrap().username, "operator");
    row.value.push(0);
    assert!(!row.is_intact());
    let mut row = SecretRow::new(Uid([7; 16]), b"#!/bin/sh".to_vec());
    assert!(row.is_intact());
    row.value = b"another script".to_vec();
    row.digest = Digest::of(&row.value);
    assert!(!row.is_intact(), "its name says another content");
}

#[test]
fn credentials_keep_their_name_and_a_value_is_named_with_its_content() {
    let uid = Uid([7; 16]);
    let credentials = |password: &str| {
        let credentials = Credentials {
            username: "operator".to_owned(),
            password: password.to_owned(),
        };
        SecretRow::of_credentials(uid, &credentials)
    };
    let (old, new) = (credentials("old"), credentials("new"));
    assert_eq!(old.name, new.name);
    assert_ne!(old.key(), new.key());
    let value = SecretRow::new(uid, old.value.clone());
    assert_ne!(
        value.name, old.name,
        "not even where the bytes are the same"
    );
    assert_eq!(value.name, value.key().into());
}
