//! Groups of nodes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// A group of equal nodes.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodePool {
    /// Its name.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Size of its nodes.
    pub instance_type: String,
    /// Fewest nodes.
    #[schemars(range(min = 0))]
    pub min_nodes: i64,
    /// Most nodes.
    #[schemars(range(min = 1))]
    pub max_nodes: i64,
    /// Nodes wanted now, between the two.
    #[schemars(range(min = 0))]
    pub desired_nodes: i64,
    /// Zones for its nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    /// Labels of its nodes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Taints of its nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<Taint>,
    /// Scaling by load.
    pub auto_scaling: Option<AutoScaling>,
    /// Its nodes in detail.
    pub node_config: Option<NodeConfig>,
}

/// A taint.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Option<String>,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// Scaling by load.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoScaling {
    /// Wanted.
    pub enabled: bool,
    /// How long a new node keeps others from going.
    pub scale_down_delay_after_add: Option<String>,
    /// How long a removed node keeps others from going.
    pub scale_down_delay_after_delete: Option<String>,
    /// How long a failed removal keeps others from going.
    pub scale_down_delay_after_failure: Option<String>,
    /// How long a node is not needed before it goes.
    pub scale_down_unneeded_time: Option<String>,
}

/// Nodes in detail.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeConfig {
    /// Operating system.
    pub os: Option<NodeOs>,
    /// Root disk.
    pub disk: Option<NodeDisk>,
    /// Networks.
    pub network: Option<NodeNetwork>,
    /// Security.
    pub security: Option<NodeSecurity>,
    /// The kubelet.
    pub kubelet: Option<Kubelet>,
}

/// Operating system of a node.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeOs {
    /// Which.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Image.
    pub image: Option<String>,
    /// Handed to the node at its first boot.
    pub user_data: Option<String>,
}

/// Root disk of a node.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeDisk {
    /// Kind of disk.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Size in GB.
    #[serde(rename = "sizeGB")]
    #[schemars(range(min = 20, max = 2000))]
    pub size_gb: Option<i64>,
    /// Encrypted at rest.
    pub encrypted: Option<bool>,
}

/// Networks of a node.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeNetwork {
    /// Subnets.
    #[serde(rename = "subnetIDs", default, skip_serializing_if = "Vec::is_empty")]
    pub subnet_ids: Vec<String>,
    /// Security groups.
    #[serde(
        rename = "securityGroupIDs",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub security_group_ids: Vec<String>,
    /// Wants a public address.
    #[serde(rename = "assignPublicIP")]
    pub assign_public_ip: Option<bool>,
}

/// Security of a node.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeSecurity {
    /// What the node is allowed at AWS.
    pub iam_instance_profile: Option<String>,
    /// Security groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<String>,
    /// Key pairs that may log in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssh_key_pairs: Vec<String>,
}

/// The kubelet of a node.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kubelet {
    /// Most pods.
    #[schemars(range(min = 10, max = 250))]
    pub max_pods: Option<i64>,
    /// Further arguments.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_args: BTreeMap<String, String>,
}
