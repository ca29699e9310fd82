//! What operators' commands and the broker say to each other: JSON over the admin socket.
//!
//! The socket is a Unix one of mode 0600 and is never reached from a network. No key and no secret stands in any of
//! these; a secret travels as the raw body of its own request.

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
