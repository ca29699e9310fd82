//! See [`fuzz::chain::chain`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::chain::chain(data));
