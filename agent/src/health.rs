//! How the agent and its machine are, read only when somebody asks.

use std::path::PathBuf;
use std::time::Instant;

use sysinfo::System;
use tokio::sync::watch;
use vitistack_drivers::netboot;
use vitistack_protocol::message::control::Health;

use crate::store::Store;
use crate::uplink::Link;
use crate::uplink::ports::Vitals;

/// Bytes in a MiB.
const MIB: u64 = 1024 * 1024;

/// Reads the vital signs of this agent.
pub struct Signs {
    /// Counts objects and reports, and knows its own state.
    pub store: Store,
    /// The boot network.
    pub netboot: netboot::Handle,
    /// How the line is.
    pub link: watch::Receiver<Link>,
    /// Whose filesystem is measured.
    pub data_dir: PathBuf,
    /// When the process started.
    pub started: Instant,
}

impl Vitals for Signs {
    async fn health(&self) -> Health {
        let data_dir = self.data_dir.clone();
        let machine = tokio::task::spawn_blocking(move || Machine::read(&data_dir))
            .await
            .unwrap_or_default();
        let (objects, outbox) = self.store.counts();
        Health {
            uptime: self.started.elapsed().as_secs(),
            load_hundredths: machine.load_hundredths,
            memory_used_mib: machine.memory_used_mib,
            memory_total_mib: machine.memory_total_mib,
            data_free_bytes: machine.data_free_bytes,
            objects: u32::try_from(objects).unwrap_or(u32::MAX),
            outbox: u32::try_from(outbox).unwrap_or(u32::MAX),
            problems: self.problems(),
        }
    }
}

impl Signs {
    /// What is wrong with the agent itself, by name.
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        problems.extend(self.store.problem().map(str::to_owned));
        if self.store.is_replacement() {
            problems.push("StoreReplaced".to_owned());
        }
        match self.netboot.service() {
            netboot::Service::Disabled | netboot::Service::Starting | netboot::Service::Serving => {
            }
            netboot::Service::ForeignDhcpServer { .. } => {
                problems.push("ForeignDhcpServer".to_owned());
            }
            netboot::Service::Broken { .. } => problems.push("NetbootBroken".to_owned()),
        }
        if let Link::Paused { .. } = *self.link.borrow() {
            problems.push("HubBehind".to_owned());
        }
        problems
    }
}

#[derive(Default)]
struct Machine {
    load_hundredths: u32,
    memory_used_mib: u64,
    memory_total_mib: u64,
    data_free_bytes: u64,
}

impl Machine {
    fn read(data_dir: &std::path::Path) -> Self {
        let mut system = System::new();
        system.refresh_memory();
        Self {
            load_hundredths: hundredths(System::load_average().one),
            memory_used_mib: system.used_memory() / MIB,
            memory_total_mib: system.total_memory() / MIB,
            data_free_bytes: crate::store::free_bytes(data_dir),
        }
    }
}

/// A load average as a whole number; nonsense is 0.
fn hundredths(load: f64) -> u32 {
    if !load.is_finite() || load < 0.0 {
        return 0;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the target's range just before"
    )]
    let whole = (load * 100.0).min(f64::from(u32::MAX)) as u32;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_measured() {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine::read(dir.path());
        assert!(machine.memory_total_mib > machine.memory_used_mib);
        assert!(machine.memory_used_mib > 0);
        assert!(machine.data_free_bytes > 0);
    }

    #[test]
    fn a_load_that_makes_no_sense_is_zero() {
        for (load, expected) in [(0.42, 42), (-1.0, 0), (f64::NAN, 0), (1e300, u32::MAX)] {
            assert_eq!(hundredths(load), expected, "{load}");
        }
    }
}
