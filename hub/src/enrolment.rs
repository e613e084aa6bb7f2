//! The hub's certificate authority, join tokens, and the agents that they admit.
//!
//! Owns the Secret `vitistack-ca`, the ConfigMap `vitistack-hub` and the roster of admitted agents; makes `Agent`
//! objects when a token is used. What is decided is pure ([`token`], [`naming`], [`record`]); this module is the shell
//! that talks to the API. Must not know of sessions.
//!
//! A join token is bound to the key of who redeems it before anything is signed: its Secret is replaced at the version
//! that was read, so that of two agents with one token the API lets exactly one through. The same key may ask again, since
//! an answer can be lost with the line or with a process; its Secret goes with the agent's first session.

mod naming;
mod record;
mod roster;
mod settings;
mod token;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use vitistack_api::agent::{Agent, AgentSpec};
use vitistack_fault as fault;
use vitistack_protocol::Chain;
use vitistack_protocol::identity::authority::{HubIdentity, key_of_request};
use vitistack_protocol::identity::name::DEFAULT_TRUST_DOMAIN;
use vitistack_protocol::identity::{self, AGENT_LIFE, AgentName, JoinToken, Leaf, Roster};
use vitistack_protocol::message::control::{Join, Joined, Renew, Renewed};
use vitistack_protocol::transport::EndpointKeys;

pub use settings::raise_epoch;
use token::{Refusal, Use};
pub use vitistack_api::names::{CA_SECRET, HUB_CONFIG_MAP};

/// Annotation of an `Agent`: the enrolment that its certificates go back to, which is the id of the token used.
pub const ENROLMENT_ANNOTATION: &str = "vitistack.io/enrolment";

/// How long the name of an agent that has joined is kept for its first session, before another may take it over.
const FIRST_DIAL: Duration = Duration::from_secs(60);

/// A session under a certificate no older than this may be its agent's first: longer than an agent waits between two
/// attempts to dial, and than a restart of the hub takes.
const FIRST_SESSION: Duration = Duration::from_secs(600);

/// Deadline of the removal of a token.
const REMOVAL: Duration = Duration::from_secs(15);

/// How often an update that lost a race is begun again. Each time somebody else has won, so more is a fault.
const RACES: usize = 8;

/// What can go wrong with enrolment.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API refused or did not answer.
    #[error("cannot {operation} {kind} {name}")]
    Api {
        /// Verb.
        operation: &'static str,
        /// Kind.
        kind: &'static str,
        /// Name.
        name: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// An object of ours does not hold what it should.
    #[error("{kind} {name} is not usable: {detail}")]
    Damaged {
        /// Kind.
        kind: &'static str,
        /// Name.
        name: String,
        /// What is wrong, and what to do.
        detail: String,
    },
    /// Keys or certificates.
    #[error("cannot {operation}")]
    Identity {
        /// What was tried.
        operation: &'static str,
        /// Why.
        source: identity::Error,
    },
    /// The join is not granted. The message may be told to the peer.
    #[error("the join is refused: {refusal}")]
    Refused {
        /// Why.
        refusal: Refusal,
    },
    /// The same object was changed by others again and again.
    #[error("{kind} {name} changed under every one of {RACES} attempts")]
    Contended {
        /// Kind.
        kind: &'static str,
        /// Name.
        name: String,
    },
}

/// The authority of one hub installation.
pub struct Authority {
    client: Client,
    namespace: String,
    signer: identity::Authority,
    keys: EndpointKeys,
    roster: Roster,
    /// Who has joined lately and may be dialling for the first time just now.
    fresh: Mutex<HashMap<AgentName, SystemTime>>,
    serials: Mutex<u64>,
}

impl Authority {
    /// Reads the authority from its Secret, makes it if there is none, and fills the roster.
    ///
    /// # Errors
    /// When the API does not answer or the Secret is damaged. A damaged Secret is never replaced: that would lock out
    /// every agent.
    pub async fn open(client: Client, namespace: &str) -> Result<Self, Error> {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let secret = match secrets.get_opt(CA_SECRET).await.map_err(ca("read"))? {
            Some(secret) => secret,
            None => {
                let fresh = new_ca_secret()?;
                match secrets.create(&PostParams::default(), &fresh).await {
                    Ok(_) => info!(secret = CA_SECRET, "a new authority was made"),
                    // Another replica was faster; its authority is the one.
                    Err(kube::Error::Api(status)) if status.code == 409 => {}
                    Err(source) => return Err(ca("create")(source)),
                }
                // Read back, so that every replica signs with what the API holds.
                secrets.get(CA_SECRET).await.map_err(ca("read"))?
            }
        };
        let (signer, keys) = read_ca_secret(&secret)?;
        let authority = Self {
            client,
            namespace: namespace.to_owned(),
            signer,
            keys,
            roster: Roster::new(),
            fresh: Mutex::new(HashMap::new()),
            serials: Mutex::new(0),
        };
        authority.load_roster().await?;
        Ok(authority)
    }

    /// Signs and says whom to trust.
    #[must_use]
    pub fn signer(&self) -> &identity::Authority {
        &self.signer
    }

