//! Carries out one step. Each is idempotent: after a crash it is called again.

use vitistack_installer_wire as wire;
use vitistack_protocol::ids::{OperationId, Uid};
use vitistack_protocol::message::intent::{HostTarget, Image, MachineIntent};
use vitistack_protocol::message::numbered::ImageFormat;

use super::BareMetal;
use super::error::Error;
use super::seed::{self, Seed};
use super::sight::SlotKey;
use super::step::{Attempt, Kind, Step, Task};
use crate::driver::{Secrets, Step as _};
use crate::image;
use crate::netboot::slot::{InstallerBoot, Mac, Purpose, Slot};

/// Whom a step is for.
pub(crate) struct For<'a> {
    pub(crate) object: Uid,
    pub(crate) target: &'a HostTarget,
    /// `None` for a host by itself.
    pub(crate) machine: Option<&'a MachineIntent>,
}

impl BareMetal {
    /// Does `step`. Returns the note of its `Done` mark.
    pub(crate) async fn carry_out(
        &self,
        whom: &For<'_>,
        step: &Step,
        secrets: &dyn Secrets,
    ) -> Result<Vec<u8>, Error> {
        let bmc = || self.lanes().open(whom.target, secrets);
        match &step.kind {
            Kind::FetchImage => {
                if let Some(machine) = whom.machine {
                    let (metal, digest) = (self.clone(), machine.image.digest);
                    self.images()
                        .fetch(&machine.image, move || metal.image_settled(digest));
                }
            }
            Kind::OpenInstaller { task, attempt } => {
                self.open_installer(whom, step.operation, *task, attempt, secrets)
                    .await?;
            }
            Kind::OpenLocal { phone_home } => {
                let key = SlotKey::Local {
                    mac: Mac(whom.target.boot_mac),
                    phone_home: *phone_home,
                };
                let phone_home = phone_home.map(|capability| (step.operation, capability));
                self.open(whom, key, Purpose::Local { phone_home })?;
            }
            Kind::CloseSlot => self.close(whom.object, Mac(whom.target.boot_mac)),
            Kind::SetBoot(target) => {
                // Noted before it is tried: a BMC that refuses is left alone as well.
                self.memories().with(whom.object, |memory| {
                    let now = tokio::time::Instant::now();
                    memory.boot_sets.push((*target, now));
                });
                bmc()?.set_boot(*target, whom.target.boot_mode).await?;
            }
            Kind::PowerOn => {
                bmc()?.power_on().await?;
                self.memories().with(whom.object, |memory| {
                    memory.power_ons.push(tokio::time::Instant::now());
                });
            }
            Kind::StartInstaller(_) | Kind::StartGuest => bmc()?.power_on().await?,
            Kind::PowerOff => bmc()?.power_off().await?,
            Kind::ShutDown => {
                bmc()?.shut_down().await?;
                self.memories().with(whom.object, |memory| {
                    memory.shutdown = Some(tokio::time::Instant::now());
                });
            }
            // Facts and decisions: that they are in the journal is all there is to do.
            Kind::Begin(_)
            | Kind::RecordWriting
            | Kind::RecordWritten(_)
            | Kind::RecordFailure(_)
            | Kind::RecordProbe(_)
            | Kind::RecordWiped
            | Kind::EndInspection
            | Kind::RecordInspected { .. } => {}
        }
        Ok(step.note())
    }

    async fn open_installer(
        &self,
        whom: &For<'_>,
        operation: OperationId,
        task: Task,
        attempt: &Attempt,
        secrets: &dyn Secrets,
    ) -> Result<(), Error> {
        let mac = Mac(whom.target.boot_mac);
        let mut image = None;
        let mode = match (task, whom.machine) {
            (Task::Install { .. }, Some(machine)) => {
                match self.images().state(&machine.image).await {
                    image::State::Ready { path } => image = Some(path),
                    image::State::Absent
                    | image::State::Fetching { .. }
                    | image::State::Failed { .. } => return Err(Error::ImageMissing),
                }
                wire::Mode::Install(self.install(whom.object, machine, attempt, secrets)?)
            }
            (Task::Wipe, Some(machine)) => wire::Mode::Wipe(wipe(machine, attempt)),
            (Task::Inspect, _) | (Task::Install { .. } | Task::Wipe, None) => wire::Mode::Inspect,
        };
        let boot = InstallerBoot {
            operation,
            urls: attempt.urls,
            plan: wire::Plan {
                operation: operation.to_string(),
                mac: mac.to_string(),
                // The netboot service knows its own paths.
                report: String::new(),
                mode,
            },
            image,
            phone_home: matches!(task, Task::Install { .. }).then_some(attempt.phone_home),
        };
        let key = SlotKey::Installer {
            mac,
            boot: attempt.urls.boot,
            task,
        };
        self.open(whom, key, Purpose::Installer(Box::new(boot)))
    }

