//! Who may refer to what.
//!
//! A reference inside one namespace always holds. Into another it holds only if the target says so: an object by
//! `spec.allowedNamespaces`, a Secret by an annotation. Pure; finding the target is the caller's work.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::names::ANNOTATION_ALLOW_FROM;
use crate::reference::{AllowedNamespaces, NamespacesFrom};

/// A reference that its target does not permit. Its text says which field to set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPermitted {
    /// The target is an object of ours.
    #[error(
        "{kind} {namespace}/{name} does not let namespace {from} in: set spec.allowedNamespaces on it"
    )]
    Object {
        /// Kind of the target.
        kind: &'static str,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Namespace of the object that refers to it.
        from: String,
    },
    /// The target is a Secret.
    #[error(
        "Secret {namespace}/{name} does not let namespace {from} in: set the annotation {ANNOTATION_ALLOW_FROM} on it"
    )]
    Secret {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Namespace of the object that refers to it.
        from: String,
    },
}

impl AllowedNamespaces {
    /// Whether objects of `from` may refer to an object of `own` that carries this.
    #[must_use]
    pub fn admits(&self, own: &str, from: &str) -> bool {
        own == from
            || match self.from {
                NamespacesFrom::Same => false,
                NamespacesFrom::All => true,
                NamespacesFrom::List => self.names.iter().any(|name| name == from),
            }
    }
}

/// The target of a reference.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Its kind.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// Whether an object in `from` may refer to `target`, which carries `allowed`.
///
/// # Errors
/// It may not.
pub fn object(
    target: Target<'_>,
    allowed: Option<&AllowedNamespaces>,
    from: &str,
) -> Result<(), NotPermitted> {
    let admitted = target.namespace == from
        || allowed.is_some_and(|allowed| allowed.admits(target.namespace, from));
    if admitted {
        return Ok(());
    }
    Err(NotPermitted::Object {
        kind: target.kind,
        namespace: target.namespace.to_owned(),
        name: target.name.to_owned(),
        from: from.to_owned(),
    })
}

/// Whether an object in `from` may name the Secret `namespace`/`name`, which carries `annotations`.
///
/// # Errors
/// It may not.
pub fn secret(
    namespace: &str,
    name: &str,
    annotations: Option<&BTreeMap<String, String>>,
    from: &str,
) -> Result<(), NotPermitted> {
    let listed = || {
        annotations
            .and_then(|all| all.get(ANNOTATION_ALLOW_FROM))
            .is_some_and(|list| list.split(',').any(|one| one.trim() == from))
    };
    if namespace == from || listed() {
        return Ok(());
    }
    Err(NotPermitted::Secret {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        from: from.to_owned(),
    })
}
