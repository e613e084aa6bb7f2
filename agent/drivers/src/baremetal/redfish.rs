//! A Redfish client for what bare-metal provisioning needs: look at a system, set its boot override, switch its power.
//!
//! Every write is read back; a BMC that says yes and does nothing is an [`Error`] of its own. Requests to one BMC go
//! through one [`Gate`]. The client keeps no session: HTTP Basic over TLS leaves nothing behind on a BMC with eight
//! session slots. It must not decide what a server should do; the plans beside it do.

mod address;
mod error;
mod quirk;
mod system;
mod tls;
mod wire;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::Instant;
use vitistack_fault as fault;
use vitistack_protocol::ids::Digest;
use vitistack_protocol::message::intent::{BmcTrust, Credentials};
use vitistack_protocol::message::numbered::BootMode;
use vitistack_protocol::message::report::Nic;

pub use address::{Address, AddressError};
pub use error::Error;
pub use system::{Boot, BootTarget, Power, System};
pub use wire::{Gate, Pace};

use wire::Wire;

use crate::netboot::slot::Mac;

/// A read-back may come from before the write on BMCs that apply late.
const READ_BACKS: u32 = 3;

/// No server has more network interfaces; a BMC that lists more is not followed.
const MOST_INTERFACES: usize = 32;

/// One system behind one BMC.
#[derive(Debug)]
pub struct Client(Wire);

impl Client {
    /// A client for `address` that trusts as `trust` says.
    ///
    /// # Errors
    /// If the trust settings cannot be used.
    pub fn new(
        address: Address,
        trust: &BmcTrust,
        gate: Arc<Gate>,
        pace: Pace,
    ) -> Result<Self, Error> {
        Wire::new(address, trust, gate, pace).map(Self)
    }

    /// Fingerprint of the certificate that the BMC showed and that was accepted.
    #[must_use]
    pub fn certificate(&self) -> Option<Digest> {
        self.0.witness().accepted()
    }

