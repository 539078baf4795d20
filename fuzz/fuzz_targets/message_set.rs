//! Any bytes as a message set of the formats before record batches.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    fuzz::check_messages(bytes);
});
