//! Joins: a token is redeemed, the `Agent` is made, and the token goes with the agent's first session.
//!
//! The shell around [`token`] and [`naming`]. Owns the Secrets of join tokens once they are redeemed.
//!
//! A join token is bound to the key of who redeems it before anything is signed: its Secret is replaced at the version that
//! was read, so that of two agents with one token the API lets exactly one through. The same key may ask again, since an
//! answer can be lost with the line or with a process, and gets the agent that its first request made, or nothing once that
//! one is deleted. The Secret goes with the agent's first session.

use std::collections::{BTreeMap, HashMap};
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use tracing::{info, warn};
use vitistack_api::agent::{Agent, AgentSpec};
use vitistack_fault as fault;
use vitistack_protocol::Chain;
use vitistack_protocol::identity::authority::key_of_request;
use vitistack_protocol::identity::{AGENT_LIFE, AgentName, JoinToken, Leaf};
use vitistack_protocol::message::control::{Join, Joined};

use super::token::{self, Refusal, Use};
use super::{Authority, ENROLMENT_ANNOTATION, Error, RACES, api, naming, roster};

/// How long the name of an agent that has joined is kept for its first session, before another may take it over.
const FIRST_DIAL: Duration = Duration::from_secs(60);

/// A session under a certificate no older than this may be its agent's first: longer than an agent waits between two
/// attempts to dial, and than a restart of the hub takes.
const FIRST_SESSION: Duration = Duration::from_secs(600);

/// Deadline of the removal of a token.
const REMOVAL: Duration = Duration::from_secs(15);

impl Authority {
    /// Redeems a token: binds it to the asker's key, makes or takes over the `Agent`, signs. `is_connected` tells
    /// of an agent whether it has a live session: its name is not given away then.
    ///
    /// # Errors
    /// [`Error::Refused`] when the token is not good; others when something of ours failed, after which the same key may
    /// ask again.
    pub async fn join(
        &self,
        join: &Join,
        is_connected: impl Fn(&AgentName) -> bool,
        now: SystemTime,
    ) -> Result<Joined, Error> {
        let refused = |refusal| Error::Refused { refusal };
        let token = JoinToken::parse(&join.token).map_err(|_| refused(Refusal::Malformed))?;
        let key = key_of_request(&join.csr).map_err(|source| Error::Identity {
            operation: "read a request to join",
            source,
        })?;
        // With the name, or one key could ask for one agent after the other.
        let asker = format!("{} {}", hex::encode(key), join.name);
        let (secret, grant, used) = self.redeem(&token, &asker, now).await?;
        let name = match used {
            Use::Enrolled(name) => self.enrolled(&grant, &name, token.id()).await?,
            Use::Redeemed => {
                let in_use = |name: &AgentName| is_connected(name) || self.is_fresh(name, now);
                let name = self.enrol(&grant, &join.name, token.id(), in_use).await?;
                self.record(secret, &name).await?;
                name
            }
        };
        self.remember(&name, now);
        let chain = self.sign(&join.csr, &name, token.id(), now)?;
        info!(agent = %name, enrolment = token.id(), "an agent has joined");
        Ok(Joined {
            name: name.name,
            site: name.site,
            chain,
            roots: self.signer.roots(),
        })
    }

    /// Whether a session under this certificate may be its agent's first.
    #[must_use]
    pub fn is_arrival(leaf: &Leaf, now: SystemTime) -> bool {
        // By its end: its start is dated back for clocks that are behind.
        let left = leaf.not_after.duration_since(now).unwrap_or_default();
        left + FIRST_SESSION >= AGENT_LIFE
    }

    /// An agent has its first session: it holds what it asked for, so the token that it goes back to is removed.
    pub async fn arrived(&self, leaf: &Leaf) {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let name = token::secret_name(&leaf.enrolment);
        fault::before("hub.token.remove");
        let whatever = DeleteParams::default();
        let removed = tokio::time::timeout(REMOVAL, secrets.delete(&name, &whatever));
        match removed.await {
            Ok(Ok(_)) => {}
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => {}
            // It is good for that agent's key alone, and no longer than the agent is there.
            Err(_) => warn!(secret = name, "a used token was not removed in time"),
            Ok(Err(error)) => {
                warn!(secret = name, error = %Chain(&error), "a used token was not removed")
            }
        }
        fault::after("hub.token.remove");
    }

    /// Checks a token against its Secret and binds it to `asker`. The Secret is answered as it stands afterwards.
    async fn redeem(
        &self,
        token: &JoinToken,
        asker: &str,
        now: SystemTime,
    ) -> Result<(Secret, token::Grant, Use), Error> {
        let refused = |refusal| Error::Refused { refusal };
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let name = token::secret_name(token.id());
        for _ in 0..RACES {
            let secret = secrets
                .get_opt(&name)
                .await
                .map_err(api("read", "Secret", &name))?
                .ok_or_else(|| refused(Refusal::Unknown))?;
            let (grant, used) = token::decide(&secret, token, asker, now).map_err(refused)?;
            let Some(bound) = token::redeemed(&secret, asker) else {
                return Ok((secret, grant, used));
            };
            fault::before("hub.token.redeem");
            let written = secrets.replace(&name, &PostParams::default(), &bound).await;
            fault::after("hub.token.redeem");
            match written {
                Ok(secret) => return Ok((secret, grant, used)),
                // Somebody else was faster between our read and our write: what is there now decides.
                Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => {}
                Err(source) => return Err(api("write", "Secret", &name)(source)),
            }
        }
        Err(Error::Contended {
            kind: "Secret",
            name,
        })
    }

