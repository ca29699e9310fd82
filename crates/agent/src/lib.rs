//! The agent in the guest: attests, gets keys from a pinned broker, and uses them where nobody else can look.
//!
//! - [`session`] is the protocol without I/O: one type for each state, nothing believed before it is checked.
//! - [`preflight`] is the same for a question, [`foresee`] what the next boot would change.
//! - [`shell`] connects it to a broker and an attester, with backoff.
//! - [`statement`] is how a guest comes to believe a broker's keys.
//! - [`command`] is what `keyfast-agent` can be asked to do.
//!
//! The agent links neither `verify` nor `policy`, `journal`, `store` or `release`: a guest cannot judge evidence,
//! and cannot grant itself anything. It must never write a key or a plaintext anywhere but where it was asked to,
//! and never print one in a log or an error.

mod attesting;
pub mod command;
pub mod config;
mod enrol;
pub mod failure;
pub mod foresee;
pub mod keep;
pub mod preflight;
pub mod session;
pub mod shell;
pub mod statement;
