//! Bodies of intents, reports and secret rows: typed values in, postcard bytes out, and back.
//!
//! A body is opaque to the session, so that a hub can pass on what an older agent cannot read and be told so for one
//! object, instead of losing the line. Also here: the digests by which the two sides compare what they hold.

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::intent::{
    Credentials, HeldSecret, HostIntent, Intent, MachineIntent, SecretKey, SecretName, SecretRow,
};
use super::numbered::BodyKind;
use super::report::{HostReport, MachineReport, Report};
use crate::ids::{Digest, Uid};

/// A value that travels as the body of an intent.
pub trait IntentBody: Serialize + DeserializeOwned {
    /// Its number.
    const KIND: BodyKind;
}

/// A value that travels as the body of a report.
pub trait ReportBody: Serialize + DeserializeOwned {
    /// Its number.
    const KIND: BodyKind;
}

impl IntentBody for MachineIntent {
    const KIND: BodyKind = BodyKind::Machine;
}

impl IntentBody for HostIntent {
    const KIND: BodyKind = BodyKind::Host;
}

impl ReportBody for MachineReport {
    const KIND: BodyKind = BodyKind::Machine;
}

impl ReportBody for HostReport {
    const KIND: BodyKind = BodyKind::Host;
}

/// A body that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is of another kind than the caller asked for.
    #[error("the body is a {found:?}, not a {wanted:?}")]
    Kind {
        /// What the caller asked for.
        wanted: BodyKind,
        /// What the message says.
        found: BodyKind,
    },
    /// The bytes are not what their kind says.
    #[error("cannot read the body of a {kind:?}")]
    Decode {
        /// What the message says.
        kind: BodyKind,
        /// Why.
        source: postcard::Error,
    },
    /// Bytes are left over behind the value.
    #[error("{count} bytes are left over behind the body of a {kind:?}")]
    Trailing {
        /// What the message says.
        kind: BodyKind,
        /// How many.
        count: usize,
    },
    /// The bytes of a secret row are not credentials.
    #[error("cannot read a secret row as credentials")]
    Credentials {
        /// Why.
        source: postcard::Error,
    },
}

/// Bytes of a body, as [`Intent::body`] and [`Report::body`] hold them.
#[must_use]
pub fn encode<T: Serialize>(body: &T) -> Vec<u8> {
    postcard::to_allocvec(body).expect("messages hold only what postcard can write, into memory")
}

impl Intent {
    /// SHA-256 over everything but the fence: what decides whether a new revision is due and whether two hold the same.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let Self {
            fence: _,
            object,
            generation,
            kind,
            body,
            absent,
            secrets,
            extensions,
        } = self;
        Digest::of(&encode(&(
            object, generation, kind, body, absent, secrets, extensions,
        )))
    }

    /// The body as a `T`.
    ///
    /// # Errors
    /// When the body is of another kind or not readable.
    pub fn read<T: IntentBody>(&self) -> Result<T, Error> {
        decode(T::KIND, self.kind, &self.body)
    }
}

impl Report {
    /// SHA-256 over everything but the sequence: what decides whether a report is news.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let Self {
            sequence: _,
            object,
            fence,
            generation,
            kind,
            body,
            gone,
            extensions,
        } = self;
        Digest::of(&encode(&(
            object, fence, generation, kind, body, gone, extensions,
        )))
    }

    /// The body as a `T`.
    ///
    /// # Errors
    /// When the body is of another kind or not readable.
    pub fn read<T: ReportBody>(&self) -> Result<T, Error> {
        decode(T::KIND, self.kind, &self.body)
    }
}

impl SecretName {
    /// The credentials in the Secret `uid`.
    #[must_use]
    pub fn of_credentials(uid: Uid) -> Self {
        Self { uid, content: None }
    }
}

impl From<SecretKey> for SecretName {
    /// A value at one content.
    fn from(SecretKey { uid, digest }: SecretKey) -> Self {
        Self {
            uid,
            content: Some(digest),
        }
    }
}

impl SecretRow {
    /// A row of the Secret `uid` that holds `value`, named with its content.
    #[must_use]
    pub fn new(uid: Uid, value: Vec<u8>) -> Self {
        let digest = Digest::of(&value);
        Self {
            name: SecretKey { uid, digest }.into(),
            digest,
            value,
        }
    }

    /// A row of the Secret `uid` that holds credentials.
    #[must_use]
    pub fn of_credentials(uid: Uid, credentials: &Credentials) -> Self {
        let value = encode(credentials);
        Self {
            name: SecretName::of_credentials(uid),
            digest: Digest::of(&value),
            value,
        }
    }

    /// The Secret and the content.
    #[must_use]
    pub fn key(&self) -> SecretKey {
        SecretKey {
            uid: self.name.uid,
            digest: self.digest,
        }
    }

    /// The row without its value.
    #[must_use]
    pub fn held(&self) -> HeldSecret {
        HeldSecret {
            name: self.name,
            digest: self.digest,
        }
    }

    /// The value as credentials.
    ///
    /// # Errors
    /// When the row holds something else.
    pub fn credentials(&self) -> Result<Credentials, Error> {
        postcard::from_bytes(&self.value).map_err(|source| Error::Credentials { source })
    }

    /// Whether the value has the digest that it comes with and, where there is one, that its name says.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        let is_named = |content| content == self.digest;
        Digest::of(&self.value) == self.digest && self.name.content.is_none_or(is_named)
    }

    /// The value, in memory that is wiped.
    #[must_use]
    pub fn wiped_value(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.value.clone())
    }
}

fn decode<T: DeserializeOwned>(
    wanted: BodyKind,
    found: BodyKind,
    bytes: &[u8],
) -> Result<T, Error> {
    if wanted != found {
        return Err(Error::Kind { wanted, found });
    }
    let (body, rest) = postcard::take_from_bytes(bytes).map_err(|source| Error::Decode {
        kind: found,
        source,
    })?;
    if rest.is_empty() {
        Ok(body)
    } else {
        Err(Error::Trailing {
            kind: found,
            count: rest.len(),
        })
    }
}

#[cfg(test)]
mod tests;
