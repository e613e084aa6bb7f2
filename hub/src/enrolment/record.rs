//! What the Secrets and the ConfigMap of the hub hold: keys and how their values read. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;

// Keys of the ConfigMap; the Secret holds the certificate under the same one.
pub(super) use vitistack_api::names::hub_config::{
    ADDRESS, CA_CERT as CA_CERTIFICATE, CA_HASH, EPOCH,
};

/// PEM key of the authority.
pub(super) const CA_KEY: &str = "ca.key";
/// 32 random bytes.
pub(super) const ENDPOINT_KEY: &str = "endpoint.key";

/// The epoch; 0 where there was none yet. Nonsense is an error, because a guess could fence out the wrong hub.
pub(super) fn epoch(data: &BTreeMap<String, String>) -> Result<u64, String> {
    data.get(EPOCH).map_or(Ok(0), |text| {
        text.trim()
            .parse()
            .map_err(|_| format!("data[{EPOCH:?}] is {text:?}, not a number"))
    })
}

/// The next epoch: beyond the one that is written, and beyond `above`.
pub(super) fn next_epoch(data: &BTreeMap<String, String>, above: u64) -> Result<u64, String> {
    epoch(data)?
        .max(above)
        .checked_add(1)
        .ok_or_else(|| format!("data[{EPOCH:?}] cannot be raised any more"))
}

pub(super) fn bytes<'a>(secret: &'a Secret, key: &str) -> Result<&'a [u8], String> {
    secret
        .data
        .as_ref()
        .and_then(|data| data.get(key))
        .map(|value| value.0.as_slice())
        .ok_or_else(|| format!("data[{key:?}] is missing"))
}

pub(super) fn text(secret: &Secret, key: &str) -> Result<String, String> {
    String::from_utf8(bytes(secret, key)?.to_vec())
        .map_err(|_| format!("data[{key:?}] is not UTF-8"))
}

#[cfg(test)]
mod tests;