    /// Reads the system.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn system(&self, credentials: &Credentials) -> Result<System, Error> {
        let path = match self.0.address().system() {
            Some(path) => path.to_owned(),
            None => self.only_system(credentials).await?,
        };
        self.read_system(credentials, &path).await
    }

    /// Sets what the system boots next, and reads it back. `known` is the system as it was a moment ago, if it is known;
    /// without it the system is read first.
    ///
    /// # Errors
    /// [`Error::BootOverrideIgnored`] if it was accepted and is not there; else see [`Error`].
    pub async fn set_boot(
        &self,
        credentials: &Credentials,
        known: Option<System>,
        target: BootTarget,
        mode: BootMode,
    ) -> Result<System, Error> {
        let mut system = self.known_or_read(credentials, known).await?;
        if system.boots(target, mode) {
            return Ok(system);
        }
        let mut refusal = None;
        let mut accepted = false;
        let mut places = vec![(system.path.clone(), system.etag.clone())];
        if let Some(settings) = &system.settings {
            places.push((settings.clone(), None));
        }
        for (path, mut etag) in places {
            if path != system.path {
                // The tag must be the one of the very resource that is patched.
                etag = self.0.read(credentials, &path).await?.etag;
            }
            for body in quirk::boot_bodies(&system, target, mode) {
                let place = match target {
                    BootTarget::Network => "agent.bmc.boot-from-network",
                    BootTarget::Disk => "agent.bmc.boot-from-disk",
                };
                fault::before(place);
                let patched = self
                    .0
                    .patch(credentials, &path, etag.as_deref(), &body)
                    .await;
                fault::after(place);
                match patched {
                    Ok(()) => accepted = true,
                    Err(error) if error.is_about_the_request() => {
                        refusal = Some(error);
                        continue;
                    }
                    Err(error) => return Err(error),
                }
                for _ in 0..READ_BACKS {
                    system = self.read_system(credentials, &system.path).await?;
                    if system.boots(target, mode) {
                        return Ok(system);
                    }
                    tokio::time::sleep(self.0.pace.poll).await;
                }
                etag.clone_from(&system.etag);
            }
        }
        match refusal {
            Some(refusal) if !accepted => Err(refusal),
            Some(_) | None => Err(Error::BootOverrideIgnored {
                wanted: system.word(target).unwrap_or("Disabled").to_owned(),
                found: system.describe_boot(),
            }),
        }
    }

    /// Switches the system on, and waits until it is. `known` as for [`Client::set_boot`].
    ///
    /// # Errors
    /// [`Error::PowerActionIgnored`] if nothing changed in time; else see [`Error`].
    pub async fn power_on(
        &self,
        credentials: &Credentials,
        known: Option<System>,
    ) -> Result<System, Error> {
        self.switch(credentials, known, &["On", "ForceOn"], Power::On)
            .await
    }

    /// Switches the system off at once, and waits until it is. `known` as for [`Client::set_boot`].
    ///
    /// # Errors
    /// [`Error::PowerActionIgnored`] if nothing changed in time; else see [`Error`].
    pub async fn power_off(
        &self,
        credentials: &Credentials,
        known: Option<System>,
    ) -> Result<System, Error> {
        self.switch(credentials, known, &["ForceOff"], Power::Off)
            .await
    }

    /// Asks the operating system to shut down. It may not listen, so nothing is waited for.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn shut_down(&self, credentials: &Credentials) -> Result<System, Error> {
        let system = self.system(credentials).await?;
        if system.power == Power::On && system.allows_reset("GracefulShutdown") {
            self.reset(credentials, &system, "GracefulShutdown").await?;
        }
        Ok(system)
    }

    /// MAC addresses of the system's network interfaces, as far as the BMC knows them.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn interfaces(
        &self,
        credentials: &Credentials,
        system: &System,
    ) -> Result<Vec<Nic>, Error> {
        let Some(path) = &system.interfaces else {
            return Ok(Vec::new());
        };
        let list = self.0.read(credentials, path).await?;
        let mut nics = Vec::new();
        for member in members(&list.body).into_iter().take(MOST_INTERFACES) {
            let answer = self.0.read(credentials, &member).await?;
            nics.extend(nic(&answer.body));
        }
        Ok(nics)
    }

    async fn only_system(&self, credentials: &Credentials) -> Result<String, Error> {
        let root = self.0.read(credentials, "/redfish/v1/").await?;
        let systems = system::text(&root.body["Systems"]["@odata.id"])
            .unwrap_or_else(|| "/redfish/v1/Systems".to_owned());
        let list = self.0.read(credentials, &systems).await?;
        let members = members(&list.body);
        match members.as_slice() {
            [only] => Ok(only.clone()),
            several => Err(Error::Protocol {
                method: "GET",
                path: systems,
                problem: format!(
                    "{} systems are behind this BMC, and its address names none of them: {}",
                    several.len(),
                    several.join(", ")
                ),
            }),
        }
    }

    async fn read_system(&self, credentials: &Credentials, path: &str) -> Result<System, Error> {
        let answer = self.0.read(credentials, path).await?;
        System::parse(&answer.path, answer.etag, &answer.body).ok_or_else(|| Error::Protocol {
            method: "GET",
            path: path.to_owned(),
            problem: "the answer is not a system".to_owned(),
        })
    }

    async fn known_or_read(
        &self,
        credentials: &Credentials,
        known: Option<System>,
    ) -> Result<System, Error> {
        match known {
            Some(system) => Ok(system),
            None => self.system(credentials).await,
        }
    }

    async fn switch(
        &self,
        credentials: &Credentials,
        known: Option<System>,
        words: &'static [&'static str],
        wanted: Power,
    ) -> Result<System, Error> {
        let mut system = self.known_or_read(credentials, known).await?;
        if system.power == wanted {
            return Ok(system);
        }
        let action = words
            .iter()
            .copied()
            .find(|word| system.allows_reset(word))
            .ok_or_else(|| Error::Protocol {
                method: "POST",
                path: system.path.clone(),
                problem: format!(
                    "it allows none of {words:?}, only {}",
                    system.resets.join(", ")
                ),
            })?;
        self.reset(credentials, &system, action).await?;
        let end = Instant::now() + self.0.pace.power;
        loop {
            system = self.read_system(credentials, &system.path).await?;
            if system.power == wanted {
                return Ok(system);
            }
            if Instant::now() >= end {
                return Err(Error::PowerActionIgnored {
                    action,
                    found: format!("{:?}", system.power),
                    after: self.0.pace.power,
                });
            }
            tokio::time::sleep(self.0.pace.poll).await;
        }
    }

    async fn reset(
        &self,
        credentials: &Credentials,
        system: &System,
        reset_type: &'static str,
    ) -> Result<(), Error> {
        let usual = format!("{}/Actions/ComputerSystem.Reset", system.path);
        let path = system.reset.as_deref().unwrap_or(&usual);
        let place = match reset_type {
            "On" | "ForceOn" => "agent.bmc.power-on",
            "ForceOff" => "agent.bmc.power-off",
            _ => "agent.bmc.shut-down",
        };
        fault::before(place);
        let posted = self
            .0
            .post(credentials, path, &json!({ "ResetType": reset_type }))
            .await;
        fault::after(place);
        posted
    }
}

fn members(list: &Value) -> Vec<String> {
    list["Members"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|member| system::text(&member["@odata.id"]))
        .collect()
}

fn nic(value: &Value) -> Option<Nic> {
    // Some write `MacAddress`, against the schema.
    let text = value["MACAddress"]
        .as_str()
        .or_else(|| value["MacAddress"].as_str())?;
    Some(Nic {
        name: system::text(&value["Id"]).unwrap_or_default(),
        mac: text.trim().parse::<Mac>().ok()?.0,
        carrier: value["LinkStatus"].as_str() == Some("LinkUp"),
        speed: value["SpeedMbps"]
            .as_u64()
            .and_then(|speed| u32::try_from(speed).ok())
            .unwrap_or(0),
    })
}
