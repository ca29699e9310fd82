//! See [`fuzz::chain::certificates`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::chain::certificates(data));
