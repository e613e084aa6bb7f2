//! What agent, hub and netboot image weigh while nothing happens.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use vitistack_tests::peer;
use vitistack_tests::world::{Dhcp, Mode, World};

use crate::context::Context;
use crate::figure::{Figure, Must};
use crate::sample::{cpu_seconds, memory_kib};

/// Hosts that the agent holds.
const HOSTS: usize = 10;
const MIB: f64 = 1024.0;

/// A site with ten hosts that are off, left alone.
pub(crate) fn run(context: &Context) -> anyhow::Result<Vec<Figure>> {
    let servers: Vec<String> = (0..HOSTS)
        .map(|index| format!("name=s{index},firmware=bios,size=1G"))
        .collect();
    let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
    let world = World::start(Mode::Standalone, Dhcp::Own, &servers);
    for index in 0..HOSTS {
        world.host_available(index);
    }
    let (agent, hub) = (world.agent_id(), world.hub.id());
    let rest = Duration::from_secs(context.size(600, 10));
    let (begun, agent_before, hub_before) =
        (Instant::now(), cpu_seconds(agent)?, cpu_seconds(hub)?);
    std::thread::sleep(rest);
    let seconds = begun.elapsed().as_secs_f64();
    let agent_load = (cpu_seconds(agent)? - agent_before) / seconds * 100.0;
    let hub_load = (cpu_seconds(hub)? - hub_before) / seconds * 100.0;

    let what = format!("enrolled, connected, netboot on, {HOSTS} hosts held, after {seconds:.0} s");
    Ok(vec![
        memory("agent", agent, 20.0)?.note(what),
        Figure::told("agent, processor time of one core", agent_load, "%")
            .must(Must::AtMost(0.2))
            .note("ticks of 10 ms: less than 0.002 % in ten minutes is not seen"),
        memory("standalone hub", hub, 40.0)?,
        Figure::told("standalone hub, processor time of one core", hub_load, "%"),
        size(
            "agent, stripped binary",
            15.0,
            &[context.program("vitistack-agent")?],
        )?,
        size(
            "netboot image: kernel, installer, modules",
            30.0,
            &[
                peer::image("netboot").join("vmlinuz"),
                peer::image("netboot").join("initramfs"),
            ],
        )?,
    ])
}

fn memory(who: &str, pid: u32, limit: f64) -> anyhow::Result<Figure> {
    let figure = Figure::told(
        format!("{who}, resident memory"),
        memory_kib(pid, "VmRSS")? / MIB,
        "MiB",
    );
    Ok(figure
        .must(Must::AtMost(limit))
        .part("proportional set size, MiB", proportional_kib(pid)? / MIB)
        .part(
            "not backed by files, MiB",
            memory_kib(pid, "RssAnon")? / MIB,
        ))
}

/// Pages that are shared with other programs count by their share.
fn proportional_kib(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{path} is not readable"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .with_context(|| format!("{path} has no Pss"))
}

fn size(what: &str, limit: f64, files: &[std::path::PathBuf]) -> anyhow::Result<Figure> {
    let mut bytes = 0;
    for file in files {
        bytes += file
            .metadata()
            .with_context(|| format!("{} is missing", file.display()))?
            .len();
    }
    Ok(Figure::told(what, bytes as f64 / MIB / MIB, "MiB").must(Must::AtMost(limit)))
}
