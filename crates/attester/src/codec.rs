//! The frames of the attester's Unix socket, version 1, and nothing that reads or writes one.
//!
//! # Specification
//!
//! A client connects to a Unix stream socket, sends one request, shuts down its writing half, and reads one answer
//! until the end of the stream. One connection carries one exchange. Integers are unsigned and big-endian.
//!
//! Request, exactly 70 bytes:
//!
//! | offset | bytes | meaning |
//! |-|-|-|
//! | 0 | 4 | magic, `KFAT` |
//! | 4 | 1 | version, 1 |
//! | 5 | 1 | operation: 1 attest, 2 say your kind of evidence |
//! | 6 | 64 | operation 1: report data; operation 2: zeros |
//!
//! Answer, 11 bytes and a body:
//!
//! | offset | bytes | meaning |
//! |-|-|-|
//! | 0 | 4 | magic, `KFAT` |
//! | 4 | 1 | version, 1 |
//! | 5 | 1 | status: 0 done, 1 malformed request, 2 unsupported version, 3 attestation failed |
//! | 6 | 1 | status 0: the kind's code (`claims::EvidenceKind`); else 0 |
//! | 7 | 4 | length of the body |
//! | 11 | | status 0: the evidence, 1 to 65536 bytes, or nothing after operation 2; else UTF-8 text, 0 to 512 bytes |
//!
//! - A server MUST refuse a request of another length, magic, version or operation, and an operation 2 whose report
//!   data is not zero, with status 1 or 2, and MUST go on serving others.
//! - A server MUST NOT send evidence that was made for other report data.
//! - A client MUST refuse an answer with another magic or version, an unknown status or kind, a length above these
//!   limits, or a body that is shorter or longer than its length says.
//! - Both MUST bound the time that an exchange takes.
//! - The text is for people: it MUST NOT hold a secret, and nothing may depend on it.
//!
//! The format is keyfast's own.

use core::fmt;

use claims::{EvidenceKind, ReportData};

pub use crate::frame_error::FrameError;

/// Most bytes of evidence in an answer.
pub const MAX_EVIDENCE: usize = 64 * 1024;
/// Most bytes of text in an answer.
pub const MAX_MESSAGE: usize = 512;
/// Bytes of a request.
pub const REQUEST_LEN: usize = 70;
/// Most bytes of an answer.
pub const MAX_ANSWER: usize = HEADER_LEN + MAX_EVIDENCE;

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Evidence over this report data.
    Attest(ReportData),
    /// The kind of evidence that would come.
    Kind,
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Evidence of this kind; empty in answer to [`Request::Kind`].
    Done {
        /// Its kind.
        kind: EvidenceKind,
        /// Its bytes, at most [`MAX_EVIDENCE`].
        evidence: Vec<u8>,
    },
    /// No evidence.
    Failed {
        /// Why, coarsely.
        failure: Failure,
        /// Why, for people; cut to [`MAX_MESSAGE`] bytes when it is sent.
        message: String,
    },
}

/// Why a server gives no evidence. The code is the answer's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Failure {
    /// The request is no frame of this version.
    Malformed = 1,
    /// The request is of a version that the server does not speak.
    Version = 2,
    /// The platform gave no evidence.
    Attestation = 3,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed request",
            Self::Version => "unsupported version",
            Self::Attestation => "attestation failed",
        })
    }
}

impl Request {
    /// The request's 70 bytes.
    pub fn encode(&self) -> [u8; REQUEST_LEN] {
        let (operation, report_data) = match self {
            Self::Attest(report_data) => (ATTEST, report_data.0),
            Self::Kind => (KIND, [0; ReportData::LEN]),
        };
        let mut frame = [0; REQUEST_LEN];
        let fields = MAGIC.into_iter().chain([VERSION, operation]).chain(report_data);
        frame.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        frame
    }

    /// Reads a request; `bytes` is all that came, or the first [`REQUEST_LEN`] + 1 bytes of it.
    ///
    /// # Errors
    /// [`FrameError`], by the first of: length, magic, version, operation, report data.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let rest = after_version(bytes, REQUEST_LEN)?;
        let (&operation, report_data) =
            rest.split_first().ok_or(FrameError::Truncated { expected: REQUEST_LEN, got: bytes.len() })?;
        let got = bytes.len();
        let report_data: [u8; ReportData::LEN] = report_data.try_into().map_err(|_| match got {
            ..REQUEST_LEN => FrameError::Truncated { expected: REQUEST_LEN, got },
            _ => FrameError::TooLong { expected: REQUEST_LEN, got },
        })?;
        let report_data = ReportData(report_data);
        match operation {
            ATTEST => Ok(Self::Attest(report_data)),
            KIND if report_data.is_zero() => Ok(Self::Kind),
            KIND => Err(FrameError::StrayReportData),
            got => Err(FrameError::Operation { got }),
        }
    }
}

