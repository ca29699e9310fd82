//! Report data in, evidence out: how a guest gets the platform's word about itself.
//!
//! [`Attester`] is an open trait: a device, a vTPM, or whatever else produces evidence. Here is the back end that
//! needs no hardware, [`SocketAttester`]: it asks another process over a Unix socket in the framing of [`codec`].
//! [`answer`] is the other end of that socket, for any process that has an [`Attester`] to offer.
//!
//! This crate must never judge evidence, make up evidence, or wait without an end.

#![deny(clippy::arithmetic_side_effects)]

pub mod codec;
mod deadline;
mod frame_error;
mod server;
mod socket;

use std::path::PathBuf;
use std::time::Duration;

use claims::{EvidenceKind, ReportData};

pub use codec::{Failure, FrameError, MAX_EVIDENCE};
pub use deadline::DeadlineStream;
pub use server::{ServeError, answer};
pub use socket::SocketAttester;

/// Whatever turns report data into evidence.
pub trait Attester {
    /// The kind of evidence that [`Self::attest`] gives. It does not change: transcripts name it beforehand.
    fn kind(&self) -> EvidenceKind;

    /// Evidence that carries these 64 bytes in the place of its kind, at most [`MAX_EVIDENCE`] bytes.
    ///
    /// # Errors
    /// [`AttestError`]; asking again is allowed.
    fn attest(&mut self, report_data: &ReportData) -> Result<Vec<u8>, AttestError>;
}

/// Why there is no evidence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttestError {
    /// Nobody listens at the socket, or it may not be opened.
    #[error("cannot reach the attester at `{}`: {source}; is it running, and may this user open its socket?", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The attester did not answer in time.
    #[error("the attester at `{}` did not answer within {} ms", path.display(), limit.as_millis())]
    TimedOut {
        /// The socket.
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
