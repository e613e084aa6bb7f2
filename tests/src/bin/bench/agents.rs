//! Many agents on one hub: what each costs the hub in memory, how soon all are back when it was killed, and how long an
//! intent takes from the API to the agent's disk.
//!
//! The hub is the program, with the API of its own, as a process of its own. The agents live in this process.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use vitistack_api::host::{BareMetalHost, HostPhase};
use vitistack_protocol::ids::Uid;
use vitistack_protocol::transport::Line;
use vitistack_tests::world::{Hub, LOOPBACK, Mode};

use crate::api::{Cluster, NAMESPACE};
use crate::context::Context;
use crate::disk::{self, Probe, Write};
use crate::figure::{Figure, Must};
use crate::fleet::{Fleet, Stored};
use crate::sample::{cpu_seconds, memory_kib, millis, percentile};

/// Joins at a time. Each is a handful of writes at the hub; people do not enrol more at once.
const JOINING: usize = 32;

/// The hub's answer to a fresh start of everything must come within this.
const BOUND: Duration = Duration::from_secs(300);

/// Until nothing of the last step is under way, and each connection keeps what it keeps for good: its channels have had
/// more than one block of messages after about 100 s.
const SETTLE: Duration = Duration::from_secs(150);

/// How long the hub's processor time is counted while nothing happens: two health frames of every agent.
const IDLE: Duration = Duration::from_secs(20);

/// Intents that are wanted each second.
const RATE: usize = 50;

/// An intent that has not arrived by then counts as this late.
const LATE: Duration = Duration::from_secs(10);

/// A bare write that takes longer is the disk's stall.
const STALL: Duration = Duration::from_millis(50);

/// Measures all of it.
pub(crate) fn run(context: &Context) -> anyhow::Result<Vec<Figure>> {
    context.program("vitistack-hub")?;
    let settle = context.size(SETTLE, Duration::from_secs(2));
    let runtime = Runtime::new().context("no runtime for the client")?;
    let figure = {
        let mut hub = Hub::start(Mode::Kubernetes, LOOPBACK);
        let (mut fleet, _, cost) = gather(context, &runtime, &hub)?;
        fleet.hang_up();
        hub.stop();
        memory(&cost, fleet.len(), "with a cluster").must(Must::AtMost(40.0))
    };

    let mut hub = Hub::start(Mode::Standalone, LOOPBACK);
    let (mut fleet, cluster, cost) = gather(context, &runtime, &hub)?;
    let mut figures = dispatch(context, &runtime, &cluster, &fleet, &hub.path(""))?;
    let normal = restart(&mut hub, &fleet)?;
    thread::sleep(settle);
    let restarted = memory_kib(hub.id(), "VmRSS")?;
    let each = (restarted - cost.alone) / fleet.len() as f64;
    let standalone = memory(&cost, fleet.len(), "standalone")
        .must(Must::AtMost(40.0))
        .part(
            "an agent after the hub was killed and all came back, KiB",
            each,
        )
        .note("the objects of its API are in the hub's memory too");
    figures.splice(0..0, [figure, standalone]);
    figures.push(normal.figure("normal").must(Must::AtMost(6.0)));

    fleet.hang_up();
    fleet.dial(Line::Metered, 4 * JOINING, BOUND)?;
    let metered = restart(&mut hub, &fleet)?;
    figures.push(metered.figure("metered"));
    Ok(figures)
}

/// Lets all agents join a hub that has none.
fn gather(
    context: &Context,
    runtime: &Runtime,
    hub: &Hub,
) -> anyhow::Result<(Fleet, Cluster, Cost)> {
    let count = context.many(1000, 20);
    let settle = context.size(SETTLE, Duration::from_secs(2));
    let idle = context.size(IDLE, Duration::from_secs(2));
    let cluster = runtime.block_on(Cluster::connect(hub.kubeconfig()))?;
    thread::sleep(idle / 4);
    let alone = memory_kib(hub.id(), "VmRSS")?;
    let names: Vec<String> = (0..count).map(|index| format!("a{index:04}")).collect();
    let specs = runtime.block_on(cluster.invite(&names))?;
    let mut fleet = Fleet::new(&hub.path("agents"), hub.listen(), specs)?;
    let joining = fleet.dial(Line::Normal, JOINING, BOUND)?;
    thread::sleep(settle);
    let cost = Cost {
        alone,
        joined: memory_kib(hub.id(), "VmRSS")?,
        idle_cpu: idle_cpu(hub.id(), idle)?,
        joining,
    };
    Ok((fleet, cluster, cost))
}

