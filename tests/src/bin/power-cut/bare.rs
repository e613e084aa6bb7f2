//! The control: sled as it is, acknowledging after its own `flush`.

use std::path::Path;

use anyhow::Context as _;

use crate::load::{self, Scenario, USER_DATA, WRITERS};
use crate::part::{Line, say};

/// Bytes of a small row, about what an intent takes.
const SMALL: usize = 512;

fn open(data: &Path) -> anyhow::Result<sled::Db> {
    sled::Config::new()
        .path(data)
        .flush_every_ms(None)
        .open()
        .context("open sled")
}

/// Writes until it is killed.
pub(crate) fn write(data: &Path, scenario: Scenario) -> anyhow::Result<()> {
    let db = open(data)?;
    say(Line::Open);
    for turn in 0.. {
        let turns: Vec<_> = (0..WRITERS)
            .map(|writer| scenario.turn(writer, turn))
            .collect();
        let mut batch = sled::Batch::default();
        for turn in &turns {
            let length = if turn.user_data { USER_DATA } else { SMALL };
            let value = load::user_data(turn.row, turn.value, length);
            batch.insert(&turn.row.to_be_bytes(), value);
        }
        db.apply_batch(batch).context("write")?;
        db.flush().context("flush")?;
        for turn in turns {
            say(Line::Row(('b', turn.row), turn.value));
        }
    }
    Ok(())
}

/// Says what is there.
pub(crate) fn read(data: &Path) -> anyhow::Result<()> {
    for row in open(data)?.iter() {
        let (_, value) = row.context("read")?;
        if let Some((row, value)) = load::read_user_data(&value) {
            say(Line::Row(('b', row), value));
        }
    }
    Ok(())
}
