//! Both drivers whole, against a BMC at the wire and the boot network's table; the installer's words are put into it.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use base64::Engine as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vitistack_installer_wire as wire;
use vitistack_protocol::ids::{Digest, Uid};
use vitistack_protocol::message::intent::{
    Credentials, HostIntent, Intent, MachineIntent, SecretKey,
};
use vitistack_protocol::message::numbered::{
    BodyKind, HostPhase, Inspection, MachinePhase, Reason,
};
use vitistack_protocol::message::report::{HostReport, MachineReport};
use zeroize::Zeroizing;

use super::fixture::{self, DISK, MACHINE};
use super::redfish::Pace;
use super::redfish::tests::bmc::Bmc;
use super::step::note;
use super::{BareMetal, Step, Timing};
use crate::driver::{Driver, Heard, Next, Outcome, Secrets, Step as _};
use crate::image::{Config, Images};
use crate::journal::{Journal, Stage};
use crate::netboot::Handle;
use crate::netboot::slot::{Mac, Purpose, Service};

struct Keys {
    credentials: HashMap<Uid, Vec<u8>>,
    values: HashMap<SecretKey, Vec<u8>>,
}

impl Secrets for Keys {
    fn secret(&self, key: &SecretKey) -> Option<Zeroizing<Vec<u8>>> {
        self.values.get(key).cloned().map(Zeroizing::new)
    }

    fn credentials(&self, uid: Option<Uid>) -> Option<(SecretKey, Zeroizing<Vec<u8>>)> {
        let uid = uid?;
        let value = self.credentials.get(&uid)?.clone();
        let digest = Digest::of(&value);
        Some((SecretKey { uid, digest }, Zeroizing::new(value)))
    }
}

fn credentials(password: &str) -> Vec<u8> {
    note(&Credentials {
        username: "admin".to_owned(),
        password: password.to_owned(),
    })
}

struct Site {
    bmc: Bmc,
    netboot: Handle,
    metal: BareMetal,
    keys: Keys,
    directory: tempfile::TempDir,
}

impl Site {
    async fn start(password: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let netboot = Handle::new(Service::Serving);
        netboot.set_address(Some(SocketAddrV4::new(Ipv4Addr::new(10, 99, 0, 1), 8080)));
        let images = Images::new(
            Config::new(directory.path().to_owned(), 1 << 20),
            TaskTracker::new(),
            CancellationToken::new(),
        )
        .unwrap();
        let pace = Pace {
            gap: Duration::from_millis(1),
            breath: Duration::ZERO,
            power: Duration::from_millis(100),
            poll: Duration::from_millis(2),
            ..Pace::default()
        };
        let metal = BareMetal::new(netboot.clone(), images, pace, Timing::default());
        Self {
            bmc: Bmc::plain().await,
            netboot,
            metal,
            keys: Keys {
                credentials: HashMap::from([(fixture::CREDENTIALS, credentials(password))]),
                values: HashMap::new(),
            },
            directory,
        }
    }

    fn address(&self) -> String {
        format!("redfish+http://{}/redfish/v1/Systems/1", self.bmc.address)
    }

    fn machine(&self) -> MachineIntent {
        let mut machine = fixture::machine_intent();
        machine.target.bmc_address = self.address();
        machine.image.digest = Digest::of(b"an image");
        machine
    }

    fn publish_image(&self) {
        let name = format!("sha256-{}", hex::encode(Digest::of(b"an image").0));
        std::fs::write(self.directory.path().join(name), b"an image").unwrap();
    }

    /// The installer of the open slot says `state`.
    fn installer_says(&self, state: wire::State) {
        let mac = Mac(fixture::MAC);
        self.netboot.with(|table| {
            let slot = table.slot(mac).expect("a slot is open").clone();
            let Purpose::Installer(boot) = &slot.purpose else {
                panic!("it is not an installer's");
            };
            let report = wire::Report {
                operation: boot.operation.to_string(),
                uptime_ms: 1,
                state,
                inventory: Some(wire::Inventory {
                    cpu_cores: 8,
                    ..wire::Inventory::default()
                }),
            };
            table.reported(mac, report, std::time::Instant::now());
        });
    }

    fn installer_is_open(&self) -> bool {
        self.netboot.with(|table| {
            table
                .slot(Mac(fixture::MAC))
                .is_some_and(|slot| matches!(slot.purpose, Purpose::Installer(_)))
        })
    }
}

/// Acts until the plan says something else than to act.
async fn settle<D: Driver<Step = Step>>(
    driver: &D,
    intent: &Intent,
    journal: &mut Journal,
    keys: &Keys,
) -> (Next<Step>, Vec<u8>)
where
    D::Error: std::fmt::Debug,
{
    for _ in 0..60 {
        let observed = driver.observe(intent, journal, keys).await.unwrap();
        let next = driver.plan(intent, &observed, journal);
        let Next::Do(step) = &next else {
            let outcome = Outcome::Planned(&next);
            let report = driver.report(intent, Some(&observed), journal, outcome);
            return (next, report.body);
        };
        fixture::about_to(journal, step);
        let told = driver.act(intent, step, keys).await.unwrap();
        if step.operation().is_some() {
            fixture::mark(journal, step.number(), Stage::Done, told);
        }
    }
    panic!("the plan does not come to rest");
}

