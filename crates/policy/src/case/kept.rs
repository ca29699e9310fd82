//! [`Kept`]: what the answers of one request were decided on, for the journal; and [`Decision`], one of them with what
//! was decided, from which comes a case. `crates/journal/SPEC.md`, section 2.1.
//!
//! Both are words of operators to themselves: nothing is granted for them.

use claims::{AttestedRequest, ClaimsRecord, KeyAttributes, RequestId, UnixTime};
use serde::{Deserialize, Serialize};

use super::{
    Case, CaseError, ClaimsJson, ContextJson, Expect, KeyJson, RequestJson, Whole, from_json, parse_json,
};
use crate::circumstances::Circumstances;
use crate::decide::{Evaluation, Policy};
use crate::reason::DenialCode;

/// What the answers of one request were decided on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    now: String,
    guest: ClaimsJson,
    /// Each once; a request refers to one by its place.
    keys: Vec<KeyJson>,
    asked: Vec<Asked>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    context: ContextJson,
    request: RequestJson,
    #[serde(deserialize_with = "Option::deserialize")]
    key: Option<usize>,
}

impl Kept {
    /// Most bytes of the text.
    pub const MAX_TEXT: usize = 64 * 1024;

    /// A guest that looked like `record` at `now`, and no request of it yet. What its Secure Boot databases hold is left
    /// out, unless some rule asks: they are as long as ten guests, and the same in each.
    pub fn new(record: &ClaimsRecord, now: UnixTime) -> Self {
        let mut short = record.clone();
        if let Some(boot) = short.tpm.as_mut().and_then(|tpm| tpm.boot.as_mut()) {
            (boot.db_entries, boot.dbx_entries) = (None, None);
        }
        Self { now: now.to_string(), guest: (&short).into(), keys: Vec::new(), asked: Vec::new() }
    }

    /// Puts in what was left out, if a rule of the policy, or of the own policy of a key that was added, reads it.
    pub fn complete(&mut self, record: &ClaimsRecord, policy: &Policy, keys: &[&KeyAttributes]) {
        if policy.reads_database_entries() || keys.iter().any(|key| policy.own_reads_database_entries(key)) {
            self.guest = record.into();
        }
    }

    /// Adds the next request of the transcript, how it came, and the key that it was decided about; `None` if there is no
    /// such key.
    pub fn add(
        &mut self,
        circumstances: &Circumstances,
        request: &AttestedRequest,
        key: Option<&KeyAttributes>,
    ) {
        let key = key.map(KeyJson::from).map(|key| {
            self.keys.iter().position(|known| *known == key).unwrap_or_else(|| {
                self.keys.push(key);
                self.keys.len().saturating_sub(1)
            })
        });
        self.asked.push(Asked { context: circumstances.into(), request: request.into(), key });
    }

    /// The text to be kept; `None` if it is longer than [`Self::MAX_TEXT`].
    pub fn to_text(&self) -> Option<String> {
        serde_json::to_string(self).ok().filter(|text| text.len() <= Self::MAX_TEXT)
    }

    /// Reads a text that was kept.
    ///
    /// # Errors
    /// [`CaseError::TooLong`] and [`CaseError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, CaseError> {
        from_json(parse_json(text, Self::MAX_TEXT)?)
    }

    /// What was decided about the request at this place of the transcript; `None` if there is none.
    pub fn decision(&self, index: u32, answer: Answer) -> Option<Decision> {
        let Asked { context, request, key } = self.asked.get(usize::try_from(index).ok()?)?.clone();
        let key = match key {
            None => None,
            Some(place) => Some(self.keys.get(place)?.clone()),
        };
        let Answer { id, leaf, policy, decided } = answer;
        let (now, guest) = (self.now.clone(), self.guest.clone());
        Some(Decision { id: id.to_string(), leaf, policy, now, context, guest, request, key, decided })
    }
}

