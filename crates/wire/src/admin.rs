//! What operators' commands and the broker say to each other: JSON over the admin socket.
//!
//! The socket is a Unix one of mode 0600 and is never reached from a network. No key and no secret stands in any of
//! these; a secret travels as raw bytes behind what is said of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// `GET /admin/v1/status`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// The broker's identity, hexadecimal.
    pub broker: String,
    /// Sequence number of its signed statement.
    pub statement_sequence: u64,
    /// When that statement expires, RFC 3339.
    pub statement_expires: String,
    /// Digest of the policy bundle in force, hexadecimal.
    pub policy_digest: String,
    /// Names of the policies in force.
    pub policies: Vec<String>,
    /// Whether a simulated root is trusted.
    pub trusts_simulated: bool,
    /// Leaves in the journal.
    pub log_size: u64,
    /// The journal's verifier key (C2SP signed-note).
    pub journal_key: String,
    /// Versions of keys.
    pub keys: usize,
}

/// The answer to `POST /admin/v1/policy`, which puts the policies as their files are now in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoliciesLoaded {
    /// Digest of the bundle that was in force, hexadecimal.
    pub before: String,
    /// Digest of the one that is now.
    pub policy_digest: String,
    /// How many rules it has.
    pub rules: usize,
    /// Serial number of what officers signed; 0 where none must.
    pub serial: u64,
    /// Serial number of the reference values.
    pub references_serial: u64,
    /// Who signed.
    pub signed_by: Vec<String>,
}

/// `POST /admin/v1/keys`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// The key's name.
    pub id: String,
    /// `rsa-2048`, `rsa-3072`, `rsa-4096` or `aes-256`.
    pub kind: String,
    /// What guests may ask of it: `unwrap`, `release`.
    pub operations: BTreeSet<String>,
    /// For simulated guests, and for no other.
    pub simulation: bool,
    /// The weakest suite: `p384` or `x-wing`.
    pub suite_floor: String,
    /// The ring that it is in; another version of a key is in the ring of the one before, if none is named.
    #[serde(default)]
    pub ring: Option<String>,
    /// Where it may be used; as with the ring.
    #[serde(default)]
    pub region: Option<String>,
    /// Its own policy; as with the ring.
    #[serde(default)]
    pub release_policy: Option<ReleasePolicy>,
    /// Free labels.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// What is said of a secret: `PUT /admin/v1/secrets`. The body is this as JSON behind its length (4 bytes, big-endian),
/// then the secret as it is, to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportSecret {
    /// The key's name.
    pub id: String,
    /// For simulated guests, and for no other.
    pub simulation: bool,
    /// The weakest suite: `p384` or `x-wing`.
    pub suite_floor: String,
    /// As of [`CreateKey`].
    pub ring: Option<String>,
    /// As of [`CreateKey`].
    pub region: Option<String>,
    /// As of [`CreateKey`].
    pub release_policy: Option<ReleasePolicy>,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
}

/// Why a body is no secret with what is said of it. It tells nothing of the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportBodyError {
    /// It ends before what its length says, or that is too long.
    #[error(
        "the body is not what this route takes: its head is cut short, or longer than {} bytes",
        ImportSecret::MAX_HEAD
    )]
    Head,
    /// The head is no JSON of this shape.
    #[error("the body is not what this route takes: {message}")]
    Json {
        /// What is wrong with it.
        message: String,
    },
    /// The secret is empty or too long.
    #[error("wrong length of the secret: expected 1 to {} bytes, got {got}", ImportSecret::MAX_SECRET)]
    Secret {
        /// Bytes found.
        got: usize,
    },
}

impl ImportSecret {
    /// Most bytes of what is said of a secret, in JSON.
    pub const MAX_HEAD: usize = 64 * 1024;
    /// Most bytes of a secret.
    pub const MAX_SECRET: usize = 64 * 1024;
    /// Most bytes of a body.
    pub const MAX_BODY: usize = 4 + Self::MAX_HEAD + Self::MAX_SECRET;

