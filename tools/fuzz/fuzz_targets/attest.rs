//! See [`fuzz::tpm::attest`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::tpm::attest(data));
