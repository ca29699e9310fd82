//! See [`fuzz::evidence::svsm_evidence`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::evidence::svsm_evidence(data));
