//! One run: write, cut, mount again, compare.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::Store;
use crate::disk::Disk;
use crate::load::Scenario;
use crate::part::{self, Line, Row};

/// How long a store may take to open.
const OPENS: Duration = Duration::from_secs(60);
/// How long a store may take to say all that it holds.
const READS: Duration = Duration::from_secs(240);

/// How long the writers write before the cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Past ext4's own commits, which come every 5 s.
    Full,
    /// For a first impression.
    Short,
}

/// What became of one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Rows that were acknowledged.
    pub(crate) acked: usize,
    /// Of these, how many are gone, or older than what was acknowledged.
    pub(crate) lost: usize,
    /// The store says that it took the place of one that was lost.
    pub(crate) reset: bool,
    /// The store did not open; in its own words.
    pub(crate) refused: Option<String>,
}

type Acked = BTreeMap<Row, u64>;

/// One run on a disk of its own.
pub(crate) fn run(store: Store, scenario: Scenario, pace: Pace) -> anyhow::Result<Outcome> {
    let mut disk = Disk::new()?;
    let place = disk.mount_point();
    let mut writer = Writer::start(store, scenario, &place)?;
    writer.wait_open()?;
    std::thread::sleep(length(scenario, pace));
    let before = writer.acked();
    let cut = disk.cut();
    let after = writer.end();
    cut?;
    // The stores answer for everything that they said. sled does not notice the cut, so the control answers only for
    // what it said before.
    let acked = match store {
        Store::Agent | Store::Standalone => after,
        Store::SledBareFlush => before,
    };
    anyhow::ensure!(!acked.is_empty(), "nothing was written before the cut");
    disk.unmount()?;
    disk.mount()?;
    let outcome = compare(&acked, held(store, scenario, &place)?);
    disk.unmount()?;
    Ok(outcome)
}

fn length(scenario: Scenario, pace: Pace) -> Duration {
    let (least, spread) = match (scenario, pace) {
        (Scenario::Young, _) => (0.2, 0.6),
        (Scenario::Churn, Pace::Full) => (8.0, 3.0),
        (Scenario::Backlog | Scenario::UserData, Pace::Full) => (7.0, 2.0),
        (_, Pace::Short) => (1.5, 1.0),
    };
    Duration::from_secs_f64(least + spread * part::fraction())
}

fn compare(acked: &Acked, held: Held) -> Outcome {
    let Held {
        rows,
        reset,
        refused,
    } = held;
    let lost = acked
        .iter()
        .filter(|(row, value)| rows.get(*row).is_none_or(|found| found < *value))
        .count();
    Outcome {
        acked: acked.len(),
        lost,
        reset,
        refused,
    }
}

/// The process that writes.
struct Writer {
    child: Child,
    seen: Arc<Mutex<Seen>>,
    reading: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    open: bool,
    acked: Acked,
}

impl Writer {
    fn start(store: Store, scenario: Scenario, place: &Path) -> anyhow::Result<Self> {
        let mut child = command("write", store, scenario, place)?
            .spawn()
            .context("start the writer")?;
        let output = child.stdout.take().context("the writer's output")?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        let reading = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let mut seen = shared.lock().unwrap_or_else(PoisonError::into_inner);
                match Line::parse(&line) {
                    Some(Line::Open) => seen.open = true,
                    Some(Line::Row(row, value)) => {
                        let newest = seen.acked.entry(row).or_default();
                        *newest = value.max(*newest);
                    }
                    // The last line of a process that was killed may be half a line.
                    Some(Line::Reset) | None => {}
                }
            }
        });
        Ok(Self {
            child,
            seen,
            reading: Some(reading),
        })
    }

    fn wait_open(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + OPENS;
        while !self
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .open
        {
            if let Some(status) = self.child.try_wait().context("ask for the writer")? {
                anyhow::bail!("the writer ended with {status}");
            }
            anyhow::ensure!(Instant::now() < end, "the writer's store did not open");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn acked(&self) -> Acked {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.acked.clone()
    }

    /// Kills it, and returns everything that it said until then.
    fn end(&mut self) -> Acked {
        self.child.kill().ok();
        self.child.wait().ok();
        if let Some(reading) = self.reading.take() {
            reading.join().ok();
        }
        self.acked()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a store holds.
#[derive(Default)]
struct Held {
    rows: Acked,
    reset: bool,
    refused: Option<String>,
}

/// Asks a process of its own, because sled may panic or hang over what it finds.
fn held(store: Store, scenario: Scenario, place: &Path) -> anyhow::Result<Held> {
    let mut child = command("read", store, scenario, place)?
        .stderr(Stdio::piped())
        .spawn()
        .context("start the reader")?;
    let output = child.stdout.take().context("the reader's output")?;
    let errors = child.stderr.take().context("the reader's errors")?;
    let reading = std::thread::spawn(move || {
        let mut held = Held::default();
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            match Line::parse(&line) {
                Some(Line::Row(row, value)) => {
                    held.rows.insert(row, value);
                }
                Some(Line::Reset) => held.reset = true,
                Some(Line::Open) | None => {}
            }
        }
        held
    });
    let said = std::thread::spawn(move || {
        BufReader::new(errors)
            .lines()
            .map_while(Result::ok)
            .collect::<Vec<_>>()
            .join(" ")
    });
    let end = Instant::now() + READS;
    let refused = loop {
        match child.try_wait().context("ask for the reader")? {
            Some(status) if status.success() => break None,
            Some(status) => break Some(status.to_string()),
            None if Instant::now() > end => {
                child.kill().ok();
                child.wait().ok();
                break Some("it did not answer in time".to_owned());
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let said = said.join().unwrap_or_default();
    let mut held = reading.join().unwrap_or_default();
    held.refused = refused.map(|status| format!("{status}: {said}"));
    Ok(held)
}

fn command(verb: &str, store: Store, scenario: Scenario, place: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("the own program")?);
    command
        .arg(verb)
        .args(["--store", store.name(), "--scenario", scenario.name()])
        .arg("--place")
        .arg(place)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // What a store says about a disk that is gone is not what is looked for here.
        .stderr(Stdio::null());
    Ok(command)
}
