//! The processes that are started: the writer, the reader, and what they say to each other by way of a pipe.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::load::Scenario;
use crate::{Store, agent, bare, standalone};

/// Which process this is.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The store.
    #[arg(long, value_enum)]
    pub(crate) store: Store,
    /// The load.
    #[arg(long, value_enum)]
    pub(crate) scenario: Scenario,
    /// Where the disk is mounted.
    #[arg(long)]
    pub(crate) place: PathBuf,
}

/// A row: what kind of thing it is, and which.
pub(crate) type Row = (char, u64);

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The store is open.
    Open,
    /// The store took the place of one that was lost.
    Reset,
    /// A row has at least this value.
    Row(Row, u64),
}

impl Line {
    /// Reads a line; `None` if it is none of these, or not all of one.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        match line {
            "open." => return Some(Self::Open),
            "reset." => return Some(Self::Reset),
            _ => {}
        }
        let mut words = line.strip_suffix('.')?.split(' ');
        let (kind, row, value) = (words.next()?, words.next()?, words.next()?);
        let mut letters = kind.chars();
        let (kind, None) = (letters.next()?, letters.next()) else {
            return None;
        };
        Some(Self::Row((kind, row.parse().ok()?), value.parse().ok()?))
    }
}

/// Says a line. A reader that is gone has killed this process already.
pub(crate) fn say(line: Line) {
    let text = match line {
        Line::Open => "open.\n".to_owned(),
        Line::Reset => "reset.\n".to_owned(),
        Line::Row((kind, row), value) => format!("{kind} {row} {value}.\n"),
    };
    std::io::stdout().lock().write_all(text.as_bytes()).ok();
}

/// The writer.
pub(crate) fn write(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments {
        store,
        scenario,
        place,
    } = arguments;
    match store {
        Store::Agent => block_on(agent::write(place, *scenario)),
        Store::Standalone => block_on(standalone::write(place, *scenario)),
        Store::SledBareFlush => bare::write(&data(place), *scenario),
    }
}

/// The reader.
pub(crate) fn read(arguments: &Arguments) -> anyhow::Result<()> {
    let place = &arguments.place;
    match arguments.store {
        Store::Agent => block_on(agent::read(place)),
        Store::Standalone => block_on(standalone::read(place)),
        Store::SledBareFlush => bare::read(&data(place)),
    }
}

/// The data directory on the disk.
pub(crate) fn data(place: &Path) -> PathBuf {
    place.join("data")
}

/// The key that seals what is in it: outside, and on the same disk, so that its own writing is put to the test.
pub(crate) fn key_file(place: &Path) -> PathBuf {
    place.join("seal.key")
}

/// Somewhere from 0 to 1.
pub(crate) fn fraction() -> f64 {
    let random = uuid::Uuid::new_v4().as_u128() as u32;
    f64::from(random) / f64::from(u32::MAX)
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("a runtime")?
        .block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_says_nothing() {
        assert_eq!(Line::parse("i 12 345."), Some(Line::Row(('i', 12), 345)));
        assert_eq!(Line::parse("open."), Some(Line::Open));
        for half in ["i 12 34", "i 12", "i", "", "ii 1 2.", "open"] {
            assert_eq!(Line::parse(half), None, "{half}");
        }
    }
}
