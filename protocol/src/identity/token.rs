//! Join tokens: `vt1.<id>.<secret>.<ca hash>`.
//!
//! The hub keeps only a hash of the secret. The authority's hash is what lets an agent trust the hub before it has any
//! certificate.

use std::fmt::Write as _;

use sha2::Digest as _;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

const PREFIX: &str = "vt1";
const ID_DIGITS: usize = 10;
const SECRET_DIGITS: usize = 32;

/// A parsed join token. It has no `Debug`, and its secret is wiped.
#[derive(Clone)]
pub struct JoinToken {
    id: String,
    secret: Zeroizing<String>,
    ca_hash: [u8; 32],
}

/// The text is no join token. Says nothing of what the text was.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a join token: {detail}; one looks like vt1.<10 digits>.<32 digits>.<64 digits>, all hexadecimal"
)]
pub struct ParseTokenError {
    detail: &'static str,
}

impl JoinToken {
    /// A token of 5 random bytes for the id and 16 for the secret, for the authority whose certificate has `ca_hash`.
    #[must_use]
    pub fn from_random(id: [u8; 5], secret: [u8; 16], ca_hash: [u8; 32]) -> Self {
        Self {
            id: hex::encode(id),
            secret: Zeroizing::new(hex::encode(secret)),
            ca_hash,
        }
    }

    /// Reads a token, with or without white space around it.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(text: &str) -> Result<Self, ParseTokenError> {
        let wrong = |detail| ParseTokenError { detail };
        let mut parts = text.trim().split('.');
        let mut part = || parts.next().unwrap_or_default();
        let (prefix, id, secret, hash) = (part(), part(), part(), part());
        if prefix != PREFIX || parts.next().is_some() {
            return Err(wrong("it does not have four parts beginning with vt1"));
        }
        if !is_hex(id, ID_DIGITS) {
            return Err(wrong("its id is wrong"));
        }
        if !is_hex(secret, SECRET_DIGITS) {
            return Err(wrong("its secret is wrong"));
        }
        let mut ca_hash = [0; 32];
        hex::decode_to_slice(hash, &mut ca_hash)
            .map_err(|_| wrong("its authority hash is wrong"))?;
        Ok(Self {
            id: id.to_owned(),
            secret: Zeroizing::new(secret.to_owned()),
            ca_hash,
        })
    }

    /// Public part, safe in logs and object names.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// SHA-256 of the authority's certificate, DER.
    #[must_use]
    pub fn ca_hash(&self) -> [u8; 32] {
        self.ca_hash
    }

    /// What the hub keeps: the hexadecimal SHA-256 of the secret part, as it is written.
    #[must_use]
    pub fn secret_hash(&self) -> String {
        hex::encode(sha2::Sha256::digest(self.secret.as_bytes()))
    }

    /// Whether `kept` is the hash of this secret, in constant time.
    #[must_use]
    pub fn matches(&self, kept: &str) -> bool {
        let own = self.secret_hash();
        own.as_bytes().ct_eq(kept.trim().as_bytes()).into()
    }

    /// The whole text. Shown once, to the person who made it.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(128));
        write!(
            text,
            "{PREFIX}.{}.{}.{}",
            self.id,
            self.secret.as_str(),
            hex::encode(self.ca_hash)
        )
        .expect("writing into a String cannot fail");
        text
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests;
