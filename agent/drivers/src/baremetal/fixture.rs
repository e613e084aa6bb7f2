//! Values and a simulated server for the tests of both plans. The server is what the wire would show: power, override,
//! what runs; the journal grows as the executor lets it grow.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use vitistack_installer_wire as wire;
use vitistack_protocol::ids::{
    Digest, Fence, Generation, HubEpoch, ObjectRef, OperationId, Revision, Uid,
};
use vitistack_protocol::message::Extensions;
use vitistack_protocol::message::intent::{
    BmcTrust, HostIntent, HostTarget, Image, Intent, MachineIntent, RootHints,
};
use vitistack_protocol::message::numbered::{
    BodyKind, BootMode, Cleaning, ImageFormat, Inspection, PowerState, Reason,
};
use vitistack_protocol::message::report::Inventory;

use super::error::Trouble;
use super::redfish::{Boot, BootTarget, Power, System};
use super::sight::{Fresh, Sight, SlotKey};
use super::step::{Kind, Step, Task, note};
use crate::capability::Capability;
use crate::driver::{Class, Next, Step as _};
use crate::journal::{Journal, Mark, Stage};
use crate::netboot::slot::{BootUrls, Mac, Seen, Service};

pub(crate) const MAC: [u8; 6] = [0x52, 0x54, 0, 0x99, 0, 1];
pub(crate) const MACHINE: Uid = Uid([1; 16]);
pub(crate) const HOST: Uid = Uid([2; 16]);
pub(crate) const OTHER: Uid = Uid([3; 16]);
pub(crate) const CREDENTIALS: Uid = Uid([9; 16]);
pub(crate) const INSTALL: OperationId = OperationId([4; 16]);
pub(crate) const INSPECT: OperationId = OperationId([5; 16]);
pub(crate) const IMAGE: Digest = Digest([6; 32]);
pub(crate) const DISK: &str = "DISK-1";
const LEASE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 100);

fn object(uid: Uid, name: &str) -> ObjectRef {
    ObjectRef {
        uid,
        namespace: "default".to_owned(),
        name: name.to_owned(),
    }
}

fn target() -> HostTarget {
    HostTarget {
        host: object(HOST, "host-0"),
        bmc_address: "redfish+http://127.0.0.1:1/redfish/v1/Systems/1".to_owned(),
        credentials: Some(CREDENTIALS),
        trust: BmcTrust::default(),
        boot_mac: MAC,
        boot_mode: BootMode::Uefi,
        maintenance: false,
    }
}

pub(crate) fn machine_intent() -> MachineIntent {
    MachineIntent {
        target: target(),
        operation: INSTALL,
        image: Image {
            url: "http://images.example/os.raw".to_owned(),
            digest: IMAGE,
            format: ImageFormat::Raw,
            ca_bundle: String::new(),
        },
        root_hints: RootHints::default(),
        allow_wipe: false,
        power: PowerState::On,
        cleaning: Cleaning::Metadata,
        hostname: "m1".to_owned(),
        ssh_keys: Vec::new(),
        user_data: None,
        provisioned: None,
        adopt: None,
        extensions: Extensions::default(),
    }
}

pub(crate) fn host_intent() -> HostIntent {
    HostIntent {
        target: target(),
        inspection: Inspection::WhenOff,
        inspection_operation: INSPECT,
        claimed_by: None,
        provisioned: None,
        externally_provisioned: false,
        extensions: Extensions::default(),
    }
}

/// An intent around a body.
pub(crate) fn intent(kind: BodyKind, body: Vec<u8>, absent: bool) -> Intent {
    let (uid, name) = match kind {
        BodyKind::Machine => (MACHINE, "m1"),
        BodyKind::Host => (HOST, "host-0"),
    };
    Intent {
        fence: Fence {
            epoch: HubEpoch(1),
            revision: Revision(1),
        },
        object: object(uid, name),
        generation: Generation(1),
        kind,
        body,
        absent,
        secrets: Vec::new(),
        extensions: Extensions::default(),
    }
}

pub(crate) fn machine(body: &MachineIntent, absent: bool) -> Intent {
    intent(BodyKind::Machine, note(body), absent)
}

pub(crate) fn trouble(reason: Reason, class: Class) -> Trouble {
    Trouble {
        cause: super::boot::cause(reason, "it does not answer"),
        class,
    }
}

/// What runs in the simulated server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runs {
    Nothing,
    /// What was on the disk before.
    OldSystem,
    Installer(Task, Capability),
    Guest,
}