/// How a request was answered, from its leaf.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The request.
    pub id: RequestId,
    /// The place of the leaf in the journal.
    pub leaf: u64,
    /// Digest of the bundle that it was decided under, hexadecimal.
    pub policy: String,
    /// What was decided.
    pub decided: Expect,
}

/// One past decision, as it is exported: a line of JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    id: String,
    leaf: u64,
    policy: String,
    now: String,
    context: ContextJson,
    guest: ClaimsJson,
    request: RequestJson,
    #[serde(deserialize_with = "Option::deserialize")]
    key: Option<KeyJson>,
    decided: Expect,
}

impl Decision {
    /// Most bytes of a line.
    pub const MAX_LINE: usize = 1024 * 1024;

    /// Reads a line.
    ///
    /// # Errors
    /// [`CaseError::TooLong`] and [`CaseError::Malformed`].
    pub fn parse(line: &str) -> Result<Self, CaseError> {
        from_json(parse_json(line, Self::MAX_LINE)?)
    }

    /// The line, without its end.
    ///
    /// # Errors
    /// [`CaseError::Malformed`] if it cannot be written.
    pub fn to_line(&self) -> Result<String, CaseError> {
        serde_json::to_string(self).map_err(|error| CaseError::Malformed { message: error.to_string() })
    }

    /// The request, hexadecimal.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When it was decided.
    ///
    /// # Errors
    /// [`CaseError::Malformed`] if that is no time.
    pub fn now(&self) -> Result<UnixTime, CaseError> {
        let no_time = || CaseError::Malformed { message: format!("`now` is no time: `{}`", self.now) };
        UnixTime::parse(&self.now).ok_or_else(no_time)
    }

    /// The leaf that records it.
    pub fn leaf(&self) -> u64 {
        self.leaf
    }

    /// Why this was not decided by policy, as the code of the denial; `None` if it was. Without a key there is nothing
    /// to ask policies about, and what could not be sealed they had permitted.
    pub fn not_by_policy(&self) -> Option<&str> {
        let Expect::Deny(denial) = &self.decided else { return None };
        let by_policy = |code: &DenialCode| {
            code.as_str() == denial.code && *code != DenialCode::ClaimsExpired && self.key.is_some()
        };
        if DenialCode::ALL.iter().any(by_policy) { None } else { Some(&denial.code) }
    }

    /// As a case, which expects what was decided.
    ///
    /// # Errors
    /// [`CaseError::NotByPolicy`], and [`CaseError::Malformed`] for a claim that is none.
    pub fn case(&self) -> Result<Case, CaseError> {
        self.whole()?.try_into()
    }

    /// The file of that case.
    ///
    /// # Errors
    /// As [`Self::case`].
    pub fn case_file(&self) -> Result<String, CaseError> {
        let whole = self.whole()?;
        serde_json::to_string_pretty(&whole)
            .map(|text| text + "\n")
            .map_err(|error| CaseError::Malformed { message: error.to_string() })
    }

    fn whole(&self) -> Result<Whole, CaseError> {
        let not_by_policy = |code: &str| CaseError::NotByPolicy { code: code.to_owned() };
        if let Some(code) = self.not_by_policy() {
            return Err(not_by_policy(code));
        }
        Ok(Whole {
            about: format!("request {}, leaf {}", self.id, self.leaf),
            now: self.now.clone(),
            context: self.context.clone(),
            guest: self.guest.clone(),
            request: self.request.clone(),
            key: self.key.clone().ok_or_else(|| not_by_policy("unknown-key"))?,
            expect: self.decided.clone(),
        })
    }
}

impl Case {
    /// What a policy decides about it, at another time if one is given.
    pub fn evaluate(&self, policy: &Policy, at: Option<UnixTime>) -> Evaluation {
        let now = at.unwrap_or(self.circumstances.now);
        let circumstances = Circumstances { now, ..self.circumstances.clone() };
        policy.evaluate(&self.record, &self.request, &self.key, &circumstances)
    }
}
