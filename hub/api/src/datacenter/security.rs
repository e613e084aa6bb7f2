//! Security rules of a Datacenter.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Security rules.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Security {
    /// Frameworks to adhere to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compliance_frameworks: Vec<String>,
    /// Encryption.
    pub encryption: Option<Encryption>,
    /// Who may do what.
    pub access_control: Option<AccessControl>,
    /// Audit logs.
    pub audit_logging: Option<AuditLogging>,
}

/// Encryption.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Encryption {
    /// Of what is stored.
    #[schemars(extend("default" = true))]
    pub at_rest: Option<bool>,
    /// Of what is sent.
    #[schemars(extend("default" = true))]
    pub in_transit: Option<bool>,
    /// Where the keys are.
    pub key_management: Option<String>,
}

/// Who may do what.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessControl {
    /// Roles are needed.
    #[schemars(extend("default" = true))]
    pub rbac: Option<bool>,
    /// A second factor is needed.
    #[schemars(extend("default" = false))]
    pub mfa: Option<bool>,
    /// Users that are let in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_users: Vec<String>,
    /// Groups that are let in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_groups: Vec<String>,
}

/// Audit logs.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditLogging {
    /// Wanted.
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,
    /// Days that they are kept.
    #[schemars(extend("default" = 90))]
    #[schemars(range(min = 1, max = 2555))]
    pub retention_days: Option<i32>,
    /// Where they go.
    pub destination: Option<AuditDestination>,
}

/// Where audit logs go.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum AuditDestination {
    /// Onto our own disks.
    Local,
    /// Amazon S3 or alike.
    S3,
    /// Azure Storage.
    Azure,
    /// Google Cloud Storage.
    Gcs,
    /// Elasticsearch.
    Elasticsearch,
}
