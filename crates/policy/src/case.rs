//! Test cases of policies: one guest, key and request, and what must be decided.
//!
//! A case is a JSON file. Unknown and missing fields are errors; what is optional is spelt `null`. Only `context`, and
//! `ring`, `region` and `release_policy` of a key may be left out: then nothing is known of the kind.
//!
//! ```json
//! {
//!   "about": "a genuine guest whose image is known",
//!   "now": "2026-11-22T09:30:00Z",
//!   "context": { "evidence_age_s": 2, "network": "192.0.2.7", "recent": { "guest": 0, "key": 12 } },
//!   "guest": { "evidence": "sev-snp", … },
//!   "request": { "operation": "unwrap", "key": "db", "version": "latest" },
//!   "key": { "version": 1, "kind": "rsa-3072", … },
//!   "expect": { "permit": ["snp-production/permit"] }
//! }
//! ```
//!
//! Or it is another case with some places changed, each by its JSON pointer (RFC 6901), which must exist there:
//!
//! ```json
//! {
//!   "about": "the host may debug the guest",
//!   "base": "permit/known-image.json",
//!   "change": { "/guest/snp/policy": "0xb0000" },
//!   "expect": { "deny": { "code": "policy-denied", "reasons": [
//!     { "rule": "snp-production/no-debug", "condition": "principal.snp.policy.debug_allowed" } ] } }
//! }
//! ```
//!
//! `base` is a path relative to the folder of the policy's cases. A base may not have a base itself. A denial must
//! list all of its reasons in order; `wanted` and `found` are compared where the case gives them.

mod claims_json;
mod context_json;
mod kept;
mod key_json;
mod tpm_json;

use std::collections::BTreeMap;

use claims::UnixTime;
use claims::{AttestedRequest, ClaimsRecord, KeyAttributes};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::circumstances::Circumstances;
use crate::decide::{Evaluation, Policy};
use crate::printable::printable;
use crate::reason::Reason;

pub use claims_json::ClaimsJson;
pub use context_json::ContextJson;
pub use kept::{Answer, Decision, Kept};
pub use key_json::{KeyJson, RequestJson};

/// A case, ready to run.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is about, in a sentence.
    pub about: String,
    /// When and from where it asks.
    pub circumstances: Circumstances,
    /// The guest.
    pub record: ClaimsRecord,
    /// What it asks for.
    pub request: AttestedRequest,
    /// The key it asks for.
    pub key: KeyAttributes,
    /// What must be decided.
    pub expect: Expect,
}

/// What a case expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Expect {
    /// A permit by exactly these rules, in order of their ids.
    Permit(Vec<String>),
    /// A denial.
    Deny(ExpectedDenial),
}

/// The denial that a case expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedDenial {
    /// [`crate::DenialCode::as_str`].
    pub code: String,
    /// Exactly these, in this order.
    pub reasons: Vec<ExpectedReason>,
}

/// A reason that a case expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedReason {
    /// The rule's id.
    pub rule: String,
    /// The condition as the policy spells it.
    pub condition: String,
    /// Compared if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// Compared if given, without what it keeps from being read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
}

/// Why a text is no case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaseError {
    /// The text is longer than is parsed.
    #[error("too long: expected at most {max} bytes, got {got}")]
    TooLong {
        /// Most that are parsed.
        max: usize,
        /// Bytes found.
        got: usize,
    },
    /// It is no JSON of this shape.
    #[error("not a case: {}", printable(message))]
    Malformed {
        /// What is wrong, with line and column where it has them.
        message: String,
    },
    /// The case that it builds on cannot be had.
    #[error("no case `{}` to build on", printable(base))]
    NoBase {
        /// As written.
        base: String,
    },
    /// The case that it builds on builds on another.
    #[error("`{}` has a base itself; build on a whole case", printable(base))]
    NestedBase {
        /// As written.
        base: String,
    },
    /// It changes what is not there.
    #[error(
        "`{}` is not in `{}`; a case can only change what its base has",
        printable(pointer),
        printable(base)
    )]
    NoSuchPlace {
        /// The JSON pointer.
        pointer: String,
        /// The base as written.
        base: String,
    },
    /// A past decision that no policy made.
    #[error("`{}` was not decided by policy: there is no case of it", printable(code))]
    NotByPolicy {
        /// The code of the denial.
        code: String,
    },
}

impl Case {
    /// Reads a case. `load` gives the text of the case that `base` names.
    ///
    /// # Errors
    /// [`CaseError`], each as it says.
    pub fn parse(text: &str, load: impl FnOnce(&str) -> Option<String>) -> Result<Self, CaseError> {
        let value = parse_json(text, MAX_TEXT)?;
        if value.get("base").is_none() {
            return from_json::<Whole>(value)?.try_into();
        }
        let Changed { about, base, change, expect } = from_json(value)?;
        let no_base = || CaseError::NoBase { base: base.clone() };
        let mut whole = parse_json(&load(&base).ok_or_else(no_base)?, MAX_TEXT)?;
        if whole.get("base").is_some() {
            return Err(CaseError::NestedBase { base });
        }
        for (pointer, new) in change {
            let place = whole.pointer_mut(&pointer);
            *place.ok_or_else(|| CaseError::NoSuchPlace { pointer, base: base.clone() })? = new;
        }
        let case = Self::try_from(from_json::<Whole>(whole)?)?;
        Ok(Self { about, expect, ..case })
    }

