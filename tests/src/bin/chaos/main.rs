//! `chaos`: kills agent, hub and installer at each of their fault points and looks from outside at what becomes of the
//! Machine: one installation, one operation, one machine.
//!
//! First each site lives two lives without a death, an inspection of its free server and a join, which shows the points
//! that there are and how often each is hit. Then one life after the other, each with deaths on the way to Running and on
//! the way out; then inspections and joins with deaths, and pairs of deaths that depend on each other; then the agent's data
//! directory is deleted under a Machine that runs and one that is half installed. Needs root, and the programs that
//! `tests/fault/build.sh` makes.

mod initramfs;
mod keeper;
mod lane;
mod lost;
mod plan;
mod point;
mod table;
mod witness;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clap::Parser;
use vitistack_tests::peer;
use vitistack_tests::world::Mode;

use lane::{Errand, Lane, Orders};
use point::Hits;
use table::{Life, Table};

/// A site each for a processor of the usual machine, one with each kind of API.
const MODES: [Mode; 2] = [Mode::Standalone, Mode::Kubernetes];

/// Kills agent, hub and installer at each of their fault points, restarts them, and checks from outside that each
/// Machine was installed once.
#[derive(Parser)]
struct Arguments {
    /// A handful of points of each program, and one pair.
    #[arg(long)]
    short: bool,
    /// Only these points; a name without `.before` or `.after` means both, a beginning means all that begin so.
    #[arg(long, value_name = "POINT", num_args = 1..)]
    only: Vec<String>,
    /// Only the inspections and the joins.
    #[arg(long)]
    errands: bool,
    /// Print what would be killed where after the lives without a death, and stop.
    #[arg(long)]
    list: bool,
    /// Only delete the agent's data directory, and kill nothing.
    #[arg(long)]
    lost_data: bool,
    /// Take the points and their hits from what an earlier run wrote with --json, instead of living without a death
    /// first.
    #[arg(long, value_name = "FILE")]
    recorded: Option<PathBuf>,
    /// Write the results here as well.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let began = Instant::now();
    let known = match &arguments.recorded {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let Some(hits) = Hits::read(&text) else {
                eprintln!("chaos: {} is not what --json wrote", path.display());
                return ExitCode::FAILURE;
            };
            Some(hits)
        }
    };
    peer::use_programs(&peer::root().join("target/fault"));
    let shared = Shared {
        table: Mutex::new(Table {
            known,
            ..Table::default()
        }),
        plan: Mutex::new(None),
        recorded: std::sync::Barrier::new(MODES.len()),
    };
    let modes = if arguments.lost_data { &[][..] } else { &MODES };
    std::thread::scope(|scope| {
        for &mode in modes {
            let (shared, arguments) = (&shared, &arguments);
            scope.spawn(move || shared.site(mode, arguments));
        }
    });
    let mut table = shared
        .table
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    if arguments.is_whole() {
        table.lost = Some(lost::run());
    }
    table.took = began.elapsed();
    print!("{}", table.render());
    if let Some(path) = arguments.json {
        let text = table.json().to_string();
        if let Err(error) = std::fs::write(&path, text) {
            eprintln!("chaos: {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    if table.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

struct Shared {
    table: Mutex<Table>,
    /// Made once all sites have recorded.
    plan: Mutex<Option<plan::Plan>>,
    recorded: std::sync::Barrier,
}

impl Shared {
    /// Everything that happens on one site.
    fn site(&self, mode: Mode, arguments: &Arguments) {
        let mut site = None;
        for quiet in arguments.without_a_death() {
            self.life(&mut site, mode, &quiet);
        }
        self.recorded.wait();
        self.make_plan(arguments);
        while !arguments.list
            && let Some(orders) = self.next(mode)
        {
            self.life(&mut site, mode, &orders);
        }
    }

    /// One life, and another one if nothing was wrong with it but a point that was not reached: how often a point is hit
    /// depends on the moment. The second time each dies at its first hit.
    fn life(&self, site: &mut Option<Lane>, mode: Mode, orders: &Orders) {
        let mut life = self.live(site, mode, orders);
        if life.only_missed() {
            life = self.live(site, mode, &orders.at_first_hits());
        }
        self.table().lives.push(life);
    }

    /// One life, on a new site where the last one ended badly.
    fn live(&self, site: &mut Option<Lane>, mode: Mode, orders: &Orders) -> Life {
        let lived = catch_unwind(AssertUnwindSafe(|| {
            let lane = site.get_or_insert_with(|| Lane::start(mode));
            let outcome = lane.life(orders);
            (outcome, lane.logs())
        }));
        let life = match lived {
            Ok((outcome, logs)) => {
                let life = Life::new(mode, orders.clone(), outcome);
                if !life.is_good() {
                    let folder = format!("target/test-logs/chaos/{}", life.name());
                    lane::keep_logs(&logs, &peer::root().join(folder));
                    // What a failed life leaves behind must not be the next one's.
                    site.take();
                }
                life
            }
            Err(panic) => {
                site.take();
                let text = panic
                    .downcast_ref::<String>()
                    .map_or_else(|| "a check panicked".to_owned(), Clone::clone);
                Life::broken(mode, orders.clone(), text)
            }
        };
        println!("{}", life.line());
        life
    }

    fn make_plan(&self, arguments: &Arguments) {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        if plan.is_some() {
            return;
        }
        let hits = self.table().hits();
        let wanted: Vec<&str> = hits
            .points()
            .filter(|point| arguments.wants(point))
            .collect();
        let mut made = if arguments.errands {
            plan::Plan::default()
        } else {
            plan::singles(wanted.iter().copied(), &hits)
        };
        for errand in Errand::ALL {
            let errands = plan::errands(errand, wanted.iter().copied(), &hits);
            made = made.then(if arguments.short {
                errands.cut(1)
            } else {
                errands
            });
        }
        if arguments.only.is_empty() && !arguments.errands {
            let pairs = if arguments.short {
                plan::SHORT_PAIRS
            } else {
                plan::PAIRS
            };
            made.anywhere.extend(plan::pairs(pairs, &hits));
        }
        println!(
            "{} points, {} lives to come",
            hits.points().count(),
            made.len()
        );
        *plan = Some(made);
    }

    fn next(&self, mode: Mode) -> Option<Orders> {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = plan.as_mut()?;
        let own: &mut VecDeque<Orders> = match mode {
            Mode::Standalone => &mut plan.standalone,
            Mode::Kubernetes => &mut plan.kubernetes,
        };
        own.pop_front().or_else(|| plan.anywhere.pop_front())
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arguments {
    /// The lives that show which points there are.
    fn without_a_death(&self) -> Vec<Orders> {
        let machine = |wipe| Orders {
            wipe,
            ..Orders::default()
        };
        let errands = Errand::ALL.map(|errand| Orders {
            errand: Some((errand, Vec::new())),
            ..Orders::default()
        });
        let machines = match self.recorded {
            Some(_) => return Vec::new(),
            None if self.short => vec![machine(true)],
            None => vec![machine(true), machine(false)],
        };
        machines.into_iter().chain(errands).collect()
    }

    /// Whether the deleted data directory is a part of it.
    fn is_whole(&self) -> bool {
        self.lost_data || !self.short && self.only.is_empty() && !self.list && !self.errands
    }

    fn wants(&self, point: &str) -> bool {
        if self.short {
            return plan::SHORT.contains(&point);
        }
        self.only.is_empty()
            || self
                .only
                .iter()
                .any(|name| point.starts_with(name.as_str()))
    }
}

/// Hits of a life without a death.
fn quiet_hits(lives: &[Life]) -> Hits {
    let mut hits = Hits::default();
    for life in lives.iter().filter(|life| life.is_quiet()) {
        hits.least(&life.outcome.hits);
    }
    hits
}
