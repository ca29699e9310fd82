//! See [`fuzz::tpm::boot_facts`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::tpm::boot_facts(data));
