//! See [`fuzz::tpm::pcr_values`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::tpm::pcr_values(data));
