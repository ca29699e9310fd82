//! See [`fuzz::log::proof`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::log::proof(data));
