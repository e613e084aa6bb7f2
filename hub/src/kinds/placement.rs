//! Which provider and which host a Machine gets.
//!
//! [`provider`] follows the order that the API promises: a reference, a Datacenter's list, a name, a type. [`host`] takes
//! the smallest free host that fits. Once placed a Machine stays; nothing here is asked again for a placed one.

mod host;
mod provider;
mod quota;

pub(crate) use host::choose as choose_host;
pub(crate) use provider::{choose as choose_provider, permit};
pub(crate) use quota::{check as check_quota, provider_usage, usage};

use std::sync::Arc;

use vitistack_api::datacenter::Datacenter;
use vitistack_api::host::BareMetalHost;
use vitistack_api::machine::Machine;
use vitistack_api::machine_provider::MachineProvider;

#[cfg(test)]
mod tests;

/// Everything that placement looks at.
pub(crate) struct Field {
    pub(crate) datacenters: Vec<Arc<Datacenter>>,
    pub(crate) providers: Vec<Arc<MachineProvider>>,
    pub(crate) hosts: Vec<Arc<BareMetalHost>>,
    pub(crate) machines: Vec<Arc<Machine>>,
}
