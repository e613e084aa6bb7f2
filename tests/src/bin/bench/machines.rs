//! Many Machines on a few agents and a real kube-apiserver: how long until all run, how many writes that takes, and that
//! nothing is written afterwards.
//!
//! The API server and its etcd are the machine's other tenants, so what they can do at all is measured beside it.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;
use vitistack_api::host::{BareMetalHost, HostPhase};
use vitistack_api::machine::{Machine, MachinePhase};
use vitistack_protocol::transport::Line;
use vitistack_tests::world::{Hub, LOOPBACK, Mode};

use crate::api::{self, Cluster, NAMESPACE};
use crate::context::Context;
use crate::counters::{self, Writes};
use crate::disk;
use crate::figure::{Figure, Must};
use crate::fleet::Fleet;
use crate::sample::{cpu_seconds, memory_kib, percentile};

/// Everything must be there within this, or nothing is measured.
const BOUND: Duration = Duration::from_secs(600);

/// Nothing was written for so long: what belongs to the last step is there.
const QUIET: Duration = Duration::from_secs(5);

/// Of the same task by metal3's operator with its fixture provisioner, 1,000 hosts on a machine like the reference.
const METAL3: (&str, f64, f64) = ("metal3, measured before", 261.0, 15.7);

/// What a run of Machines came to.
struct Run {
    count: usize,
    /// From the first creation to each Machine that runs, s.
    running: Vec<f64>,
    /// The user's creations, s.
    creating: f64,
    writes: Writes,
    hub_cpu: f64,
}

/// Measures all of it.
pub(crate) fn run(context: &Context) -> anyhow::Result<Vec<Figure>> {
    context.program("vitistack-hub")?;
    let count = context.many(1000, 20);
    let agents = context.size(10, 2);
    let runtime = tokio::runtime::Runtime::new().context("no runtime for the client")?;
    let mut hub = Hub::start(Mode::Kubernetes, LOOPBACK);
    let cluster = runtime.block_on(Cluster::connect(hub.kubeconfig()))?;
    let sites: Vec<String> = (0..agents).map(|index| format!("site-{index}")).collect();
    let specs = runtime.block_on(cluster.invite(&sites))?;
    let mut fleet = Fleet::new(&hub.path("agents"), hub.listen(), specs)?;
    fleet.dial(Line::Normal, agents, BOUND)?;
    runtime.block_on(prepare(&cluster, &sites, count))?;
    runtime.block_on(quiet(&cluster))?;
    disk::written_back()?;
    let run = runtime.block_on(measure(&cluster, &sites, count, hub.id()))?;
    let mut figures = figures(&run);
    let idle = context.size(Duration::from_secs(300), Duration::from_secs(5));
    let before = runtime.block_on(counted(&cluster))?;
    thread::sleep(idle);
    let after = runtime.block_on(counted(&cluster))?;
    figures.push(silence(&after.since(&before), idle));
    figures.push(Figure::told(
        format!("hub memory with {count} Machines and {count} hosts"),
        memory_kib(hub.id(), "VmRSS")? / 1024.0,
        "MiB",
    ));

    fleet.hang_up();
    hub.stop();
    let limits = runtime.block_on(limits(&cluster, context.size(500, 20)))?;
    Ok(with_limits(figures, run.count, limits))
}

/// Hosts that are free.
async fn prepare(cluster: &Cluster, sites: &[String], count: usize) -> anyhow::Result<()> {
    let available = cluster.arrivals::<BareMetalHost>(
        count,
        |host| host.status.as_ref().and_then(|status| status.phase) == Some(HostPhase::Available),
        BOUND,
    );
    let making = async {
        cluster.providers(sites).await?;
        cluster.hosts(sites, count).await
    };
    let (available, made) = tokio::join!(available, making);
    made?;
    available.map(drop)
}

async fn measure(
    cluster: &Cluster,
    sites: &[String],
    count: usize,
    hub: u32,
) -> anyhow::Result<Run> {
    let machines = api::machines(sites, count)?;
    let before = counted(cluster).await?;
    let cpu = cpu_seconds(hub)?;
    let begun = Instant::now();
    let running = cluster.arrivals::<Machine>(
        count,
        |machine| {
            machine.status.as_ref().and_then(|status| status.phase) == Some(MachinePhase::Running)
        },
        BOUND,
    );
    let (running, creating) = tokio::join!(running, cluster.create(NAMESPACE, machines));
    let creating = creating?.as_secs_f64();
    let running = running?
        .into_iter()
        .map(|when| when.duration_since(begun).as_secs_f64())
        .collect();
    let after = quiet(cluster).await?;
    Ok(Run {
        count,
        running,
        creating,
        writes: after.since(&before),
        hub_cpu: cpu_seconds(hub)? - cpu,
    })
}

