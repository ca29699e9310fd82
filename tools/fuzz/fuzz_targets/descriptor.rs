//! See [`fuzz::protocol::descriptor`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::protocol::descriptor(data));
