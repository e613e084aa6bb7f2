//! Frames: `u32 length | u16 type | u16 version | payload`, big endian, the payload postcard.
//!
//! The length counts the payload and is checked against the cap of its type before a byte is allocated. A type or a
//! version that this build does not know is read over, up to [`UNKNOWN_CAP`], and answered with `Unsupported`; what is
//! longer, or does not decode to its last byte, ends the connection.

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::message::control::{
    Goodbye, Health, Hello, IntentAck, Join, Joined, Renew, Renewed, ReportAck, ReportBatch,
    SecretAck, Unsupported, Welcome,
};
use crate::message::intent::{Intent, SecretRow};

/// Bytes before the payload.
pub const HEADER: usize = 8;

/// The longest payload of an unknown type that is read over. Enough for any message that a later version may add to
/// the control stream, and little enough that a peer cannot make us swallow much.
pub const UNKNOWN_CAP: u32 = 64 * 1024;

/// Reports in one batch.
pub const BATCH: usize = 256;

/// A message with its numbers.
pub trait Message: Serialize + DeserializeOwned {
    /// Type on the wire, unique for ever.
    const KIND: u16;
    /// Version of the type.
    const VERSION: u16;
    /// Longest payload.
    const CAP: u32;
    /// For logs and golden files.
    const NAME: &'static str;
}

/// The numbers of a message, as a table row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Type.
    pub kind: u16,
    /// Version.
    pub version: u16,
    /// Longest payload.
    pub cap: u32,
    /// Name.
    pub name: &'static str,
}

impl Spec {
    /// The row of `M`.
    #[must_use]
    pub const fn of<M: Message>() -> Self {
        Self {
            kind: M::KIND,
            version: M::VERSION,
            cap: M::CAP,
            name: M::NAME,
        }
    }
}

/// Every message that this build speaks.
pub const KNOWN: &[Spec] = &[
    Spec::of::<Hello>(),
    Spec::of::<Welcome>(),
    Spec::of::<Goodbye>(),
    Spec::of::<Unsupported>(),
    Spec::of::<Health>(),
    Spec::of::<Renew>(),
    Spec::of::<Renewed>(),
    Spec::of::<ReportAck>(),
    Spec::of::<Intent>(),
    Spec::of::<IntentAck>(),
    Spec::of::<SecretRow>(),
    Spec::of::<SecretAck>(),
    Spec::of::<ReportBatch>(),
    Spec::of::<Join>(),
    Spec::of::<Joined>(),
];

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of payload.
    pub length: u32,
    /// Type.
    pub kind: u16,
    /// Version of the type.
    pub version: u16,
}

/// A frame whose payload is not read yet.
pub struct Frame {
    /// What it is.
    pub header: Header,
    /// Wiped when dropped, since it may hold a secret row.
    pub payload: Zeroizing<Vec<u8>>,
}

/// A frame that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Longer than its type allows.
    #[error(
        "a frame of type {kind} version {version} has {length} bytes, at most {cap} are allowed"
    )]
    TooLong {
        /// Type.
        kind: u16,
        /// Version.
        version: u16,
        /// What the header says.
        length: u32,
        /// What is allowed.
        cap: u32,
    },
    /// Another type than the place allows.
    #[error("a frame of type {kind} version {version} came where {wanted} was due")]
    Unexpected {
        /// Type.
        kind: u16,
        /// Version.
        version: u16,
        /// What was due.
        wanted: &'static str,
    },
    /// The payload is not what the type says.
    #[error("cannot decode a {name}")]
    Decode {
        /// Message.
        name: &'static str,
        /// Why.
        source: postcard::Error,
    },
    /// Bytes are left over.
    #[error("{count} bytes are left over behind a {name}")]
    Trailing {
        /// Message.
        name: &'static str,
        /// How many.
        count: usize,
    },
    /// The payload cannot be made.
    #[error("cannot encode a {name}")]
    Encode {
        /// Message.
        name: &'static str,
        /// Why.
        source: postcard::Error,
    },
}

impl Header {
    /// Reads a header.
    #[must_use]
    pub fn parse(bytes: [u8; HEADER]) -> Self {
        let [a, b, c, d, e, f, g, h] = bytes;
        Self {
            length: u32::from_be_bytes([a, b, c, d]),
            kind: u16::from_be_bytes([e, f]),
            version: u16::from_be_bytes([g, h]),
        }
    }

    /// The row of this type and version; `None` if this build does not know it.
    #[must_use]
    pub fn spec(self) -> Option<&'static Spec> {
        KNOWN
            .iter()
            .find(|spec| spec.kind == self.kind && spec.version == self.version)
    }

    /// The payload's length, checked against the cap of the type. Nothing may be allocated before.
    ///
    /// # Errors
    /// When the frame is longer than its type allows.
    pub fn checked_length(self) -> Result<usize, Error> {
        let cap = self.spec().map_or(UNKNOWN_CAP, |spec| spec.cap);
        let fits = usize::try_from(self.length).ok();
        fits.filter(|_| self.length <= cap).ok_or(Error::TooLong {
            kind: self.kind,
            version: self.version,
            length: self.length,
            cap,
        })
    }
}

impl Frame {
    /// Whether this frame is an `M`.
    #[must_use]
    pub fn is<M: Message>(&self) -> bool {
        self.header.kind == M::KIND && self.header.version == M::VERSION
    }

    /// The payload as an `M`, to its last byte.
    ///
    /// # Errors
    /// When it is another message, or not one at all.
    pub fn decode<M: Message>(&self) -> Result<M, Error> {
        if !self.is::<M>() {
            return Err(Error::Unexpected {
                kind: self.header.kind,
                version: self.header.version,
                wanted: M::NAME,
            });
        }
        let (message, rest) =
            postcard::take_from_bytes(&self.payload).map_err(|source| Error::Decode {
                name: M::NAME,
                source,
            })?;
        if rest.is_empty() {
            Ok(message)
        } else {
            Err(Error::Trailing {
                name: M::NAME,
                count: rest.len(),
            })
        }
    }
}

/// The frame of a message, header and payload.
///
/// # Errors
/// When the message is longer than its own cap: the sender made it too big.
pub fn encode<M: Message>(message: &M) -> Result<Zeroizing<Vec<u8>>, Error> {
    let payload =
        Zeroizing::new(
            postcard::to_allocvec(message).map_err(|source| Error::Encode {
                name: M::NAME,
                source,
            })?,
        );
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let header = Header {
        length,
        kind: M::KIND,
        version: M::VERSION,
    };
    header.checked_length()?;
    let mut frame = Zeroizing::new(Vec::with_capacity(HEADER + payload.len()));
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&M::KIND.to_be_bytes());
    frame.extend_from_slice(&M::VERSION.to_be_bytes());
    frame.extend_from_slice(&payload);
    Ok(frame)
}

mod numbers;

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
