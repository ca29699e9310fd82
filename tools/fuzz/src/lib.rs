//! What the fuzz targets do: each reads bytes as a program of keyfast would read a stranger's, and asserts what holds
//! whatever they are. None asserts that anything is accepted, and none needs a secret.
//!
//! - [`evidence`] and [`tpm`]: what a guest sends as evidence, and the parts of it;
//! - [`chain`]: certificates and revocation lists, whoever hands them out;
//! - [`measure`]: firmware, images, ID blocks: files of other people's;
//! - [`protocol`]: messages between guest and broker, between agent and attester, and what owners read;
//! - [`log`]: notes, checkpoints, tiles and proofs;
//! - [`envelope`]: encrypted files.
//!
//! `tools/fuzz/run` also limits memory, so that a length field alone cannot buy any: a request beyond it ends the target.

pub mod chain;
pub mod envelope;
pub mod evidence;
pub mod log;
pub mod measure;
pub mod protocol;
pub mod tpm;

use claims::UnixTime;

/// The time at which everything happens: 2026-09-21.
pub const NOW: UnixTime = UnixTime(1_790_000_000);
