//! Bytes of one record: `u8 version | u32 crc32 | postcard`, the same in a row and in a file.
//!
//! Postcard reads a changed struct as nonsense without an error, so a record type is frozen once released, and a change
//! is a new version beside the old one. The checksum is ours because sled checks pages and not what we put into them.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Version of all record types below. A change of one of them raises it, and `decode` learns to read the old one.
const VERSION: u8 = 1;
/// Version and checksum.
const HEADER: usize = 5;

/// How a damaged record was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Fewer bytes than a header.
    #[error("it has {0} bytes, fewer than a header")]
    Short(usize),
    /// Written by another version.
    #[error("it has record version {0}, and this agent knows version 1")]
    Version(u8),
    /// The checksum does not fit.
    #[error("its checksum does not fit its bytes")]
    Checksum,
    /// Right bytes, wrong type: a defect of ours.
    #[error("its bytes are not the record that stands there")]
    Content,
    /// The row names a file that is not there, or has another length or digest.
    #[error("the file that it names is missing or has other content")]
    File,
}

/// Encodes one record.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, postcard::Error> {
    let mut bytes = vec![0; HEADER];
    bytes = postcard::to_extend(value, bytes)?;
    let (header, payload) = bytes.split_at_mut(HEADER);
    let crc = crc32fast::hash(payload).to_le_bytes();
    for (place, byte) in header.iter_mut().zip(std::iter::once(VERSION).chain(crc)) {
        *place = byte;
    }
    Ok(bytes)
}

/// Decodes one record; nothing may follow it.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Damage> {
    let Some((header, payload)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(Damage::Short(bytes.len()));
    };
    let [version, crc @ ..] = *header;
    if version != VERSION {
        return Err(Damage::Version(version));
    }
    if u32::from_le_bytes(crc) != crc32fast::hash(payload) {
        return Err(Damage::Checksum);
    }
    match postcard::take_from_bytes(payload) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(Damage::Content),
    }
}
