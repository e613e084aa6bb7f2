//! One module a provider. A driver looks, decides and acts; it keeps no state of its own across restarts.
//!
//! - [`driver`]: what the executor asks of every driver.
//! - [`journal`]: what the executor remembers of one object, and hands to the driver.
//! - [`capability`]: URLs that are good for one machine, one operation and one purpose.
//! - [`baremetal`]: servers through their BMC.
//! - [`image`]: the site's cache of operating system images.
//! - [`netboot`]: DHCP, TFTP and HTTP for the boot network; images, metadata, phone-home.
//!
//! Drivers know nothing of the uplink and nothing of the store.

pub mod baremetal;
pub mod capability;
mod cause;
pub mod driver;
pub mod image;
pub mod journal;
pub mod netboot;
