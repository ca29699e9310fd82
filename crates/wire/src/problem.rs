//! Errors on the wire: problem details in JSON (RFC 9457), as coarse as a stranger may see them.
//!
//! What went wrong in detail stays with the broker, under the request id. A problem is unauthenticated, so a guest
//! takes from it when to try again, and nothing else. Unknown members are ignored, as RFC 9457, 3.2 demands.

use std::borrow::Cow;

use claims::RequestId;
use serde::{Deserialize, Serialize};

/// What went wrong with a whole message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemCode {
    /// The bytes are no message, or a field is out of bounds.
    MalformedRequest,
    /// More bytes than the endpoint takes.
    TooLarge,
    /// The body is of another media type.
    UnsupportedMediaType,
    /// A suite, kind of evidence or operation that this broker does not have.
    Unsupported,
    /// The token was not made by this broker.
    ChallengeInvalid,
    /// The token is too old.
    ChallengeExpired,
    /// The token was used before.
    ChallengeSpent,
    /// The evidence does not verify, or binds another transcript.
    EvidenceRefused,
    /// The evidence is of an attestation key that the broker does not know.
    EnrolmentRequired,
    /// The keys of the TPM are not fit, nothing vouches for them, or the secret was not opened.
    EnrolmentRefused,
    /// The policy changed between decision and record.
    PolicyChanged,
    /// A key changed between decision and record.
    KeyChanged,
    /// Policies do not let this operator do it.
    ActDenied,
    /// No such resource.
    NotFound,
    /// The resource takes another method.
    MethodNotAllowed,
    /// Too many requests at a time.
    Overloaded,
    /// The journal or the store cannot record, or a certificate cannot be fetched now, so nothing is released.
    Unavailable,
    /// The broker failed.
    Internal,
}

/// What the sender of a refused message can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing: the same message will be refused again.
    Fix,
    /// Start over with a new challenge and new evidence.
    NewChallenge,
    /// Enrol the TPM's attestation key, then start over; nothing where there is none.
    Enrol,
    /// Wait, then start over.
    Wait,
}

impl ProblemCode {
    /// Every code.
    pub const ALL: [Self; 18] = [
        Self::MalformedRequest,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::Unsupported,
        Self::ChallengeInvalid,
        Self::ChallengeExpired,
        Self::ChallengeSpent,
        Self::EvidenceRefused,
        Self::EnrolmentRequired,
        Self::EnrolmentRefused,
        Self::PolicyChanged,
        Self::KeyChanged,
        Self::ActDenied,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Overloaded,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The code on the wire, the HTTP status, a sentence for people, and what the sender can do.
    fn row(self) -> (&'static str, u16, &'static str, Remedy) {
        use Remedy::{Enrol, Fix, NewChallenge, Wait};
        match self {
            Self::MalformedRequest => ("malformed-request", 400, "The request is malformed", Fix),
            Self::TooLarge => ("too-large", 413, "The request is too large", Fix),
            Self::UnsupportedMediaType => ("unsupported-media-type", 415, "Not a keyfast message", Fix),
            Self::Unsupported => ("unsupported", 422, "The broker does not support this", Fix),
            Self::ChallengeInvalid => ("challenge-invalid", 403, "The challenge is not ours", NewChallenge),
            Self::ChallengeExpired => ("challenge-expired", 403, "The challenge has expired", NewChallenge),
            Self::ChallengeSpent => ("challenge-spent", 409, "The challenge was used before", NewChallenge),
            Self::EvidenceRefused => ("evidence-refused", 403, "The evidence does not verify", Fix),
            Self::EnrolmentRequired => {
                ("enrolment-required", 403, "The attestation key is not enrolled", Enrol)
            }
            Self::EnrolmentRefused => ("enrolment-refused", 403, "This key cannot be enrolled", Fix),
            Self::PolicyChanged => ("policy-changed", 409, "The policy changed meanwhile", NewChallenge),
            Self::KeyChanged => ("key-changed", 409, "A key changed meanwhile", NewChallenge),
            Self::ActDenied => ("act-denied", 403, "Policies do not permit this act", Fix),
            Self::NotFound => ("not-found", 404, "There is nothing here", Fix),
            Self::MethodNotAllowed => ("method-not-allowed", 405, "Not with this method", Fix),
            Self::Overloaded => ("overloaded", 503, "The broker is busy", Wait),
            Self::Unavailable => ("unavailable", 503, "The broker cannot release anything now", Wait),
            Self::Internal => ("internal", 500, "The broker failed", Wait),
        }
    }

    /// The code as it stands in the body.
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status that goes with it.
    pub fn status(self) -> u16 {
        self.row().1
    }

    /// A sentence for people.
    pub fn title(self) -> &'static str {
        self.row().2
    }

    /// What the sender can do.
    pub fn remedy(self) -> Remedy {
        self.row().3
    }

    fn from_str(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == code)
    }
}

/// An error of the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What went wrong.
    pub code: ProblemCode,
    /// What to quote to an operator.
    pub request_id: Option<RequestId>,
    /// Seconds to wait, as in the header `Retry-After`.
    pub retry_after_s: Option<u64>,
    /// What exactly, for people who may know; never sent to a guest.
    pub detail: Option<String>,
}

