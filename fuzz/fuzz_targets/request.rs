//! Any bytes as a request: header and body.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|frame: &[u8]| {
    fuzz::check_request(frame);
});
