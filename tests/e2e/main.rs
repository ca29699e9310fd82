//! The whole system with its real binaries, in processes of their own: broker, simulated host, agent, commands.
//!
//! `cargo build --workspace --bins` makes the binaries that these tests run. Each set-up is a directory of its own
//! and ends with its test process, whatever ends that.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod agent_failures;
mod authors;
mod endorsements;
mod enrolment;
mod exchange;
mod files;
mod guest;
mod holes;
mod hygiene;
#[path = "../../crates/measure/tests/measure/image.rs"]
mod image;
mod journal;
mod officers;
mod operators;
mod own_policies;
mod preflight;
mod protocol;
#[cfg(feature = "tpm")]
mod real_tpm;
mod refusals;
mod replay;
mod restarts;
mod rogue;
mod sessions;
mod setup;
#[cfg(feature = "tpm")]
#[expect(dead_code, reason = "the attester's own tests use all of it")]
#[path = "../../crates/attester/tests/tpm/swtpm.rs"]
mod swtpm;