/// A server, and the boot network as this process of the agent sees it.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) power: Power,
    pub(crate) boot: &'static str,
    pub(crate) runs: Runs,
    /// The disk holds our installation.
    pub(crate) installed: bool,
    /// What that was made from.
    pub(crate) inputs: Option<Digest>,
    /// How often the installer began to write, to wipe, to look.
    pub(crate) installations: u32,
    pub(crate) wipes: u32,
    pub(crate) inspections: u32,
    /// The BMC loses every override.
    pub(crate) loses_override: bool,
    /// The firmware never boots from the network.
    pub(crate) ignores_override: bool,
    /// What the installer ends with, instead of success.
    pub(crate) fails_with: Option<wire::Failure>,
    pub(crate) bmc: Option<Trouble>,
    /// Lost with the agent's process.
    pub(crate) slot: Option<(SlotKey, Task)>,
    pub(crate) report: Option<wire::State>,
    pub(crate) requests: u32,
    /// State of the installer, which outlives the agent's process.
    pub(crate) installer: Option<wire::State>,
    pub(crate) capabilities: u8,
    pub(crate) waited: Duration,
}

impl Server {
    pub(crate) fn off() -> Self {
        Self {
            power: Power::Off,
            boot: "None",
            runs: Runs::Nothing,
            installed: false,
            inputs: None,
            installations: 0,
            wipes: 0,
            inspections: 0,
            loses_override: false,
            ignores_override: false,
            fails_with: None,
            bmc: None,
            slot: None,
            report: None,
            requests: 0,
            installer: None,
            capabilities: 0,
            waited: Duration::ZERO,
        }
    }

    pub(crate) fn running_old_system() -> Self {
        Self {
            power: Power::On,
            runs: Runs::OldSystem,
            ..Self::off()
        }
    }

    /// What a plan sees.
    pub(crate) fn sight(&mut self) -> Sight {
        let mut one = || {
            self.capabilities = self.capabilities.wrapping_add(1);
            Capability::from_segment(&format!("{:032x}", self.capabilities)).unwrap()
        };
        let fresh = Fresh {
            urls: BootUrls {
                boot: one(),
                plan: one(),
                report: one(),
                image: one(),
            },
            phone_home: one(),
        };
        Sight {
            bmc: match &self.bmc {
                Some(trouble) => Err(trouble.clone()),
                None => Ok(self.system()),
            },
            certificate: None,
            service: Service::Serving,
            address: Some(SocketAddrV4::new(Ipv4Addr::new(10, 99, 0, 1), 8080)),
            seen: Seen {
                installer: self.report.clone().map(|state| wire::Report {
                    operation: String::new(),
                    uptime_ms: 1,
                    state,
                    inventory: None,
                }),
                inventory: Some(wire::Inventory {
                    cpu_cores: 4,
                    uefi: true,
                    ..wire::Inventory::default()
                }),
                installer_age: self.report.as_ref().map(|_| Duration::ZERO),
                lease: Some(LEASE),
                boot_requests: self.requests,
            },
            slot: self.slot.map(|(key, _)| key),
            fresh,
            started: self.waited,
            unchanged: Duration::ZERO,
            guest: self.waited,
            shutdown: None,
            boot_sets: Vec::new(),
            power_ons: 0,
        }
    }

    fn system(&self) -> System {
        System {
            path: "/redfish/v1/Systems/1".to_owned(),
            power: self.power,
            boot: Boot {
                target: Some(self.boot.to_owned()),
                enabled: Some("Once".to_owned()),
                mode: Some("UEFI".to_owned()),
                allowed: Vec::new(),
            },
            reset: None,
            resets: vec!["On".to_owned(), "ForceOff".to_owned()],
            settings: None,
            etag: None,
            interfaces: None,
            inventory: Inventory::default(),
        }
    }

    /// Does what a step does.
    pub(crate) fn act(&mut self, step: &Step) {
        match &step.kind {
            Kind::OpenInstaller { task, attempt } => {
                let key = SlotKey::Installer {
                    mac: Mac(MAC),
                    boot: attempt.urls.boot,
                    task: *task,
                };
                self.slot = Some((key, *task));
                self.report = None;
                self.requests = 0;
            }
            Kind::OpenLocal { phone_home } => {
                let key = SlotKey::Local {
                    mac: Mac(MAC),
                    phone_home: *phone_home,
                };
                self.slot = Some((key, Task::Inspect));
                self.report = None;
            }
            Kind::CloseSlot => self.slot = None,
            Kind::SetBoot(_) if self.loses_override => {}
            Kind::SetBoot(BootTarget::Network) => self.boot = "Pxe",
            Kind::SetBoot(BootTarget::Disk) => self.boot = "Hdd",
            Kind::PowerOff | Kind::ShutDown => {
                self.power = Power::Off;
                self.runs = Runs::Nothing;
                self.installer = None;
            }
            Kind::PowerOn | Kind::StartInstaller(_) | Kind::StartGuest => self.switch_on(),
            Kind::Begin(_) => self.waited = Duration::ZERO,
            Kind::FetchImage
            | Kind::RecordWriting
            | Kind::RecordWritten(_)
            | Kind::RecordFailure(_)
            | Kind::RecordProbe(_)
            | Kind::RecordWiped
            | Kind::EndInspection
            | Kind::RecordInspected { .. } => {}
        }
    }