    /// The agents that are admitted now.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// What makes resets and connection IDs survive a restart.
    #[must_use]
    pub fn keys(&self) -> &EndpointKeys {
        &self.keys
    }

    /// Hexadecimal SHA-256 of the authority's certificate, as join tokens carry it.
    #[must_use]
    pub fn hash(&self) -> String {
        hex::encode(self.signer.hash())
    }

    /// A fresh certificate for the hub's endpoint.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn endpoint_identity(&self, now: SystemTime) -> Result<HubIdentity, Error> {
        self.signer
            .sign_hub(self.serial(), now)
            .map_err(|source| Error::Identity {
                operation: "sign the hub's own certificate",
                source,
            })
    }

    /// Says in the ConfigMap how agents reach and trust this hub: authority, its hash, the advertised address.
    ///
    /// # Errors
    /// When the API does not answer.
    pub async fn publish(&self, address: &str) -> Result<(), Error> {
        let (certificate, hash) = (self.signer.certificate_pem(), self.hash());
        settings::amend(&self.client, &self.namespace, |data| {
            data.insert(record::CA_CERTIFICATE.to_owned(), certificate.clone());
            data.insert(record::CA_HASH.to_owned(), hash.clone());
            data.insert(record::ADDRESS.to_owned(), address.to_owned());
            Ok(())
        })
        .await
        .map(|_| ())
    }

    /// Redeems a token: binds it to the asker's key, makes or takes over the `Agent`, signs. `connected` are the agents
    /// with a live session, whose names are not given away.
    ///
    /// # Errors
    /// [`Error::Refused`] when the token is not good; others when something of ours failed, after which the same key may
    /// ask again.
    pub async fn join(
        &self,
        join: &Join,
        connected: &[AgentName],
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
        let (grant, used) = self.redeem(&token, &asker, now).await?;
        let enrolled = match used {
            Use::First => None,
            Use::Again => self.enrolled(&grant, &join.name, token.id()).await?,
        };
        let in_use = |name: &AgentName| connected.contains(name) || self.is_fresh(name, now);
        let name = match enrolled {
            Some(name) => name,
            None => self.enrol(&grant, &join.name, token.id(), in_use).await?,
        };
        self.fresh().insert(name.clone(), now);
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
            // It is good for that agent's key alone, until its end.
            Err(_) => warn!(secret = name, "a used token was not removed in time"),
            Ok(Err(error)) => {
                warn!(secret = name, error = %Chain(&error), "a used token was not removed")
            }
        }
        fault::after("hub.token.remove");
    }

    /// Signs a new certificate for an agent that has shown `leaf`, and answers it with its end.
    ///
    /// # Errors
    /// When the request is not good.
    pub fn renew(
        &self,
        leaf: &Leaf,
        renew: &Renew,
        now: SystemTime,
    ) -> Result<(Renewed, Leaf), Error> {
        let chain = self.sign(&renew.csr, &leaf.name, &leaf.enrolment, now)?;
        let signed = chain.first().map(Vec::as_slice).unwrap_or_default();
        let new =
            Leaf::parse(signed, self.signer.trust_domain()).map_err(|source| Error::Identity {
                operation: "read the certificate just signed",
                source,
            })?;
        let renewed = Renewed {
            chain,
            roots: self.signer.roots(),
        };
        Ok((renewed, new))
    }

    /// Keeps the roster current until cancelled: an `Agent` that is deleted or marked revoked is refused from then on.
    pub async fn follow(&self, cancel: CancellationToken) {
        let agents: Api<Agent> = Api::namespaced(self.client.clone(), &self.namespace);
        roster::follow(agents, &self.roster, cancel).await;
    }

    async fn load_roster(&self) -> Result<(), Error> {
        let agents: Api<Agent> = Api::namespaced(self.client.clone(), &self.namespace);
        let list = agents
            .list(&kube::api::ListParams::default())
            .await
            .map_err(api("list", "Agent", "of the hub's namespace"))?;
        self.roster
            .replace(list.items.iter().filter_map(roster::entry).collect());
        Ok(())
    }

    /// Checks a token against its Secret and binds it to `asker`.
    async fn redeem(
        &self,
        token: &JoinToken,
        asker: &str,
        now: SystemTime,
    ) -> Result<(token::Grant, Use), Error> {
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
            if used == Use::Again {
                return Ok((grant, used));
            }
            let bound = token::redeemed(secret, asker);
            fault::before("hub.token.redeem");
            let written = secrets.replace(&name, &PostParams::default(), &bound).await;
            fault::after("hub.token.redeem");
            match written {
                Ok(_) => return Ok((grant, used)),
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

    /// The agent that an earlier use of the same token has made, unless it was revoked since.
    async fn enrolled(
        &self,
        grant: &token::Grant,
        wish: &str,
        enrolment: &str,
    ) -> Result<Option<AgentName>, Error> {
        let agents: Api<Agent> = Api::namespaced(self.client.clone(), &self.namespace);
        for name in naming::candidates(wish, enrolment) {
            let known = agents
                .get_opt(&name)
                .await
                .map_err(api("read", "Agent", &name))?;
            let Some(known) = known.filter(|known| enrolment_of(known) == Some(enrolment)) else {
                continue;
            };
            if known.spec.revoked == Some(true) || known.spec.site != grant.site {
                return Err(Error::Refused {
                    refusal: Refusal::Unknown,
                });
            }
            return Ok(AgentName::new(&grant.site, &name)
                .inspect(|agent| self.roster.admit(agent.clone(), enrolment.to_owned()))
                .ok());
        }
        Ok(None)
    }

    /// Makes the `Agent`, or takes over one of the same site and name that nobody runs, and admits it.
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
                // Taken or changed since we looked: the next candidate has a name of its own.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(source) => return Err(api("write", "Agent", &name)(source)),
            }
        }
        Err(Error::Contended {
            kind: "Agent",
            name: wish.to_owned(),
        })
    }

    /// Whether `name` joined a moment ago. Forgets those that did not.
    fn is_fresh(&self, name: &AgentName, now: SystemTime) -> bool {
        let mut fresh = self.fresh();
        fresh.retain(|_, joined| {
            now.duration_since(*joined)
                .is_ok_and(|age| age < FIRST_DIAL)
        });
        fresh.contains_key(name)
    }

    fn fresh(&self) -> MutexGuard<'_, HashMap<AgentName, SystemTime>> {
        // An entry is inserted whole, so what a panicking holder left is whole too.
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sign(
        &self,
        request: &[u8],
        name: &AgentName,
        enrolment: &str,
        now: SystemTime,
    ) -> Result<Vec<Vec<u8>>, Error> {
        self.signer
            .sign_agent(request, name, enrolment, self.serial(), now)
            .map_err(|source| Error::Identity {
                operation: "sign an agent's certificate",
                source,
            })
    }

    /// A serial number: random, and a counter in case the randomness repeats.
    fn serial(&self) -> [u8; 16] {
        let mut serial: [u8; 16] = rand::random();
        let mut count = self.serials.lock().unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        if let Some(tail) = serial.last_chunk_mut() {
            *tail = (*count).to_be_bytes();
        }
        serial
    }
}

