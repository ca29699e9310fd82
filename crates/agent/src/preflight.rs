//! The guest's side of a preflight, without I/O: the challenge of a [`crate::session`], another message, another
//! transcript, and words for an answer.
//!
//! ```text
//! session::Attesting ──prediction──▶ Asking ──report data──▶ attester
//!                                       │
//!        PreflightResponse ◀── on_answer ── Awaiting ◀──preflight request── with_evidence
//! ```
//!
//! The recipient's secret key is dropped before anything is sent: nothing is sealed to it, and nothing could be opened.

use claims::{PreflightTranscript, ReportData, Transcript, VersionSelector};
use wire::{PreflightRequest, PreflightResponse, Verdict};

use crate::session::SessionError;

/// The transcript stands; evidence is next.
pub struct Asking {
    message: PreflightRequest,
    transcript: PreflightTranscript,
}

/// The question is out; the answer is next.
pub struct Awaiting {
    asked: Transcript,
}

impl Asking {
    /// A question without its evidence.
    pub(crate) fn new(message: PreflightRequest, transcript: PreflightTranscript) -> Self {
        Self { message, transcript }
    }

    /// What the evidence must carry: SHA-512 of the transcript.
    pub fn report_data(&self) -> ReportData {
        ReportData(crypto::sha512(&[&self.transcript.encode()]))
    }

    /// The body of `POST /v1/preflight`.
    ///
    /// # Errors
    /// [`SessionError::Request`] if evidence, requests or prediction are too large.
    pub fn with_evidence(mut self, evidence: Vec<u8>) -> Result<(Vec<u8>, Awaiting), SessionError> {
        self.message.asked.evidence = evidence;
        Ok((wire::encode(&self.message)?, Awaiting { asked: self.transcript.asked }))
    }
}

impl Awaiting {
    /// Takes the answer: one verdict for each request, each about the version that was asked for.
    ///
    /// # Errors
    /// [`SessionError`] for anything else.
    pub fn on_answer(self, response: &[u8]) -> Result<PreflightResponse, SessionError> {
        let response: PreflightResponse = wire::decode(response)?;
        let (expected, got) = (self.asked.requests.len(), response.verdicts.len());
        if expected != got {
            return Err(SessionError::Answers { expected, got });
        }
        for (asked, verdict) in self.asked.requests.iter().zip(&response.verdicts) {
            if let (VersionSelector::Exact(expected), Verdict::Permit(permit)) = (asked.version, verdict)
                && permit.version != expected
            {
                return Err(SessionError::Version { expected, got: permit.version });
            }
        }
        Ok(response)
    }
}
