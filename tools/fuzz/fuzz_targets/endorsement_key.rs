//! See [`fuzz::tpm::endorsement_key`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::tpm::endorsement_key(data));