    /// What stands before the secret.
    ///
    /// # Errors
    /// [`ImportBodyError::Head`] if it is too long.
    pub fn head(&self) -> Result<Vec<u8>, ImportBodyError> {
        let json = serde_json::to_vec(self).map_err(|e| ImportBodyError::Json { message: e.to_string() })?;
        let fits = json.len() <= Self::MAX_HEAD;
        let len = u32::try_from(json.len()).ok().filter(|_| fits).ok_or(ImportBodyError::Head)?;
        Ok([&len.to_be_bytes()[..], &json].concat())
    }

    /// What is said of the secret, and the secret.
    ///
    /// # Errors
    /// [`ImportBodyError`], each as it says.
    pub fn split(body: &[u8]) -> Result<(Self, &[u8]), ImportBodyError> {
        let (len, rest) = body.split_first_chunk::<4>().ok_or(ImportBodyError::Head)?;
        let len = usize::try_from(u32::from_be_bytes(*len)).ok().filter(|len| *len <= Self::MAX_HEAD);
        let (head, secret) = len.and_then(|len| rest.split_at_checked(len)).ok_or(ImportBodyError::Head)?;
        let said =
            serde_json::from_slice(head).map_err(|e| ImportBodyError::Json { message: e.to_string() })?;
        let got = secret.len();
        if (1..=Self::MAX_SECRET).contains(&got) {
            Ok((said, secret))
        } else {
            Err(ImportBodyError::Secret { got })
        }
    }
}

/// The policy of a key: `POST /admin/v1/keys/{key}/{version}/policy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleasePolicy {
    /// In Cedar.
    pub cedar: String,
    /// It can never be changed again.
    pub immutable: bool,
}

/// One version of a key: `GET /admin/v1/keys`, and the answer to whatever makes or changes one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The key's name.
    pub id: String,
    /// Its version.
    pub version: u32,
    /// What kind it is.
    pub kind: String,
    /// Where it came from.
    pub origin: String,
    /// What guests may ask of it.
    pub operations: BTreeSet<String>,
    /// For simulated guests, and for no other.
    pub simulation: bool,
    /// The weakest suite.
    pub suite_floor: String,
    /// The ring that it is in.
    pub ring: String,
    /// Where it may be used.
    pub region: Option<String>,
    /// Its own policy.
    pub release_policy: Option<ReleasePolicy>,
    /// Whether it may be used now.
    pub enabled: bool,
    /// Counts the changes.
    pub revision: u64,
    /// When it came to be, RFC 3339.
    pub created_at: String,
    /// SHA-256 that pins its bytes, hexadecimal.
    pub commitment: String,
}

/// An attestation key: `GET /admin/v1/attestation-keys`, and the answer to whatever changes one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestationKey {
    /// Its Name, hexadecimal.
    pub name: String,
    /// What vouches for it: `ek-certificate` or `enrolled`.
    pub binding: String,
    /// Name of the endorsement key that it was activated with, hexadecimal.
    pub ek: Option<String>,
    /// Whether what vouches for it is simulated.
    pub simulated: bool,
    /// Until when it is believed, RFC 3339.
    pub not_after: String,
    /// Whether it is believed still.
    pub believed: bool,
}

/// `POST /admin/v1/attestation-keys`: believe a key by an operator's word.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolAttestationKey {
    /// TPM2B_PUBLIC, hexadecimal.
    pub public: String,
    /// Whether its TPM is simulated.
    pub simulation: bool,
}

/// `GET /admin/v1/explain/{request}`: what was decided for one request, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// The request, hexadecimal.
    pub request: String,
    /// When, RFC 3339.
    pub at: String,
    /// One entry for each answer; a refused request has one.
    pub answers: Vec<ExplainedAnswer>,
}

/// One answer of a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainedAnswer {
    /// `release`, `denial`, `trial` (a guest only asked) or `refusal` (before the evidence was believed).
    pub outcome: String,
    /// The coarse code that the guest got.
    pub code: String,
    /// What was asked for: operation and key.
    pub asked: String,
    /// The leaf in the journal, where there is one.
    pub leaf: Option<u64>,
    /// The digest of the policy bundle that the leaf names.
    pub policy: Option<String>,
    /// Why.
    pub reasons: Vec<ExplainedReason>,
}