    fn install(
        &self,
        object: Uid,
        machine: &MachineIntent,
        attempt: &Attempt,
        secrets: &dyn Secrets,
    ) -> Result<wire::Install, Error> {
        let address = self.netboot().address().ok_or(Error::NoBootNetwork)?;
        let user_data = match &machine.user_data {
            Some(key) => secrets.secret(key).ok_or(Error::UserDataMissing)?,
            None => zeroize::Zeroizing::default(),
        };
        let phone_home = format!(
            "http://{address}/c/{}/phone-home",
            attempt.phone_home.to_segment()
        );
        Ok(wire::Install {
            image: String::new(),
            digest: machine.image.digest.to_string(),
            format: format_of(&machine.image),
            root: root_hints(machine),
            allow_wipe: allow_wipe(object, machine, attempt),
            seed: seed::render(&Seed {
                machine: object,
                hostname: &machine.hostname,
                ssh_keys: &machine.ssh_keys,
                phone_home: &phone_home,
                user_data: &user_data,
            }),
        })
    }

    /// Opens a slot in place of the one that is open for the object. Another boot of the same operation must not
    /// inherit what was seen of the one before, so that one is closed first.
    fn open(&self, whom: &For<'_>, key: SlotKey, purpose: Purpose) -> Result<(), Error> {
        let open = self.memories().with(whom.object, |memory| memory.slot);
        if open == Some(key) {
            return Ok(());
        }
        if let Some(open) = open
            && (open.mac() != key.mac()
                || matches!(
                    (open, key),
                    (SlotKey::Installer { .. }, SlotKey::Installer { .. })
                ))
        {
            self.close(whom.object, open.mac());
        }
        self.netboot()
            .open(Slot {
                mac: key.mac(),
                object: whom.object,
                boot_mode: whom.target.boot_mode,
                purpose,
            })
            .map_err(Error::Slot)?;
        self.memories()
            .with(whom.object, |memory| memory.slot = Some(key));
        Ok(())
    }

    fn close(&self, object: Uid, mac: Mac) {
        let open = self.memories().with(object, |memory| memory.slot.take());
        self.netboot().close(mac, object);
        if let Some(open) = open
            && open.mac() != mac
        {
            self.netboot().close(open.mac(), object);
        }
    }
}

/// Whether a disk that holds data may be overwritten: by the user's word, or because what it holds is ours.
fn allow_wipe(object: Uid, machine: &MachineIntent, attempt: &Attempt) -> bool {
    machine.allow_wipe
        || attempt.wrote
        || machine
            .provisioned
            .as_ref()
            .is_some_and(|proof| proof.machine == object)
}

/// The disk that we wrote, by its name; the hints may have been edited since.
fn wipe(machine: &MachineIntent, attempt: &Attempt) -> wire::Wipe {
    let root = match attempt.disks.first() {
        Some(device) if device.starts_with("/dev/") => wire::RootHints {
            device_name: Some(device.clone()),
            ..wire::RootHints::default()
        },
        Some(serial) => wire::RootHints {
            serial_number: Some(serial.clone()),
            ..wire::RootHints::default()
        },
        None => root_hints(machine),
    };
    wire::Wipe {
        root,
        disks: attempt.disks.clone(),
    }
}

fn root_hints(machine: &MachineIntent) -> wire::RootHints {
    let hints = machine.root_hints.clone();
    wire::RootHints {
        device_name: hints.device_name,
        hctl: hints.hctl,
        model: hints.model,
        vendor: hints.vendor,
        serial_number: hints.serial_number,
        wwn: hints.wwn,
        min_size_gigabytes: hints.min_size_gigabytes,
        rotational: hints.rotational,
    }
}

fn format_of(image: &Image) -> wire::Format {
    match image.format {
        ImageFormat::Raw => wire::Format::Raw,
        ImageFormat::Gzip => wire::Format::Gzip,
        ImageFormat::Zstd => wire::Format::Zstd,
    }
}
