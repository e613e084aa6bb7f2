//! How a provider is reached and what it may be used for.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::capabilities::Capabilities;
use super::status::MachineProviderStatus;
use crate::crd::rule;
use crate::reference::{AllowedNamespaces, SecretReference};

/// A provider of Machines.
#[expect(
    clippy::duplicated_attributes,
    reason = "two columns may have the same type"
)]
#[skip_serializing_none]
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "vitistack.io",
    version = "v1alpha1",
    kind = "MachineProvider",
    plural = "machineproviders",
    shortname = "mp",
    namespaced,
    category = "vitistack",
    status = "MachineProviderStatus",
    derive = "PartialEq",
    selectable = ".status.phase",
    doc = "A MachineProvider makes Machines in one region: a cloud, a virtualisation platform, or a rack of servers.",
    printcolumn(name = "Provider", type_ = "string", json_path = ".spec.providerType"),
    printcolumn(name = "Region", type_ = "string", json_path = ".spec.region"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(
        name = "Site",
        type_ = "string",
        json_path = ".status.site",
        priority = 1
    ),
    printcolumn(
        name = "Machines",
        type_ = "integer",
        json_path = ".status.activeMachines",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rule("self.providerType == 'baremetal' || has(self.authentication)", "authentication is required")]))]
pub struct MachineProviderSpec {
    /// What kind of provider it is.
    pub provider_type: ProviderType,
    /// Name for people.
    #[schemars(length(min = 1))]
    pub display_name: Option<String>,
    /// Region that it makes Machines in.
    #[schemars(length(min = 1))]
    pub region: String,
    /// Zones of the region.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    /// The site whose agent drives it, a DNS label; `region` if absent, where that is one.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub site: Option<String>,
    /// Namespaces whose objects may use it, beside its own.
    pub allowed_namespaces: Option<AllowedNamespaces>,
    /// A Machine may bring its own credentials.
    pub allow_credentials_override: Option<bool>,
    /// Where its API is.
    pub endpoint: Option<Endpoint>,
    /// How we authenticate. On bare metal each host has credentials of its own, and this may be absent.
    pub authentication: Option<Authentication>,
    /// What it can do, and how much of it.
    pub capabilities: Option<Capabilities>,
    /// Its networks.
    pub network: Option<ProviderNetwork>,
    /// Its storage.
    pub storage: Option<ProviderStorage>,
    /// Limits of a single Machine.
    pub compute: Option<ComputeLimits>,
    /// Tags that everything made by it gets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub default_tags: BTreeMap<String, String>,
    /// Its own settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}

/// Kind of provider.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ProviderType {
    /// Physical servers by their BMCs.
    Baremetal,
    /// KubeVirt.
    Kubevirt,
    /// Proxmox VE.
    Proxmox,
    /// Amazon EC2.
    Aws,
    /// Azure Virtual Machines.
    Azure,
    /// Google Compute Engine.
    Gcp,
    /// VMware vSphere.
    Vsphere,
    /// OpenStack.
    Openstack,
    /// libvirt.
    Libvirt,
    /// Apache CloudStack.
    Cloudstack,
    /// Nutanix AHV.
    Nutanix,
    /// oVirt.
    Ovirt,
}

impl ProviderType {
    /// As a manifest spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Baremetal => "baremetal",
            Self::Kubevirt => "kubevirt",
            Self::Proxmox => "proxmox",
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
            Self::Vsphere => "vsphere",
            Self::Openstack => "openstack",
            Self::Libvirt => "libvirt",
            Self::Cloudstack => "cloudstack",
            Self::Nutanix => "nutanix",
            Self::Ovirt => "ovirt",
        }
    }
}

/// Where a provider's API is.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Its URL.
    pub url: Option<String>,
    /// PEM certificates of authorities that may have signed its own.
    pub ca_bundle: Option<String>,
    /// Its certificate is not checked.
    pub insecure_skip_verify: Option<bool>,
    /// Seconds until a call is given up.
    #[schemars(range(min = 1, max = 300))]
    pub timeout_seconds: Option<i64>,
    /// Further tries of a call.
    #[schemars(range(min = 0, max = 10))]
    pub retry_attempts: Option<i64>,
}

/// How we authenticate to a provider.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Authentication {
    /// In which way.
    #[serde(rename = "type")]
    pub kind: AuthenticationType,
    /// The Secret with the credentials.
    pub credentials_ref: Option<SecretReference>,
    /// An identity at the provider.
    pub service_account: Option<ServiceAccount>,
    /// Further parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// In which way we authenticate.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum AuthenticationType {
    /// User name and password, or key pair, in a Secret.
    Credentials,
    /// An account at the provider with a key.
    ServiceAccount,
    /// What the instance that we run on is allowed.
    InstanceProfile,
    /// Azure's managed identity.
    ManagedIdentity,
    /// A client certificate.
    Certificate,
    /// A bearer token.
    Token,
}

/// An identity at the provider.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccount {
    /// Its e-mail address or id.
    #[serde(rename = "accountID")]
    pub account_id: String,
    /// The Secret with its key.
    pub key_ref: Option<SecretReference>,
    /// What it is used for, in the provider's words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

/// Networks of a provider.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderNetwork {
    /// Network for Machines that name none.
    #[serde(rename = "defaultVPC")]
    pub default_vpc: Option<String>,
    /// Networks.
    #[serde(
        rename = "availableVPCs",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub available_vpcs: Vec<ProviderVpc>,
    /// Security groups for Machines that name none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default_security_groups: Vec<String>,
    /// Has public addresses.
    #[serde(rename = "publicIPSupport")]
    pub public_ip_support: Option<bool>,
    /// Has IPv6.
    pub ipv6_support: Option<bool>,
    /// Has load balancers.
    pub load_balancer_support: Option<bool>,
}

/// A network of a provider.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderVpc {
    /// The provider's id of it.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Its addresses.
    pub cidr: String,
    /// Its subnets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<ProviderSubnet>,
}

/// A subnet of a provider.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderSubnet {
    /// The provider's id of it.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Its addresses.
    pub cidr: String,
    /// Its zone.
    pub zone: String,
    /// Reachable from everywhere.
    pub public: bool,
}

/// Storage of a provider.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderStorage {
    /// Type for disks that name none.
    pub default_type: Option<String>,
    /// Storage classes for clusters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage_classes: Vec<StorageClass>,
    /// Disks are encrypted unless they say otherwise.
    pub default_encryption: Option<bool>,
    /// Largest disk in GB.
    #[serde(rename = "maxStorageGB")]
    #[schemars(range(min = 1))]
    pub max_storage_gb: Option<i64>,
}

/// A storage class for clusters.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorageClass {
    /// Its name.
    pub name: String,
    /// Name for people.
    pub display_name: Option<String>,
    /// Driver.
    pub provisioner: String,
    /// Settings of the driver.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// Taken where none is named.
    pub default: Option<bool>,
}

/// Limits of a single Machine.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComputeLimits {
    /// Size for Machines that name none.
    pub default_instance_type: Option<String>,
    /// Most processors.
    #[serde(rename = "maxCPUs")]
    #[schemars(range(min = 1))]
    pub max_cpus: Option<i64>,
    /// Most memory in GB.
    #[serde(rename = "maxMemoryGB")]
    #[schemars(range(min = 1))]
    pub max_memory_gb: Option<i64>,
    /// Has GPUs.
    pub gpu_support: Option<bool>,
    /// Kinds of GPU.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpu_types: Vec<String>,
    /// Guests can run virtual machines themselves.
    pub nested_virtualization: Option<bool>,
}
