//! See [`fuzz::tpm::public`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::tpm::public(data));
