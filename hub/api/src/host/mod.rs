//! BareMetalHost: a physical server with its BMC.

mod spec;
mod status;
#[cfg(test)]
mod tests;

pub use self::spec::{
    BareMetalHost, BareMetalHostSpec, Bmc, BmcTls, BootMode, Inspect, RootDeviceHints,
};
pub use self::status::{
    BareMetalHostStatus, BmcCertificate, HardwareCpu, HardwareDetails, HardwareNic, HostPhase,
    Inspection, ProvisionedMachine, Quarantine, StorageDevice, SystemVendor,
};
