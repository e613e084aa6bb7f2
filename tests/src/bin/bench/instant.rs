//! Drivers that need no time: the only part of a simulated agent that is not the real one.
//!
//! They keep the contract of every driver, so that the executor does all of its work: an installation is a journalled
//! step of an operation, every look is reported, a tombstone ends in *gone*. Only nothing is asked and nothing is done.

use std::time::Duration;

use vitistack_drivers::driver::{Class, Driver, Heard, Next, Outcome, ReportBody, Secrets, Step};
use vitistack_drivers::journal::Journal;
use vitistack_protocol::ids::OperationId;
use vitistack_protocol::message::Extensions;
use vitistack_protocol::message::body::{self, encode};
use vitistack_protocol::message::intent::{HostIntent, Intent, MachineIntent, Provisioned};
use vitistack_protocol::message::numbered::{
    BootMode, HostPhase, MachinePhase, PowerState, Reason,
};
use vitistack_protocol::message::report::{Cause, Disk, HostReport, Inventory, MachineReport, Nic};

/// How often an object that is as desired is looked at, as by the bare-metal driver.
const RESYNC: Duration = Duration::from_secs(60);

const INSTALL: u16 = 1;

/// The one step of a Machine.
#[derive(Debug)]
pub(crate) struct Install(OperationId);

impl Step for Install {
    fn number(&self) -> u16 {
        INSTALL
    }

