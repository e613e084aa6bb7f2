//! A Kubernetes cluster as somebody wants it.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::addons::Addons;
use super::authentication::Authentication;
use super::cluster::Cluster;
use super::node_pool::NodePool;
use super::observability::Observability;
use super::status::KubernetesProviderStatus;
use crate::reference::ObjectReference;

/// A Kubernetes cluster.
#[expect(
    clippy::duplicated_attributes,
    reason = "two columns may have the same type"
)]
#[skip_serializing_none]
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "vitistack.io",
    version = "v1alpha1",
    kind = "KubernetesProvider",
    plural = "kubernetesproviders",
    shortname = "kp",
    namespaced,
    category = "vitistack",
    status = "KubernetesProviderStatus",
    derive = "PartialEq",
    selectable = ".status.phase",
    doc = "A KubernetesProvider is one Kubernetes cluster of some distribution.",
    printcolumn(name = "Provider", type_ = "string", json_path = ".spec.providerType"),
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(name = "Nodes", type_ = "integer", json_path = ".status.nodeCount"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesProviderSpec {
    /// Distribution.
    pub provider_type: KubernetesProviderType,
    /// Name for people.
    #[schemars(length(min = 1))]
    pub display_name: Option<String>,
    /// Version of Kubernetes, two or three parts, with the distribution's suffix where it has one.
    #[schemars(regex(pattern = r"^v?[0-9]+\.[0-9]+(\.[0-9]+)?([-+][0-9A-Za-z.+-]+)?$"))]
    pub version: String,
    /// Region that it runs in.
    #[schemars(length(min = 1))]
    pub region: String,
    /// Zones for its nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    /// The Datacenter that it counts in.
    pub datacenter_ref: Option<ObjectReference>,
    /// The MachineProvider that makes its nodes.
    pub machine_provider_ref: Option<ObjectReference>,
    /// Control plane.
    pub cluster: Cluster,
    /// Groups of nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub node_pools: Vec<NodePool>,
    /// Networks.
    pub network: Option<KubernetesNetwork>,
    /// How its users authenticate.
    pub authentication: Option<Authentication>,
    /// Add-ons.
    pub addons: Option<Addons>,
    /// Logs, metrics and traces.
    pub observability: Option<Observability>,
    /// Security.
    pub security: Option<ClusterSecurity>,
    /// Backups.
    pub backup: Option<ClusterBackup>,
    /// Tags that everything of it gets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub default_tags: BTreeMap<String, String>,
    /// The distribution's own settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}

/// Distribution of Kubernetes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum KubernetesProviderType {
    /// Amazon EKS.
    Eks,
    /// Google GKE.
    Gke,
    /// Azure AKS.
    Aks,
    /// OpenShift.
    Openshift,
    /// Rancher.
    Rancher,
    /// K3s.
    K3s,
    /// kubeadm.
    Kubeadm,
    /// Managed by somebody else.
    Managed,
    /// Plain Kubernetes.
    Vanilla,
    /// RKE.
    Rke,
    /// RKE2.
    Rke2,
    /// Talos Linux.
    Talos,
}

/// Networks of a cluster.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesNetwork {
    /// Network plug-in.
    pub cni_plugin: Option<String>,
    /// Addresses of pods.
    #[serde(rename = "podCIDR")]
    pub pod_cidr: Option<String>,
    /// Addresses of services.
    #[serde(rename = "serviceCIDR")]
    pub service_cidr: Option<String>,
    /// Address of the name service, one of the services'.
    #[serde(rename = "dnsServiceIP")]
    pub dns_service_ip: Option<String>,
    /// Network policies are enforced.
    pub network_policy: Option<bool>,
    /// Load balancers.
    pub load_balancer: Option<LoadBalancerConfig>,
}

/// Load balancers of a cluster.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancerConfig {
    /// What makes them.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Class for services that name none.
    pub class: Option<String>,
    /// Annotations that they get.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Security of a cluster.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSecurity {
    /// Roles are needed.
    pub rbac: Option<bool>,
    /// Pod Security Standards are enforced.
    pub pod_security_standards: Option<bool>,
    /// At which level.
    pub pod_security_level: Option<String>,
    /// Network policies are enforced.
    pub network_policies: Option<bool>,
    /// Images are scanned.
    pub image_scanning: Option<bool>,
    /// What runs is watched.
    pub runtime_security: Option<RuntimeSecurity>,
}

/// Watching what runs.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeSecurity {
    /// Wanted.
    pub enabled: bool,
    /// By what.
    pub provider: Option<String>,
    /// Its own settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}

/// Backups of a cluster.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterBackup {
    /// Wanted.
    pub enabled: bool,
    /// By what.
    pub provider: Option<String>,
    /// When, as a cron line.
    pub schedule: Option<String>,
    /// Days that they are kept.
    #[schemars(range(min = 1, max = 365))]
    pub retention_days: Option<i64>,
    /// Where they go.
    pub storage_location: Option<String>,
    /// Further settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}
