//! Rows of the agent's store: as they are found, and as they would be found with a checksum that fits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vitistack_agent::store::check_row;

fuzz_target!(|data: &[u8]| {
    // The first byte says how long the key is.
    let Some((length, rest)) = data.split_first() else {
        return;
    };
    let (key, record) = rest.split_at(usize::from(*length).min(rest.len()));
    // As it is found, the checksum mostly does not fit; that it is told is all.
    check_row(key, record).ok();
    let checksum = crc32fast::hash(record).to_le_bytes();
    let mut fitting = [[1].as_slice(), &checksum, record].concat();
    if check_row(key, &fitting).is_ok()
        && let Some(last) = fitting.last_mut()
    {
        *last ^= 1;
        assert!(
            check_row(key, &fitting).is_err(),
            "a flipped byte is noticed"
        );
    }
});