fn enrolment_of(agent: &Agent) -> Option<&str> {
    let annotations = agent.metadata.annotations.as_ref()?;
    annotations.get(ENROLMENT_ANNOTATION).map(String::as_str)
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

fn new_ca_secret() -> Result<Secret, Error> {
    let signer = identity::Authority::generate(DEFAULT_TRUST_DOMAIN, SystemTime::now()).map_err(
        |source| Error::Identity {
            operation: "make an authority",
            source,
        },
    )?;
    let endpoint: [u8; 32] = rand::random();
    let data = [
        (
            record::CA_CERTIFICATE,
            signer.certificate_pem().into_bytes(),
        ),
        (record::CA_KEY, signer.key_pem().as_bytes().to_vec()),
        (record::ENDPOINT_KEY, endpoint.to_vec()),
    ];
    Ok(Secret {
        metadata: ObjectMeta {
            name: Some(CA_SECRET.to_owned()),
            ..ObjectMeta::default()
        },
        data: Some(
            data.into_iter()
                .map(|(key, value)| (key.to_owned(), ByteString(value)))
                .collect(),
        ),
        ..Secret::default()
    })
}

fn read_ca_secret(secret: &Secret) -> Result<(identity::Authority, EndpointKeys), Error> {
    let damaged = |detail: String| Error::Damaged {
        kind: "Secret",
        name: CA_SECRET.to_owned(),
        detail,
    };
    let value = |key: &str| record::bytes(secret, key).map_err(damaged);
    let text = |key: &str| record::text(secret, key).map_err(damaged);
    let signer = identity::Authority::from_pem(
        &text(record::CA_CERTIFICATE)?,
        &text(record::CA_KEY)?,
        DEFAULT_TRUST_DOMAIN,
    )
    .map_err(|source| Error::Identity {
        operation: "read the authority from Secret vitistack-ca",
        source,
    })?;
    let keys = EndpointKeys::from_bytes(value(record::ENDPOINT_KEY)?)
        .ok_or_else(|| damaged(format!("data[{:?}] is not 32 bytes", record::ENDPOINT_KEY)))?;
    Ok((signer, keys))
}

fn damaged_config(detail: String) -> Error {
    Error::Damaged {
        kind: "ConfigMap",
        name: HUB_CONFIG_MAP.to_owned(),
        detail,
    }
}

fn api(
    operation: &'static str,
    kind: &'static str,
    name: &str,
) -> impl Fn(kube::Error) -> Error + use<> {
    let name = name.to_owned();
    move |source| Error::Api {
        operation,
        kind,
        name: name.clone(),
        source: Box::new(source),
    }
}

fn ca(operation: &'static str) -> impl Fn(kube::Error) -> Error {
    api(operation, "Secret", CA_SECRET)
}

fn config(operation: &'static str) -> impl Fn(kube::Error) -> Error {
    api(operation, "ConfigMap", HUB_CONFIG_MAP)
}
