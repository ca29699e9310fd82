//! See [`fuzz::protocol::problem`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::protocol::problem(data));
