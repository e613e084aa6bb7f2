//! One gentle lane a BMC, and what this process remembers of it: the client, the newest view, refused credentials.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use vitistack_protocol::ids::Digest;
use vitistack_protocol::message::intent::{BmcTrust, Credentials, HostTarget, SecretKey};
use vitistack_protocol::message::numbered::BootMode;
use vitistack_protocol::message::report::Nic;

use super::error::Error;
use super::redfish::{self, Address, BootTarget, Client, Gate, Pace, System};
use crate::driver::{Class, Secrets};

/// How long refused credentials are not tried again. Lockouts count several wrong tries within some minutes.
const KNOCK_AGAIN: Duration = Duration::from_secs(600);

/// How old a view may be while a server is waited for: the boot network watches it, and the BMC is only asked whether it
/// still has power.
pub(crate) const WAITING_AGE: Duration = Duration::from_secs(10);

/// How old it may be in a sequence of steps: each act reads back, and the next plan and the next act take that reading.
/// Every request that is not sent is one that a slow BMC need not serve.
pub(crate) const WORKING_AGE: Duration = Duration::from_secs(1);

/// Every BMC that this agent talks to.
#[derive(Debug)]
pub(crate) struct Lanes {
    pace: Pace,
    lanes: Mutex<HashMap<String, Arc<Lane>>>,
}

/// One BMC.
#[derive(Debug, Default)]
struct Lane {
    gate: Arc<Gate>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// By address, since several systems may be behind one BMC; renewed when the trust changes.
    clients: HashMap<String, (BmcTrust, Arc<Client>)>,
    views: HashMap<String, (System, Instant)>,
    refused: Option<(SecretKey, Instant)>,
}

/// One system, with the credentials to reach it.
pub(crate) struct Bmc {
    lane: Arc<Lane>,
    client: Arc<Client>,
    credentials: Credentials,
    key: SecretKey,
    address: String,
}

/// An act under way. Whether it ends or is broken off: what was seen before it is not true any more.
struct UnderWay<'a>(&'a Bmc);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        lock(&self.0.lane.memory).views.remove(&self.0.address);
    }
}

impl Lanes {
    pub(crate) fn new(pace: Pace) -> Self {
        Self {
            pace,
            lanes: Mutex::default(),
        }
    }

    /// The system of `target`. Nothing is sent yet.
    pub(crate) fn open(&self, target: &HostTarget, secrets: &dyn Secrets) -> Result<Bmc, Error> {
        let address = Address::parse(&target.bmc_address).map_err(|source| {
            Error::Bmc(redfish::Error::Address {
                address: target.bmc_address.clone(),
                source,
            })
        })?;
        let lane = {
            let mut lanes = lock(&self.lanes);
            Arc::clone(lanes.entry(address.lane()).or_default())
        };
        let (key, secret) = secrets
            .credentials(target.credentials)
            .ok_or(Error::CredentialsMissing)?;
        let credentials = postcard::from_bytes(&secret).map_err(Error::CredentialsMalformed)?;
        let client = lane.client(&target.bmc_address, address, &target.trust, self.pace)?;
        Ok(Bmc {
            lane,
            client,
            credentials,
            key,
            address: target.bmc_address.clone(),
        })
    }
}

impl Lane {
    fn client(
        &self,
        name: &str,
        address: Address,
        trust: &BmcTrust,
        pace: Pace,
    ) -> Result<Arc<Client>, Error> {
        let mut memory = lock(&self.memory);
        if let Some((known, client)) = memory.clients.get(name)
            && known == trust
        {
            return Ok(Arc::clone(client));
        }
        let client = Client::new(address, trust, Arc::clone(&self.gate), pace)
            .map(Arc::new)
            .map_err(Error::Bmc)?;
        memory
            .clients
            .insert(name.to_owned(), (trust.clone(), Arc::clone(&client)));
        Ok(client)
    }
}

impl Bmc {
    /// Fingerprint of the certificate that the BMC showed.
    pub(crate) fn certificate(&self) -> Option<Digest> {
        self.client.certificate()
    }

    /// The system, as it was at most `age` ago.
    pub(crate) async fn system(&self, age: Duration) -> Result<System, Error> {
        if let Some(system) = self.known(age) {
            return Ok(system);
        }
        self.may_knock()?;
        let system = self.client.system(&self.credentials).await;
        self.remember(system)
    }

    pub(crate) async fn set_boot(&self, target: BootTarget, mode: BootMode) -> Result<(), Error> {
        let known = self.known(WORKING_AGE);
        self.act(self.client.set_boot(&self.credentials, known, target, mode))
            .await
    }

    pub(crate) async fn power_on(&self) -> Result<(), Error> {
        self.act(
            self.client
                .power_on(&self.credentials, self.known(WORKING_AGE)),
        )
        .await
    }

    pub(crate) async fn power_off(&self) -> Result<(), Error> {
        self.act(
            self.client
                .power_off(&self.credentials, self.known(WORKING_AGE)),
        )
        .await
    }

    pub(crate) async fn shut_down(&self) -> Result<(), Error> {
        self.act(self.client.shut_down(&self.credentials)).await
    }

    async fn act(
        &self,
        work: impl Future<Output = Result<System, redfish::Error>>,
    ) -> Result<(), Error> {
        self.may_knock()?;
        let under_way = UnderWay(self);
        let system = work.await;
        drop(under_way);
        self.remember(system).map(|_| ())
    }

    pub(crate) async fn interfaces(&self, system: &System) -> Result<Vec<Nic>, Error> {
        self.may_knock()?;
        self.client
            .interfaces(&self.credentials, system)
            .await
            .map_err(Error::Bmc)
    }

    /// The newest view, unless it is older than `age`.
    fn known(&self, age: Duration) -> Option<System> {
        let memory = lock(&self.lane.memory);
        let (system, at) = memory.views.get(&self.address)?;
        (at.elapsed() <= age).then(|| system.clone())
    }

    /// Refused credentials are not sent again for a while: other ones are, at once.
    fn may_knock(&self) -> Result<(), Error> {
        match lock(&self.lane.memory).refused {
            Some((key, until)) if key == self.key => {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    Ok(())
                } else {
                    Err(Error::CredentialsRefused {
                        minutes: left.as_secs().div_ceil(60),
                    })
                }
            }
            Some(_) | None => Ok(()),
        }
    }

    fn remember(&self, outcome: Result<System, redfish::Error>) -> Result<System, Error> {
        let mut memory = lock(&self.lane.memory);
        match outcome {
            Ok(system) => {
                memory.refused = None;
                memory
                    .views
                    .insert(self.address.clone(), (system.clone(), Instant::now()));
                Ok(system)
            }
            Err(error) => {
                memory.views.remove(&self.address);
                if error.class() == Class::Unauthenticated {
                    memory.refused = Some((self.key, Instant::now() + KNOCK_AGAIN));
                }
                Err(Error::Bmc(error))
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Only whole values are put in, so a panic elsewhere leaves nothing half made.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
