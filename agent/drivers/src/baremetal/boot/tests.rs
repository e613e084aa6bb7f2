use vitistack_protocol::message::numbered::BootMode;

use super::{boot_override, times_set};
use crate::baremetal::fixture::{self, INSTALL, Server};
use crate::baremetal::redfish::BootTarget::{self, Disk, Network};

/// What the plan says about an override that should be `wanted` and is the other one, after these were set.
fn after(sets: &[BootTarget], wanted: BootTarget) -> String {
    let mut server = Server {
        boot: match wanted {
            Network => "Hdd",
            Disk => "Pxe",
        },
        ..Server::off()
    };
    let mut sight = server.sight();
    sight.boot_sets = sets.to_vec();
    let system = sight.bmc.clone().expect("the simulated BMC answers");
    boot_override(&sight, &system, wanted, BootMode::Uefi, INSTALL)
        .map_or_else(|| "nothing".to_owned(), |next| fixture::said(&next))
}

#[test]
fn a_bmc_ignores_overrides_when_it_lost_the_same_one_three_times_in_a_row() {
    let ignored = "wait BootOverrideIgnored";
    let (network, disk) = ("do boot-from-network", "do boot-from-disk");
    for (name, sets, wanted, expected) in [
        ("the first", &[][..], Network, network),
        ("lost twice", &[Network; 2], Network, network),
        ("lost three times", &[Network; 3], Network, ignored),
        ("kept three times", &[Disk; 3], Disk, ignored),
        ("the fourth, to another target", &[Network; 3], Disk, disk),
        (
            "and back",
            &[Network, Network, Network, Disk],
            Network,
            network,
        ),
        (
            "three that went on each time",
            &[Network, Disk, Network, Disk, Network],
            Disk,
            disk,
        ),
        (
            "lost three times after it went on",
            &[Disk, Network, Network, Network],
            Network,
            ignored,
        ),
    ] {
        assert_eq!(after(sets, wanted), expected, "{name}");
    }
}

#[test]
fn a_count_belongs_to_the_target_that_was_set_last() {
    let mut sight = Server::off().sight();
    sight.boot_sets = vec![Disk, Network, Network];
    assert_eq!(
        (times_set(&sight, Network), times_set(&sight, Disk)),
        (2, 0)
    );
}
