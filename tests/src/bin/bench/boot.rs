//! From apply to Running, and whose time it was.

mod bare;
mod serial;
pub(crate) mod timeline;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::http::Method;
use serde_json::Value;
use vitistack_tests::world::{BOOT, Dhcp, Mode, SOON, World};
use vitistack_tests::{manifest, wait};

use crate::context::Context;
use crate::figure::{Figure, Must};
use crate::sample::percentile;
use serial::{Serial, now};
use timeline::{Part, Stamps, Whose};

/// What the agent has to log for the timeline.
const LOG: (&str, &str) = ("VITISTACK_LOG", "info,vitistack_drivers::baremetal=debug");
const MACHINES: &str = "/apis/vitistack.io/v1alpha1/namespaces/default/machines";

/// Tiny OS on both firmwares, and Debian once.
pub(crate) fn run(context: &Context) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let firmwares: &[&str] = context.size(&["bios", "uefi"], &["bios"]);
    for firmware in firmwares {
        figures.extend(tiny(context, firmware)?);
    }
    if !context.short {
        figures.push(debian()?);
    }
    Ok(figures)
}

fn world(server: &str) -> World {
    let mut world = World::start(Mode::Standalone, Dhcp::Own, &[server]);
    // The same agent, with the log that the timeline is read from.
    world.stop_agent();
    world
        .agent_environment
        .push((LOG.0.to_owned(), LOG.1.to_owned()));
    let before = world.agent_log().len();
    world.run_agent();
    world.host_available(0);
    // A site that is up: its boot network has looked for other DHCP servers.
    wait::until("the boot network serves", SOON, || {
        let log = world.agent_log();
        let new = log.get(before..).unwrap_or_default();
        new.contains("no other dhcp server answers")
            .then_some(())
            .ok_or_else(|| "not yet".to_owned())
    });
    world
}

fn tiny(context: &Context, firmware: &str) -> anyhow::Result<Vec<Figure>> {
    let mut world = world(&format!("name=s0,firmware={firmware}"));
    let mut runs = Vec::new();
    for number in 0..context.size(3, 1) {
        let name = format!("m{number}");
        let parts = install(&world, &name, &manifest::tiny_machine(&name))
            .with_context(|| format!("installation {number} on {firmware}"))?;
        runs.push(parts);
        world
            .hub
            .kubectl(&["delete", "machine", &name, "--wait=false"]);
        world.hub.wait_gone(("machine", "default", &name), BOOT);
    }
    world.stop_agent();
    let bare: Vec<f64> = (0..context.size(3, 1))
        .map(|_| bare::install(&world))
        .collect::<anyhow::Result<_>>()?;

    let median = |pick: &dyn Fn(&[Part]) -> f64| {
        percentile(&runs.iter().map(|run| pick(run)).collect::<Vec<_>>(), 50.0)
    };
    let total = median(&|run| run.iter().map(|part| part.seconds).sum());
    let ours = median(&|run| timeline::sum(run, Whose::Ours));
    let mut whole = Figure::told(format!("apply to Running, tiny OS, {firmware}"), total, "s")
        .peer(
            "bare stand-in, until its guest is up",
            percentile(&bare, 50.0),
        );
    for (index, part) in runs.iter().flat_map(|run| run.iter()).enumerate() {
        if index < runs.first().map_or(0, Vec::len) {
            let seconds = median(&|run| run.get(index).map_or(f64::NAN, |part| part.seconds));
            whole = whole.part(format!("{} ({:?}), s", part.name, part.whose), seconds);
        }
    }
    let own = Figure::told(
        format!("of it not firmware, kernels or BMC, {firmware}"),
        ours,
        "s",
    )
    .must(Must::AtMost(5.0))
    .note(format!(
        "median of {}; the host was available and off",
        runs.len()
    ));
    Ok(vec![own, whole])
}

fn debian() -> anyhow::Result<Figure> {
    let world = world("name=s0,firmware=uefi,size=8G");
    let (url, digest) = manifest::published("debian");
    let begun = now();
    install(
        &world,
        "debian",
        &manifest::machine("debian", &url, &digest, ""),
    )?;
    Ok(Figure::told(
        "apply to Running, Debian with cloud-init",
        now() - begun,
        "s",
    )
    .must(Must::AtMost(150.0)))
}

/// One installation on the only host, from the first byte of the request to the API.
fn install(world: &World, name: &str, yaml: &str) -> anyhow::Result<Vec<Part>> {
    let api = world.hub.raw();
    let manifest: Value = serde_saphyr::from_str(yaml)?;
    let port = Serial::follow(&world.site.server(0).serial);
    let mut stamps = Stamps {
        applied: now(),
        ..Stamps::default()
    };
    let refused = |(code, message): (u16, String)| anyhow::anyhow!("{code}: {message}");
    api.send(Method::POST, MACHINES, &manifest)
        .map_err(refused)?;
    let path = format!("{MACHINES}/{name}");
    let end = Instant::now() + BOOT;
    loop {
        let machine = api
            .send(Method::GET, &path, &Value::Null)
            .map_err(refused)?;
        if machine["status"]["phase"] == "Running" {
            break;
        }
        anyhow::ensure!(
            Instant::now() < end,
            "{name} is not Running: {}",
            machine["status"]
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    stamps.running = now();
    stamps.read_serial(&port.stop()?);
    stamps.read_agent(&world.agent_log());
    stamps
        .parts()
        .map_err(|missing| anyhow::anyhow!("{missing}: {stamps:?}"))
}
