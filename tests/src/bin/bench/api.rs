//! The measuring side's own client of a Kubernetes API: many requests at a time, and watching for what comes of them.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::http::Request;
use futures::{StreamExt as _, TryStreamExt as _, pin_mut, stream};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use vitistack_api::host::BareMetalHost;
use vitistack_api::machine::Machine;
use vitistack_api::machine_provider::MachineProvider;
use vitistack_api::names::{self, hub_config, join_token};
use vitistack_protocol::identity::JoinToken;

use crate::fleet::Spec;

/// Requests under way at a time: what one user's tool would do.
const AT_ONCE: usize = 16;

/// Namespace of everything that is measured with.
pub(crate) const NAMESPACE: &str = "default";

/// Nobody connects to it: the drivers are instant.
const IMAGE: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// An object of ours or of Kubernetes that lives in a namespace.
pub(crate) trait Object:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
    + Send
    + Sync
    + 'static
{
}

impl<K> Object for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize
        + Send
        + Sync
        + 'static
{
}

/// A client. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
}

impl Cluster {
    /// Connects as `kubeconfig` says.
    pub(crate) async fn connect(kubeconfig: &Path) -> anyhow::Result<Self> {
        // Whoever is first installs it; the others find it there.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let file = Kubeconfig::read_from(kubeconfig)?;
        let config =
            kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        Ok(Self {
            client: Client::try_from(config)?,
        })
    }

    /// A namespaced API.
    pub(crate) fn api<K: Object>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Creates all of `objects` in `namespace`, some at a time. Returns how long it took.
    pub(crate) async fn create<K: Object>(
        &self,
        namespace: &str,
        objects: Vec<K>,
    ) -> anyhow::Result<Duration> {
        let api: Api<K> = self.api(namespace);
        let begun = Instant::now();
        let params = PostParams::default();
        stream::iter(objects.iter().map(|object| api.create(&params, object)))
            .buffer_unordered(AT_ONCE)
            .try_for_each(async |_| Ok(()))
            .await
            .with_context(|| format!("creating {}", K::plural(&())))?;
        Ok(begun.elapsed())
    }

    /// Merges `patch` into the status of each of `names`, some at a time. Returns how long it took.
    pub(crate) async fn patch_status<K: Object>(
        &self,
        namespace: &str,
        names: &[String],
        patch: &Value,
    ) -> anyhow::Result<Duration> {
        let api: Api<K> = self.api(namespace);
        let begun = Instant::now();
        let params = PatchParams::default();
        let merge = Patch::Merge(patch);
        stream::iter(
            names
                .iter()
                .map(|name| api.patch_status(name, &params, &merge)),
        )
        .buffer_unordered(AT_ONCE)
        .try_for_each(async |_| Ok(()))
        .await
        .with_context(|| format!("patching the status of {}", K::plural(&())))?;
        Ok(begun.elapsed())
    }

