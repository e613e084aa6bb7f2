//! The names and counters that hub and agent fence with.
//!
//! A [`Fence`] orders everything that the hub says of one object; an [`OperationId`] names what must not happen twice.
//! Nothing here is decided by a clock.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The UID of a Kubernetes object: 16 bytes, printed as a lower-case hyphenated UUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Uid(pub [u8; 16]);

/// Counts the starts of a hub leader. An agent refuses a hub of an older epoch.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct HubEpoch(pub u64);

/// Counts the compiled intents of one object. Starts at 1; 0 means "none yet".
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Revision(pub u64);

/// `metadata.generation` of the object that an intent was compiled from.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Generation(pub i64);

/// Position of a report in an agent's outbox. Starts at 1, never reused by one store.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Sequence(pub u64);

/// SHA-256 of bytes that both sides can compute.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

/// Names one thing that must happen at most once (an installation, a wipe, a power cycle that somebody asked for).
/// Derived by the hub from the object's UID and the token that asked for it, so that a rebuilt hub names it alike.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OperationId(pub [u8; 16]);

/// What orders two intents for one object: the hub's epoch guards against a second hub, the revision against the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fence {
    /// Epoch of the hub that compiled the intent.
    pub epoch: HubEpoch,
    /// Revision that this hub allotted to it.
    pub revision: Revision,
}

/// The Kubernetes object that an intent or a report is about. Only `uid` identifies; the rest is for people.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// `metadata.uid`.
    pub uid: Uid,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).fmt(f)
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text was not a UUID.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not a UUID")]
pub struct ParseUidError {
    text: String,
}

impl std::str::FromStr for Uid {
    type Err = ParseUidError;

    fn from_str(text: &str) -> Result<Self, ParseUidError> {
        uuid::Uuid::parse_str(text)
            .map(|uuid| Self(uuid.into_bytes()))
            .map_err(|_| ParseUidError {
                text: text.to_owned(),
            })
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl OperationId {
    /// Derives the operation of `object` that `token` asked for: the first 16 bytes of SHA-256 over both.
    /// `purpose` keeps an installation and a wipe of the same object apart.
    #[must_use]
    pub fn derive(object: Uid, purpose: &str, token: &str) -> Self {
        use sha2::Digest as _;
        let hash = sha2::Sha256::new()
            .chain_update(object.0)
            .chain_update((purpose.len() as u64).to_be_bytes())
            .chain_update(purpose)
            .chain_update(token)
            .finalize();
        let mut id = [0; 16];
        id.copy_from_slice(hash.split_at(16).0);
        Self(id)
    }
}

impl Digest {
    /// SHA-256 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text was not `sha256:` and 64 hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not \"sha256:\" followed by 64 hexadecimal digits")]
pub struct ParseDigestError {
    text: String,
}

impl std::str::FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        let mut digest = [0; 32];
        text.strip_prefix("sha256:")
            .and_then(|digits| hex::decode_to_slice(digits, &mut digest).ok())
            .map(|()| Self(digest))
            .ok_or_else(|| ParseDigestError {
                text: text.to_owned(),
            })
    }
}