/// `GET /admin/v1/decisions?since=&until=&after=&limit=`: past decisions with what they were decided on, in order of
/// time; and `GET /admin/v1/decisions/{request}`, those of one request. Times are seconds since 1970 or RFC 3339, `limit`
/// is in requests; all may be left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionPage {
    /// Each as `policy::case::Decision` has it.
    pub decisions: Vec<serde_json::Value>,
    /// `after` of the next page; `None` on the last one.
    pub next: Option<String>,
    /// What is not among the decisions; on the first page only.
    pub missing: Option<MissingDecisions>,
}

/// How much of a span of time has no claims to decide on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MissingDecisions {
    /// Requests that were refused before their evidence was believed, as far as they are remembered.
    pub refused: u64,
    /// Answers, of whatever time, that are older than all claims that are kept.
    pub without_claims: u64,
}

/// One condition that decided.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainedReason {
    /// `lock`, `forbid`, `near-miss` (of a permit, the nearest first) or `error`; `refusal` before anything was decided.
    pub kind: String,
    /// The rule that asks for it: a policy's id, or a check of the verifier.
    pub rule: String,
    /// What the rule is for.
    pub doc: String,
    /// The condition, as it is written.
    pub condition: String,
    /// What would have satisfied it.
    pub wanted: String,
    /// What was there.
    pub found: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> ImportSecret {
        ImportSecret {
            id: "token".to_owned(),
            simulation: true,
            suite_floor: "x-wing".to_owned(),
            ring: Some("payments".to_owned()),
            region: None,
            release_policy: Some(ReleasePolicy { cedar: "permit".to_owned(), immutable: true }),
            tags: BTreeMap::from([("owner".to_owned(), "a".to_owned())]),
        }
    }

    #[test]
    fn a_secret_stands_behind_what_is_said_of_it() {
        let head = said().head().unwrap();
        for secret in [&b"x"[..], b"{\"id\":\"other\"}", &[0xff; ImportSecret::MAX_SECRET]] {
            let body = [&head[..], secret].concat();
            assert_eq!(ImportSecret::split(&body), Ok((said(), secret)));
        }
    }

    #[test]
    fn what_is_cut_short_or_too_long_is_refused() {
        let head = said().head().unwrap();
        for len in 0..head.len() {
            let cut = ImportSecret::split(head.get(..len).unwrap());
            assert_eq!(cut, Err(ImportBodyError::Head), "{len}");
        }
        assert_eq!(ImportSecret::split(&head), Err(ImportBodyError::Secret { got: 0 }));
        let got = ImportSecret::MAX_SECRET + 1;
        let long = [&head[..], &vec![0; got]].concat();
        assert_eq!(ImportSecret::split(&long), Err(ImportBodyError::Secret { got }));
        let claimed = u32::try_from(ImportSecret::MAX_HEAD + 1).unwrap().to_be_bytes();
        let body = [&claimed[..], &vec![b' '; ImportSecret::MAX_HEAD + 9]].concat();
        assert_eq!(ImportSecret::split(&body), Err(ImportBodyError::Head));
        let long = ImportSecret { id: "x".repeat(ImportSecret::MAX_HEAD), ..said() };
        assert_eq!(long.head(), Err(ImportBodyError::Head));
    }

    #[test]
    fn an_unknown_or_absent_field_is_refused() {
        for json in ["{}", "{\"id\":\"a\",\"simulation\":true,\"suite_floor\":\"p384\",\"tags\":{},\"x\":1}"]
        {
            let len = u32::try_from(json.len()).unwrap().to_be_bytes();
            let body = [&len[..], json.as_bytes(), b"secret"].concat();
            let error = ImportSecret::split(&body).unwrap_err();
            assert!(matches!(&error, ImportBodyError::Json { .. }), "{error}");
            assert!(!error.to_string().contains("secret\""), "{error}");
        }
    }
}
