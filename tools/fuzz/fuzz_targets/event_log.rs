//! See [`fuzz::tpm::event_log`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::tpm::event_log(data));
