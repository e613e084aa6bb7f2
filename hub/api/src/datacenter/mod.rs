//! Datacenter: a place, the providers in it, and the rules for what they make.

mod backup;
mod networking;
mod security;
mod spec;
mod status;

pub use self::backup::{
    Backup, BackupDestination, DestinationType, DisasterRecovery, RetentionPolicy,
};
pub use self::networking::{
    Dns, Firewall, FirewallRule, LoadBalancer, LoadBalancerScheme, LoadBalancerType, Networking,
    Policy, Protocol, Subnet, Vpc,
};
pub use self::security::{AccessControl, AuditDestination, AuditLogging, Encryption, Security};
pub use self::spec::{
    Coordinates, Datacenter, DatacenterSpec, Location, Monitoring, ProviderReference,
    ResourceQuotas,
};
pub use self::status::{
    DatacenterPhase, DatacenterStatus, ProviderStatus, ProviderStatusType, ResourceUsage,
};
