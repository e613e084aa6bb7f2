//! The Lease that makes one replica the leader.
//!
//! Owns the Lease `vitistack-hub` in the hub's namespace. [`decide`] is pure: a Lease counts as expired when *we* saw no
//! renewal for its duration, never by comparing clocks. Renewals are the only thing that an idle hub writes. Who loses
//! the Lease must stop at once; nothing here takes it back behind the holder's back.

use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use vitistack_fault as fault;
use vitistack_protocol::Chain;

#[cfg(test)]
mod tests;

const NAME: &str = "vitistack-hub";
/// How long a Lease holds without renewal: the values of client-go, which operators know.
const DURATION: Duration = Duration::from_secs(15);
/// How often the holder renews it.
const RENEW: Duration = Duration::from_secs(5);
/// Who could not renew for this long stops: well before the others may take the Lease.
const LAST_RENEWAL: Duration = Duration::from_secs(10);
/// How often the others look.
const LOOK: Duration = Duration::from_secs(2);
/// Deadline of one call.
const CALL: Duration = Duration::from_secs(4);

/// What we last saw of the Lease, and when we saw it change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sighting {
    spec: LeaseSpec,
    since: Instant,
}

/// Whether another process could lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rivalry {
    /// Any replica of the Deployment.
    Replicas,
    /// None: this process serves the API itself, and its data directory is locked.
    None,
}

/// What to do about the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is ours, free, given up, or was not renewed in time.
    Take,
    /// Somebody else holds it.
    Wait,
}

/// Updates the sighting and decides.
pub(crate) fn decide(
    seen: Option<Sighting>,
    current: &LeaseSpec,
    identity: &str,
    now: Instant,
) -> (Decision, Sighting) {
    let sighting = match seen {
        Some(seen) if seen.spec == *current => seen,
        Some(_) | None => Sighting {
            spec: current.clone(),
            since: now,
        },
    };
    let holder = current.holder_identity.as_deref().unwrap_or_default();
    let duration = current
        .lease_duration_seconds
        .unwrap_or(0)
        .max(0)
        .unsigned_abs();
    let expired =
        now.saturating_duration_since(sighting.since) >= Duration::from_secs(u64::from(duration));
    let decision = if holder.is_empty() || holder == identity || expired {
        Decision::Take
    } else {
        Decision::Wait
    };
    (decision, sighting)
}

/// The candidacy of this process.
pub(crate) struct Candidate {
    api: Api<Lease>,
    identity: String,
}

/// The held Lease.
pub(crate) struct Leadership {
    candidate: Candidate,
    lease: Lease,
}

