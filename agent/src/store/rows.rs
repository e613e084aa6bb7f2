//! What stands in the database: tables, keys and record types. Frozen once released, like messages.
//!
//! All tables share one sled tree, told apart by the first byte of the key, because a sled batch is atomic within one
//! tree. A value says where its record is: here, or, above [`INLINE`], in a content-addressed file.

use serde::{Deserialize, Serialize};
use vitistack_drivers::journal::Journal;
use vitistack_protocol::ids::{Digest, HubEpoch, Sequence, Uid};
use vitistack_protocol::message::intent::{Intent, SecretName};
use vitistack_protocol::message::report::Report;

use super::error::Error;
use super::files::Files;
use super::record;
use super::whole::Whole;

/// Longest record that stands in the database itself. sled puts a page of sixteen rows into one item of its log, and
/// items above a quarter of a segment (128 KiB) into files that nothing syncs; sixteen of these stay well below.
pub(crate) const INLINE: usize = 4000;

/// Newest on-disk format that this build reads and the one that it writes.
pub(crate) const FORMAT: u32 = 2;

/// Tables. The letter is the first byte of every key; never reused for another meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Table {
    /// [`Identity`] under the empty key.
    Identity = b'f',
    /// [`Position`] under the empty key.
    Position = b'p',
    /// [`IntentRow`] by UID.
    Intent = b'i',
    /// `vitistack_drivers::journal::Journal` by UID.
    Journal = b'j',
    /// [`ReportRow`] by UID.
    Report = b'r',
    /// [`SecretSealed`] by name.
    Secret = b's',
    /// `whole::Whole` under the empty key; since format 2.
    Whole = b'w',
}

/// Which store this is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// [`FORMAT`] of the build that made it.
    pub(crate) format: u32,
    /// Random.
    pub(crate) store: [u8; 16],
    /// It replaced a store that was lost.
    pub(crate) replacement: bool,
}

/// Counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Newest hub epoch that was accepted.
    pub(crate) epoch: HubEpoch,
    /// Last sequence that was given to a report.
    pub(crate) last: Sequence,
    /// Reports up to here are in the API.
    pub(crate) acked: Sequence,
}

/// The newest intent of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IntentRow {
    /// As it came; without body and secrets once retired.
    pub(crate) intent: Intent,
    /// `Intent::digest` as it came.
    pub(crate) content: Digest,
    /// The tombstone was carried out and the hub knows it: only the fence is kept. Holds the sequence of the report
    /// that said so.
    pub(crate) retired: Option<Sequence>,
    /// Only of a tombstone: the Secret with the credentials that the object used until it came, for as long as those
    /// that the tombstone names are not here, or where it names none.
    pub(crate) carried: Option<Uid>,
}

/// The newest report of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReportRow {
    /// With its sequence.
    pub(crate) report: Report,
    /// `Report::digest`.
    pub(crate) digest: Digest,
}

/// A secret value as it rests.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SecretSealed {
    /// SHA-256 over the value.
    pub(crate) digest: Digest,
    /// `nonce | ciphertext | tag`.
    pub(crate) sealed: Vec<u8>,
}

/// A row's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileValue {
    /// Name and content of the file.
    pub(crate) digest: Digest,
    /// Its length in bytes.
    pub(crate) length: u64,
}

/// First byte of a value whose record follows.
pub(crate) const PLACE_HERE: u8 = 0;
/// First byte of a value that is followed by the record of a [`FileValue`].
pub(crate) const PLACE_FILE: u8 = 1;

/// The value of a row that holds `content`: the record itself, or the name of the file that it was put into.
pub(crate) fn value_of<T: Serialize>(
    files: &Files,
    content: &T,
) -> Result<(Vec<u8>, Option<FileValue>), Error> {
    let failed = |_| Error::Encoding {
        what: "a row",
        operation: "encoded",
    };
    let record = record::encode(content).map_err(failed)?;
    if record.len() <= INLINE {
        return Ok(([[PLACE_HERE].as_slice(), &record].concat(), None));
    }
    let named = FileValue {
        digest: files.put(&record)?,
        length: record.len() as u64,
    };
    let row = record::encode(&named).map_err(failed)?;
    Ok(([[PLACE_FILE].as_slice(), &row].concat(), Some(named)))
}

/// Key of a row of one object.
pub(crate) fn object_key(table: Table, uid: Uid) -> Vec<u8> {
    [[table as u8].as_slice(), uid.0.as_slice()].concat()
}

/// Key of a row of which a table has one.
pub(crate) fn single_key(table: Table) -> Vec<u8> {
    vec![table as u8]
}

/// Key of a secret. Credentials stand under the UID alone, so that those that come later replace them in one write.
pub(crate) fn secret_key(name: &SecretName) -> Vec<u8> {
    let content = name.content.as_ref();
    [
        [Table::Secret as u8].as_slice(),
        name.uid.0.as_slice(),
        content.map_or(&[][..], |content| content.0.as_slice()),
    ]
    .concat()
}

/// The name of the secret that stands under a key of [`Table::Secret`].
pub(crate) fn parse_secret_key(key: &[u8]) -> Option<SecretName> {
    let rest = key.strip_prefix(&[Table::Secret as u8])?;
    let (uid, content) = rest.split_first_chunk::<16>()?;
    let content = match content {
        [] => None,
        content => Some(Digest(content.try_into().ok()?)),
    };
    Some(SecretName {
        uid: Uid(*uid),
        content,
    })
}

/// Whether `record` can be what stands under `key`: what opening a store does with each row.
///
/// # Errors
/// How the damage was noticed.
pub fn check_row(key: &[u8], record: &[u8]) -> Result<(), record::Damage> {
    match key.split_first() {
        Some((b'f', [])) => record::decode::<Identity>(record).map(drop),
        Some((b'p', [])) => record::decode::<Position>(record).map(drop),
        Some((b'i', _)) => record::decode::<IntentRow>(record).map(drop),
        Some((b'j', _)) => record::decode::<Journal>(record).map(drop),
        Some((b'r', _)) => record::decode::<ReportRow>(record).map(drop),
        Some((b's', _)) => match parse_secret_key(key) {
            Some(_) => record::decode::<SecretSealed>(record).map(drop),
            None => Err(record::Damage::Content),
        },
        Some((b'w', [])) => record::decode::<Whole>(record).map(drop),
        Some(_) | None => Err(record::Damage::Content),
    }
}

/// Key for people: the table's letter and the rest in hexadecimal digits.
pub(crate) fn name_of(key: &[u8]) -> String {
    match key.split_first() {
        Some((table, rest)) => format!("{}/{}", char::from(*table), hex::encode(rest)),
        None => "(empty)".to_owned(),
    }
}