    /// Watches until `count` objects are as `arrived` says. Returns when each was first seen so.
    pub(crate) async fn arrivals<K: Object>(
        &self,
        count: usize,
        arrived: fn(&K) -> bool,
        bound: Duration,
    ) -> anyhow::Result<Vec<Instant>> {
        let stream =
            watcher(self.api::<K>(NAMESPACE), watcher::Config::default()).default_backoff();
        pin_mut!(stream);
        let mut seen: HashMap<String, Instant> = HashMap::new();
        let watching = async {
            while seen.len() < count {
                let event = stream.next().await.context("the watch ended")?;
                // A watch that breaks is taken up again by itself.
                if let Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) = event
                    && arrived(&object)
                {
                    seen.entry(object.name_any()).or_insert_with(Instant::now);
                }
            }
            anyhow::Ok(())
        };
        match tokio::time::timeout(bound, watching).await {
            Ok(ended) => ended?,
            Err(_) => anyhow::bail!(
                "only {} of {count} {} are there after {} s",
                seen.len(),
                K::plural(&()),
                bound.as_secs()
            ),
        }
        Ok(seen.into_values().collect())
    }

    /// What the API server says of itself.
    pub(crate) async fn metrics(&self) -> anyhow::Result<String> {
        let request = Request::get("/metrics").body(Vec::new())?;
        Ok(self.client.request_text(request).await?)
    }

    /// A join token for each of `names`: an agent of this name, at a site of its own of the same name.
    pub(crate) async fn invite(&self, names: &[String]) -> anyhow::Result<Vec<Spec>> {
        let hub: Api<ConfigMap> = self.api(names::DEFAULT_HUB_NAMESPACE);
        let data = hub.get(names::HUB_CONFIG_MAP).await?.data;
        let hash = data
            .and_then(|data| data.get(hub_config::CA_HASH).cloned())
            .context("the hub has not said whom to trust")?;
        let mut authority = [0; 32];
        hex::decode_to_slice(hash.trim(), &mut authority)?;
        let expires = Timestamp::now() + Duration::from_secs(3600);
        let (mut specs, mut secrets) = (Vec::new(), Vec::new());
        for name in names {
            let bytes = uuid::Uuid::new_v4().into_bytes();
            let mut id = [0; 5];
            id.copy_from_slice(bytes.get(..5).unwrap_or_default());
            let token = JoinToken::from_random(id, uuid::Uuid::new_v4().into_bytes(), authority);
            specs.push(Spec {
                name: name.clone(),
                token: token.to_text().to_string(),
            });
            let data = [
                (join_token::SITE, name.clone()),
                (join_token::NAMESPACES, NAMESPACE.to_owned()),
                (join_token::SECRET_HASH, token.secret_hash()),
                (join_token::EXPIRES, expires.to_string()),
            ];
            secrets.push(Secret {
                metadata: ObjectMeta {
                    name: Some(format!("{}{}", names::JOIN_TOKEN_PREFIX, token.id())),
                    ..ObjectMeta::default()
                },
                type_: Some(names::JOIN_TOKEN_TYPE.to_owned()),
                string_data: Some(data.map(|(key, value)| (key.to_owned(), value)).into()),
                ..Secret::default()
            });
        }
        self.create(names::DEFAULT_HUB_NAMESPACE, secrets).await?;
        Ok(specs)
    }

    /// A provider for each of `sites`, and the Secret that all their hosts name.
    pub(crate) async fn providers(&self, sites: &[String]) -> anyhow::Result<()> {
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some("bmc".to_owned()),
                ..ObjectMeta::default()
            },
            string_data: Some(BTreeMap::from([
                ("username".to_owned(), "operator".to_owned()),
                ("password".to_owned(), "simulated".to_owned()),
            ])),
            ..Secret::default()
        };
        self.create(NAMESPACE, vec![secret]).await?;
        let providers: Result<Vec<MachineProvider>, _> = sites
            .iter()
            .map(|site| {
                serde_json::from_value(json!({
                    "apiVersion": "vitistack.io/v1alpha1",
                    "kind": "MachineProvider",
                    "metadata": {"name": site},
                    "spec": {
                        "providerType": "baremetal",
                        "displayName": format!("Servers of {site}"),
                        "region": site,
                        "site": site,
                    },
                }))
            })
            .collect();
        self.create(NAMESPACE, providers?).await?;
        Ok(())
    }

    /// `count` hosts, dealt out among `sites`.
    pub(crate) async fn hosts(&self, sites: &[String], count: usize) -> anyhow::Result<()> {
        let hosts: Result<Vec<BareMetalHost>, _> = sites
            .iter()
            .cycle()
            .zip(0..count)
            .map(|(site, index)| {
                let (high, low) = (index / 256, index % 256);
                serde_json::from_value(json!({
                    "apiVersion": "vitistack.io/v1alpha1",
                    "kind": "BareMetalHost",
                    "metadata": {"name": format!("host-{index:04}")},
                    "spec": {
                        "machineProviderRef": {"name": site},
                        "bmc": {
                            "address": format!("redfish+http://10.98.{high}.{low}/redfish/v1/Systems/1"),
                            "credentialsRef": {"name": "bmc"},
                        },
                        "bootMAC": format!("02:00:00:00:{high:02x}:{low:02x}"),
                        "inspect": "Never",
                    },
                }))
            })
            .collect();
        self.create(NAMESPACE, hosts?).await?;
        Ok(())
    }
}

/// `count` Machines, dealt out among `sites`.
pub(crate) fn machines(sites: &[String], count: usize) -> anyhow::Result<Vec<Machine>> {
    sites
        .iter()
        .cycle()
        .zip(0..count)
        .map(|(site, index)| {
            let name = format!("machine-{index:04}");
            let machine = serde_json::from_value(json!({
                "apiVersion": "vitistack.io/v1alpha1",
                "kind": "Machine",
                "metadata": {"name": name},
                "spec": {
                    "name": name,
                    "machineProviderRef": {"name": site},
                    "os": {
                        "family": "linux",
                        "imageID": "http://images.invalid/tiny.raw",
                        "imageDigest": IMAGE,
                    },
                },
            }))?;
            Ok(machine)
        })
        .collect()
}
