//! See [`fuzz::envelope::message`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::envelope::message(data));
