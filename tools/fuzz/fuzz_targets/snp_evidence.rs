//! See [`fuzz::evidence::snp_evidence`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::evidence::snp_evidence(data));
