//! Brings the boot network's services up on the interface, and again when the interface went away or changed.
//!
//! [`Tasks::run`] owns one set of tasks: HTTP, TFTP, DHCP with its probe (own mode), router advertisements. When one of
//! them ends, all end, the service is [`Service::Broken`] with the reason, and a moment later all are brought up again.
//! A missing interface is the same case: the agent goes on without a boot network.

use std::iter;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use vitistack_protocol::Chain;

use super::advertise::Advertiser;
use super::dhcp::{probe, serve};
use super::error::{Error, LARGEST_RANGE};
use super::handle::Handle;
use super::interface::{self, Interface};
use super::leases::Leases;
use super::slot::{PhonedHome, Service};
use super::{Config, Mode, Parameters, RouterAdvertisements, http, lease_file, tftp};
use crate::driver::Class;

#[cfg(test)]
mod tests;

/// Before the next try after something broke.
const RETRY: Duration = Duration::from_secs(5);

/// How often the interface is compared with what was bound.
const LOOK: Duration = Duration::from_secs(10);

/// How long after a start the driver may take until it has opened again what was open before: a look at each BMC, and
/// the search for other DHCP servers. An installer asks again for longer.
const SETTLING: Duration = Duration::from_secs(60);

/// The service's tasks. They run while [`Tasks::run`] is polled.
#[derive(Debug)]
#[must_use = "nothing is served unless the tasks are run"]
pub struct Tasks {
    handle: Handle,
    config: Config,
    phoned_home: mpsc::Sender<PhonedHome>,
    cancel: CancellationToken,
    /// From when on the driver has opened again what was open before the start.
    settled: Instant,
    /// What `start` brought up.
    up: Option<Up>,
}

/// Everything that is bound.
#[derive(Debug)]
struct Up {
    interface: Interface,
    http: http::Server,
    tftp: tftp::Server,
    dhcp: serve::Server,
    probe: Option<probe::Probe>,
    advertiser: Option<Advertiser>,
}

/// Checks the configuration and binds what can be bound. Call it inside a tokio runtime, and run the tasks; they end
/// when `cancel` is cancelled. An interface that is not there yet is no error: the handle says
/// [`Service::Broken`], and the tasks try again.
///
/// A guest that phones home waits until the receiver of `phoned_home` answers; one that is not read makes guests wait
/// and ask again.
///
/// # Errors
/// If the configuration can never work.
pub fn start(
    config: Config,
    phoned_home: mpsc::Sender<PhonedHome>,
    cancel: CancellationToken,
) -> Result<(Handle, Tasks), Error> {
    match &config.mode {
        Mode::Own { range, lease, .. } => {
            let size = range
                .end()
                .to_bits()
                .checked_sub(range.start().to_bits())
                .ok_or(Error::Range)?;
            if size >= LARGEST_RANGE {
                return Err(Error::Range);
            }
            if !(60..=31_536_000).contains(&lease.as_secs()) {
                return Err(Error::Lease);
            }
        }
        Mode::Proxy | Mode::Relay => {}
    }
    let handle = Handle::new(Service::Starting);
    let mut tasks = Tasks {
        handle: handle.clone(),
        config,
        phoned_home,
        cancel,
        settled: Instant::now() + SETTLING,
        up: None,
    };
    match tasks.bring_up() {
        Ok(up) => tasks.up = Some(up),
        Err(error) if error.class() == Class::Invalid => return Err(error),
        Err(error) => tasks.broken(&error),
    }
    Ok((handle, tasks))
}

