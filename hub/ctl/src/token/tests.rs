use super::*;

fn minted() -> Minted {
    let grant = Grant {
        site: "edge-west".to_owned(),
        namespaces: vec!["a".to_owned(), "b".to_owned()],
        expires: "2030-01-01T00:00:00Z".parse().expect("a time"),
    };
    mint([0xab; 5], [0xcd; 16], &"ef".repeat(32), grant).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_token_carries_the_secret_and_its_secret_object_only_the_hash() {
    let minted = minted();
    let secret_part = "cd".repeat(16);
    assert_eq!(
        minted.text,
        format!("vt1.ababababab.{secret_part}.{}", "ef".repeat(32))
    );
    assert_eq!(
        minted.secret.metadata.name.as_deref(),
        Some("vitistack-token-ababababab")
    );
    let kept = serde_json::to_string(&minted.secret).expect("JSON");
    assert!(!kept.contains(&secret_part));
    let data = minted.secret.data.as_ref().expect("data");
    let hash = hex::encode(Sha256::digest(secret_part.as_bytes()));
    assert_eq!(data[join_token::SECRET_HASH].0, hash.into_bytes());
    assert_eq!(data[join_token::NAMESPACES].0, b"a,b");
    assert_eq!(data[join_token::EXPIRES].0, b"2030-01-01T00:00:00Z");
}

#[test]
fn no_token_is_made_for_a_hub_without_a_proper_hash() {
    let grant = Grant {
        site: "s".to_owned(),
        namespaces: Vec::new(),
        expires: Timestamp::UNIX_EPOCH,
    };
    assert!(mint([0; 5], [0; 16], "abc", grant).is_err());
}

#[test]
fn a_token_is_found_by_id_or_text_and_never_shown_again() {
    let minted = minted();
    for text in ["ababababab", "vitistack-token-ababababab", &minted.text] {
        assert_eq!(
            secret_name(text).unwrap_or_else(|error| panic!("{error}")),
            "vitistack-token-ababababab"
        );
    }
    let broken = minted.text.replace("ababababab", "short");
    let error = secret_name(&broken).expect_err("no id").to_string();
    assert!(!error.contains("cdcd"), "{error}");
}

#[test]
fn the_list_says_how_long_each_token_is_good() {
    let all = known(&[minted().secret, Secret::default()]);
    assert_eq!(all.len(), 1);
    let at = |text: &str| text.parse::<Timestamp>().expect("a time");
    assert!(to_table(&all, at("2029-12-31T23:00:00Z")).contains("60m"));
    assert!(to_table(&all, at("2030-01-01T00:00:00Z")).contains("expired"));
    assert_eq!(to_json(&all)["items"][0]["namespaces"], json!(["a", "b"]));
    assert_eq!(to_json(&all)["items"][0]["redeemed"], json!(false));
    let mut redeemed = minted().secret;
    let data = redeemed.data.get_or_insert_default();
    data.insert(
        join_token::REDEEMED_BY.to_owned(),
        ByteString(b"5e1f".to_vec()),
    );
    let redeemed = to_table(&known(&[redeemed]), at("2029-12-31T23:00:00Z"));
    assert!(redeemed.trim_end().ends_with("yes"), "{redeemed}");
}
