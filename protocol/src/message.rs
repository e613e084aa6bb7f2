//! Every message of protocol version 1.
//!
//! Postcard reads a changed struct as nonsense without an error, so these types are frozen: a field is never added,
//! removed or moved. Growth goes into [`Extensions`] or into a new version of the message beside the old one.
//! Choices are numbers on the wire (see the `Kind` constants and the numbered enums), never the position of a variant.

pub mod body;
pub mod control;
pub mod inputs;
pub mod intent;
pub mod numbered;
pub mod report;

use serde::{Deserialize, Serialize};

/// Tagged growth at the end of a message: (tag, postcard bytes). An unknown tag is ignored by the reader.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extensions(pub Vec<(u16, Vec<u8>)>);

impl Extensions {
    /// The bytes behind `tag`, the first if it stands there twice.
    #[must_use]
    pub fn find(&self, tag: u16) -> Option<&[u8]> {
        self.0
            .iter()
            .find(|(known, _)| *known == tag)
            .map(|(_, bytes)| bytes.as_slice())
    }
}
