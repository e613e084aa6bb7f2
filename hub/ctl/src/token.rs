//! Join tokens: made of random bytes, kept as the hash of their secret part. Pure.
//!
//! The text is `vt1.<id>.<secret>.<hash of the CA>`: an agent checks the hub that it first speaks to by the last part.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use vitistack_api::names::{JOIN_TOKEN_PREFIX, JOIN_TOKEN_TYPE, join_token};

use crate::table::{render, span};

/// Marks the Secrets of tokens, so that a list need not read all others.
pub(crate) const LABEL: &str = "vitistack.io/join-token";

/// What a token grants.
pub(crate) struct Grant {
    /// Site that the agent joins.
    pub(crate) site: String,
    /// Namespaces that it serves.
    pub(crate) namespaces: Vec<String>,
    /// When the token ends.
    pub(crate) expires: Timestamp,
}

/// A new token. It has no `Debug`: its text is a secret.
pub(crate) struct Minted {
    /// What the agent is given.
    pub(crate) text: String,
    /// What the hub keeps.
    pub(crate) secret: Secret,
    /// When it ends.
    pub(crate) expires: Timestamp,
    id: String,
}

/// Why a token cannot be made or found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the hub's ConfigMap holds {found:?} where the hash of its CA should be")]
    CaHash { found: String },
    #[error("{text:?} is neither a token nor the id of one, ten hexadecimal digits")]
    Id { text: String },
}

/// Makes a token of `id` and `secret`, which are random.
pub(crate) fn mint(
    id: [u8; 5],
    secret: [u8; 16],
    ca_hash: &str,
    grant: Grant,
) -> Result<Minted, Error> {
    let ca_hash = ca_hash.trim();
    if !is_hex(ca_hash, 64) {
        return Err(Error::CaHash {
            found: ca_hash.to_owned(),
        });
    }
    let Grant {
        site,
        namespaces,
        expires,
    } = grant;
    let id = hex::encode(id);
    let secret = hex::encode(secret);
    let data = [
        (join_token::SITE, site),
        (join_token::NAMESPACES, namespaces.join(",")),
        (
            join_token::SECRET_HASH,
            hex::encode(Sha256::digest(secret.as_bytes())),
        ),
        (join_token::EXPIRES, expires.to_string()),
    ];
    Ok(Minted {
        text: format!("vt1.{id}.{secret}.{ca_hash}"),
        secret: Secret {
            metadata: ObjectMeta {
                name: Some(format!("{JOIN_TOKEN_PREFIX}{id}")),
                labels: Some(BTreeMap::from([(LABEL.to_owned(), "true".to_owned())])),
                ..ObjectMeta::default()
            },
            type_: Some(JOIN_TOKEN_TYPE.to_owned()),
            data: Some(
                data.into_iter()
                    .map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes())))
                    .collect(),
            ),
            ..Secret::default()
        },
        expires,
        id,
    })
}

impl Minted {
    /// For programs.
    pub(crate) fn to_json(&self) -> Value {
        json!({"token": self.text, "id": self.id, "expires": self.expires})
    }
}

/// Name of the Secret of a token, by its id or by its text.
pub(crate) fn secret_name(text: &str) -> Result<String, Error> {
    let id = match text.strip_prefix("vt1.") {
        Some(rest) => rest.split('.').next().unwrap_or_default(),
        None => text.strip_prefix(JOIN_TOKEN_PREFIX).unwrap_or(text),
    };
    if is_hex(id, 10) {
        Ok(format!("{JOIN_TOKEN_PREFIX}{id}"))
    } else {
        // Of a token only its id may be shown again.
        Err(Error::Id {
            text: id.to_owned(),
        })
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// A token that is kept, without its secret.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Known {
    id: String,
    site: String,
    namespaces: String,
    expires: Option<Timestamp>,
    /// An agent has redeemed it and has had no session yet.
    redeemed: bool,
}

/// The tokens among `secrets`, by id.
pub(crate) fn known(secrets: &[Secret]) -> Vec<Known> {
    let mut all: Vec<Known> = secrets
        .iter()
        .filter(|secret| secret.type_.as_deref() == Some(JOIN_TOKEN_TYPE))
        .filter_map(|secret| {
            let name = secret.metadata.name.as_deref()?;
            let text = |key: &str| {
                let bytes = &secret.data.as_ref()?.get(key)?.0;
                String::from_utf8(bytes.clone()).ok()
            };
            Some(Known {
                id: name.strip_prefix(JOIN_TOKEN_PREFIX)?.to_owned(),
                site: text(join_token::SITE).unwrap_or_default(),
                namespaces: text(join_token::NAMESPACES).unwrap_or_default(),
                expires: text(join_token::EXPIRES).and_then(|text| text.trim().parse().ok()),
                redeemed: text(join_token::REDEEMED_BY).is_some(),
            })
        })
        .collect();
    all.sort_by(|one, other| one.id.cmp(&other.id));
    all
}

/// For people.
pub(crate) fn to_table(known: &[Known], now: Timestamp) -> String {
    let rows: Vec<Vec<String>> = known
        .iter()
        .map(|token| {
            let left = match token.expires {
                Some(expires) if expires > now => span(expires.duration_since(now)),
                Some(_) => "expired".to_owned(),
                None => "damaged".to_owned(),
            };
            vec![
                token.id.clone(),
                token.site.clone(),
                token.namespaces.clone(),
                left,
                if token.redeemed { "yes" } else { "no" }.to_owned(),
            ]
        })
        .collect();
    render(
        &["ID", "SITE", "NAMESPACES", "EXPIRES IN", "REDEEMED"],
        &rows,
    )
}

/// For programs.
pub(crate) fn to_json(known: &[Known]) -> Value {
    let items: Vec<Value> = known
        .iter()
        .map(|token| {
            let namespaces: Vec<&str> = token.namespaces.split(',').collect();
            json!({
                "id": token.id,
                "site": token.site,
                "namespaces": namespaces,
                "expires": token.expires,
                "redeemed": token.redeemed,
            })
        })
        .collect();
    json!({ "items": items })
}
