//! See [`fuzz::protocol::challenge_token`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::protocol::challenge_token(data));