/// Why bytes are no [`Problem`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemError {
    /// More bytes than a problem may have.
    #[error("problem details too long: expected at most {max} bytes, got {got}")]
    TooLong {
        /// Most bytes.
        max: usize,
        /// Bytes found.
        got: usize,
    },
    /// No JSON object with the members of a problem.
    #[error("not problem details: {reason}")]
    Malformed {
        /// What is wrong, and where.
        reason: String,
    },
    /// A code that this version does not know.
    #[error("unknown problem code `{}`", got.escape_debug())]
    UnknownCode {
        /// What was found, cut to 64 characters.
        got: String,
    },
}

impl From<ProblemCode> for Problem {
    fn from(code: ProblemCode) -> Self {
        Self { code, request_id: None, retry_after_s: None, detail: None }
    }
}

impl Problem {
    /// Most bytes of an encoded problem.
    pub const MAX_LEN: usize = 4096;

    /// The JSON object: `type`, `title`, `status`, `code`, and where known `request_id`,
    /// `retry_after` and `detail`, cut to 512 characters.
    pub fn to_json(&self) -> Vec<u8> {
        let body = Body {
            kind: format!("{TYPE_PREFIX}{}", self.code.as_str()).into(),
            title: self.code.title().into(),
            status: self.code.status(),
            code: self.code.as_str().into(),
            request_id: self.request_id.map(|id| id.to_string().into()),
            retry_after: self.retry_after_s,
            detail: self.detail.as_deref().map(|text| text.chars().take(MAX_DETAIL).collect()),
        };
        // Strings and integers always serialise.
        serde_json::to_vec(&body).unwrap_or_default()
    }

    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// [`ProblemError`]: too long, no such JSON object, or a code that is unknown here.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ProblemError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(ProblemError::TooLong { max: Self::MAX_LEN, got: bytes.len() });
        }
        let malformed = |reason: String| ProblemError::Malformed { reason };
        let body: Body<'_> = serde_json::from_slice(bytes).map_err(|e| malformed(e.to_string()))?;
        let unknown = || ProblemError::UnknownCode { got: body.code.chars().take(64).collect() };
        let code = ProblemCode::from_str(&body.code).ok_or_else(unknown)?;
        if body.status != code.status() {
            let (expected, got) = (code.status(), body.status);
            return Err(malformed(format!("status of `{}`: expected {expected}, got {got}", code.as_str())));
        }
        let request_id = body.request_id.map(|id| id.parse()).transpose();
        let request_id =
            request_id.map_err(|e: claims::ParseHexError| malformed(format!("request_id: {e}")))?;
        let detail = body.detail.map(|text| text.chars().take(MAX_DETAIL).collect());
        Ok(Self { code, request_id, retry_after_s: body.retry_after, detail })
    }
}

/// The members (RFC 9457, 3.1 and 3.2).
#[derive(Serialize, Deserialize)]
struct Body<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    title: Cow<'a, str>,
    status: u16,
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    request_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    detail: Option<Cow<'a, str>>,
}

/// Most characters of a detail; escaped they stay below [`Problem::MAX_LEN`].
const MAX_DETAIL: usize = 512;
/// What comes before the code in `type`.
const TYPE_PREFIX: &str = "urn:keyfast:problem:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back_as_it_went() {
        for code in ProblemCode::ALL {
            let full = Problem {
                code,
                request_id: Some(RequestId([0xab; 16])),
                retry_after_s: Some(5),
                detail: Some("\0".repeat(512)),
            };
            for problem in [Problem::from(code), full] {
                let json = problem.to_json();
                assert!(json.len() <= Problem::MAX_LEN);
                assert_eq!(Problem::from_json(&json), Ok(problem));
            }
        }
    }

    #[test]
    fn foreign_members_are_ignored() {
        let json = br#"{"type":"x","title":"y","status":409,"code":"challenge-spent","instance":{"a":[1]}}"#;
        assert_eq!(Problem::from_json(json), Ok(ProblemCode::ChallengeSpent.into()));
    }

    #[test]
    fn what_is_no_problem_is_refused() {
        let long = vec![b' '; 4097];
        assert_eq!(Problem::from_json(&long), Err(ProblemError::TooLong { max: 4096, got: 4097 }));
        let unknown = br#"{"type":"x","title":"y","status":400,"code":"teapot"}"#;
        assert_eq!(Problem::from_json(unknown), Err(ProblemError::UnknownCode { got: "teapot".into() }));
        for bad in [
            &b""[..],
            b"[]",
            b"{}",
            br#"{"type":"x","title":"y","status":500,"code":"challenge-spent"}"#,
            br#"{"type":"x","title":"y","status":409,"status":409,"code":"challenge-spent"}"#,
            br#"{"type":"x","title":"y","status":409,"code":"challenge-spent","request_id":"zz"}"#,
            br#"{"type":"x","title":"y","status":409,"code":"challenge-spent"} x"#,
        ] {
            let read = Problem::from_json(bad);
            assert!(matches!(read, Err(ProblemError::Malformed { .. })), "{read:?}");
        }
    }
}
