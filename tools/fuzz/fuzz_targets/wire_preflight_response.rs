//! See [`fuzz::protocol::message`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::protocol::message::<wire::PreflightResponse>(data));
