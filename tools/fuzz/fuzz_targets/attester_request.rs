//! See [`fuzz::protocol::attester_request`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::protocol::attester_request(data));
