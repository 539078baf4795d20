//! Any bytes as a run of record batches.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    fuzz::check_batches(bytes);
});