/// What the hub takes.
struct Cost {
    /// KiB before any agent has joined.
    alone: f64,
    /// KiB with all of them.
    joined: f64,
    /// Share of one core while nothing happens but health frames and keep-alives, in percent.
    idle_cpu: f64,
    /// How long all joins took.
    joining: Duration,
}

fn idle_cpu(pid: u32, span: Duration) -> anyhow::Result<f64> {
    let before = cpu_seconds(pid)?;
    thread::sleep(span);
    Ok((cpu_seconds(pid)? - before) / span.as_secs_f64() * 100.0)
}

fn memory(cost: &Cost, agents: usize, hub: &str) -> Figure {
    Figure::told(
        format!("hub memory an agent, {agents} connected, {hub}"),
        (cost.joined - cost.alone) / agents as f64,
        "KiB",
    )
    .part("the hub alone, KiB", cost.alone)
    .part("the hub with all of them, KiB", cost.joined)
    .part(
        "the hub's processor time while nothing happens, % of a core",
        cost.idle_cpu,
    )
    .part("joining of all, s", cost.joining.as_secs_f64())
    .note("resident memory above that of the hub without agents")
}

/// How soon agents were back.
struct Return {
    agents: usize,
    /// From its start to its ready file, s.
    ready: f64,
    /// From its start to each session, s.
    times: Vec<f64>,
}

/// Kills the hub and starts it again at once.
fn restart(hub: &mut Hub, fleet: &Fleet) -> anyhow::Result<Return> {
    let before = fleet.epoch();
    hub.kill();
    let since = Instant::now();
    let (times, ready) = thread::scope(|scope| {
        let watching = scope.spawn(|| fleet.back(before, since, BOUND));
        hub.run();
        let ready = since.elapsed().as_secs_f64();
        (watching.join(), ready)
    });
    let times = times.map_err(|_| anyhow::anyhow!("the look at the agents' lines panicked"))??;
    Ok(Return {
        agents: fleet.len(),
        ready,
        times,
    })
}

impl Return {
    fn figure(&self, line: &str) -> Figure {
        let Self {
            agents,
            ready,
            times,
        } = self;
        Figure::told(
            format!("hub killed: all {agents} back after its restart, {line} line"),
            percentile(times, 100.0),
            "s",
        )
        .part("half of them, s", percentile(times, 50.0))
        .part("99 %, s", percentile(times, 99.0))
        .part("the hub says that it is ready, s", *ready)
        .note("from the start of the process to the last session that has taken the new epoch to its disk")
    }
}

/// One change of an object and what became of it.
struct Change {
    uid: Uid,
    generation: i64,
    sent: Instant,
    answered: Instant,
}

fn dispatch(
    context: &Context,
    runtime: &Runtime,
    cluster: &Cluster,
    fleet: &Fleet,
    dir: &Path,
) -> anyhow::Result<Vec<Figure>> {
    let count = context.size(200, 5).min(fleet.len());
    let span = context.size(Duration::from_secs(30), Duration::from_secs(2));
    let rate = context.size(RATE, 5);
    let sites: Vec<String> = (0..count).map(|index| format!("a{index:04}")).collect();
    let (changes, disk) = runtime.block_on(async {
        let available = cluster.arrivals::<BareMetalHost>(
            count,
            |host| {
                host.status.as_ref().and_then(|status| status.phase) == Some(HostPhase::Available)
            },
            BOUND,
        );
        let making = async {
            cluster.providers(&sites).await?;
            cluster.hosts(&sites, count).await
        };
        let (available, made) = tokio::join!(available, making);
        made?;
        available?;
        disk::written_back()?;
        tokio::time::sleep(context.size(Duration::from_secs(5), Duration::from_secs(1))).await;
        let probe = Probe::start(dir)?;
        let changes = change_all(cluster, count, rate, span).await?;
        anyhow::Ok((changes, probe.end()?))
    })?;
    thread::sleep(context.size(LATE, Duration::from_secs(2)));
    let stored = fleet.stored();
    Ok(vec![
        latency(&changes, &stored, rate, &disk),
        arrived(&changes, &stored),
    ])
}

