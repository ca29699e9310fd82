//! See [`fuzz::evidence::tpm_evidence`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::evidence::tpm_evidence(data));