    /// Its file, as a whole case in JSON.
    ///
    /// # Errors
    /// [`CaseError::Malformed`] if it cannot be written.
    pub fn to_file(&self) -> Result<String, CaseError> {
        let whole = Whole {
            about: self.about.clone(),
            now: self.circumstances.now.to_string(),
            context: ContextJson::from(&self.circumstances),
            guest: ClaimsJson::from(&self.record),
            request: RequestJson::from(&self.request),
            key: KeyJson::from(&self.key),
            expect: self.expect.clone(),
        };
        let text = serde_json::to_string_pretty(&whole);
        text.map(|text| text + "\n").map_err(|error| CaseError::Malformed { message: error.to_string() })
    }

    /// Asks the policy.
    ///
    /// # Errors
    /// What differs from what was expected, for people.
    pub fn run(&self, policy: &Policy) -> Result<(), String> {
        self.expect.compare(&self.evaluate(policy, None))
    }
}

impl Expect {
    /// Whether it was decided so.
    ///
    /// # Errors
    /// What differs, for people.
    pub fn compare(&self, got: &Evaluation) -> Result<(), String> {
        let as_expected = match (self, got) {
            (Self::Permit(expected), Evaluation::Permit { rules }) => expected == rules,
            (Self::Deny(expected), Evaluation::Deny(denial)) => {
                expected.code == denial.code.as_str()
                    && expected.reasons.len() == denial.reasons.len()
                    && expected.reasons.iter().zip(&denial.reasons).all(|(e, reason)| e.matches(reason))
            }
            _ => false,
        };
        if as_expected { Ok(()) } else { Err(format!("expected {self}, got {}", describe(got))) }
    }
}

impl ExpectedReason {
    fn matches(&self, reason: &Reason) -> bool {
        self.rule == reason.rule
            && self.condition == reason.condition
            && self.wanted.as_ref().is_none_or(|wanted| *wanted == reason.wanted)
            && self.found.as_ref().is_none_or(|found| found == reason.found_itself().0)
    }
}

impl core::fmt::Display for Expect {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Permit(rules) => write!(f, "a permit by {}", rules.join(", ")),
            Self::Deny(denial) => {
                write!(f, "a denial: {}", denial.code)?;
                let mut reasons = denial.reasons.iter();
                reasons.try_for_each(|reason| write!(f, "\n  {reason}"))
            }
        }
    }
}

/// What is not given is not shown.
impl core::fmt::Display for ExpectedReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.rule, self.condition)?;
        self.wanted.iter().try_for_each(|wanted| write!(f, ": wanted {wanted}"))?;
        self.found.iter().try_for_each(|found| write!(f, ", found {found}"))
    }
}

fn describe(evaluation: &Evaluation) -> String {
    match evaluation {
        Evaluation::Permit { rules } => format!("a permit by {}", rules.join(", ")),
        Evaluation::Deny(denial) => format!("a denial: {denial}"),
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    about: String,
    now: String,
    #[serde(default)]
    context: ContextJson,
    guest: ClaimsJson,
    request: RequestJson,
    key: KeyJson,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Changed {
    about: String,
    base: String,
    change: BTreeMap<String, Value>,
    expect: Expect,
}

impl TryFrom<Whole> for Case {
    type Error = CaseError;

    fn try_from(whole: Whole) -> Result<Self, CaseError> {
        let Whole { about, now, context, guest, request, key, expect } = whole;
        let malformed = |message: String| CaseError::Malformed { message };
        let now = UnixTime::parse(&now).ok_or_else(|| malformed(format!("`now` is no time: `{now}`")))?;
        let record = ClaimsRecord::try_from(guest).map_err(malformed)?;
        let request = AttestedRequest::try_from(request).map_err(malformed)?;
        let key = key.attributes(&request.key).map_err(malformed)?;
        Ok(Self { about, circumstances: context.at(now), record, request, key, expect })
    }
}

fn parse_json(text: &str, max: usize) -> Result<Value, CaseError> {
    if text.len() > max {
        return Err(CaseError::TooLong { max, got: text.len() });
    }
    serde_json::from_str(text).map_err(|error| CaseError::Malformed { message: error.to_string() })
}

fn from_json<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, CaseError> {
    serde_json::from_value(value).map_err(|error| CaseError::Malformed { message: error.to_string() })
}

/// Most bytes of a case.
const MAX_TEXT: usize = 64 * 1024;
