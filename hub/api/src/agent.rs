//! Agent: a program that acts at one site. It lives in the hub's namespace and is made by the hub when a token is used.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::conditions::{self, Condition};

/// Where an agent is and whom it serves.
#[expect(
    clippy::duplicated_attributes,
    reason = "two columns may have the same type"
)]
#[skip_serializing_none]
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "vitistack.io",
    version = "v1alpha1",
    kind = "Agent",
    plural = "agents",
    namespaced,
    category = "vitistack",
    status = "AgentStatus",
    derive = "PartialEq",
    selectable = ".status.phase",
    doc = "An agent acts at a site for the namespaces that its join token named.",
    printcolumn(name = "Site", type_ = "string", json_path = ".spec.site"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Build", type_ = "string", json_path = ".status.build"),
    printcolumn(
        name = "Namespaces",
        type_ = "string",
        json_path = ".spec.servedNamespaces",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct AgentSpec {
    /// The site, a DNS label. MachineProviders of this site are served.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub site: String,
    /// The namespaces whose objects it may see. None means none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 63)))]
    pub served_namespaces: Vec<String>,
    /// Its certificate is refused from now on and its session is cut.
    pub revoked: Option<bool>,
}

/// What is known of an agent. Nothing here ticks.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    /// For people; derived from the conditions.
    pub phase: Option<AgentPhase>,
    /// What is true now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions::schema")]
    pub conditions: Vec<Condition>,
    /// The generation that this status is about.
    pub observed_generation: Option<i64>,
    /// Version that the agent said it is.
    pub build: Option<String>,
    /// Serial number of its newest certificate, hexadecimal.
    pub certificate_serial: Option<String>,
    /// When that certificate ends.
    #[serde(default)]
    #[schemars(schema_with = "crate::crd::date_time")]
    pub certificate_expires: Option<Time>,
}

/// Whether an agent is there.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum AgentPhase {
    /// It holds a session.
    Connected,
    /// It holds none.
    Disconnected,
    /// It is refused.
    Revoked,
}