fn machine_report(body: &[u8]) -> MachineReport {
    postcard::from_bytes(body).unwrap()
}

#[tokio::test]
async fn a_machine_is_installed_runs_and_is_released() {
    let site = Site::start("password").await;
    site.publish_image();
    let driver = site.metal.machines();
    let machine = MachineIntent {
        ssh_keys: vec!["ssh-ed25519 AAAA \"me\"".to_owned()],
        ..site.machine()
    };
    let intent = fixture::machine(&machine, false);
    let mut journal = Journal::default();

    let (next, body) = settle(&driver, &intent, &mut journal, &site.keys).await;
    assert_eq!(fixture::said(&next), "wait Progressing");
    assert_eq!(machine_report(&body).phase, MachinePhase::Installing);
    assert!(site.installer_is_open());
    assert_eq!(site.bmc.sent("RESET"), ["RESET On"]);
    assert_eq!(site.bmc.state.lock().unwrap().target, "Pxe");
    assert_eq!(
        site.bmc.methods(),
        ["GET", "PATCH", "GET", "POST", "GET"],
        "a look, and each write with its read-back"
    );

    site.installer_says(wire::State::Writing {
        written: 5,
        total: 10,
    });
    let (_, body) = settle(&driver, &intent, &mut journal, &site.keys).await;
    let progress = machine_report(&body).progress.unwrap();
    assert_eq!((progress.written, progress.total), (5, 10));

    site.installer_says(wire::State::Written {
        disk: DISK.to_owned(),
        digest: machine.image.digest.to_string(),
        bytes: 10,
    });
    let (_, body) = settle(&driver, &intent, &mut journal, &site.keys).await;
    let report = machine_report(&body);
    assert_eq!(report.phase, MachinePhase::Booting);
    assert_eq!(report.provisioned.unwrap().disk, DISK);
    assert!(!site.installer_is_open());
    assert_eq!(
        site.bmc.sent("RESET"),
        ["RESET On", "RESET ForceOff", "RESET On"]
    );
    assert_eq!(site.bmc.state.lock().unwrap().target, "Hdd");

    let heard = Heard {
        operation: machine.operation,
        address: [10, 99, 0, 100].into(),
        instance_id: MACHINE.to_string(),
    };
    let (step, mark) = driver.heard(&intent, &journal, &heard).unwrap();
    fixture::mark(&mut journal, step, Stage::Done, mark);
    let (next, body) = settle(&driver, &intent, &mut journal, &site.keys).await;
    assert_eq!(fixture::said(&next), "done");
    assert_eq!(machine_report(&body).phase, MachinePhase::Running);

    let tombstone = fixture::machine(&machine, true);
    let (_, body) = settle(&driver, &tombstone, &mut journal, &site.keys).await;
    assert_eq!(machine_report(&body).phase, MachinePhase::Releasing);
    site.installer_says(wire::State::Wiped {
        disks: vec![DISK.to_owned()],
    });
    let (next, body) = settle(&driver, &tombstone, &mut journal, &site.keys).await;
    assert_eq!(fixture::said(&next), "done");
    assert_eq!(machine_report(&body).phase, MachinePhase::Gone);
    assert_eq!(site.bmc.state.lock().unwrap().power, "Off");
    assert!(
        site.netboot
            .with(|table| table.slot(Mac(fixture::MAC)).is_none())
    );
}

#[tokio::test]
async fn an_image_that_settles_wakes_who_waits_for_it() {
    let site = Site::start("password").await;
    let mut changes = site.netboot.changes();
    let driver = site.metal.machines();
    let mut machine = site.machine();
    // Nobody serves images there.
    machine.image.url = format!("http://{}/image", site.bmc.address);
    let intent = fixture::machine(&machine, false);
    let mut journal = Journal::default();
    settle(&driver, &intent, &mut journal, &site.keys).await;
    let woken = tokio::time::timeout(Duration::from_secs(30), changes.recv()).await;
    assert_eq!(woken.unwrap().unwrap(), MACHINE);
    let (next, _) = settle(&driver, &intent, &mut journal, &site.keys).await;
    assert_ne!(fixture::said(&next), "wait Progressing", "it has failed");
}

