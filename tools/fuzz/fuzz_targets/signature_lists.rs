//! See [`fuzz::measure::signature_lists`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::measure::signature_lists(data));
