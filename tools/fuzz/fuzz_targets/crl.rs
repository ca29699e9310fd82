//! See [`fuzz::chain::crl`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::chain::crl(data));
