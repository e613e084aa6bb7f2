//! The driver of a Machine on a bare-metal server: install, keep as wanted, release.
//!
//! `plan` and `release` decide (pure), `report` tells (pure), this file looks and acts.

mod plan;
mod release;
mod report;
mod standing;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use vitistack_protocol::ids::OperationId;
use vitistack_protocol::message::intent::{Intent, MachineIntent};

use super::act::For;
use super::bmc::{WAITING_AGE, WORKING_AGE};
use super::record::{Begun, Record};
use super::redfish::Power;
use super::sight::Sight;
use super::step::{Step, note, number};
use super::{BareMetal, Error};
use crate::driver::{Class, Driver, Heard, Next, Outcome, ReportBody, Secrets};
use crate::image;
use crate::journal::Journal;

use self::standing::{Context, Standing, standing};

/// Where a guest is probed: ssh, which every image that a person can use answers.
const PROBE_PORT: u16 = 22;

/// A guest on the same network answers within milliseconds.
const PROBE_DEADLINE: Duration = Duration::from_secs(3);

/// Machines on servers.
#[derive(Clone, Debug)]
pub struct MachineDriver {
    metal: BareMetal,
}

/// What was seen of a Machine.
#[derive(Clone, Debug)]
pub struct Observed {
    pub(crate) sight: Sight,
    pub(crate) image: image::State,
    pub(crate) user_data: UserData,
    /// The guest answered the probe from outside.
    pub(crate) answered: Option<IpAddr>,
}

/// Whether the user data that the intent names is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserData {
    Here,
    Missing,
}

impl MachineDriver {
    pub(super) fn new(metal: BareMetal) -> Self {
        Self { metal }
    }

    /// How far the image is. To ask is to use: the images of machines that run may be evicted.
    async fn image(
        &self,
        intent: &Intent,
        machine: &MachineIntent,
        record: &Record,
        journal: &Journal,
    ) -> image::State {
        let object = intent.object.uid;
        let installs =
            !intent.absent && standing(object, machine, record, journal) == Standing::ToInstall;
        // Noted before it is asked: an image that settles in between wakes the object.
        self.metal.memories().with(object, |memory| {
            memory.image = installs.then_some(machine.image.digest);
        });
        if installs {
            self.metal.images().state(&machine.image).await
        } else {
            image::State::Absent
        }
    }

    async fn probe(
        &self,
        machine: &MachineIntent,
        record: &Record,
        sight: &Sight,
    ) -> Option<IpAddr> {
        let address = sight.seen.lease?;
        let on = sight
            .bmc
            .as_ref()
            .is_ok_and(|system| system.power == Power::On);
        let spoke = record.phoned_home.is_some() || record.probed.is_some();
        let proven = record.written.is_none()
            && machine
                .provisioned
                .as_ref()
                .is_some_and(|proof| proof.operation == machine.operation);
        let quiet = record.guest != Begun::No && sight.guest >= self.metal.timing().probe;
        if !on || spoke || !(quiet || proven) {
            return None;
        }
        let target = SocketAddr::from((address, PROBE_PORT));
        let connected =
            tokio::time::timeout(PROBE_DEADLINE, tokio::net::TcpStream::connect(target)).await;
        matches!(connected, Ok(Ok(_))).then_some(IpAddr::V4(address))
    }
}

impl Driver for MachineDriver {
    type Observed = Observed;
    type Step = Step;
    type Error = Error;

    async fn observe(
        &self,
        intent: &Intent,
        journal: &Journal,
        secrets: &dyn Secrets,
    ) -> Result<Observed, Error> {
        let machine = body(intent)?;
        let (operation, record) = current(intent, &machine, journal);
        let image = self.image(intent, &machine, &record, journal).await;
        let waits_for_installer = record.installer == Begun::Yes
            && record.written.is_none()
            && record.failure.is_none()
            && !record.wiped;
        let waits_for_guest = record.guest == Begun::Yes && record.phoned_home.is_none();
        let waits_for_image = matches!(image, image::State::Fetching { .. });
        let age = if waits_for_installer || waits_for_guest || waits_for_image {
            WAITING_AGE
        } else {
            WORKING_AGE
        };
        let look = super::sight::Look {
            object: intent.object.uid,
            target: &machine.target,
            operation,
            record: &record,
            age,
        };
        let (sight, _) = self.metal.look(&look, secrets).await?;
        let user_data = match &machine.user_data {
            Some(key) if secrets.secret(key).is_none() => UserData::Missing,
            Some(_) | None => UserData::Here,
        };
        let answered = self.probe(&machine, &record, &sight).await;
        Ok(Observed {
            image,
            user_data,
            answered,
            sight,
        })
    }

    fn plan(&self, intent: &Intent, observed: &Observed, journal: &Journal) -> Next<Step> {
        match body(intent) {
            Ok(machine) => plan::plan(&context(self, intent, &machine, observed, journal), journal),
            Err(error) => Next::Fail {
                cause: error.cause(),
            },
        }
    }

    async fn act(
        &self,
        intent: &Intent,
        step: &Step,
        secrets: &dyn Secrets,
    ) -> Result<Vec<u8>, Error> {
        let machine = body(intent)?;
        let whom = For {
            object: intent.object.uid,
            target: &machine.target,
            machine: Some(&machine),
        };
        self.metal.carry_out(&whom, step, secrets).await
    }

    fn report(
        &self,
        intent: &Intent,
        observed: Option<&Observed>,
        journal: &Journal,
        outcome: Outcome<'_, Self>,
    ) -> ReportBody {
        let report = report::render(&report::Told {
            intent,
            machine: body(intent).ok().as_ref(),
            observed,
            journal,
            outcome,
        });
        if report.gone {
            self.metal.memories().forget(intent.object.uid);
        }
        report
    }

    fn heard(&self, intent: &Intent, journal: &Journal, heard: &Heard) -> Option<(u16, Vec<u8>)> {
        hear(intent, journal, heard)
    }

    fn class(&self, error: &Error) -> Class {
        error.class()
    }

    fn resync(&self) -> Duration {
        self.metal.timing().resync
    }
}

fn body(intent: &Intent) -> Result<MachineIntent, Error> {
    postcard::from_bytes(&intent.body).map_err(Error::Body)
}

/// The operation in work and its record: the installation, or the release once there is a tombstone.
fn current(intent: &Intent, machine: &MachineIntent, journal: &Journal) -> (OperationId, Record) {
    let operation = if intent.absent {
        release::operation(intent.object.uid)
    } else {
        machine.operation
    };
    (operation, Record::read(journal, operation))
}

fn context<'a>(
    driver: &'a MachineDriver,
    intent: &'a Intent,
    machine: &'a MachineIntent,
    observed: &'a Observed,
    journal: &Journal,
) -> Context<'a> {
    Context {
        object: intent.object.uid,
        absent: intent.absent,
        machine,
        observed,
        record: Record::read(journal, machine.operation),
        timing: driver.metal.timing(),
    }
}

/// Judges a guest's call against the Machine's record. Pure.
fn hear(intent: &Intent, journal: &Journal, heard: &Heard) -> Option<(u16, Vec<u8>)> {
    let machine = body(intent).ok()?;
    let record = Record::read(journal, machine.operation);
    let ours = !intent.absent
        && heard.operation == machine.operation
        && heard.instance_id == intent.object.uid.to_string()
        // The URL is on the disk before the disk is whole, and the installer must not speak for the guest.
        && record.guest != Begun::No;
    ours.then(|| (number::PHONED_HOME, note(&heard.address)))
}
