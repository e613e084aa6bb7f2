//! DHCP packets as anybody on the boot network may send them. What is answered must be a packet that can be read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vitistack_drivers::netboot::outside;

fuzz_target!(|data: &[u8]| {
    if let Some(answer) = outside::dhcp(data) {
        assert!(answer.len() == 4 || answer.len() >= 300, "{}", answer.len());
        // An answer is no request: two of our services must not talk to each other for ever.
        assert!(answer.len() == 4 || outside::dhcp(&answer).is_none_or(|again| again.len() == 4));
    }
});
