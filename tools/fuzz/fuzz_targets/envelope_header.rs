//! See [`fuzz::envelope::header`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::envelope::header(data));
