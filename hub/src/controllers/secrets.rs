//! Secrets that objects name.
//!
//! Owns one watch for each namespace in which an object names a Secret, and nothing of any other namespace: the hub
//! needs rights on Secrets only where they are used. Values are kept in memory for those namespaces; those of types that
//! can never be ours (service account tokens, Helm releases) are dropped on arrival.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use vitistack_protocol::Chain;

use super::{Hub, wakes};
use crate::cache::Cache;
use crate::kinds::credentials::Sight;

/// Types of Secrets that an object of ours never names.
const FOREIGN: [&str; 2] = ["kubernetes.io/service-account-token", "helm.sh/release.v1"];

/// What is known of the Secrets.
pub(crate) struct Secrets {
    wanted: watch::Sender<BTreeSet<String>>,
    namespaces: RwLock<BTreeMap<String, Arc<Namespace>>>,
}

/// One namespace.
#[derive(Default)]
struct Namespace {
    cache: Cache<Secret>,
    denied: RwLock<Option<String>>,
}

/// What is known of one Secret.
#[derive(Clone)]
pub(crate) enum Known {
    /// It is there.
    Found(Arc<Secret>),
    /// It is not there.
    Missing,
    /// The namespace was not listed yet.
    Unseen,
    /// The API does not let us look.
    Denied(String),
}

impl Known {
    /// For the pure core.
    pub(crate) fn sight(&self) -> Sight<'_> {
        match self {
            Self::Found(secret) => Sight::Found(secret),
            Self::Missing => Sight::Missing,
            Self::Unseen => Sight::Unseen,
            Self::Denied(why) => Sight::Denied(why),
        }
    }
}

impl Default for Secrets {
    fn default() -> Self {
        Self {
            wanted: watch::Sender::new(BTreeSet::new()),
            namespaces: RwLock::default(),
        }
    }
}

impl Secrets {
    /// What is known of a Secret. Asking is what makes its namespace be watched.
    pub(crate) fn look(&self, namespace: &str, name: &str) -> Known {
        let known = self
            .namespaces
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(state) = known.get(namespace) else {
            drop(known);
            self.wanted
                .send_if_modified(|wanted| wanted.insert(namespace.to_owned()));
            return Known::Unseen;
        };
        if let Some(secret) = state.cache.find(namespace, name) {
            return Known::Found(secret);
        }
        let denied = state.denied.read().unwrap_or_else(PoisonError::into_inner);
        match (denied.as_ref(), state.cache.is_synced()) {
            (Some(why), _) => Known::Denied(why.clone()),
            (None, true) => Known::Missing,
            (None, false) => Known::Unseen,
        }
    }
}

/// Watches the wanted namespaces until `cancel`.
pub(crate) async fn run(hub: Arc<Hub>, cancel: CancellationToken) {
    let mut wanted = hub.secrets.wanted.subscribe();
    let mut tasks = JoinSet::new();
    loop {
        let namespaces = wanted.borrow_and_update().clone();
        for name in namespaces {
            let mut known = hub
                .secrets
                .namespaces
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            if !known.contains_key(&name) {
                let state = Arc::new(Namespace::default());
                known.insert(name.clone(), state.clone());
                drop(known);
                tasks.spawn(follow(hub.clone(), name, state, cancel.clone()));
            }
        }
        tokio::select! {
            // Both arms are cancel-safe per tokio's documentation.
            () = cancel.cancelled() => break,
            changed = wanted.changed() => if changed.is_err() { break },
        }
    }
    while tasks.join_next().await.is_some() {}
}

async fn follow(hub: Arc<Hub>, name: String, state: Arc<Namespace>, cancel: CancellationToken) {
    let api: Api<Secret> = Api::namespaced(hub.client.clone(), &name);
    let stream = watcher(api, watcher::Config::default()).default_backoff();
    pin_mut!(stream);
    let mut listed = Vec::new();
    loop {
        let event = tokio::select! {
            // Both arms are cancel-safe: a stream gives an event only in the poll that returns it.
            () = cancel.cancelled() => return,
            event = stream.next() => event,
        };
        match event {
            // Comes before the list is asked for, so it says nothing about our rights yet.
            Some(Ok(watcher::Event::Init)) => listed.clear(),
            Some(Ok(watcher::Event::InitApply(secret))) => {
                listed.push(((name.clone(), secret.name_any()), secret.uid()));
                take(&hub, &state, secret);
            }
            Some(Ok(watcher::Event::InitDone)) => {
                state
                    .denied
                    .write()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                for gone in state.cache.retain(&listed) {
                    wakes::secret(&hub, &name, &gone.name_any());
                }
                // Who asked while nothing was known looks again, also for what is not there.
                wakes::secrets_of(&hub, &name);
            }
            Some(Ok(watcher::Event::Apply(secret))) => take(&hub, &state, secret),
            Some(Ok(watcher::Event::Delete(secret))) => {
                state.cache.remove(&secret);
                wakes::secret(&hub, &name, &secret.name_any());
            }
            Some(Err(error)) => refuse(&hub, &name, &state, &error),
            None => return cancel.cancelled().await,
        }
    }
}

fn take(hub: &Hub, state: &Namespace, mut secret: Secret) {
    if secret
        .type_
        .as_deref()
        .is_some_and(|kind| FOREIGN.contains(&kind))
    {
        secret.data = None;
    }
    secret.metadata.managed_fields = None;
    let namespace = secret.namespace().unwrap_or_default();
    let name = secret.name_any();
    state.cache.apply(secret);
    wakes::secret(hub, &namespace, &name);
}

fn refuse(hub: &Hub, name: &str, state: &Namespace, error: &watcher::Error) {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status,
        _ => {
            warn!(
                namespace = name,
                error = %Chain(error),
                "the watch of Secrets broke off and starts again"
            );
            return;
        }
    };
    if status.code == 403 {
        let mut denied = state.denied.write().unwrap_or_else(PoisonError::into_inner);
        let is_news = denied.replace("forbidden".to_owned()).is_none();
        drop(denied);
        if is_news {
            warn!(
                namespace = name,
                "the hub may not read Secrets of this namespace"
            );
            wakes::secrets_of(hub, name);
        }
    }
}
