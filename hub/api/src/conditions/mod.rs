//! Conditions as `metav1.Condition`, and the one way to set them.
//!
//! Owns the list of condition types and the rule that `lastTransitionTime` moves only when the status does. It must
//! not know a clock: the time comes as an argument.

mod reason;
mod rows;
#[cfg(test)]
mod tests;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::{Schema, SchemaGenerator, json_schema};

pub use self::reason::Reason;
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Condition types. `READY`, `RECONCILING` and `STALLED` are kstatus' own, the rest is what a kind promises.
pub mod types {
    /// The object is as its spec says.
    pub const READY: &str = "Ready";
    /// Work goes on.
    pub const RECONCILING: &str = "Reconciling";
    /// Work does not go on without a change or a person.
    pub const STALLED: &str = "Stalled";

    /// Machine: a host is claimed and carries it.
    pub const INFRASTRUCTURE_READY: &str = "InfrastructureReady";
    /// Machine: the guest phoned home or answered.
    pub const BOOTSTRAP_READY: &str = "BootstrapReady";
    /// Machine: an address is known.
    pub const NETWORK_READY: &str = "NetworkReady";
    /// Machine: what runs is what the spec says; `False` names the fields that wait for a new `reinstall`.
    pub const UP_TO_DATE: &str = "UpToDate";
    /// Machine: drained before it goes.
    pub const DRAIN_READY: &str = "DrainReady";
    /// Machine and Datacenter: backups run.
    pub const BACKUP_READY: &str = "BackupReady";

    /// BareMetalHost: the BMC answers.
    pub const REACHABLE: &str = "Reachable";
    /// BareMetalHost and MachineProvider: the credentials were accepted.
    pub const AUTHENTICATED: &str = "Authenticated";
    /// BareMetalHost: the inventory is known.
    pub const INSPECTED: &str = "Inspected";
    /// BareMetalHost: free for a Machine.
    pub const AVAILABLE: &str = "Available";
    /// BareMetalHost: the BMC's certificate is checked; `False` if not, and why.
    pub const BMC_TRUSTED: &str = "BMCTrusted";

    /// Agent and MachineProvider: a session is open.
    pub const CONNECTED: &str = "Connected";
    /// MachineProvider and KubernetesProvider: usable.
    pub const HEALTHY: &str = "Healthy";
    /// MachineProvider: below its limits.
    pub const QUOTA_VALID: &str = "QuotaValid";

    /// Datacenter: every enabled provider is there and ready.
    pub const PROVIDERS_HEALTHY: &str = "ProvidersHealthy";
    /// Datacenter: `spec.networking` is in effect.
    pub const NETWORKING_READY: &str = "NetworkingReady";
    /// Datacenter: `spec.monitoring` is in effect.
    pub const MONITORING_READY: &str = "MonitoringReady";
    /// Datacenter: `spec.security` is in effect.
    pub const SECURITY_COMPLIANT: &str = "SecurityCompliant";
    /// Datacenter: the quotas leave room.
    pub const QUOTA_AVAILABLE: &str = "QuotaAvailable";

    /// KubernetesProvider: the cluster's API server answers.
    pub const API_SERVER_READY: &str = "APIServerReady";
    /// KubernetesProvider: the nodes are ready.
    pub const NODES_READY: &str = "NodesReady";
    /// KubernetesProvider: the add-ons are installed.
    pub const ADDONS_READY: &str = "AddonsReady";
    /// KubernetesProvider: `spec.security` is in effect.
    pub const SECURITY_READY: &str = "SecurityReady";
}

/// Value of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Holds.
    True,
    /// Does not hold.
    False,
    /// Cannot be told.
    Unknown,
}

impl State {
    /// As Kubernetes writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for State {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// What is to be said about one condition type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// One of [`types`].
    pub kind: &'static str,
    /// Whether it holds.
    pub state: State,
    /// Why; decides.
    pub reason: Reason,
    /// Why, for people.
    pub message: String,
}

/// Longest message that the schema of `metav1.Condition` takes.
const MESSAGE_LIMIT: usize = 32768;

/// Writes `statement` into `list`, sorted by type, and says whether anything changed. `lastTransitionTime` is `now`
/// only for a new condition and for another status.
pub fn set(list: &mut Vec<Condition>, statement: Statement, generation: i64, now: &Time) -> bool {
    let Statement {
        kind,
        state,
        reason,
        mut message,
    } = statement;
    message.truncate(message.floor_char_boundary(MESSAGE_LIMIT));
    let mut next = Condition {
        type_: kind.to_owned(),
        status: state.as_str().to_owned(),
        reason: reason.as_str().to_owned(),
        message,
        observed_generation: Some(generation),
        last_transition_time: now.clone(),
    };
    match list.iter_mut().find(|known| known.type_ == kind) {
        Some(known) => {
            if known.status == next.status {
                next.last_transition_time = known.last_transition_time.clone();
            }
            let changed = *known != next;
            *known = next;
            changed
        }
        None => {
            let place = list.partition_point(|known| known.type_.as_str() < kind);
            list.insert(place, next);
            true
        }
    }
}

/// Removes the condition and says whether it was there.
pub fn remove(list: &mut Vec<Condition>, kind: &str) -> bool {
    let before = list.len();
    list.retain(|known| known.type_ != kind);
    list.len() != before
}

/// The condition of this type.
#[must_use]
pub fn find<'a>(list: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    list.iter().find(|known| known.type_ == kind)
}

/// Whether the condition is there and `True`.
#[must_use]
pub fn is_true(list: &[Condition], kind: &str) -> bool {
    find(list, kind).is_some_and(|known| known.status == State::True.as_str())
}

/// Schema of a condition list: a map by `type`, so that two field managers can own different conditions.
pub(crate) fn schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "description": "What is true of the object now, by type.",
        "maxItems": 64,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "lastTransitionTime": {
                    "type": "string",
                    "format": "date-time",
                    "description": "When the status last changed.",
                },
                "message": {
                    "type": "string",
                    "maxLength": MESSAGE_LIMIT,
                    "description": "Why, for people.",
                },
                "observedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                    "description": "The metadata.generation that this was said about.",
                },
                "reason": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                    "description": "Why, for programs; see the table of reasons.",
                },
                "status": {
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                    "description": "Whether it holds.",
                },
                "type": {
                    "type": "string",
                    "maxLength": 316,
                    "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
                    "description": "What this is about.",
                },
            },
        },
    })
}
