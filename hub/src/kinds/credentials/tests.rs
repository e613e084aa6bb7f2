use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use vitistack_api::names::ANNOTATION_ALLOW_FROM;

use super::*;

fn secret_of(pairs: &[(&str, &str)], allow_from: Option<&str>) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some("bmc".into()),
            namespace: Some("racks".into()),
            uid: Some("6f1c0a52-0001-4000-8000-000000000001".into()),
            annotations: allow_from
                .map(|list| [(ANNOTATION_ALLOW_FROM.to_owned(), list.to_owned())].into()),
            ..ObjectMeta::default()
        },
        data: Some(
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
                .collect(),
        ),
        ..Secret::default()
    }
}

#[test]
fn a_secret_of_another_namespace_needs_its_permission() {
    for (from, allow_from, allowed) in [
        ("racks", None, true),
        ("edge", None, false),
        ("edge", Some("other"), false),
        ("edge", Some("other, edge"), true),
        ("ed", Some("edge"), false),
    ] {
        let held = secret_of(&[], allow_from);
        let found = secret(Sight::Found(&held), "racks", "bmc", from, "spec.x");
        let reason = found.err().map(|refusal| refusal.reason);
        let expected = (!allowed).then_some(Reason::RefNotPermitted);
        assert_eq!(reason, expected, "{from} {allow_from:?}");
    }
}

#[test]
fn credentials_are_a_row_that_keeps_its_name_whatever_its_content() {
    let first = bmc(&secret_of(
        &[("username", "admin"), ("password", "one\n")],
        None,
    ));
    let same = bmc(&secret_of(
        &[("username", "admin"), ("password", "one")],
        None,
    ));
    let other = bmc(&secret_of(
        &[("username", "admin"), ("password", "two")],
        None,
    ));
    let held = |row: Result<SecretRow, Refusal>| row.map(|row| row.held()).expect("both are there");
    let (first, other) = (held(first), held(other));
    assert_eq!(first, held(same));
    assert_eq!(first.name, other.name);
    assert_ne!(first.digest, other.digest);
}

#[test]
fn a_missing_key_is_named() {
    let refusal = bmc(&secret_of(&[("username", "admin")], None))
        .err()
        .expect("no password");
    assert_eq!(refusal.reason, Reason::SecretNotFound);
    assert!(refusal.message.contains("password"), "{}", refusal.message);
}