impl Tasks {
    /// Serves until cancelled.
    pub async fn run(mut self) {
        loop {
            let up = match self.up.take() {
                Some(up) => Ok(up),
                None => self.bring_up(),
            };
            let error = match up {
                Ok(up) => match self.serve(up).await {
                    Some(error) => error,
                    None => return,
                },
                Err(error) => error,
            };
            self.broken(&error);
            // Cancel-safe: both are only waits.
            tokio::select! {
                () = self.cancel.cancelled() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
    }

    fn broken(&self, error: &Error) {
        let message = Chain(error).to_string();
        warn!(error = message, "the boot network is not served");
        self.handle.set_address(None);
        self.handle.set_service(Service::Broken { message });
    }

    /// Binds everything. Blocks for the time that a small file takes to be read.
    fn bring_up(&self) -> Result<Up, Error> {
        let config = &self.config;
        let interface = interface::find(&config.interface)
            .map_err(|error| Error::Interface(Box::new(error)))?;
        let http = http::Server::bind(
            self.handle.clone(),
            &interface,
            config.http_port,
            config.assets.clone(),
            Arc::clone(&config.signing_key),
            self.phoned_home.clone(),
            self.settled,
        )?;
        let tftp = tftp::Server::bind(
            self.handle.clone(),
            interface.clone(),
            config.assets.clone(),
        )?;
        let (mode, probe) = self.mode(&interface)?;
        let dhcp =
            serve::Server::bind(self.handle.clone(), interface.clone(), http.address(), mode)?;
        let advertiser = self.advertiser(&interface);
        self.announce(http.address(), probe.is_some());
        Ok(Up {
            interface,
            http,
            tftp,
            dhcp,
            probe,
            advertiser,
        })
    }

    fn mode(&self, interface: &Interface) -> Result<(serve::Mode, Option<probe::Probe>), Error> {
        let (range, lease, parameters) = match &self.config.mode {
            Mode::Own {
                range,
                lease,
                parameters,
            } => (range, *lease, parameters),
            Mode::Proxy => return Ok((serve::Mode::Proxy, None)),
            Mode::Relay => return Ok((serve::Mode::Relay, None)),
        };
        fits(interface, range, parameters)?;
        let file = self.config.lease_file.clone();
        let remembered = lease_file::read(&file).map_err(|source| Error::LeaseFile {
            path: file.clone(),
            source,
        })?;
        let reserved = iter::once(interface.address)
            .chain(parameters.router)
            .chain(parameters.dns.iter().copied())
            .chain(parameters.ntp.iter().copied())
            .collect();
        let leases = Leases::new(range, lease, reserved, remembered, Instant::now());
        for (mac, address) in leases.remember() {
            self.handle.with(|table| table.leased(mac, address));
        }
        let (probe, reader) = probe::Probe::bind(self.handle.clone(), interface.clone())?;
        let mode = serve::Mode::Own {
            leases: Box::new(leases),
            parameters: parameters.clone(),
            file,
            verdict: reader.verdict,
            suspect: reader.suspect,
        };
        Ok((mode, Some(probe)))
    }

    /// A machine without IPv6 serves without advertisements: boots take longer, nothing else.
    fn advertiser(&self, interface: &Interface) -> Option<Advertiser> {
        match (self.config.router_advertisements, &self.config.mode) {
            // Clients behind a relay are on another link.
            (RouterAdvertisements::Off, _) | (RouterAdvertisements::Auto, Mode::Relay) => None,
            (RouterAdvertisements::Auto, Mode::Own { .. } | Mode::Proxy) => {
                Advertiser::bind(self.handle.clone(), interface.clone())
                    .inspect_err(|error| {
                        warn!(
                            error = Chain(error).to_string(),
                            "no router advertisements: iPXE will wait for one"
                        );
                    })
                    .ok()
            }
        }
    }

    fn announce(&self, address: SocketAddrV4, probing: bool) {
        info!(%address, interface = self.config.interface, "the boot network is up");
        self.handle.set_address(Some(address));
        self.handle.set_service(if probing {
            Service::Starting
        } else {
            Service::Serving
        });
    }

    /// Runs everything until one part ends or the interface changes; `None` when cancelled.
    async fn serve(&self, up: Up) -> Option<Error> {
        let Up {
            interface,
            http,
            tftp,
            dhcp,
            probe,
            advertiser,
        } = up;
        let mut parts = JoinSet::new();
        parts.spawn(http.run());
        parts.spawn(tftp.run());
        parts.spawn(dhcp.run());
        if let Some(probe) = probe {
            parts.spawn(probe.run());
        }
        if let Some(advertiser) = advertiser {
            parts.spawn(advertiser.run());
        }
        // Cancel-safe: the set keeps its tasks, the others only wait. Dropping the set ends the parts.
        tokio::select! {
            () = self.cancel.cancelled() => None,
            Some(ended) = parts.join_next() => match ended {
                Ok(Ok(never)) => match never {},
                Ok(Err(error)) => Some(error),
                // A panic is a bug: it goes on to whoever owns this future, and ends the process.
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => None,
                },
            },
            error = changed(interface) => Some(error),
        }
    }
}

/// Whether range and router are of the interface's network. Resolvers and time servers are reached by the router, so
/// they may be anywhere.
fn fits(
    interface: &Interface,
    range: &RangeInclusive<Ipv4Addr>,
    parameters: &Parameters,
) -> Result<(), Error> {
    let inside = |address| address == interface.address || interface.can_lease(address);
    let outside = |key, value| Error::Outside {
        key,
        value,
        network: interface.network(),
        interface: interface.name.clone(),
    };
    // The ends are enough: a network has no holes. Reserved addresses inside are left out when leasing.
    if !inside(*range.start()) || !inside(*range.end()) {
        let value = format!("[{}, {}]", range.start(), range.end());
        return Err(outside("range", value));
    }
    match parameters.router {
        Some(router) if !inside(router) => Err(outside("router", router.to_string())),
        Some(_) | None => Ok(()),
    }
}

/// Ends when the interface is not what it was.
async fn changed(was: Interface) -> Error {
    loop {
        tokio::time::sleep(LOOK).await;
        match interface::find(&was.name) {
            Ok(now) if now.is_bound_like(&was) => {}
            Ok(_) => {
                return Error::InterfaceChanged {
                    interface: was.name,
                };
            }
            Err(error) => return Error::Interface(Box::new(error)),
        }
    }
}
