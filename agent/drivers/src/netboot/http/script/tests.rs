use std::net::{Ipv4Addr, SocketAddrV4};

use vitistack_installer_wire as wire;
use vitistack_protocol::ids::{OperationId, Uid};
use vitistack_protocol::message::numbered::BootMode;

use super::render;
use crate::capability::Capability;
use crate::netboot::slot::{BootUrls, InstallerBoot, Mac, Purpose, Slot};

const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 99, 0, 1), 8080);

fn check(purpose: Purpose, expected: &str) {
    let slot = Slot {
        mac: Mac([2, 0, 0, 0, 0, 1]),
        object: Uid([1; 16]),
        boot_mode: BootMode::Uefi,
        purpose,
    };
    assert_eq!(render(&slot, SERVER), expected);
}

#[test]
fn the_installers_script_holds_one_capability_and_never_on_the_command_line() {
    let capability = |digit: &str| Capability::from_segment(&digit.repeat(32)).unwrap();
    let boot = InstallerBoot {
        operation: OperationId([7; 16]),
        urls: BootUrls {
            boot: capability("1"),
            plan: capability("2"),
            report: capability("3"),
            image: capability("4"),
        },
        plan: wire::Plan {
            operation: String::new(),
            mac: String::new(),
            report: String::new(),
            mode: wire::Mode::Inspect,
        },
        image: None,
        phone_home: Some(capability("5")),
    };
    check(
        Purpose::Installer(Box::new(boot)),
        "#!ipxe\n\
         isset ${tries} || set tries:int32 0\n\
         kernel http://10.99.0.1:8080/assets/vmlinuz console=tty0 console=ttyS0,115200n8 \
         transparent_hugepage=never MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=131072 \
         BOOTIF=01-02-00-00-00-00-01 initrd=boot initrd=initramfs || goto again\n\
         initrd --name boot http://10.99.0.1:8080/c/11111111111111111111111111111111/initrd || goto again\n\
         initrd --name initramfs http://10.99.0.1:8080/assets/initramfs || goto again\n\
         boot || goto again\n\
         :again\n\
         imgfree ||\n\
         inc tries\n\
         iseq ${tries} 60 && exit 1 ||\n\
         sleep 2\n\
         chain --replace http://10.99.0.1:8080/boot.ipxe?mac=02-00-00-00-00-01 || goto again\n",
    );
}

#[test]
fn a_server_that_is_not_to_be_installed_boots_its_disk() {
    check(
        Purpose::Local { phone_home: None },
        "#!ipxe\n\
         iseq ${platform} pcbios && sanboot --no-describe --drive 0x80 ||\n\
         exit 1\n",
    );
}
