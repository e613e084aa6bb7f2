use super::*;

fn token() -> JoinToken {
    JoinToken::from_random([0xab; 5], [0xcd; 16], [0xef; 32])
}

#[test]
fn a_token_survives_its_text() {
    let text = token().to_text();
    assert!(text.starts_with("vt1.ababababab.cdcd"));
    let read = JoinToken::parse(&format!("  {}\n", text.as_str())).unwrap();
    assert_eq!(read.id(), "ababababab");
    assert_eq!(read.ca_hash(), [0xef; 32]);
    assert!(read.matches(&token().secret_hash()));
}

#[test]
fn only_the_hash_of_its_own_secret_matches() {
    let other = JoinToken::from_random([0xab; 5], [0xce; 16], [0xef; 32]);
    assert!(!token().matches(&other.secret_hash()));
    assert!(!token().matches(""));
    assert!(!token().matches(&token().secret_hash()[..63]));
}

#[test]
fn what_is_no_token_is_refused_and_not_repeated() {
    let good = token().to_text();
    for text in [
        String::new(),
        "vt1".to_owned(),
        good.replace("vt1", "vt2"),
        good.replace("ab", "AB"),
        good.replace("cd", "zz"),
        format!("{}.x", good.as_str()),
        good[..good.len() - 1].to_owned(),
        format!("{}0", good.as_str()),
    ] {
        let error = JoinToken::parse(&text)
            .err()
            .unwrap_or_else(|| panic!("{text}"));
        assert!(!error.to_string().contains("cdcd"), "{error}");
    }
}
