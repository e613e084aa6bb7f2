//! MachineProvider: something that makes Machines, in one region.

mod capabilities;
mod spec;
mod status;

pub use self::capabilities::{
    Capabilities, InstanceType, OperatingSystemOffer, Range, StorageType,
};
pub use self::spec::{
    Authentication, AuthenticationType, ComputeLimits, Endpoint, MachineProvider,
    MachineProviderSpec, ProviderNetwork, ProviderStorage, ProviderSubnet, ProviderType,
    ProviderVpc, ServiceAccount, StorageClass,
};
pub use self::status::{
    AvailableResources, Image, MachineProviderStatus, ProviderHealth, ProviderPhase, ProviderQuota,
    ResourceLimits,
};