impl Answer {
    /// The answer's bytes.
    ///
    /// # Errors
    /// [`FrameError::Oversized`] if the evidence is longer than [`MAX_EVIDENCE`].
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let (status, kind, body) = match self {
            Self::Done { kind, evidence } => (DONE, kind.code(), evidence.as_slice()),
            Self::Failed { failure, message } => (*failure as u8, 0, cut(message)),
        };
        let oversized = FrameError::Oversized { limit: MAX_EVIDENCE, got: body.len() };
        let len = u32::try_from(body.len()).ok().filter(|_| body.len() <= MAX_EVIDENCE).ok_or(oversized)?;
        Ok([&MAGIC[..], &[VERSION, status, kind], &len.to_be_bytes(), body].concat())
    }

    /// Reads an answer to `request`; `bytes` is all that came, or the first [`MAX_ANSWER`] + 1 bytes of it.
    ///
    /// # Errors
    /// [`FrameError`], by the first of: header, status, kind, length, body.
    pub fn decode(request: &Request, bytes: &[u8]) -> Result<Self, FrameError> {
        let truncated = FrameError::Truncated { expected: HEADER_LEN, got: bytes.len() };
        let rest = after_version(bytes, HEADER_LEN)?;
        let (&[status, kind], rest) = rest.split_first_chunk().ok_or(truncated)?;
        let (&len, body) = rest.split_first_chunk().ok_or(truncated)?;
        let failure = failure_of(status)?;
        let limit = if failure.is_some() { MAX_MESSAGE } else { MAX_EVIDENCE };
        check_body(body.len(), usize::try_from(u32::from_be_bytes(len)).unwrap_or(usize::MAX), limit)?;
        match (failure, EvidenceKind::from_code(kind)) {
            (None, Some(kind)) => done(request, kind, body),
            (Some(failure), None) if kind == 0 => {
                let message = core::str::from_utf8(body).map_err(|_| FrameError::Text)?;
                Ok(Self::Failed { failure, message: message.to_owned() })
            }
            _ => Err(FrameError::Kind { got: kind }),
        }
    }
}

/// Checks magic and version; what follows them. `expected` is the length to name where even these are missing.
fn after_version(bytes: &[u8], expected: usize) -> Result<&[u8], FrameError> {
    let truncated = FrameError::Truncated { expected, got: bytes.len() };
    let (magic, rest) = bytes.split_first_chunk::<4>().ok_or(truncated)?;
    if *magic != MAGIC {
        return Err(FrameError::Magic { got: *magic });
    }
    match rest.split_first().ok_or(truncated)? {
        (&VERSION, rest) => Ok(rest),
        (&got, _) => Err(FrameError::Version { got }),
    }
}

/// The failure that a status stands for; `None` for success.
fn failure_of(status: u8) -> Result<Option<Failure>, FrameError> {
    match status {
        DONE => Ok(None),
        1 => Ok(Some(Failure::Malformed)),
        2 => Ok(Some(Failure::Version)),
        3 => Ok(Some(Failure::Attestation)),
        got => Err(FrameError::Status { got }),
    }
}

fn check_body(got: usize, announced: usize, limit: usize) -> Result<(), FrameError> {
    let whole = |body: usize| HEADER_LEN.saturating_add(body);
    if announced > limit {
        return Err(FrameError::Oversized { limit, got: announced });
    }
    match got.cmp(&announced) {
        core::cmp::Ordering::Less => {
            Err(FrameError::Truncated { expected: whole(announced), got: whole(got) })
        }
        core::cmp::Ordering::Equal => Ok(()),
        core::cmp::Ordering::Greater => {
            Err(FrameError::TooLong { expected: whole(announced), got: whole(got) })
        }
    }
}

fn done(request: &Request, kind: EvidenceKind, body: &[u8]) -> Result<Answer, FrameError> {
    let expected = match (request, body.is_empty()) {
        (Request::Attest(_), false) | (Request::Kind, true) => {
            return Ok(Answer::Done { kind, evidence: body.to_vec() });
        }
        (Request::Attest(_), true) => "evidence",
        (Request::Kind, false) => "none",
    };
    Err(FrameError::Body { expected, got: body.len() })
}

/// The text's first [`MAX_MESSAGE`] bytes, cut between characters.
fn cut(message: &str) -> &[u8] {
    let end = message.floor_char_boundary(MAX_MESSAGE);
    message.as_bytes().get(..end).unwrap_or_default()
}

