//! The driver of a server by itself: known, reachable, looked into.
//!
//! `plan` decides (pure), `report` tells (pure), this file looks and acts. A server that a Machine claims is only
//! watched: its boots belong to the Machine's worker.

mod plan;
mod report;

#[cfg(test)]
mod tests;

use std::time::Duration;

use vitistack_protocol::message::intent::{HostIntent, Intent};
use vitistack_protocol::message::report::Nic;

use super::act::For;
use super::bmc::{Bmc, WAITING_AGE, WORKING_AGE};
use super::record::{Begun, Record};
use super::sight::{Look, Sight};
use super::step::Step;
use super::{BareMetal, Error};
use crate::driver::{Class, Driver, Heard, Next, Outcome, ReportBody, Secrets};
use crate::journal::Journal;

use self::plan::Context;

/// Servers by themselves.
#[derive(Clone, Debug)]
pub struct HostDriver {
    metal: BareMetal,
}

/// What was seen of a host.
#[derive(Clone, Debug)]
pub struct Observed {
    pub(crate) sight: Sight,
    /// Network interfaces as the BMC knows them, asked once.
    pub(crate) nics: Vec<Nic>,
}

impl HostDriver {
    pub(super) fn new(metal: BareMetal) -> Self {
        Self { metal }
    }

    /// Asks for the interfaces once a process: it takes a request for each. A BMC that does not know them is no less a
    /// BMC.
    async fn nics(&self, intent: &Intent, sight: &Sight, bmc: Option<&Bmc>) -> Vec<Nic> {
        let object = intent.object.uid;
        let known = self
            .metal
            .memories()
            .with(object, |memory| memory.nics.clone());
        if let Some(nics) = known {
            return nics;
        }
        let (Ok(system), Some(bmc)) = (&sight.bmc, bmc) else {
            return Vec::new();
        };
        let nics = bmc.interfaces(system).await.unwrap_or_default();
        self.metal
            .memories()
            .with(object, |memory| memory.nics = Some(nics.clone()));
        nics
    }
}

impl Driver for HostDriver {
    type Observed = Observed;
    type Step = Step;
    type Error = Error;

    async fn observe(
        &self,
        intent: &Intent,
        journal: &Journal,
        secrets: &dyn Secrets,
    ) -> Result<Observed, Error> {
        let host = body(intent)?;
        let record = Record::read(journal, host.inspection_operation);
        let waits = record.installer == Begun::Yes && record.failure.is_none();
        let look = Look {
            object: intent.object.uid,
            target: &host.target,
            operation: host.inspection_operation,
            record: &record,
            age: if waits { WAITING_AGE } else { WORKING_AGE },
        };
        let (sight, bmc) = self.metal.look(&look, secrets).await?;
        let nics = self.nics(intent, &sight, bmc.as_ref()).await;
        Ok(Observed { sight, nics })
    }

    fn plan(&self, intent: &Intent, observed: &Observed, journal: &Journal) -> Next<Step> {
        match body(intent) {
            Ok(host) => plan::plan(&Context {
                absent: intent.absent,
                host: &host,
                observed,
                journal,
                record: Record::read(journal, host.inspection_operation),
                timing: self.metal.timing(),
            }),
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
        let host = body(intent)?;
        let whom = For {
            object: intent.object.uid,
            target: &host.target,
            machine: None,
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
            host: body(intent).ok().as_ref(),
            observed,
            journal,
            outcome,
        });
        if report.gone {
            self.metal.memories().forget(intent.object.uid);
        }
        report
    }

    /// A host by itself has no guest.
    fn heard(&self, _: &Intent, _: &Journal, _: &Heard) -> Option<(u16, Vec<u8>)> {
        None
    }

    fn class(&self, error: &Error) -> Class {
        error.class()
    }

    fn resync(&self) -> Duration {
        self.metal.timing().resync
    }
}

fn body(intent: &Intent) -> Result<HostIntent, Error> {
    postcard::from_bytes(&intent.body).map_err(Error::Body)
}