    fn switch_on(&mut self) {
        if self.power == Power::On {
            return;
        }
        self.power = Power::On;
        self.waited = Duration::ZERO;
        self.runs = match self.slot {
            Some((SlotKey::Installer { boot, .. }, task))
                if self.boot == "Pxe" && !self.ignores_override =>
            {
                self.requests += 1;
                self.installer = Some(wire::State::Started);
                Runs::Installer(task, boot)
            }
            _ if self.installed => Runs::Guest,
            _ => Runs::OldSystem,
        };
    }

    /// Time passes: the installer comes one state further and reports, if its slot is open.
    pub(crate) fn tick(&mut self) {
        self.waited += Duration::from_secs(60);
        let Runs::Installer(task, boot) = self.runs else {
            return;
        };
        let next = match (&self.installer, self.fails_with, task) {
            (Some(wire::State::Started), Some(reason), _) => wire::State::Failed {
                reason,
                message: "as told".to_owned(),
            },
            (Some(wire::State::Started), None, Task::Install { .. }) => {
                self.installations += 1;
                wire::State::Writing {
                    written: 1,
                    total: 2,
                }
            }
            (Some(wire::State::Writing { .. }), None, Task::Install { inputs }) => {
                self.installed = true;
                self.inputs = Some(inputs);
                wire::State::Written {
                    disk: DISK.to_owned(),
                    digest: IMAGE.to_string(),
                    bytes: 2,
                }
            }
            (Some(wire::State::Started), None, Task::Wipe) => {
                self.wipes += 1;
                self.installed = false;
                wire::State::Wiped { disks: Vec::new() }
            }
            (Some(wire::State::Started), None, Task::Inspect) => {
                self.inspections += 1;
                wire::State::Inspected
            }
            (Some(state), _, _) => state.clone(),
            (None, _, _) => return,
        };
        self.installer = Some(next.clone());
        let open =
            matches!(self.slot, Some((SlotKey::Installer { boot: open, .. }, _)) if open == boot);
        if open {
            self.report = Some(next);
        }
    }

    /// The agent's process ends; the server does not notice.
    pub(crate) fn agent_dies(&mut self) {
        self.slot = None;
        self.report = None;
        self.requests = 0;
        self.waited = Duration::ZERO;
    }
}

/// Puts a mark as the executor does. Returns whether the step was open already.
pub(crate) fn about_to(journal: &mut Journal, step: &Step) {
    let Some(operation) = step.operation() else {
        return;
    };
    if journal.operation != Some(operation) {
        *journal = Journal {
            operation: Some(operation),
            ..Journal::default()
        };
    }
    let open = journal
        .newest(step.number())
        .is_some_and(|mark| mark.stage == Stage::AboutTo);
    if step.begins_attempt() && !open || journal.attempt == 0 {
        journal.attempt += 1;
    }
    mark(journal, step.number(), Stage::AboutTo, step.note());
}

pub(crate) fn done(journal: &mut Journal, step: &Step) {
    if step.operation().is_some() {
        mark(journal, step.number(), Stage::Done, step.note());
    }
}

pub(crate) fn mark(journal: &mut Journal, step: u16, stage: Stage, note: Vec<u8>) {
    let attempt = journal.attempt;
    journal
        .marks
        .retain(|mark| (mark.step, mark.attempt, mark.stage) != (step, attempt, stage));
    journal.marks.push(Mark {
        step,
        attempt,
        stage,
        note,
    });
}

/// What a plan said, in a word that a table can hold.
pub(crate) fn said(next: &Next<Step>) -> String {
    match next {
        Next::Do(step) => format!("do {}", step.name()),
        Next::Wait { cause, .. } => format!("wait {:?}", cause.reason),
        Next::Done => "done".to_owned(),
        Next::Fail { cause } => format!("fail {:?}", cause.reason),
    }
}

/// Where a run ends early: before an act, or between an act and its mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    Never,
    BeforeAct(usize),
    AfterAct(usize),
}

/// Runs a plan until it says that it is done or has failed. Returns what it said and how many steps it took.
pub(crate) fn run(
    server: &mut Server,
    journal: &mut Journal,
    death: Death,
    mut plan: impl FnMut(&mut Server, &mut Journal) -> Next<Step>,
) -> (String, usize) {
    let mut steps = 0;
    for _ in 0..400 {
        let next = plan(server, journal);
        match &next {
            Next::Do(step) => {
                assert!(step.note().len() <= 1024, "{step:?}");
                about_to(journal, step);
                if death == Death::BeforeAct(steps) {
                    server.agent_dies();
                } else {
                    server.act(step);
                    if death == Death::AfterAct(steps) {
                        server.agent_dies();
                    } else {
                        done(journal, step);
                    }
                }
                steps += 1;
            }
            Next::Wait { .. } => server.tick(),
            Next::Done | Next::Fail { .. } => return (said(&next), steps),
        }
    }
    ("does not end".to_owned(), steps)
}
