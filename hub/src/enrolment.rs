//! The hub's certificate authority, join tokens, and the agents that they admit.
//!
//! Owns the Secret `vitistack-ca`, the ConfigMap `vitistack-hub` and the roster of admitted agents; makes `Agent`
//! objects when a token is used ([`join`]). What is decided is pure ([`token`], [`naming`], [`record`]); this module is
//! the shell that talks to the API. Must not know of sessions.

mod join;
mod naming;
mod record;
mod roster;
mod settings;
mod token;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;
use tracing::info;
use vitistack_api::agent::Agent;
use vitistack_protocol::identity::authority::HubIdentity;
use vitistack_protocol::identity::name::DEFAULT_TRUST_DOMAIN;
use vitistack_protocol::identity::{self, AgentName, Leaf, Roster};
use vitistack_protocol::message::control::{Renew, Renewed};
use vitistack_protocol::transport::EndpointKeys;

pub use settings::raise_epoch;
use token::Refusal;
pub use vitistack_api::names::{CA_SECRET, HUB_CONFIG_MAP};

/// Annotation of an `Agent`: the enrolment that its certificates go back to, which is the id of the token used.
pub const ENROLMENT_ANNOTATION: &str = "vitistack.io/enrolment";

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