/// Waits until nothing is written any more, Lease renewals left out, and says what was counted by then.
async fn quiet(cluster: &Cluster) -> anyhow::Result<Writes> {
    let begun = Instant::now();
    let mut before = counted(cluster).await?;
    loop {
        tokio::time::sleep(QUIET).await;
        let after = counted(cluster).await?;
        let written = after.since(&before);
        if written.work("").total() + written.events() == 0.0 {
            return Ok(after);
        }
        anyhow::ensure!(
            begun.elapsed() < BOUND,
            "something is written on and on: {:?}",
            written.by_count()
        );
        before = after;
    }
}

async fn counted(cluster: &Cluster) -> anyhow::Result<Writes> {
    Ok(counters::writes(&cluster.metrics().await?))
}

fn figures(run: &Run) -> Vec<Figure> {
    let Run {
        count,
        running,
        creating,
        writes,
        hub_cpu,
    } = run;
    let each = |total: f64| total / *count as f64;
    let (name, seconds, peers_writes) = METAL3;
    let time = Figure::told(
        format!("{count} Machines: all Running"),
        percentile(running, 100.0),
        "s",
    )
    .must(Must::AtMost(30.0))
    .peer(name, seconds)
    .part("half of them, s", percentile(running, 50.0))
    .part("the user's creations, s", *creating)
    .part("the hub's processor time, s", *hub_cpu);
    let work = writes.work("machines");
    let mut written = Figure::told("API writes a Machine", each(work.total()), "")
        .must(Must::AtMost(6.0))
        .peer(name, peers_writes)
        .note("all writers but the user's creations, Events and Leases, until nothing was written for 5 s");
    for (kind, total) in work.by_count() {
        written = written.part(kind.words(), each(total));
    }
    let events =
        Figure::told("Events written a Machine", each(writes.events()), "").must(Must::AtMost(4.0));
    vec![time, written, events]
}

fn silence(writes: &Writes, span: Duration) -> Figure {
    let all = writes.work("");
    let seconds = span.as_secs();
    let mut figure = Figure::told(
        format!("API writes in {seconds} s in which nothing changes, without Lease renewals"),
        all.total() + writes.events(),
        "",
    )
    .must(Must::AtMost(0.0));
    for (kind, total) in writes.by_count() {
        figure = figure.part(kind.words(), total);
    }
    figure
}

/// What API server and etcd take at most when nobody else works: creations and status patches a second.
async fn limits(cluster: &Cluster, count: usize) -> anyhow::Result<(f64, f64)> {
    let machines = api::machines(&["nowhere".to_owned()], count)?;
    let names: Vec<String> = machines
        .iter()
        .enumerate()
        .map(|(index, _)| format!("limit-{index:04}"))
        .collect();
    let machines = machines
        .into_iter()
        .zip(&names)
        .map(|(mut machine, name)| {
            machine.metadata.name = Some(name.clone());
            machine
        })
        .collect();
    let created = cluster.create::<Machine>(NAMESPACE, machines).await?;
    let patch = json!({"status": {"message": "measured"}});
    let patched = cluster
        .patch_status::<Machine>(NAMESPACE, &names, &patch)
        .await?;
    let rate = |span: Duration| count as f64 / span.as_secs_f64();
    Ok((rate(created), rate(patched)))
}

/// Puts what the machine can do beside what was done.
fn with_limits(mut figures: Vec<Figure>, count: usize, limits: (f64, f64)) -> Vec<Figure> {
    let (creates, patches) = limits;
    figures.push(
        Figure::told(
            "this machine's limit of creations, no hub running",
            creates,
            "/s",
        )
        .peer("the reference machine", 291.0),
    );
    figures.push(
        Figure::told(
            "this machine's limit of status patches, no hub running",
            patches,
            "/s",
        )
        .peer("the reference machine", 638.0),
    );
    let floor = count as f64 / creates + 5.0 * count as f64 / patches;
    figures.push(Figure::told(
        "all Running, if API server and etcd had the machine for themselves and six writes were all",
        floor,
        "s",
    ));
    figures
}
