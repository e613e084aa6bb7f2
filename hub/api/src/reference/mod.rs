//! References from one object to another, and who a target lets in.
//!
//! Holds the shapes only; whether a reference holds is decided in [`crate::refs`].

#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::crd::rule;
/// Names another object of a kind that the field implies.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectReference {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace; that of the referring object if absent.
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,
}

impl ObjectReference {
    /// Its namespace, for a referring object in `own`.
    #[must_use]
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        named_or(self.namespace.as_deref(), own)
    }
}

/// An omitted namespace, and an empty one, is the referrer's own.
fn named_or<'a>(namespace: Option<&'a str>, own: &'a str) -> &'a str {
    namespace.filter(|name| !name.is_empty()).unwrap_or(own)
}

/// Names an object of the same namespace.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalReference {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Names a Secret. `name` and `secretName` are two spellings of the same thing.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [Self::one_spelling()]))]
pub struct SecretReference {
    /// Name of the Secret.
    #[schemars(length(max = 253))]
    pub secret_name: Option<String>,
    /// Name of the Secret, in the other spelling.
    #[schemars(length(max = 253))]
    pub name: Option<String>,
    /// Its namespace; that of the object that names it if absent.
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,
}

/// `name` and `secretName` are both set, and differ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("name {name:?} and secretName {secret_name:?} differ")]
pub struct SpellingConflict {
    /// The one spelling.
    pub name: String,
    /// The other.
    pub secret_name: String,
}

impl SecretReference {
    /// Its namespace, for a referring object in `own`.
    #[must_use]
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        named_or(self.namespace.as_deref(), own)
    }

    /// The rule that both spellings say the same; a field with rules of its own has to repeat it.
    pub(crate) fn one_spelling() -> serde_json::Value {
        rule(
            "!has(self.secretName) || !has(self.name) || self.secretName == self.name",
            "name and secretName are two spellings of one field: set one of them, or both alike",
        )
    }

    /// The Secret's name, whichever way it was spelled; `None` if neither was.
    ///
    /// # Errors
    /// Both spellings are there and differ.
    pub fn resolve(&self) -> Result<Option<&str>, SpellingConflict> {
        fn set(spelling: &Option<String>) -> Option<&str> {
            spelling.as_deref().filter(|name| !name.is_empty())
        }
        match (set(&self.name), set(&self.secret_name)) {
            (Some(name), Some(secret_name)) if name != secret_name => Err(SpellingConflict {
                name: name.to_owned(),
                secret_name: secret_name.to_owned(),
            }),
            (name, secret_name) => Ok(name.or(secret_name)),
        }
    }
}

/// Names one value of a Secret in the object's own namespace.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key in its data; `userData` if absent.
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
}

/// The object that holds a claim. Only the UID identifies.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerReference {
    /// Name of the Machine.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// Its UID.
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
}

/// The namespaces whose objects may refer to this one, beside its own.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rule("self.from == 'List' ? has(self.names) && size(self.names) > 0 : !has(self.names)", "names goes with from: List, and with nothing else")]))]
pub struct AllowedNamespaces {
    /// Which.
    pub from: NamespacesFrom,
    /// With `List`, their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 63)))]
    pub names: Vec<String>,
}

/// How [`AllowedNamespaces`] chooses.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum NamespacesFrom {
    /// Only the object's own namespace. What an absent `allowedNamespaces` means.
    Same,
    /// Every namespace.
    All,
    /// Those that are listed.
    List,
}
