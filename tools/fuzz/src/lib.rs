//! What the fuzz targets do: each reads bytes as a program of keyfast would read a stranger's, and asserts what holds
//! whatever they are. None asserts that anything is accepted, and none needs a secret.
//!
//! - [`evidence`] and [`tpm`]: what a guest sends as evidence, and the parts of it;
//! - [`chain`]: certificates and revocation lists, whoever hands them out;
//! - [`measure`]: firmware, images, ID blocks: files of other people's;
//! - [`protocol`]: messages between guest and broker, between agent and attester, and what owners read;
//! - [`log`]: notes, checkpoints, tiles and proofs;
//! - [`envelope`]: encrypted files;
//! - [`policy`]: rules, cases, decisions;
//! - [`officers`]: what officers write and sign.
//!
//! `tools/fuzz/run` also limits memory, so that a length field alone cannot buy any: a request beyond it ends the target.

pub mod chain;
pub mod envelope;
pub mod evidence;
pub mod log;
pub mod measure;
pub mod officers;
pub mod policy;
pub mod protocol;
mod told;
pub mod tpm;

// The shape alone: the command that it belongs to brings more than a fuzz target needs.
#[expect(dead_code, reason = "only parsed here")]
#[path = "../../../crates/cli/src/policy/simulated/file.rs"]
mod toml_case;

use claims::UnixTime;

/// The entry of a binary that holds several targets: it runs the one that `FUZZ_TARGET` names.
#[macro_export]
macro_rules! targets {
    ($($name:ident => $run:path,)+) => {
        static TARGET: std::sync::OnceLock<fn(&[u8])> = std::sync::OnceLock::new();

        libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            let target = TARGET.get_or_init(|| {
                let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
                $(if name == stringify!($name) { return $run; })+
                panic!("set FUZZ_TARGET to one of{}", concat!($(" ", stringify!($name)),+));
            });
            target(data);
        });
    };
}

/// The time at which everything happens: 2026-09-21.
pub const NOW: UnixTime = UnixTime(1_790_000_000);
