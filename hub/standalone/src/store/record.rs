//! Bytes of one object at rest: `u8 format | u64 version | sealed packed text`, cut into rows of [`CHUNK`] bytes.
//!
//! Programs before this one wrote format 2, whose text is not packed and which is read as it is until its object is
//! written again, and format 1, `u8 format | u32 crc32 | u32 length | u64 version | text`, which is read only to be
//! sealed ([`super::migrate`]).

use std::sync::Arc;

use super::error::Error;
use super::packed::Packed;
use super::row::{Key, Meta, Row};
use super::seal::{self, Seal};

/// Bytes in one sled row: sled puts a long value into a file of its own, which nothing syncs.
pub(super) const CHUNK: usize = 3584;
/// Key of every object's first bytes.
pub(super) const PREFIX: &[u8] = b"o/";
const PLAIN: u8 = 1;
const SEALED: u8 = 2;
const PACKED: u8 = 3;
const HEADER: usize = 1 + 8;

/// How many sled rows an object takes whose text takes `bytes` at rest; none for no object.
pub(super) fn chunks(bytes: usize) -> usize {
    if bytes == 0 {
        0
    } else {
        (bytes + HEADER + seal::OVERHEAD).div_ceil(CHUNK)
    }
}

/// What all keys of one object begin with. NUL separates: it cannot stand in a name.
pub(super) fn stem(key: &Key) -> Vec<u8> {
    let mut stem = PREFIX.to_vec();
    for part in [&*key.resource, &key.namespace, &key.name] {
        stem.extend_from_slice(part.as_bytes());
        stem.push(0);
    }
    stem
}

/// Key of one row of an object.
pub(super) fn chunk_key(stem: &[u8], index: usize) -> Vec<u8> {
    let index = u16::try_from(index).unwrap_or(u16::MAX);
    [stem, &index.to_be_bytes()].concat()
}

/// The object's name, for messages.
pub(super) fn shown(stem: &[u8]) -> String {
    let name = stem.strip_prefix(PREFIX).unwrap_or(stem);
    let name = name.strip_suffix(&[0]).unwrap_or(name);
    String::from_utf8_lossy(name).replace('\0', "/")
}

/// Seals one object.
pub(super) fn encode(seal: &Seal, stem: &[u8], row: &Row) -> Result<Vec<u8>, Error> {
    let mut record = vec![PACKED];
    record.extend_from_slice(&row.version.to_be_bytes());
    let place = [stem, &record].concat();
    record.extend_from_slice(&seal.seal(&place, row.packed.bytes())?);
    Ok(record)
}

/// Unseals one object; `None` if it is not what was written there.
pub(super) fn decode(seal: &Seal, stem: &[u8], record: &[u8]) -> Option<Row> {
    let (header, sealed) = record.split_first_chunk::<HEADER>()?;
    let [format, version @ ..] = *header;
    let place = [stem, header].concat();
    let unsealed = seal.unseal(&place, sealed)?;
    let packed = match format {
        PACKED => Packed::from_bytes(&unsealed),
        SEALED => Packed::of(&unsealed),
        _ => return None,
    };
    row(stem, u64::from_be_bytes(version), packed, unsealed.len())
}

/// Reads an object that an older program wrote.
pub(super) fn decode_plain(stem: &[u8], record: &[u8]) -> Option<Row> {
    let (format, rest) = record.split_first()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (version, body) = rest.split_first_chunk::<8>()?;
    let sound = *format == PLAIN
        && usize::try_from(u32::from_be_bytes(*length)) == Ok(body.len())
        && u32::from_be_bytes(*checksum) == crc32fast::hash(body);
    if !sound {
        return None;
    }
    let packed = Packed::of(body);
    row(stem, u64::from_be_bytes(*version), packed, body.len())
}

fn row(stem: &[u8], version: u64, packed: Packed, at_rest: usize) -> Option<Row> {
    let stem = std::str::from_utf8(stem.strip_prefix(PREFIX)?).ok()?;
    let mut parts = stem.split('\0');
    let key = Key::new(Arc::from(parts.next()?), parts.next()?, parts.next()?);
    let object = serde_json::from_slice(&packed.text()?).ok()?;
    Some(Row {
        key,
        version,
        packed,
        at_rest,
        meta: Meta::of(&object),
    })
}
