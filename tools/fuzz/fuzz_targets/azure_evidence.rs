//! See [`fuzz::evidence::azure_evidence`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::evidence::azure_evidence(data));
