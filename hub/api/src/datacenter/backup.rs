//! Backups and disaster recovery of a Datacenter.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Backups and disaster recovery.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// Wanted.
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,
    /// When, as a cron line.
    #[schemars(extend("default" = "0 2 * * *"))]
    pub schedule: Option<String>,
    /// How many are kept.
    pub retention_policy: Option<RetentionPolicy>,
    /// Where they go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<BackupDestination>,
    /// What happens when the place is lost.
    pub disaster_recovery: Option<DisasterRecovery>,
}

/// How many backups are kept.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetentionPolicy {
    /// Daily ones.
    #[schemars(extend("default" = 7))]
    #[schemars(range(min = 1))]
    pub daily: Option<i32>,
    /// Weekly ones.
    #[schemars(extend("default" = 4))]
    #[schemars(range(min = 1))]
    pub weekly: Option<i32>,
    /// Monthly ones.
    #[schemars(extend("default" = 12))]
    #[schemars(range(min = 1))]
    pub monthly: Option<i32>,
}

/// Where backups go.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupDestination {
    /// Its name.
    pub name: String,
    /// What kind of storage it is.
    #[serde(rename = "type")]
    pub kind: DestinationType,
    /// Backups are encrypted there.
    pub encryption: Option<bool>,
    /// Its own settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub configuration: BTreeMap<String, String>,
}

/// Kind of storage.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[derive(Default)]
pub enum DestinationType {
    /// Amazon S3 or alike.
    S3,
    /// Azure Storage.
    Azure,
    /// Google Cloud Storage.
    Gcs,
    /// Our own disks.
    #[default]
    Local,
    /// An NFS server.
    Nfs,
}

/// What happens when the place is lost.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DisasterRecovery {
    /// Wanted.
    #[schemars(extend("default" = false))]
    pub enabled: Option<bool>,
    /// The Datacenter that takes over.
    pub target_datacenter: Option<String>,
    /// Minutes of data that may be lost.
    #[schemars(range(min = 1))]
    pub rpo_minutes: Option<i32>,
    /// Minutes that recovery may take.
    #[schemars(range(min = 1))]
    pub rto_minutes: Option<i32>,
}
