//! See [`fuzz::measure::id_auth`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::measure::id_auth(data));
