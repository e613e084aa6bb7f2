//! What is known of a cluster.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::conditions::{self, Condition};

/// A cluster as it is.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesProviderStatus {
    /// For people; derived from the conditions.
    pub phase: Option<KubernetesPhase>,
    /// What is true now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions::schema")]
    pub conditions: Vec<Condition>,
    /// The generation that this status is about.
    pub observed_generation: Option<i64>,
    /// One sentence for people.
    pub message: Option<String>,
    /// The cluster.
    pub cluster: Option<ClusterStatus>,
    /// Its versions.
    pub version: Option<ClusterVersion>,
    /// Its addresses.
    pub endpoints: Option<Endpoints>,
    /// Nodes in all.
    pub node_count: Option<i64>,
    /// Nodes that are ready.
    pub ready_node_count: Option<i64>,
    /// Groups of nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub node_pools: Vec<NodePoolStatus>,
    /// Add-ons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addons: Vec<AddonStatus>,
    /// What it holds and uses.
    pub capacity: Option<Capacity>,
    /// How its parts are.
    pub health: Option<ComponentHealth>,
    /// How secure it is.
    pub security: Option<SecurityStatus>,
    /// Known to upstream's readers; not written, since it would tick.
    #[serde(default)]
    #[schemars(schema_with = "crate::crd::date_time")]
    pub last_updated: Option<Time>,
}

/// How far a cluster is, for people.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum KubernetesPhase {
    /// Not made yet.
    Pending,
    /// Usable.
    Ready,
    /// Needs a change or a person.
    Failed,
    /// Being changed.
    Updating,
}

/// State of a cluster or of a group of nodes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ClusterState {
    /// Being made.
    Creating,
    /// Usable.
    Active,
    /// Being changed.
    Updating,
    /// Being removed.
    Deleting,
    /// Needs a change or a person.
    Failed,
}

/// A cluster.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// The provider's id of it.
    pub id: Option<String>,
    /// Its state.
    pub state: Option<ClusterState>,
    /// URL of its API.
    pub endpoint: Option<String>,
    /// Its authority's certificate, base64.
    pub certificate_authority_data: Option<String>,
    /// Who issues its service accounts' tokens.
    #[serde(rename = "oidcIssuerURL")]
    pub oidc_issuer_url: Option<String>,
    /// The provider's version of it.
    pub platform_version: Option<String>,
    /// When it was made.
    #[serde(default)]
    #[schemars(schema_with = "crate::crd::date_time")]
    pub created_at: Option<Time>,
}

/// Versions of a cluster.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterVersion {
    /// Of the cluster.
    pub current: Option<String>,
    /// Of the control plane.
    pub control_plane: Option<String>,
    /// Of the oldest node.
    pub node: Option<String>,
    /// Of the provider's platform.
    pub platform: Option<String>,
    /// That it could go to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub available_upgrades: Vec<String>,
}

/// Addresses of a cluster.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// Of its API.
    pub api_server: Option<String>,
    /// Of its ingresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ingress: Vec<String>,
    /// Of its load balancers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub load_balancer: Vec<String>,
    /// Of its monitoring, by part.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub monitoring: BTreeMap<String, String>,
}

/// A group of nodes.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodePoolStatus {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: ClusterState,
    /// Size of its nodes.
    pub instance_type: String,
    /// Nodes wanted.
    pub desired_nodes: i64,
    /// Nodes there.
    pub current_nodes: i64,
    /// Nodes that are ready.
    pub ready_nodes: i64,
    /// How it is.
    pub health: Option<String>,
    /// Scaling by load.
    pub auto_scaling: Option<NodePoolScaling>,
    /// Known to upstream's readers; not written, since it would tick.
    #[serde(default)]
    #[schemars(schema_with = "crate::crd::date_time")]
    pub last_updated: Option<Time>,
}

/// Scaling of a group of nodes.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodePoolScaling {
    /// On.
    pub enabled: bool,
    /// Fewest nodes.
    pub min_nodes: i64,
    /// Most nodes.
    pub max_nodes: i64,
    /// What it last did.
    pub last_scaling_action: Option<String>,
    /// When.
    #[serde(default)]
    #[schemars(schema_with = "crate::crd::date_time")]
    pub last_scaling_time: Option<Time>,
}

/// An add-on.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddonStatus {
    /// Its name.
    pub name: String,
    /// `active`, `inactive`, `failed` or `updating`.
    pub status: String,
    /// Version.
    pub version: Option<String>,
    /// How it is.
    pub health: Option<String>,
    /// Whether its settings are in effect.
    pub configuration_status: Option<String>,
    /// When it last changed.
    #[serde(default)]
    #[schemars(schema_with = "crate::crd::date_time")]
    pub last_updated: Option<Time>,
}

/// What a cluster holds and uses.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Capacity {
    /// Processors.
    pub cpu: Option<String>,
    /// Processors in use.
    pub cpu_usage: Option<String>,
    /// Memory.
    pub memory: Option<String>,
    /// Memory in use.
    pub memory_usage: Option<String>,
    /// Pods.
    pub pods: Option<String>,
    /// Pods that are there.
    pub pods_usage: Option<String>,
    /// Storage.
    pub storage: Option<String>,
    /// Storage in use.
    pub storage_usage: Option<String>,
}

/// How the parts of a cluster are.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentHealth {
    /// `Healthy`, `Degraded` or `Unhealthy`.
    pub overall: Option<String>,
    /// API server.
    pub api_server: Option<String>,
    /// Store.
    pub etcd: Option<String>,
    /// Scheduler.
    pub scheduler: Option<String>,
    /// Controller manager.
    pub controller_manager: Option<String>,
    /// Nodes.
    pub nodes: Option<String>,
    /// Name resolution.
    #[serde(rename = "coreDNS")]
    pub core_dns: Option<String>,
    /// Known to upstream's readers; not written, since it would tick.
    #[serde(default)]
    #[schemars(schema_with = "crate::crd::date_time")]
    pub last_check: Option<Time>,
}

/// How secure a cluster is.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecurityStatus {
    /// Roles.
    pub rbac: Option<String>,
    /// Pod Security Standards.
    pub pod_security_standards: Option<String>,
    /// Network policies.
    pub network_policies: Option<String>,
    /// Scanning of images.
    pub image_scanning: Option<String>,
    /// Watching what runs.
    pub runtime_security: Option<String>,
    /// What the last scan found, by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub security_scan_results: BTreeMap<String, String>,
    /// When that was.
    #[serde(default)]
    #[schemars(schema_with = "crate::crd::date_time")]
    pub last_security_scan: Option<Time>,
}
