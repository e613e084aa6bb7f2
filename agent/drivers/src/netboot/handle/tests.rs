use vitistack_protocol::ids::Uid;
use vitistack_protocol::message::numbered::BootMode;

use super::Handle;
use crate::netboot::slot::{Mac, Purpose, Service, Slot};

#[test]
fn a_disabled_service_takes_slots_and_has_no_address() {
    let handle = Handle::disabled();
    let slot = Slot {
        mac: Mac([2, 0, 0, 0, 0, 1]),
        object: Uid([1; 16]),
        boot_mode: BootMode::Legacy,
        purpose: Purpose::Local { phone_home: None },
    };
    assert_eq!(handle.open(slot), Ok(()));
    assert_eq!(handle.service(), Service::Disabled);
    assert_eq!(handle.address(), None);
}

#[tokio::test]
async fn a_wake_reaches_whoever_listens() {
    let handle = Handle::disabled();
    handle.wake(Uid([8; 16]));
    let mut changes = handle.changes();
    handle.wake(Uid([9; 16]));
    assert_eq!(changes.recv().await, Ok(Uid([9; 16])));
}
