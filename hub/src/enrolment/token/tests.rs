use std::time::Duration;

use super::*;

const KEY: &str = "5e1f";

fn token() -> JoinToken {
    JoinToken::from_random([1; 5], [2; 16], [3; 32])
}

fn secret(change: &[(&str, Option<&str>)]) -> Secret {
    let mut data: std::collections::BTreeMap<String, ByteString> = [
        ("site", "edge-west"),
        ("namespaces", "production, staging,production,"),
        ("secret-hash", &token().secret_hash()),
        ("expires", "2030-01-01T00:00:00Z"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec())))
    .collect();
    for (key, value) in change {
        match value {
            Some(value) => data.insert((*key).to_owned(), ByteString(value.as_bytes().to_vec())),
            None => data.remove(*key),
        };
    }
    Secret {
        type_: Some(SECRET_TYPE.to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}

fn at(text: &str) -> SystemTime {
    text.parse::<Timestamp>().unwrap().into()
}

#[test]
fn a_token_is_good_only_with_its_secret_and_before_its_end() {
    let expired = at("2030-01-01T00:00:00Z");
    let good = expired - Duration::from_secs(1);
    let other = JoinToken::from_random([1; 5], [9; 16], [3; 32]);
    for (name, secret, token, now, expected) in [
        ("good", secret(&[]), token(), good, None),
        (
            "at its end",
            secret(&[]),
            token(),
            expired,
            Some(Refusal::Expired),
        ),
        (
            "other secret",
            secret(&[]),
            other.clone(),
            good,
            Some(Refusal::Unknown),
        ),
        (
            "other secret, expired: the end is not told",
            secret(&[]),
            other,
            expired,
            Some(Refusal::Unknown),
        ),
        (
            "no hash",
            secret(&[("secret-hash", None)]),
            token(),
            good,
            Some(Refusal::Unknown),
        ),
        (
            "no end",
            secret(&[("expires", None)]),
            token(),
            good,
            Some(Refusal::Damaged),
        ),
        (
            "nonsense for an end",
            secret(&[("expires", Some("tomorrow"))]),
            token(),
            good,
            Some(Refusal::Damaged),
        ),
        (
            "no site",
            secret(&[("site", None)]),
            token(),
            good,
            Some(Refusal::Damaged),
        ),
        (
            "no namespace",
            secret(&[("namespaces", Some(" , "))]),
            token(),
            good,
            Some(Refusal::Damaged),
        ),
        (
            "redeemed by the same key",
            secret(&[("redeemed-by", Some(KEY))]),
            token(),
            good,
            None,
        ),
        (
            "redeemed by the same key, and over",
            secret(&[("redeemed-by", Some(KEY))]),
            token(),
            expired,
            Some(Refusal::Expired),
        ),
        (
            "redeemed by another key",
            secret(&[("redeemed-by", Some("07be"))]),
            token(),
            good,
            Some(Refusal::Unknown),
        ),
        (
            "another type of Secret",
            Secret {
                type_: Some("Opaque".to_owned()),
                ..secret(&[])
            },
            token(),
            good,
            Some(Refusal::Unknown),
        ),
    ] {
        assert_eq!(decide(&secret, &token, KEY, now).err(), expected, "{name}");
    }
}

#[test]
fn the_grant_names_each_namespace_once() {
    let (grant, used) = decide(&secret(&[]), &token(), KEY, at("2029-01-01T00:00:00Z")).unwrap();
    assert_eq!(used, Use::Redeemed);
    assert_eq!(grant.site, "edge-west");
    assert_eq!(grant.namespaces, ["production", "staging"]);
}

#[test]
fn a_token_that_was_redeemed_is_good_for_that_key_again_and_for_one_agent() {
    let kept = redeemed(&secret(&[]), KEY).unwrap();
    assert_eq!(redeemed(&kept, KEY), None, "it is written once");
    let used = |secret: &Secret, key| {
        decide(secret, &token(), key, at("2029-01-01T00:00:00Z")).map(|(_, used)| used)
    };
    assert_eq!(used(&kept, KEY), Ok(Use::Redeemed));
    assert_eq!(used(&kept, "07be"), Err(Refusal::Unknown));
    let kept = enrolled(kept, "edge-1");
    assert_eq!(used(&kept, KEY), Ok(Use::Enrolled("edge-1".to_owned())));
    assert_eq!(used(&kept, "07be"), Err(Refusal::Unknown));
}
