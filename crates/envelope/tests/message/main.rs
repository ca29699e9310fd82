//! The encrypted-message format, through its public API.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod bounds;
mod fixture;
mod known_answer;
mod round_trip;
mod tampering;
