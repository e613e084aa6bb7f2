//! Machine: one computer that somebody wants, wherever a provider finds it.

mod spec;
mod status;
#[cfg(test)]
mod tests;

pub use self::spec::{
    Architecture, Backup, Cleaning, Cpu, DeletionPolicy, Disk, HostSelector, Interface, Machine,
    MachineSpec, Network, OperatingSystem, PowerState, ProviderConfig, Requirement,
    SelectorOperator,
};
pub use self::status::{
    DiskStatus, InstallationStatus, IntentStatus, InterfaceStatus, MachineAddress, MachinePhase,
    MachineStatus, PlacedHost, Placement, Progress,
};
