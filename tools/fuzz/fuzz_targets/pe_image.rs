//! See [`fuzz::measure::pe_image`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::measure::pe_image(data));