#[tokio::test]
async fn the_installer_gets_the_plan_that_the_intent_says() {
    let mut site = Site::start("password").await;
    site.publish_image();
    let user_data = SecretKey {
        uid: MACHINE,
        digest: Digest::of(b"user"),
    };
    let script = b"#!/bin/sh\n\xff".to_vec();
    site.keys.values.insert(user_data, script);
    let machine = MachineIntent {
        user_data: Some(user_data),
        ssh_keys: vec!["ssh-ed25519 AAAA \"me\"".to_owned()],
        ..site.machine()
    };
    let intent = fixture::machine(&machine, false);
    settle(
        &site.metal.machines(),
        &intent,
        &mut Journal::default(),
        &site.keys,
    )
    .await;
    let slot = site
        .netboot
        .with(|table| table.slot(Mac(fixture::MAC)).cloned())
        .unwrap();
    let Purpose::Installer(boot) = &slot.purpose else {
        panic!("an installer's slot");
    };
    let wire::Mode::Install(install) = &boot.plan.mode else {
        panic!("it installs");
    };
    assert!(!install.allow_wipe);
    assert_eq!(install.digest, machine.image.digest.to_string());
    let file = |name: &str| {
        let file = install.seed.iter().find(|file| file.name == name).unwrap();
        base64::engine::general_purpose::STANDARD
            .decode(&file.content)
            .unwrap()
    };
    assert_eq!(file("user-data"), b"#!/bin/sh\n\xff", "byte for byte");
    let phone_home = format!(
        "http://10.99.0.1:8080/c/{}/phone-home",
        boot.phone_home.unwrap().to_segment()
    );
    assert_eq!(
        String::from_utf8(file("meta-data")).unwrap(),
        format!(
            "instance-id: {MACHINE}\nlocal-hostname: \"m1\"\nphone-home-url: {phone_home}\n\
             public-keys: [\"ssh-ed25519 AAAA \\\"me\\\"\"]\n"
        )
    );
    assert_eq!(
        String::from_utf8(file("vendor-data")).unwrap(),
        format!(
            "#cloud-config\nphone_home:\n  url: \"{phone_home}\"\n  post: [instance_id, hostname]\n  tries: 20\n\
             ssh_authorized_keys: [\"ssh-ed25519 AAAA \\\"me\\\"\"]\n"
        )
    );
}

#[tokio::test]
async fn refused_credentials_are_not_sent_again_but_other_ones_are_at_once() {
    let mut site = Site::start("wrong").await;
    let driver = site.metal.hosts();
    let mut host = HostIntent {
        inspection: Inspection::Never,
        ..fixture::host_intent()
    };
    host.target.bmc_address = site.address();
    let intent = fixture::intent(BodyKind::Host, note(&host), false);
    let mut journal = Journal::default();
    for _ in 0..3 {
        let (next, body) = settle(&driver, &intent, &mut journal, &site.keys).await;
        assert_eq!(fixture::said(&next), "wait BmcAuthenticationFailed");
        let report: HostReport = postcard::from_bytes(&body).unwrap();
        assert!(!report.reachable);
    }
    assert_eq!(site.bmc.state.lock().unwrap().log.len(), 1, "one knock");

    let corrected = credentials("password");
    site.keys
        .credentials
        .insert(fixture::CREDENTIALS, corrected);
    let (next, body) = settle(&driver, &intent, &mut journal, &site.keys).await;
    assert_eq!(fixture::said(&next), "done");
    let report: HostReport = postcard::from_bytes(&body).unwrap();
    assert_eq!(report.phase, HostPhase::Available);
    let inventory = report.inventory.unwrap();
    assert_eq!((inventory.cpu_cores, inventory.nics.len()), (2, 1));
}

#[tokio::test]
async fn a_host_whose_credentials_have_not_arrived_says_so_and_goes_on_when_they_have() {
    let mut site = Site::start("password").await;
    let arrived = std::mem::take(&mut site.keys.credentials);
    let driver = site.metal.hosts();
    let mut host = HostIntent {
        inspection: Inspection::Never,
        ..fixture::host_intent()
    };
    host.target.bmc_address = site.address();
    let intent = fixture::intent(BodyKind::Host, note(&host), false);
    let mut journal = Journal::default();
    let (next, _) = settle(&driver, &intent, &mut journal, &site.keys).await;
    assert_eq!(fixture::said(&next), "wait CredentialsMissing");
    assert!(site.bmc.state.lock().unwrap().log.is_empty(), "no knock");
    site.keys.credentials = arrived;
    let (next, _) = settle(&driver, &intent, &mut journal, &site.keys).await;
    assert_eq!(fixture::said(&next), "done");
}

#[tokio::test]
async fn a_host_is_inspected_and_its_inventory_outlives_the_agent() {
    let site = Site::start("password").await;
    let mut host = fixture::host_intent();
    host.target.bmc_address = site.address();
    let intent = fixture::intent(BodyKind::Host, note(&host), false);
    let mut journal = Journal::default();
    let driver = site.metal.hosts();
    settle(&driver, &intent, &mut journal, &site.keys).await;
    assert!(site.installer_is_open());
    site.installer_says(wire::State::Inspected);
    let (next, _) = settle(&driver, &intent, &mut journal, &site.keys).await;
    assert_eq!(fixture::said(&next), "done");
    assert_eq!(site.bmc.state.lock().unwrap().power, "Off");

    let restarted = Site::start("password").await;
    host.target.bmc_address = restarted.address();
    let intent = fixture::intent(BodyKind::Host, note(&host), false);
    let (_, body) = settle(
        &restarted.metal.hosts(),
        &intent,
        &mut journal,
        &restarted.keys,
    )
    .await;
    let report: HostReport = postcard::from_bytes(&body).unwrap();
    assert_eq!(report.inventory.unwrap().cpu_cores, 8);
    assert_eq!(report.cause.reason, Reason::None);
}
