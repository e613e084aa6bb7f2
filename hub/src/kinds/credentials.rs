//! Secrets as intents need them: a value becomes a row, a row has a key.
//!
//! Must not print a value, nor keep one longer than the row lives.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use vitistack_api::conditions::Reason;
use vitistack_api::names::bmc_credentials;
use vitistack_api::refs;
use vitistack_protocol::message::intent::{Credentials, SecretRow};

use super::{Outlook, Refusal};
use crate::cache::uid_of;

#[cfg(test)]
mod tests;

/// What is known of a Secret that an object names.
#[derive(Clone, Copy)]
pub(crate) enum Sight<'a> {
    /// It is there.
    Found(&'a Secret),
    /// It is not there.
    Missing,
    /// The namespace was not listed yet; there will be a wake.
    Unseen,
    /// The API does not let us look, in its words.
    Denied(&'a str),
}

/// The Secret, if the object of namespace `from` may name it.
///
/// # Errors
///
/// When it is not there, not readable, or belongs to a namespace that does not let `from` in.
pub(crate) fn secret<'a>(
    sight: Sight<'a>,
    namespace: &str,
    name: &str,
    from: &str,
    field: &str,
) -> Result<&'a Secret, Refusal> {
    let secret = match sight {
        Sight::Found(secret) => secret,
        Sight::Missing => {
            return Err(Refusal::waits(
                Reason::SecretNotFound,
                format!("{field}: Secret {namespace}/{name} does not exist"),
            ));
        }
        Sight::Unseen => {
            return Err(Refusal {
                reason: Reason::Progressing,
                message: format!("{field}: looking for Secret {namespace}/{name}"),
                outlook: Outlook::Looking,
            });
        }
        Sight::Denied(why) => {
            return Err(Refusal::waits(
                Reason::SecretNotFound,
                format!(
                    "{field}: the hub may not read Secrets of namespace {namespace} ({why}); bind the ClusterRole \
                     vitistack-hub-secrets there by a RoleBinding"
                ),
            ));
        }
    };
    refs::secret(namespace, name, secret.metadata.annotations.as_ref(), from)
        .map(|()| secret)
        .map_err(|error| Refusal::waits(Reason::RefNotPermitted, format!("{field}: {error}")))
}

/// The row with the BMC credentials of `secret`.
///
/// # Errors
///
/// When a key is missing or is no text.
pub(crate) fn bmc(secret: &Secret) -> Result<SecretRow, Refusal> {
    let credentials = Credentials {
        username: text(secret, bmc_credentials::USERNAME)?,
        password: text(secret, bmc_credentials::PASSWORD)?,
    };
    let uid = uid_of(secret).ok_or_else(|| no_key(secret, "metadata.uid"))?;
    Ok(SecretRow::of_credentials(uid, &credentials))
}

/// The row with the value of one key, as it is.
///
/// # Errors
///
/// When the key is missing.
pub(crate) fn value(secret: &Secret, key: &str) -> Result<SecretRow, Refusal> {
    let bytes = entry(secret, key).ok_or_else(|| no_key(secret, key))?;
    let uid = uid_of(secret).ok_or_else(|| no_key(secret, "metadata.uid"))?;
    Ok(SecretRow::new(uid, bytes.0.clone()))
}

fn entry<'a>(secret: &'a Secret, key: &str) -> Option<&'a ByteString> {
    secret
        .data
        .as_ref()
        .and_then(|data: &BTreeMap<_, _>| data.get(key))
}

fn text(secret: &Secret, key: &str) -> Result<String, Refusal> {
    let bytes = entry(secret, key).ok_or_else(|| no_key(secret, key))?;
    // A newline at the end comes from `echo` and is never meant.
    String::from_utf8(bytes.0.clone())
        .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
        .map_err(|_| no_key(secret, key))
}

fn no_key(secret: &Secret, key: &str) -> Refusal {
    let name = secret.metadata.name.as_deref().unwrap_or_default();
    Refusal::waits(
        Reason::SecretNotFound,
        format!("Secret {name} has no usable key {key:?}"),
    )
}
