//! See [`fuzz::measure::id_block`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::measure::id_block(data));
