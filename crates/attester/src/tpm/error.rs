//! [`TpmError`]: why a TPM gave no quote, no keys or no secret.

use std::io;
use std::path::PathBuf;

use crate::{ConfigfsError, MAX_EVIDENCE, Tcti};

/// What went wrong between this process and its TPM.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TpmError {
    /// The TPM cannot be reached.
    #[error("cannot reach the tpm at `{tcti}`: {source}; is it there, and may this user open it?")]
    Open {
        /// Where it should be.
        tcti: Tcti,
        /// What the library said.
        source: tss_esapi::Error,
    },
    /// The TPM refused, or answered what cannot be read.
    #[error("the tpm did not {what}: {source}")]
    Command {
        /// What it was to do.
        what: &'static str,
        /// What it said.
        source: tss_esapi::Error,
    },
    /// The key at a handle is another than belongs there. It is left alone.
    #[error("the key at {handle:#010x} is not ours: expected {expected}; choose another `ak_handle`")]
    OtherKey {
        /// The handle.
        handle: u32,
        /// What it should be.
        expected: &'static str,
    },
    /// There is no key at a handle.
    #[error("there is no key at {handle:#010x}: expected the attestation key of this platform")]
    NoKey {
        /// The handle.
        handle: u32,
    },
    /// The TPM measures with neither SHA-256 nor SHA-384.
    #[error("the tpm has no pcrs of sha256 or sha384: expected one of these banks")]
    NoBank,
    /// The PCRs change faster than they can be quoted.
    #[error("the pcrs changed during each of {times} quotes; ask again")]
    Unsteady {
        /// How often it was tried.
        times: u32,
    },
    /// The TPM gave something else than it was asked for.
    #[error("the tpm gave the wrong {what}: expected {expected}, got {got}")]
    Answer {
        /// What it was asked for.
        what: &'static str,
        /// What was to be expected.
        expected: String,
        /// What came.
        got: String,
    },
    /// The event log is there and cannot be read.
    #[error("cannot read the event log `{}`: {source}", path.display())]
    EventLog {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// All of it together is longer than evidence may be.
    #[error(
        "quote and event log are too long: expected at most {MAX_EVIDENCE} bytes, got {got}; leave the event log out"
    )]
    TooLong {
        /// Bytes there are.
        got: usize,
    },
    /// The kernel gave no report of the service module.
    #[error(transparent)]
    Service(#[from] ConfigfsError),
    /// The exchange ended without an outcome.
    #[error("the exchange with the tpm broke off")]
    BrokeOff,
}

impl TpmError {
    /// What a command of the library that failed becomes.
    pub(super) fn during(what: &'static str) -> impl FnOnce(tss_esapi::Error) -> Self {
        move |source| Self::Command { what, source }
    }
}
