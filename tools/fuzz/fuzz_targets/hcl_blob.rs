//! See [`fuzz::evidence::hcl_blob`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::evidence::hcl_blob(data));
