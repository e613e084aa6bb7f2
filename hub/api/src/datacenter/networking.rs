//! Networks of a Datacenter.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// An IPv4 or IPv6 network, loosely; `crate::validate` reads it.
const CIDR: &str = r"^([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)/[0-9]{1,3}$";

/// Networks of a Datacenter.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Networking {
    /// Networks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vpcs: Vec<Vpc>,
    /// Load balancers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub load_balancers: Vec<LoadBalancer>,
    /// Name resolution.
    pub dns: Option<Dns>,
    /// Traffic rules.
    pub firewall: Option<Firewall>,
}

/// A network.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Vpc {
    /// Its name.
    pub name: String,
    /// Its addresses.
    #[schemars(regex(pattern = CIDR))]
    pub cidr: String,
    /// Taken where none is named. At most one.
    pub default: Option<bool>,
    /// Its subnets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<Subnet>,
}

/// A subnet.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subnet {
    /// Its name.
    pub name: String,
    /// Its addresses, inside those of the network.
    #[schemars(regex(pattern = CIDR))]
    pub cidr: String,
    /// Its zone.
    pub zone: Option<String>,
    /// Reachable from everywhere.
    pub public: Option<bool>,
}

/// A load balancer.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancer {
    /// Its name.
    pub name: String,
    /// What it balances.
    #[serde(rename = "type")]
    pub kind: LoadBalancerType,
    /// Who reaches it.
    #[schemars(extend("default" = "internet-facing"))]
    pub scheme: Option<LoadBalancerScheme>,
}

/// What a load balancer balances.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[derive(Default)]
pub enum LoadBalancerType {
    /// Requests.
    #[default]
    Application,
    /// Connections.
    Network,
    /// An older kind.
    Classic,
}

/// Who reaches a load balancer.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum LoadBalancerScheme {
    /// Everybody.
    InternetFacing,
    /// Our own networks.
    Internal,
}

/// Name resolution.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dns {
    /// Servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
    /// Own domain.
    pub domain: Option<String>,
    /// Domains to search.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub search_domains: Vec<String>,
}

/// Traffic rules.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Firewall {
    /// What happens to traffic that no rule names.
    #[schemars(extend("default" = "deny"))]
    pub default_policy: Option<Policy>,
    /// Rules; the first that fits decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<FirewallRule>,
}

/// A traffic rule.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FirewallRule {
    /// Its name.
    pub name: String,
    /// What happens.
    pub action: Policy,
    /// To which protocol.
    #[schemars(extend("default" = "tcp"))]
    pub protocol: Option<Protocol>,
    /// To which ports: one, a range `8000-8080`, or a list of these with commas.
    pub port: Option<String>,
    /// From where.
    pub source: Option<String>,
    /// To where.
    pub destination: Option<String>,
}

/// What happens to traffic.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[derive(Default)]
pub enum Policy {
    /// It passes.
    Allow,
    /// It does not.
    #[default]
    Deny,
}

/// A protocol.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP.
    Icmp,
    /// Every one.
    All,
}
