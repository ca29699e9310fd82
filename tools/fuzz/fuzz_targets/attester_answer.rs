//! See [`fuzz::protocol::attester_answer`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::protocol::attester_answer(data));
