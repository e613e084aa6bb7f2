//! Reading a whole database: every row once, checked, into an index.
//!
//! Must not write. What does not add up is an error, never a smaller index.

use std::collections::BTreeMap;

use vitistack_drivers::journal::Journal;
use vitistack_protocol::ids::Uid;
use vitistack_protocol::message::intent::SecretName;

use super::engine::{Engine, damaged, file_of, resolve};
use super::error::Error;
use super::files::Files;
use super::index::{Change, Cost, Entry, Index, Reported};
use super::record::{self, Damage};
use super::rows::{self, Identity, IntentRow, Position, ReportRow, SecretSealed, Table};
use super::whole;

/// Reads every row once and checks it.
pub(crate) fn index(engine: &Engine, files: &Files) -> Result<Index, Error> {
    let mut index = Index::default();
    let mut reports = BTreeMap::new();
    let mut objects = Vec::new();
    let mut said = None;
    for row in engine.rows() {
        let (key, value) = row?;
        if key == rows::single_key(Table::Whole) {
            let record = resolve(files, &key, &value)?;
            let whole = record::decode(&record).map_err(|source| damaged(&key, source))?;
            said = Some(whole);
            continue;
        }
        let file = file_of(&key, &value)?;
        index.apply(&Change::Row(
            key.clone(),
            Some(Cost::of(&key, &value, file.as_ref())),
        ));
        let record = resolve(files, &key, &value)?;
        let broken = |source| damaged(&key, source);
        match key.first().copied().map(char::from) {
            Some('f') => {
                record::decode::<Identity>(&record).map_err(broken)?;
            }
            Some('p') => {
                let position = record::decode::<Position>(&record).map_err(broken)?;
                index.apply(&Change::Position(position));
            }
            Some('i') => {
                let row = record::decode::<IntentRow>(&record).map_err(broken)?;
                objects.push((uid_of(&key)?, entry_of(&row)));
            }
            Some('j') => {
                record::decode::<Journal>(&record).map_err(broken)?;
            }
            Some('r') => {
                let row = record::decode::<ReportRow>(&record).map_err(broken)?;
                reports.insert(uid_of(&key)?, reported_of(&row));
            }
            Some('s') => {
                let name = rows::parse_secret_key(&key).ok_or_else(|| broken(Damage::Content))?;
                let row = record::decode::<SecretSealed>(&record).map_err(broken)?;
                index.apply(&Change::Secret(name, Some(row.digest)));
            }
            Some(_) | None => return Err(broken(Damage::Content)),
        }
    }
    for (uid, mut entry) in objects {
        entry.report = reports.remove(&uid);
        index.apply(&Change::Object(uid, Some(entry)));
    }
    index.commits = whole::verify(engine.dir(), index.total(), said, engine.witness().read())?;
    Ok(index)
}

/// What the index keeps of an intent.
pub(crate) fn entry_of(row: &IntentRow) -> Entry {
    let named = row.intent.secrets.iter().copied();
    Entry {
        kind: row.intent.kind,
        fence: row.intent.fence,
        content: row.content,
        absent: row.intent.absent,
        retired: row.retired,
        secrets: named
            .chain(row.carried.map(SecretName::of_credentials))
            .collect(),
        report: None,
    }
}

/// What the index keeps of a report.
pub(crate) fn reported_of(row: &ReportRow) -> Reported {
    Reported {
        sequence: row.report.sequence,
        digest: row.digest,
        fence: row.report.fence,
        gone: row.report.gone,
    }
}

fn uid_of(key: &[u8]) -> Result<Uid, Error> {
    key.get(1..)
        .and_then(|uid| uid.try_into().ok())
        .map(Uid)
        .ok_or_else(|| damaged(key, Damage::Content))
}
