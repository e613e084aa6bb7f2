//! Cuts the power under a store, again and again, and counts what was acknowledged and is gone.
//!
//! Each run has a filesystem of its own (ext4 in a file behind a loop device). A second process of this program writes
//! to the store of the agent, or through the standalone API, and prints each acknowledgement on a pipe. The filesystem
//! is shut down without its log being flushed, as a power cut would leave it ([`disk`]); the writer is killed; the
//! filesystem is mounted again; a third process opens the store and prints what it holds ([`part`]). Everything that
//! was acknowledged must be there. The control rows do the same with sled and its own `flush`, as it is: they must
//! lose, or the cut proves nothing.
//!
//! Needs root. Exit status 0 only if the stores lost nothing and the control did.

mod agent;
mod bare;
mod cut;
mod disk;
mod load;
mod part;
mod standalone;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};

use cut::Pace;
use load::Scenario;
use table::Cell;

/// Cuts the power under the stores and counts acknowledged rows that are gone.
#[derive(Debug, Parser)]
struct Arguments {
    /// Runs of each scenario of each store.
    #[arg(long, default_value_t = 50)]
    runs: usize,
    /// Only this store; the control runs all the same.
    #[arg(long, value_enum)]
    store: Option<Store>,
    /// A few short runs of each scenario, done within a minute.
    #[arg(long)]
    short: bool,
    /// Runs side by side, each on a disk of its own.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    /// Write the table to this file as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What this program starts of itself.
#[derive(Debug, Subcommand)]
enum Part {
    /// Writes until it is killed, and prints each acknowledgement.
    #[command(hide = true)]
    Write(part::Arguments),
    /// Prints what the store holds.
    #[command(hide = true)]
    Read(part::Arguments),
}

/// Which store is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Store {
    /// The agent's store.
    Agent,
    /// The standalone hub's store, through its API.
    Standalone,
    /// The control: sled with nothing but its own `flush`.
    SledBareFlush,
}

impl Store {
    fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Standalone => "standalone",
            Self::SledBareFlush => "sled-bare-flush",
        }
    }
}

/// Runs of one scenario in `--short`.
const SHORT_RUNS: usize = 3;

fn main() -> anyhow::Result<ExitCode> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))?;
    let arguments = Arguments::parse();
    match arguments.part {
        Some(Part::Write(part)) => part::write(&part).map(|()| ExitCode::SUCCESS),
        Some(Part::Read(part)) => part::read(&part).map(|()| ExitCode::SUCCESS),
        None => loops(&arguments),
    }
}

/// Every run of every cell, on as many threads as were asked for.
fn loops(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let stores = [Store::Agent, Store::Standalone, Store::SledBareFlush];
    let (runs, pace) = if arguments.short {
        (arguments.runs.min(SHORT_RUNS), Pace::Short)
    } else {
        (arguments.runs, Pace::Full)
    };
    let mut cells: Vec<Cell> = stores
        .into_iter()
        .filter(|store| {
            arguments
                .store
                .is_none_or(|only| only == *store || *store == Store::SledBareFlush)
        })
        .flat_map(|store| Scenario::ALL.map(|scenario| Cell::new(store, scenario)))
        .collect();
    // Round by round and not cell by cell: what was told so far has something of everything.
    let kinds: Vec<(Store, Scenario)> = cells
        .iter()
        .map(|cell| (cell.store, cell.scenario))
        .collect();
    let plan: Vec<(usize, Store, Scenario)> = (0..runs)
        .flat_map(|_| kinds.iter().enumerate())
        .map(|(cell, (store, scenario))| (cell, *store, *scenario))
        .collect();
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    let tally = Mutex::new(&mut cells);
    let worker = || {
        while let Some(&(cell, store, scenario)) = plan.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = cut::run(store, scenario, pace)
                .with_context(|| format!("a run of {} {}", store.name(), scenario.name()))?;
            let mut cells = tally.lock().unwrap_or_else(PoisonError::into_inner);
            let cell = cells.get_mut(cell).context("the plan names cells")?;
            cell.add(outcome);
            let (done, lost) = (table::runs(&cells), table::lost(&cells));
            if done % kinds.len() == 0 {
                eprintln!(
                    "power-cut: {done} of {} runs, {lost} acked rows lost, {} s",
                    plan.len(),
                    begun.elapsed().as_secs()
                );
            }
        }
        anyhow::Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..arguments.jobs.max(1))
            .map(|_| scope.spawn(worker))
            .collect();
        workers.into_iter().try_for_each(|worker| {
            let ended = worker.join();
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })?;
    print!("{}", table::render(&cells));
    if let Some(path) = &arguments.json {
        std::fs::write(path, table::json(&cells).to_string())
            .with_context(|| format!("write {}", path.display()))?;
    }
    Ok(if table::holds(&cells) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
