//! TFTP packets of one client, one behind the other: each begins with its length in one byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vitistack_drivers::netboot::outside;

fuzz_target!(|data: &[u8]| {
    let mut packets = Vec::new();
    let mut rest = data;
    while let Some((length, behind)) = rest.split_first() {
        let length = usize::from(*length).min(behind.len());
        let (packet, behind) = behind.split_at(length);
        packets.push(packet);
        rest = behind;
    }
    // No amplification: what is sent for one packet fits one Ethernet frame.
    assert!(outside::tftp(&packets) <= packets.len() * 1500);
});
