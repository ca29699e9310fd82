//! See [`fuzz::measure::public_key_pem`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::measure::public_key_pem(data));
