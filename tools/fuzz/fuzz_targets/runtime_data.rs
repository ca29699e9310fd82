//! See [`fuzz::evidence::runtime_data`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::evidence::runtime_data(data));