    /// Keeps with the token which agent it has made, before its certificate leaves the hub: a deleted one is not made again.
    async fn record(&self, secret: Secret, name: &AgentName) -> Result<(), Error> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let secret = token::enrolled(secret, &name.name);
        let id = secret.metadata.name.as_deref().unwrap_or_default();
        fault::before("hub.token.record");
        let written = secrets.replace(id, &PostParams::default(), &secret).await;
        fault::after("hub.token.record");
        match written {
            Ok(_) => Ok(()),
            // The same asker's other request was faster, with the same name; or it has arrived and the token is gone.
            Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => Ok(()),
            Err(source) => Err(api("write", "Secret", id)(source)),
        }
    }

    /// The agent that an earlier use of the same token has made, if it is still admitted.
    async fn enrolled(
        &self,
        grant: &token::Grant,
        name: &str,
        enrolment: &str,
    ) -> Result<AgentName, Error> {
        let agents: Api<Agent> = Api::namespaced(self.client.clone(), &self.namespace);
        let known = agents
            .get_opt(name)
            .await
            .map_err(api("read", "Agent", name))?;
        let own = known
            .filter(|known| roster::enrolment(known) == Some(enrolment))
            .ok_or(Error::Refused {
                refusal: Refusal::Unknown,
            })?;
        self.admit_again(&own, grant)
    }

    /// Admits the agent that the same token has made before, unless it was revoked since.
    fn admit_again(&self, own: &Agent, grant: &token::Grant) -> Result<AgentName, Error> {
        let entry = roster::entry(own).filter(|(name, _)| name.site == grant.site);
        let (name, enrolment) = entry.ok_or(Error::Refused {
            refusal: Refusal::Unknown,
        })?;
        self.roster.admit(name.clone(), enrolment);
        Ok(name)
    }

    /// Makes the `Agent`, or takes over one of the same site and name that nobody runs, and admits it; one that the same
    /// token has made already is taken as it is.
    async fn enrol(
        &self,
        grant: &token::Grant,
        wish: &str,
        enrolment: &str,
        in_use: impl Fn(&AgentName) -> bool,
    ) -> Result<AgentName, Error> {
        let agents: Api<Agent> = Api::namespaced(self.client.clone(), &self.namespace);
        for name in naming::candidates(wish, enrolment) {
            let Ok(agent) = AgentName::new(&grant.site, &name) else {
                continue;
            };
            let known = agents
                .get_opt(&name)
                .await
                .map_err(api("read", "Agent", &name))?;
            let is_own = |known: &&Agent| roster::enrolment(known) == Some(enrolment);
            if let Some(own) = known.as_ref().filter(is_own) {
                return self.admit_again(own, grant);
            }
            fault::before("hub.agent.admit");
            let outcome = match known {
                None => {
                    let fresh = new_agent(&name, grant, enrolment, &self.namespace);
                    agents.create(&PostParams::default(), &fresh).await
                }
                Some(mut known) => {
                    if !naming::may_take_over(&known.spec, grant, in_use(&agent)) {
                        continue;
                    }
                    known.spec.served_namespaces = grant.namespaces.clone();
                    known
                        .metadata
                        .annotations
                        .get_or_insert_default()
                        .insert(ENROLMENT_ANNOTATION.to_owned(), enrolment.to_owned());
                    agents.replace(&name, &PostParams::default(), &known).await
                }
            };
            fault::after("hub.agent.admit");
            match outcome {
                Ok(_) => {
                    self.roster.admit(agent.clone(), enrolment.to_owned());
                    return Ok(agent);
                }
                // Taken or changed since we looked: by the same asker's other request, or the next candidate is free.
                Err(kube::Error::Api(status)) if status.code == 409 => {
                    let now = agents
                        .get_opt(&name)
                        .await
                        .map_err(api("read", "Agent", &name))?;
                    if let Some(own) = now.as_ref().filter(is_own) {
                        return self.admit_again(own, grant);
                    }
                }
                Err(source) => return Err(api("write", "Agent", &name)(source)),
            }
        }
        Err(Error::Contended {
            kind: "Agent",
            name: wish.to_owned(),
        })
    }

    /// Whether `name` joined a moment ago.
    fn is_fresh(&self, name: &AgentName, now: SystemTime) -> bool {
        self.fresh().get(name).is_some_and(|at| dials(*at, now))
    }

    /// Notes an agent that has joined, and forgets those that had their time.
    fn remember(&self, name: &AgentName, now: SystemTime) {
        let mut fresh = self.fresh();
        fresh.retain(|_, joined| dials(*joined, now));
        fresh.insert(name.clone(), now);
    }

    fn fresh(&self) -> MutexGuard<'_, HashMap<AgentName, SystemTime>> {
        // An entry is inserted whole, so what a panicking holder left is whole too.
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an agent that has joined then may still have its first session before it.
fn dials(joined: SystemTime, now: SystemTime) -> bool {
    let age = now.duration_since(joined);
    age.is_ok_and(|age| age < FIRST_DIAL)
}

fn new_agent(name: &str, grant: &token::Grant, enrolment: &str, namespace: &str) -> Agent {
    let mut agent = Agent::new(
        name,
        AgentSpec {
            site: grant.site.clone(),
            served_namespaces: grant.namespaces.clone(),
            revoked: None,
        },
    );
    agent.metadata.namespace = Some(namespace.to_owned());
    agent.metadata.annotations = Some(BTreeMap::from([(
        ENROLMENT_ANNOTATION.to_owned(),
        enrolment.to_owned(),
    )]));
    agent
}
