//! See [`fuzz::log::note`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::log::note(data));
