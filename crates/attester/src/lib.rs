//! Report data in, evidence out: how a guest gets the platform's word about itself.
//!
//! [`Attester`] is an open trait: a device, a vTPM, or whatever else produces evidence. The back ends:
//!
//! | name | what | needs |
//! |-|-|-|
//! | `configfs-tsm` | [`ConfigfsAttester`], the kernel's report files | SEV-SNP, Linux 6.7 |
//! | `sev-guest` | `SevGuestAttester`, the guest device; feature `sev-guest` | SEV-SNP |
//! | `tpm` | `TpmAttester`, a TPM's quotes; feature `tpm` | `/dev/tpmrm0`, or a `swtpm` |
//! | `azure` | `TpmAttester`, the same beside the report in its NV index; feature `tpm` | an Azure confidential VM |
//! | `svsm` | `TpmAttester`, the same beside a service module's report; feature `tpm` | COCONUT-SVSM, Linux 6.16 |
//! | `socket` | [`SocketAttester`], another process over a Unix socket in the framing of [`codec`] | nothing |
//!
//! [`Choice`] picks one. [`answer`] is the other end of the socket, for any process that has an [`Attester`] to offer.
//!
//! This crate must never judge evidence, make up evidence, or wait without an end.

#![deny(clippy::arithmetic_side_effects)]

pub mod activate;
mod choose;
pub mod codec;
mod configfs;
mod deadline;
mod frame_error;
mod places;
mod server;
#[cfg(feature = "sev-guest")]
mod sev_guest;
mod socket;
#[cfg(feature = "tpm")]
mod tpm;

use std::path::PathBuf;
use std::time::Duration;

use claims::{EvidenceKind, ReportData};

pub use activate::{Activate, Credential, TpmKeys};
pub use choose::Choice;
pub use codec::{Failure, FrameError, MAX_EVIDENCE};
pub use configfs::{CONFIGFS_REPORTS, ConfigfsAttester, ConfigfsError};
pub use deadline::DeadlineStream;
pub use places::{Places, Tcti, TpmPlaces};
pub use server::{ServeError, answer};
#[cfg(feature = "sev-guest")]
pub use sev_guest::SevGuestAttester;
pub use socket::SocketAttester;
#[cfg(feature = "tpm")]
pub use tpm::{TpmAttester, TpmError};

/// Whatever turns report data into evidence.
pub trait Attester {
    /// The kind of evidence that [`Self::attest`] gives. It does not change: transcripts name it beforehand.
    fn kind(&self) -> EvidenceKind;

    /// Evidence that carries these 64 bytes in the place of its kind, at most [`MAX_EVIDENCE`] bytes.
    ///
    /// # Errors
    /// [`AttestError`]; asking again is allowed.
    fn attest(&mut self, report_data: &ReportData) -> Result<Vec<u8>, AttestError>;

    /// The TPM whose attestation key a broker must know before it believes the evidence; `None` where evidence needs no
    /// enrolment.
    ///
    /// # Errors
    /// [`AttestError`]; asking again is allowed.
    fn activation(&mut self) -> Result<Option<&mut dyn Activate>, AttestError> {
        Ok(None)
    }
}

/// Why there is no evidence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttestError {
    /// There is nothing to ask.
    #[error(
        "this machine has no attester: expected `{}`, `{}` or `{tpm}`, or a socket in the configuration",
        reports.display(), device.display()
    )]
    NoneFound {
        /// Where the kernel's report files would be.
        reports: PathBuf,
        /// Where the guest device would be.
        device: PathBuf,
        /// Where a TPM would be.
        tpm: Tcti,
    },
    /// The socket was chosen, and none is configured.
    #[error("the configuration names no socket: add `socket` to `[attester]`, or choose another attester")]
    NoSocket,
    /// A setting that cannot be.
    #[error("unusable `{name}` in `[attester]`: expected {expected}, got {got}")]
    Setting {
        /// Which setting.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        got: String,
    },
    /// The back end is not part of this build.
    #[error("the attester `{choice}` is not part of this build; build with its feature, or choose another")]
    NotBuilt {
        /// What was chosen.
        choice: Choice,
    },
    /// Nobody listens at the socket, or socket or device may not be opened.
    #[error("cannot reach the attester at `{}`: {source}; is it there, and may this user open it?", path.display())]
    Unreachable {
        /// The socket or device.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The attester did not answer in time.
    #[error("the attester at `{}` did not answer within {} ms", path.display(), limit.as_millis())]
    TimedOut {
        /// The socket, or the way to the TPM.
        path: PathBuf,
        /// How long it had.
        limit: Duration,
    },
    /// The connection broke.
    #[error("the connection to the attester at `{}` broke: {source}", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The attester misbehaved: its answer is no frame of [`codec`].
    #[error("malformed answer of the attester: {0}")]
    Malformed(#[from] FrameError),
    /// The attester answered that it will not or cannot.
    #[error("the attester refused ({failure}): {}", message.escape_debug())]
    Refused {
        /// Which of its reasons.
        failure: Failure,
        /// Its own words, at most [`codec::MAX_MESSAGE`] bytes.
        message: String,
    },
    /// The attester gave another kind of evidence than it said it would.
    #[error("the attester changed its kind of evidence: expected {expected}, got {got}")]
    KindChanged {
        /// What it was asked for.
        expected: EvidenceKind,
        /// What came.
        got: EvidenceKind,
    },
    /// A back end failed in a way of its own.
    #[error("the attestation device failed: {0}")]
    Device(#[source] Box<dyn std::error::Error + Send + Sync>),
}
