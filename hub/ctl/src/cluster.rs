//! The connection to the Kubernetes API.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::NamespaceResourceScope;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, Resource};
use serde::de::DeserializeOwned;

use crate::args::ClusterArgs;

/// An API server that takes longer will not answer; kubectl waits as long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster that can be asked.
pub(crate) struct Cluster {
    client: Client,
}

impl Cluster {
    /// Reads the configuration as kubectl does.
    pub(crate) async fn connect(args: &ClusterArgs) -> anyhow::Result<Self> {
        let kubeconfig = match &args.kubeconfig {
            Some(file) => Kubeconfig::read_from(file)
                .with_context(|| format!("{} cannot be read", file.display()))?,
            None => Kubeconfig::read().context("no kubeconfig can be read; use --kubeconfig")?,
        };
        let options = KubeConfigOptions {
            context: args.context.clone(),
            ..KubeConfigOptions::default()
        };
        let config = Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .context("the kubeconfig names no cluster that can be used")?;
        let client = Client::try_from(config).context("the kubeconfig cannot be used")?;
        Ok(Self { client })
    }

    /// The namespace of the kubeconfig's context.
    pub(crate) fn default_namespace(&self) -> &str {
        self.client.default_namespace()
    }

    /// Objects of one namespace.
    pub(crate) fn namespaced<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: DeserializeOwned + Clone + Debug,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Objects of every namespace.
    pub(crate) fn everywhere<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: DeserializeOwned + Clone + Debug,
    {
        Api::all(self.client.clone())
    }
}

/// The answer to a call, if it comes in time.
pub(crate) async fn in_time<T>(call: impl Future<Output = kube::Result<T>>) -> anyhow::Result<T> {
    tokio::time::timeout(PATIENCE, call)
        .await
        .with_context(|| format!("no answer within {} s", PATIENCE.as_secs()))?
        .map_err(anyhow::Error::from)
}