pub(crate) const MAGIC: [u8; 4] = *b"KFAT";
pub(crate) const VERSION: u8 = 1;
const ATTEST: u8 = 1;
const KIND: u8 = 2;
const DONE: u8 = 0;
const HEADER_LEN: usize = 11;

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: Request = Request::Attest(ReportData([0xab; 64]));

    fn done() -> Vec<u8> {
        Answer::Done { kind: EvidenceKind::SevSnp, evidence: vec![7; 20] }.encode().unwrap()
    }

    #[test]
    fn a_request_has_the_bytes_of_the_specification() {
        assert_eq!(REQUEST.encode()[..6], *b"KFAT\x01\x01");
        assert_eq!(REQUEST.encode()[6..], [0xab; 64]);
        assert_eq!(Request::Kind.encode()[..6], *b"KFAT\x01\x02");
        for request in [REQUEST, Request::Kind] {
            assert_eq!(Request::decode(&request.encode()), Ok(request));
        }
    }

    #[test]
    fn an_answer_has_the_bytes_of_the_specification() {
        assert_eq!(done()[..11], *b"KFAT\x01\x00\x01\x00\x00\x00\x14");
        let failed = Answer::Failed { failure: Failure::Attestation, message: "no".to_owned() };
        assert_eq!(failed.encode().unwrap(), b"KFAT\x01\x03\x00\x00\x00\x00\x02no");
        for answer in [Answer::Done { kind: EvidenceKind::SevSnp, evidence: vec![7; 20] }, failed] {
            assert_eq!(Answer::decode(&REQUEST, &answer.encode().unwrap()), Ok(answer));
        }
    }

    #[test]
    fn a_request_altered_in_any_header_byte_is_refused() {
        let altered = |at: usize, byte: u8| {
            let mut frame = REQUEST.encode();
            frame[at] = byte;
            Request::decode(&frame).unwrap_err()
        };
        assert_eq!(altered(0, b'X'), FrameError::Magic { got: *b"XFAT" });
        assert_eq!(altered(4, 2), FrameError::Version { got: 2 });
        assert_eq!(altered(5, 3), FrameError::Operation { got: 3 });
        assert_eq!(altered(5, 2), FrameError::StrayReportData);
    }

    #[test]
    fn a_request_of_any_other_length_is_refused() {
        let frame = REQUEST.encode();
        for got in 0..REQUEST_LEN {
            let truncated = FrameError::Truncated { expected: REQUEST_LEN, got };
            assert_eq!(Request::decode(&frame[..got]), Err(truncated));
        }
        let long = [&frame[..], &[0]].concat();
        assert_eq!(Request::decode(&long), Err(FrameError::TooLong { expected: 70, got: 71 }));
    }

    #[test]
    fn an_answer_altered_in_any_header_byte_is_refused() {
        let altered = |at: usize, byte: u8| {
            let mut frame = done();
            frame[at] = byte;
            Answer::decode(&REQUEST, &frame).unwrap_err()
        };
        assert_eq!(altered(3, b'X'), FrameError::Magic { got: *b"KFAX" });
        assert_eq!(altered(4, 0), FrameError::Version { got: 0 });
        assert_eq!(altered(5, 4), FrameError::Status { got: 4 });
        assert_eq!(altered(5, 3), FrameError::Kind { got: 1 });
        assert_eq!(altered(6, 0), FrameError::Kind { got: 0 });
        assert_eq!(altered(7, 1), FrameError::Oversized { limit: MAX_EVIDENCE, got: 0x0100_0014 });
        assert_eq!(altered(10, 21), FrameError::Truncated { expected: 32, got: 31 });
        assert_eq!(altered(10, 19), FrameError::TooLong { expected: 30, got: 31 });
    }

    #[test]
    fn a_truncated_answer_is_refused_at_every_length() {
        let frame = done();
        for got in 0..frame.len() {
            let error = Answer::decode(&REQUEST, &frame[..got]).unwrap_err();
            assert!(matches!(error, FrameError::Truncated { got: g, .. } if g == got), "{error}");
        }
    }

    #[test]
    fn an_answer_fits_its_request() {
        let empty = Answer::Done { kind: EvidenceKind::SevSnp, evidence: Vec::new() }.encode().unwrap();
        let no_evidence = FrameError::Body { expected: "evidence", got: 0 };
        assert_eq!(Answer::decode(&REQUEST, &empty), Err(no_evidence));
        let stray = FrameError::Body { expected: "none", got: 20 };
        assert_eq!(Answer::decode(&Request::Kind, &done()), Err(stray));
    }

    #[test]
    fn evidence_and_text_are_bounded() {
        let most = |len| Answer::Done { kind: EvidenceKind::Tpm, evidence: vec![0; len] }.encode();
        assert_eq!(most(MAX_EVIDENCE).unwrap().len(), MAX_ANSWER);
        let oversized = FrameError::Oversized { limit: MAX_EVIDENCE, got: MAX_EVIDENCE + 1 };
        assert_eq!(most(MAX_EVIDENCE + 1), Err(oversized));
        let text = Answer::Failed { failure: Failure::Attestation, message: "é".repeat(300) };
        assert_eq!(text.encode().unwrap().len(), HEADER_LEN + MAX_MESSAGE);
    }
}
