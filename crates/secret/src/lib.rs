//! Memory for secrets: wiped when dropped, absent from `Debug`, never cloned.
//!
//! [`SecretBytes`] is what key material travels in between crates. [`harden_process`] is what every binary calls
//! before it touches any: no core dump, no tracing by other processes, and no swap where the system allows it.
//!
//! This crate must never print, compare or copy a secret. It needs no `unsafe`: `rustix` wraps the system calls.

mod bytes;
mod process;

pub use bytes::SecretBytes;
pub use process::{Hardening, MemoryLock, harden_process};