impl Candidate {
    /// A candidate called `identity`. Two processes must never run under one identity at the same time.
    pub(crate) fn new(client: Client, namespace: &str, identity: String) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            identity,
        }
    }

    /// Waits until the Lease is ours.
    ///
    /// # Errors
    ///
    /// When the API refuses in a way that waiting does not mend (no permission, no such namespace).
    pub(crate) async fn elect(self) -> anyhow::Result<Leadership> {
        let mut seen = None;
        let mut waiting = false;
        loop {
            match self.look(&mut seen).await {
                Ok(Some(lease)) => {
                    info!(identity = %self.identity, "this replica leads");
                    return Ok(Leadership {
                        candidate: self,
                        lease,
                    });
                }
                Ok(None) => {
                    if !waiting {
                        info!(identity = %self.identity, "another replica leads; standing by");
                    }
                    waiting = true;
                }
                Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403 | 404 | 422) => {
                    return Err(kube::Error::Api(status))
                        .context("take the Lease vitistack-hub in the hub's namespace");
                }
                Err(error) => {
                    warn!(
                        error = %Chain(&error),
                        "the Lease cannot be read now"
                    );
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// One look; the Lease, if we could take it.
    async fn look(&self, seen: &mut Option<Sighting>) -> Result<Option<Lease>, kube::Error> {
        let Some(lease) = within(self.api.get_opt(NAME)).await? else {
            let fresh = Lease {
                metadata: ObjectMeta {
                    name: Some(NAME.to_owned()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.spec(None)),
            };
            return lost_race(within(self.api.create(&PostParams::default(), &fresh)).await);
        };
        let held = lease.spec.clone().unwrap_or_default();
        let (decision, sighting) = decide(seen.take(), &held, &self.identity, Instant::now());
        *seen = Some(sighting);
        match decision {
            Decision::Wait => Ok(None),
            Decision::Take => {
                let taken = Lease {
                    metadata: lease.metadata,
                    spec: Some(self.spec(Some(&held))),
                };
                fault::before("hub.lease.take");
                let written = within(self.api.replace(NAME, &PostParams::default(), &taken)).await;
                fault::after("hub.lease.take");
                lost_race(written)
            }
        }
    }

    fn spec(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = Some(MicroTime(jiff::Timestamp::now()));
        let same = before.and_then(|spec| spec.holder_identity.as_deref()) == Some(&self.identity);
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: match before {
                Some(spec) if same => spec.acquire_time.clone(),
                _ => now.clone(),
            },
            renew_time: now,
            lease_transitions: Some(if same || before.is_none() {
                transitions
            } else {
                transitions.saturating_add(1)
            }),
            ..LeaseSpec::default()
        }
    }
}

impl Leadership {
    /// Renews until `cancel`, then gives the Lease up, so that the next leader need not wait.
    ///
    /// # Errors
    ///
    /// When the Lease was lost: somebody else has it, or, where there are rivals, it could not be renewed in time.
    pub(crate) async fn hold(
        mut self,
        rivalry: Rivalry,
        cancel: CancellationToken,
    ) -> anyhow::Result<()> {
        let mut renewed = Instant::now();
        let mut pause = RENEW;
        loop {
            tokio::select! {
                // Both arms are cancel-safe per tokio's documentation.
                () = cancel.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
            let begun = Instant::now();
            match self.renew().await {
                Ok(Renewal::Ours) => {
                    renewed = begun;
                    pause = RENEW;
                }
                Ok(Renewal::Theirs(holder)) => {
                    anyhow::bail!("the Lease was lost to replica {holder}");
                }
                Err(error) => {
                    warn!(
                        error = %Chain(&error),
                        "the Lease was not renewed"
                    );
                    match rivalry {
                        Rivalry::Replicas => anyhow::ensure!(
                            renewed.elapsed() < LAST_RENEWAL,
                            "the Lease could not be renewed in time"
                        ),
                        // Nobody else can take it: an API that stalls is no reason to stop.
                        Rivalry::None => {}
                    }
                    pause = LOOK;
                }
            }
        }
        let mut given_up = self.lease;
        if let Some(spec) = given_up.spec.as_mut() {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
        }
        let api = &self.candidate.api;
        if let Err(error) = within(api.replace(NAME, &PostParams::default(), &given_up)).await {
            warn!(
                error = %Chain(&error),
                "the Lease was not given up; it expires"
            );
        }
        Ok(())
    }

    /// A write that got no answer may have been taken all the same, so a conflict is looked at before it is believed.
    async fn renew(&mut self) -> Result<Renewal, kube::Error> {
        let renewed = Lease {
            metadata: self.lease.metadata.clone(),
            spec: Some(self.candidate.spec(self.lease.spec.as_ref())),
        };
        let api = &self.candidate.api;
        fault::before("hub.lease.renew");
        let written = within(api.replace(NAME, &PostParams::default(), &renewed)).await;
        fault::after("hub.lease.renew");
        match written {
            Ok(lease) => {
                self.lease = lease;
                Ok(Renewal::Ours)
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {
                let lease = within(api.get(NAME)).await?;
                let holder = lease
                    .spec
                    .as_ref()
                    .and_then(|spec| spec.holder_identity.clone());
                let holder = holder.unwrap_or_default();
                if holder != self.candidate.identity {
                    return Ok(Renewal::Theirs(holder));
                }
                self.lease = lease;
                Ok(Renewal::Ours)
            }
            Err(error) => Err(error),
        }
    }
}

enum Renewal {
    Ours,
    Theirs(String),
}

/// A conflict means that another candidate was faster.
fn lost_race(written: Result<Lease, kube::Error>) -> Result<Option<Lease>, kube::Error> {
    match written {
        Ok(lease) => Ok(Some(lease)),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
        Err(error) => Err(error),
    }
}

async fn within<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    match tokio::time::timeout(CALL, call).await {
        Ok(answer) => answer,
        Err(elapsed) => Err(kube::Error::Service(Box::new(elapsed))),
    }
}
