//! What iPXE is told. Pure.

use std::net::SocketAddrV4;

use crate::netboot::slot::{InstallerBoot, Mac, Purpose, Slot};

#[cfg(test)]
mod tests;

/// For the kernel: console on the screen and, last and thus the one that PID 1 writes to, on the serial line that a BMC
/// forwards. No huge pages, and two settings of the C library, which reach PID 1 since the kernel does not know them: the
/// installer then takes the memory that it uses and gives large pieces back at once, whatever image a small server gets.
/// Nothing secret ever stands here: every process of the server can read it.
const COMMAND_LINE: &str = "console=tty0 console=ttyS0,115200n8 transparent_hugepage=never MALLOC_ARENA_MAX=1 \
                            MALLOC_MMAP_THRESHOLD_=131072";

/// How often a boot is tried, two seconds apart: longer than an agent takes to be upgraded.
const TRIES: u32 = 60;

/// Where the server with this boot MAC finds its script.
pub(crate) fn path(mac: Mac) -> String {
    format!("boot.ipxe?mac={}", dashed(mac))
}

/// As URLs and pxelinux write it.
fn dashed(mac: Mac) -> String {
    mac.to_string().replace(':', "-")
}

/// The script for the server of `slot`, from the HTTP service at `server`.
pub(crate) fn render(slot: &Slot, server: SocketAddrV4) -> String {
    match &slot.purpose {
        Purpose::Local { phone_home: _ } => local(),
        Purpose::Installer(boot) => installer(boot, slot.mac, server),
    }
}

/// The first disk. UEFI: give up with an error, so that the firmware goes on to its next boot entry; a success would
/// end in its set-up screen.
fn local() -> String {
    "#!ipxe\n\
     iseq ${platform} pcbios && sanboot --no-describe --drive 0x80 ||\n\
     exit 1\n"
        .to_owned()
}

/// The archive with the boot file comes before the initramfs: its size is a multiple of what Linux wants the next one
/// to begin at, and the size of a compressed initramfs need not be. UEFI kernels are told the names on the command
/// line; BIOS ones find the files joined. `BOOTIF`, as pxelinux writes it, tells the installer which of its interfaces
/// leads here.
///
/// What cannot be had is asked for again: an agent that restarts under a booting server is back within seconds, and
/// firmware that gave up once may not boot from the network again before its next power cycle. The script itself is
/// fetched anew, since the slot may say something else by then. After [`TRIES`] the firmware goes on as it likes.
fn installer(boot: &InstallerBoot, mac: Mac, server: SocketAddrV4) -> String {
    let capability = boot.urls.boot.to_segment();
    let (boot_interface, script) = (dashed(mac), path(mac));
    format!(
        "#!ipxe\n\
         isset ${{tries}} || set tries:int32 0\n\
         kernel http://{server}/assets/vmlinuz {COMMAND_LINE} BOOTIF=01-{boot_interface} initrd=boot initrd=initramfs || goto again\n\
         initrd --name boot http://{server}/c/{capability}/initrd || goto again\n\
         initrd --name initramfs http://{server}/assets/initramfs || goto again\n\
         boot || goto again\n\
         :again\n\
         imgfree ||\n\
         inc tries\n\
         iseq ${{tries}} {TRIES} && exit 1 ||\n\
         sleep 2\n\
         chain --replace http://{server}/{script} || goto again\n"
    )
}
