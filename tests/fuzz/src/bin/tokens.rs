//! Join tokens, and the names that certificates carry.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vitistack_protocol::identity::name::DEFAULT_TRUST_DOMAIN;
use vitistack_protocol::identity::{JoinToken, Leaf};

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(token) = JoinToken::parse(text)
    {
        let again = JoinToken::parse(&token.to_text()).expect("its own text is a token");
        assert_eq!(token.id(), again.id());
        assert_eq!(token.ca_hash(), again.ca_hash());
        assert!(again.matches(&token.secret_hash()));
    }
    drop(Leaf::parse(data, DEFAULT_TRUST_DOMAIN));
});
