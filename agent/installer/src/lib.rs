//! The installer: the one program of the netboot image, PID 1 of a server that booted over the network.
//!
//! The road of a boot is `vitistack_installer_wire`'s: find the boot file, get an address, fetch the signed plan, carry
//! out its one mode, report until told to restart. `run` is that road; `modules`, `net` and `inventory` make the server
//! usable; `settle`, `root`, `signature`, `install` and `wipe` decide about disks and write them.
//!
//! Everything that decides is pure and takes bytes; files and sockets are thin shells around it, so the same code that
//! writes `/dev/sda` writes an ordinary file in the tests. The crate never decides *whether* a disk may be written:
//! that stands in the plan, and the plan is signed.

pub mod console;
pub mod disk;
pub mod http;
pub mod install;
pub mod inventory;
pub mod modules;
pub mod net;
pub mod report;
pub mod root;
pub mod run;
pub mod settle;
pub mod signature;
pub mod wipe;
