//! Measures what the project promises in figures, each beside its limit and, where there is one, the peer's figure from the
//! same machine.
//!
//! `bench [GROUP…] [--short] [--count N] [--json FILE] [--programs DIR]`. A missed figure is printed as missed and stops nothing; the
//! exit status tells only whether everything could be measured. A group is a module with a `run` and a row in [`GROUPS`].
//!
//! Figures of a busy machine are only indications, so the load average stands beside them.

mod agents;
mod api;
mod boot;
mod context;
mod counters;
mod disk;
mod figure;
mod fleet;
mod footprint;
mod instant;
mod machines;
mod ramdisk;
mod report;
mod sample;
mod stream;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use clap::Parser;

use context::Context;
use figure::Figure;
use report::Measured;

/// Some figures that are measured together.
struct Group {
    /// What the command line calls it.
    name: &'static str,
    /// One line for people.
    about: &'static str,
    run: fn(&Context) -> anyhow::Result<Vec<Figure>>,
}

/// Every group, in the order in which they run.
const GROUPS: &[Group] = &[
    Group {
        name: "boot",
        about: "from apply to Running, and whose time it was",
        run: boot::run,
    },
    Group {
        name: "stream",
        about: "an image onto a disk, beside curl | dd in the same guest",
        run: stream::run,
    },
    Group {
        name: "footprint",
        about: "what agent, hub and netboot image weigh while nothing happens",
        run: footprint::run,
    },
    Group {
        name: "agents",
        about: "many agents on one hub: memory, return after a kill, dispatch",
        run: agents::run,
    },
    Group {
        name: "machines",
        about: "many Machines on a real kube-apiserver: time, writes, silence",
        run: machines::run,
    },
];

/// Measures the figures that the project promises.
#[derive(Debug, Parser)]
struct Args {
    /// Groups to measure; all if none is named.
    #[arg(value_name = "GROUP", value_parser = group_names())]
    groups: Vec<String>,
    /// Small numbers: shows that the measurement works, proves no figure.
    #[arg(long)]
    short: bool,
    /// How many agents or Machines, where a figure is about many; its promise is about 1,000.
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// Also writes everything as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where the programs to measure are.
    #[arg(long, value_name = "DIR", default_value_os_t = context::release_programs())]
    programs: PathBuf,
}

fn group_names() -> clap::builder::PossibleValuesParser {
    GROUPS
        .iter()
        .map(|group| clap::builder::PossibleValue::new(group.name).help(group.about))
        .collect::<Vec<_>>()
        .into()
}

fn main() -> anyhow::Result<ExitCode> {
    let Args {
        groups,
        short,
        count,
        json,
        programs,
    } = Args::parse();
    let context = Context::new(short, count, programs)?;
    let mut all = Vec::new();
    for group in GROUPS {
        if groups.is_empty() || groups.iter().any(|name| name == group.name) {
            let measured = measure(group, &context);
            print!("{}", report::table(&measured));
            all.push(measured);
        }
    }
    if let Some(file) = json {
        let text = serde_json::to_string_pretty(&report::json(&all, &context))?;
        std::fs::write(&file, text + "\n")
            .with_context(|| format!("{} could not be written", file.display()))?;
    }
    println!("\n{}", report::summary(&all, &context));
    Ok(if all.iter().all(|one| one.outcome.is_ok()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// One group; the harness below it fails by panicking, which is no end for the other groups.
fn measure(group: &Group, context: &Context) -> Measured {
    eprintln!("--- {}: {}", group.name, group.about);
    let (begun, load) = (Instant::now(), sample::load());
    let outcome = catch_unwind(AssertUnwindSafe(|| (group.run)(context)))
        .unwrap_or_else(|panic| Err(anyhow::anyhow!("{}", words(panic.as_ref()))));
    Measured {
        group: group.name,
        about: group.about,
        load: [load, sample::load()],
        seconds: begun.elapsed().as_secs_f64(),
        outcome,
    }
}

/// What a panic said.
fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without words")
}
