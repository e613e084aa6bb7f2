use crate::codec::samples;
use crate::ids::{Digest, Uid};
use crate::message::Extensions;
use crate::message::intent::{MachineIntent, SecretKey};
use crate::message::numbered::PowerState;
use crate::message::report::MachineReport;

/// Agents and hubs of other builds compute it too.
#[test]
fn the_digest_is_frozen() {
    assert_eq!(
        samples::machine_intent().inputs().to_string(),
        "sha256:92390859d92e7e66256e45d3b65665020c7566139b519f439cfe42bc302f8fca"
    );
}

#[test]
fn what_a_new_installation_applies_counts_and_nothing_else() {
    let known = samples::machine_intent();
    let of = |change: fn(&mut MachineIntent)| {
        let mut intent = samples::machine_intent();
        change(&mut intent);
        intent.inputs() == known.inputs()
    };
    let key = |uid, digest| {
        Some(SecretKey {
            uid: Uid([uid; 16]),
            digest: Digest([digest; 32]),
        })
    };
    let with_key = |uid, digest| MachineIntent {
        user_data: key(uid, digest),
        ..samples::machine_intent()
    };
    assert!(of(|intent| intent.power = PowerState::Off));
    assert!(of(|intent| intent.target.maintenance = true));
    assert!(of(|intent| intent.extensions = Extensions::default()));
    assert!(!of(|intent| intent.image.digest = Digest([9; 32])));
    assert!(!of(|intent| intent.hostname.push('x')));
    assert!(!of(|intent| intent.ssh_keys.clear()));
    assert!(!of(|intent| intent.root_hints.rotational = Some(true)));
    assert_eq!(
        with_key(1, 1).inputs(),
        with_key(2, 1).inputs(),
        "a new Secret"
    );
    assert_ne!(with_key(1, 1).inputs(), with_key(1, 2).inputs());
}

#[test]
fn a_report_says_them_or_nothing() {
    let with = |extensions| MachineReport {
        extensions,
        ..samples::machine_report()
    };
    let inputs = Some(Digest([7; 32]));
    assert_eq!(with(MachineReport::extensions_of(inputs)).inputs(), inputs);
    assert_eq!(with(MachineReport::extensions_of(None)).inputs(), None);
    assert_eq!(with(Extensions(vec![(1, vec![1])])).inputs(), None);
}
