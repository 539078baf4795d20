//! Any bytes as an answer, behind the key and version of its request.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    fuzz::check_response(bytes);
});
