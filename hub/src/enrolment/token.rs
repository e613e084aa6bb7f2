//! Join tokens as the hub keeps them, and whether one is good. Pure.

use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use vitistack_api::names::join_token::{ENROLLED, REDEEMED_BY};
use vitistack_protocol::identity::JoinToken;

use super::record::text;

/// `type` of a token's Secret.
pub(super) const SECRET_TYPE: &str = "vitistack.io/join-token";

/// How a good token stands to who shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It makes an agent. The same asker may have begun to.
    Redeemed,
    /// The same asker has made the agent of this name by it, and may not have had the answer.
    Enrolled(String),
}

/// What a token grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    /// The site that the agent will be of.
    pub(super) site: String,
    /// The namespaces that it will serve, in order, each once.
    pub(super) namespaces: Vec<String>,
}

/// Why a token is not good. Told to whoever shows it, so it says no more than its holder may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not a token.
    Malformed,
    /// No such token, another secret, or redeemed by another key: the three are not told apart.
    Unknown,
    /// It has expired.
    Expired,
    /// Its Secret does not say what it grants.
    Damaged,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "this is not a join token",
            Self::Unknown => "the token is not known or was used already; create a new one",
            Self::Expired => "the token has expired; create a new one",
            Self::Damaged => "the token's Secret does not say what it grants; create a new one",
        })
    }
}

/// Name of the Secret of the token with this id.
pub(super) fn secret_name(id: &str) -> String {
    format!("vitistack-token-{id}")
}

/// Whether `asker` may use `token`, by the Secret that keeps it. It is named by the hexadecimal SHA-256 of its public key
/// and the name that it wishes for.
pub(super) fn decide(
    secret: &Secret,
    token: &JoinToken,
    asker: &str,
    now: SystemTime,
) -> Result<(Grant, Use), Refusal> {
    // The secret part first: nothing else is told to somebody who does not have it.
    if secret.type_.as_deref() != Some(SECRET_TYPE) {
        return Err(Refusal::Unknown);
    }
    let kept = text(secret, "secret-hash").map_err(|_| Refusal::Unknown)?;
    if !token.matches(&kept) {
        return Err(Refusal::Unknown);
    }
    let used = match text(secret, REDEEMED_BY) {
        Err(_) => Use::Redeemed,
        Ok(by) if by == asker => text(secret, ENROLLED).map_or(Use::Redeemed, Use::Enrolled),
        Ok(_) => return Err(Refusal::Unknown),
    };
    let damaged = |_| Refusal::Damaged;
    let expires: Timestamp = text(secret, "expires")
        .map_err(damaged)?
        .trim()
        .parse()
        .map_err(|_| Refusal::Damaged)?;
    let now = Timestamp::try_from(now).map_err(|_| Refusal::Damaged)?;
    if now >= expires {
        return Err(Refusal::Expired);
    }
    let site = text(secret, "site").map_err(damaged)?.trim().to_owned();
    let mut namespaces: Vec<String> = text(secret, "namespaces")
        .map_err(damaged)?
        .split(',')
        .map(|namespace| namespace.trim().to_owned())
        .filter(|namespace| !namespace.is_empty())
        .collect();
    namespaces.sort();
    namespaces.dedup();
    if site.is_empty() || namespaces.is_empty() {
        return Err(Refusal::Damaged);
    }
    Ok((Grant { site, namespaces }, used))
}

/// The Secret of a token once `asker` has redeemed it; `None` if it says so already.
pub(super) fn redeemed(secret: &Secret, asker: &str) -> Option<Secret> {
    if text(secret, REDEEMED_BY).is_ok() {
        return None;
    }
    Some(with(secret.clone(), REDEEMED_BY, asker))
}

/// The Secret of a token by which the agent `name` was made.
pub(super) fn enrolled(secret: Secret, name: &str) -> Secret {
    with(secret, ENROLLED, name)
}

fn with(mut secret: Secret, key: &str, value: &str) -> Secret {
    let data = secret.data.get_or_insert_default();
    data.insert(key.to_owned(), ByteString(value.as_bytes().to_vec()));
    secret
}

#[cfg(test)]
mod tests;
