//! Servers through their BMC: a Machine on a server, and a server by itself.
//!
//! - [`redfish`]: the client. `bmc`: one gentle lane a BMC.
//! - `step`, `record`: what a plan can ask for, and what the journal says of it.
//! - `sight`: what is seen. `boot`: what every boot has in common, pure. `act`: what every step does. `seed`: what the
//!   guest finds on its disk.
//! - [`machine`]: installs, keeps, releases. [`host`]: registers, inspects.
//!
//! When a disk is written is decided in `machine::plan` and `machine::release` and nowhere else.

mod act;
mod bmc;
mod boot;
mod error;
#[cfg(test)]
mod fixture;
pub mod host;
pub mod machine;
mod record;
pub mod redfish;
mod seed;
mod sight;
mod step;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use boot::Timing;
pub use error::{Error, Trouble};
pub use host::HostDriver;
pub use machine::MachineDriver;
pub use sight::Sight;
pub use step::Step;

use crate::image::Images;
use crate::netboot::Handle;

/// What both drivers share: the boot network, the image cache, one lane a BMC. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BareMetal(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    netboot: Handle,
    images: Images,
    lanes: bmc::Lanes,
    memories: sight::Memories,
    timing: Timing,
}

impl BareMetal {
    /// Both drivers' common part.
    #[must_use]
    pub fn new(netboot: Handle, images: Images, pace: redfish::Pace, timing: Timing) -> Self {
        Self(Arc::new(Shared {
            netboot,
            images,
            lanes: bmc::Lanes::new(pace),
            memories: sight::Memories::default(),
            timing,
        }))
    }

    /// The driver of Machines on servers.
    #[must_use]
    pub fn machines(&self) -> MachineDriver {
        MachineDriver::new(self.clone())
    }

    /// The driver of servers by themselves.
    #[must_use]
    pub fn hosts(&self) -> HostDriver {
        HostDriver::new(self.clone())
    }

    fn netboot(&self) -> &Handle {
        &self.0.netboot
    }

    fn images(&self) -> &Images {
        &self.0.images
    }

    fn lanes(&self) -> &bmc::Lanes {
        &self.0.lanes
    }

    fn memories(&self) -> &sight::Memories {
        &self.0.memories
    }

    fn timing(&self) -> &Timing {
        &self.0.timing
    }
}