/// Changes one host after the other, `rate` a second.
async fn change_all(
    cluster: &Cluster,
    hosts: usize,
    rate: usize,
    span: Duration,
) -> anyhow::Result<Vec<Change>> {
    let api = cluster.api::<BareMetalHost>(NAMESPACE);
    let mut clock = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate)?);
    let (mut tasks, mut changes) = (JoinSet::new(), Vec::new());
    let begun = Instant::now();
    let mut number = 0;
    while begun.elapsed() < span {
        clock.tick().await;
        let (api, index, round) = (api.clone(), number % hosts, number / hosts);
        number += 1;
        tasks.spawn(async move {
            let wanted = if round % 2 == 0 { "WhenOff" } else { "Never" };
            let patch = Patch::Merge(json!({"spec": {"inspect": wanted}}));
            let sent = Instant::now();
            let host = api
                .patch(&format!("host-{index:04}"), &PatchParams::default(), &patch)
                .await?;
            let answered = Instant::now();
            let uid = host.uid().unwrap_or_default().parse()?;
            anyhow::Ok(Change {
                uid,
                generation: host.metadata.generation.unwrap_or_default(),
                sent,
                answered,
            })
        });
        while let Some(done) = tasks.try_join_next() {
            changes.push(done??);
        }
    }
    while let Some(done) = tasks.join_next().await {
        changes.push(done??);
    }
    Ok(changes)
}

fn latency(changes: &[Change], stored: &Stored, rate: usize, writes: &[Write]) -> Figure {
    let late = |change: &Change, from: Instant| {
        let when = stored.when(change.uid, change.generation);
        when.map_or(LATE, |when| when.saturating_duration_since(from))
    };
    let known = |change: &Change| millis(late(change, change.answered));
    let stalls: Vec<&Write> = writes.iter().filter(|write| write.took > STALL).collect();
    let is_quiet = |change: &&Change| {
        let arrived = change.answered + late(change, change.answered);
        !stalls.iter().any(|stall| stall.meets(change.sent, arrived))
    };
    let quiet: Vec<f64> = changes.iter().filter(is_quiet).map(known).collect();
    let known: Vec<f64> = changes.iter().map(known).collect();
    let asked: Vec<f64> = changes
        .iter()
        .map(|change| millis(late(change, change.sent)))
        .collect();
    let disk: Vec<f64> = writes.iter().map(|write| millis(write.took)).collect();
    Figure::told(
        format!("dispatch at {rate} intents/s, p99 from the API's answer to synced at the agent"),
        percentile(&known, 99.0),
        "ms",
    )
    .must(Must::AtMost(50.0))
    .peer("one write of 4 KiB and its sync on that disk meanwhile, p99", percentile(&disk, 99.0))
    .part("p50, ms", percentile(&known, 50.0))
    .part("p90, ms", percentile(&known, 90.0))
    .part("longest, ms", percentile(&known, 100.0))
    .part("p99 from sending the request to the API, ms", percentile(&asked, 99.0))
    .part("p99 of those that met no bare write of more than 50 ms, ms", percentile(&quiet, 99.0))
    .part("their share, %", 100.0 * quiet.len() as f64 / changes.len() as f64)
    .part("the bare write, p50, ms", percentile(&disk, 50.0))
    .part("the bare write, longest, ms", percentile(&disk, 100.0))
    .note("a changed BareMetalHost; the API's own write is in the second p99 only, that of status.intent in both; two such writes \
         are waited for, one after the other")
}

/// A hub that falls behind leaves out what a newer revision has replaced, and looks fast.
fn arrived(changes: &[Change], stored: &Stored) -> Figure {
    let there = changes
        .iter()
        .filter(|change| stored.when(change.uid, change.generation).is_some());
    let (there, all) = (there.count() as f64, changes.len() as f64);
    Figure::told(format!("intents that arrived, of {all}"), there, "").must(Must::AtLeast(all))
}
