//! URLs that are good for one machine, one operation and one purpose.
//!
//! A capability is 128 random bits. Who knows it may fetch; nobody else can guess it. It lives in the journal's note of
//! the step that published it, so that a restarted agent serves the very same URLs, and it ends with the operation.

use std::fmt;

use serde::{Deserialize, Serialize};

/// 128 random bits. Printed only into URLs: it has no `Debug` that would show it in a log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Capability([u8; 16]);

impl Capability {
    /// A new one from the operating system's random source.
    ///
    /// # Errors
    /// If the operating system has no randomness to give.
    pub fn random() -> Result<Self, ring::error::Unspecified> {
        let mut bits = [0; 16];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bits)?;
        Ok(Self(bits))
    }

    /// The path segment: 32 hexadecimal digits.
    #[must_use]
    pub fn to_segment(self) -> String {
        hex::encode(self.0)
    }

    /// Reads a path segment; `None` if it cannot be one.
    #[must_use]
    pub fn from_segment(segment: &str) -> Option<Self> {
        let mut bits = [0; 16];
        hex::decode_to_slice(segment, &mut bits)
            .ok()
            .map(|()| Self(bits))
    }
}

impl fmt::Debug for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Capability(..)")
    }
}