    fn name(&self) -> &'static str {
        "install"
    }

    fn operation(&self) -> Option<OperationId> {
        Some(self.0)
    }

    fn begins_attempt(&self) -> bool {
        true
    }

    fn note(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// An intent that cannot be read: the hub and this program are not of one build.
#[derive(Debug, thiserror::Error)]
#[error("the intent cannot be read")]
pub(crate) struct Unreadable(#[from] body::Error);

/// Machines that run as soon as they are wanted.
#[derive(Debug)]
pub(crate) struct Machines;

impl Driver for Machines {
    type Observed = MachineIntent;
    type Step = Install;
    type Error = Unreadable;

    async fn observe(
        &self,
        intent: &Intent,
        _: &Journal,
        _: &dyn Secrets,
    ) -> Result<MachineIntent, Unreadable> {
        Ok(intent.read()?)
    }

    fn plan(&self, intent: &Intent, wanted: &MachineIntent, journal: &Journal) -> Next<Install> {
        if intent.absent || is_installed(wanted, journal) {
            Next::Done
        } else {
            Next::Do(Install(wanted.operation))
        }
    }

    async fn act(&self, _: &Intent, _: &Install, _: &dyn Secrets) -> Result<Vec<u8>, Unreadable> {
        Ok(Vec::new())
    }

    fn report(
        &self,
        intent: &Intent,
        wanted: Option<&MachineIntent>,
        journal: &Journal,
        _: Outcome<'_, Self>,
    ) -> ReportBody {
        let gone = intent.absent;
        let Some(wanted) = wanted else {
            return ReportBody {
                body: Vec::new(),
                gone: false,
            };
        };
        let installed = is_installed(wanted, journal);
        let (phase, reason) = match (gone, installed) {
            (true, _) => (MachinePhase::Gone, Reason::None),
            (false, true) => (MachinePhase::Running, Reason::PhonedHome),
            (false, false) if journal.attempt > 0 => {
                (MachinePhase::Installing, Reason::Progressing)
            }
            (false, false) => (MachinePhase::Pending, Reason::Progressing),
        };
        let proof = Provisioned {
            machine: intent.object.uid,
            operation: wanted.operation,
            image: wanted.image.digest,
            disk: "/dev/vda".to_owned(),
        };
        let report = MachineReport {
            phase,
            cause: cause(reason),
            power: Some(if gone {
                PowerState::Off
            } else {
                PowerState::On
            }),
            host: wanted.target.host.uid,
            operation: wanted.operation,
            attempt: journal.attempt,
            progress: None,
            provisioned: (installed && !gone).then_some(proof),
            addresses: vec!["10.99.0.7".to_owned()],
            extensions: MachineReport::extensions_of(installed.then(|| wanted.inputs())),
        };
        ReportBody {
            body: encode(&report),
            gone,
        }
    }

    fn heard(&self, _: &Intent, _: &Journal, _: &Heard) -> Option<(u16, Vec<u8>)> {
        None
    }

    fn class(&self, _: &Unreadable) -> Class {
        Class::Invalid
    }

    fn resync(&self) -> Duration {
        RESYNC
    }
}

fn is_installed(wanted: &MachineIntent, journal: &Journal) -> bool {
    journal.operation == Some(wanted.operation) && journal.done(INSTALL)
}

/// Servers that answer at once. Like real ones they are on while a Machine holds them.
#[derive(Debug)]
pub(crate) struct Hosts;

impl Driver for Hosts {
    type Observed = HostIntent;
    type Step = Install;
    type Error = Unreadable;

    async fn observe(
        &self,
        intent: &Intent,
        _: &Journal,
        _: &dyn Secrets,
    ) -> Result<HostIntent, Unreadable> {
        Ok(intent.read()?)
    }

    fn plan(&self, _: &Intent, _: &HostIntent, _: &Journal) -> Next<Install> {
        Next::Done
    }

    async fn act(&self, _: &Intent, _: &Install, _: &dyn Secrets) -> Result<Vec<u8>, Unreadable> {
        Ok(Vec::new())
    }

    fn report(
        &self,
        intent: &Intent,
        wanted: Option<&HostIntent>,
        _: &Journal,
        _: Outcome<'_, Self>,
    ) -> ReportBody {
        let claimed = wanted.is_some_and(|wanted| wanted.claimed_by.is_some());
        let report = HostReport {
            phase: match (intent.absent, claimed) {
                (true, _) => HostPhase::Gone,
                (false, true) => HostPhase::InUse,
                (false, false) => HostPhase::Available,
            },
            cause: cause(Reason::None),
            power: Some(if claimed {
                PowerState::On
            } else {
                PowerState::Off
            }),
            reachable: true,
            bmc_certificate: None,
            inventory: Some(inventory()),
            inspected: wanted.map(|wanted| wanted.inspection_operation),
            extensions: Extensions::default(),
        };
        ReportBody {
            body: encode(&report),
            gone: intent.absent,
        }
    }

    fn heard(&self, _: &Intent, _: &Journal, _: &Heard) -> Option<(u16, Vec<u8>)> {
        None
    }

    fn class(&self, _: &Unreadable) -> Class {
        Class::Invalid
    }

    fn resync(&self) -> Duration {
        RESYNC
    }
}

fn cause(reason: Reason) -> Cause {
    Cause {
        reason,
        message: String::new(),
    }
}

/// As much as an ordinary server tells, so that status and store carry an ordinary load.
fn inventory() -> Inventory {
    Inventory {
        manufacturer: "Simulated".to_owned(),
        model: "R640".to_owned(),
        serial_number: "SIM0001".to_owned(),
        system_uuid: "4c4c4544-0000-2010-8020-80c04f000001".to_owned(),
        firmware: "2.10.2".to_owned(),
        boot_mode: Some(BootMode::Uefi),
        cpu_cores: 32,
        cpu_model: "Simulated CPU @ 2.10GHz".to_owned(),
        memory_mib: 196_608,
        disks: (0..2)
            .map(|index| Disk {
                device_name: format!("/dev/sd{}", ['a', 'b'][index]),
                size: 480 << 30,
                model: "SSD".to_owned(),
                serial_number: format!("SN{index}"),
                ..Disk::default()
            })
            .collect(),
        nics: (0..2)
            .map(|index| Nic {
                name: format!("eno{index}"),
                mac: [2, 0, 0, 0, 0, index],
                carrier: true,
                speed: 25_000,
            })
            .collect(),
    }
}
