//! `keyfast audit explain`: what was decided for one request, and why, from the journal's records.

use claims::RequestId;
use journal::{Event, Record, RecordError};
use policy::Reason;
use store::{Reader, Refusal, StorageError, StoredLeaf};
use wire::admin::{ExplainedAnswer, ExplainedReason, Explanation};

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A record cannot be read.
    #[error("the record of leaf {leaf} cannot be read: {source}")]
    Record {
        /// The leaf.
        leaf: u64,
        /// Why.
        source: RecordError,
    },
    /// A leaf that names a request and is no answer.
    #[error("leaf {leaf} names a request and is no release, denial or trial")]
    NoAnswer {
        /// The leaf.
        leaf: u64,
    },
    /// An explanation cannot be read.
    #[error("the explanation of leaf {leaf} cannot be read: {source}")]
    Json {
        /// The leaf.
        leaf: u64,
        /// Why.
        source: serde_json::Error,
    },
}

/// What is known of a request; `None` if nothing is.
///
/// # Errors
/// [`ExplainError`] if a record is damaged.
pub fn explain(reader: &Reader, request: RequestId) -> Result<Option<Explanation>, ExplainError> {
    let leaves = reader.leaves_of_request(request)?;
    if leaves.is_empty() {
        return Ok(reader.refusal(request)?.map(refused));
    }
    let answers: Vec<(String, ExplainedAnswer)> = leaves.iter().map(answer).collect::<Result<_, _>>()?;
    let at = answers.first().map(|(at, _)| at.clone()).unwrap_or_default();
    let answers = answers.into_iter().map(|(_, answer)| answer).collect();
    Ok(Some(Explanation { request: request.to_string(), at, answers }))
}

fn refused(refusal: Refusal) -> Explanation {
    let (step, found) = refusal.detail.split_once(": ").unwrap_or(("request", &refusal.detail));
    let reason = ExplainedReason {
        kind: "refusal".to_owned(),
        rule: step.to_owned(),
        doc: String::new(),
        condition: "evidence is believed before anything is decided".to_owned(),
        wanted: "genuine evidence that answers this challenge".to_owned(),
        found: found.to_owned(),
    };
    let answer = ExplainedAnswer {
        outcome: "refusal".to_owned(),
        code: refusal.code,
        asked: "not looked at".to_owned(),
        leaf: None,
        policy: None,
        reasons: vec![reason],
    };
    Explanation { request: refusal.request.to_string(), at: refusal.at.to_string(), answers: vec![answer] }
}

fn answer(stored: &StoredLeaf) -> Result<(String, ExplainedAnswer), ExplainError> {
    let decoded = Record::decode(stored.leaf.kind, &stored.leaf.record);
    let decoded = decoded.map_err(|source| ExplainError::Record { leaf: stored.index, source })?;
    let (at, outcome, code, asked, policy) = match decoded {
        Record::Release(release) => {
            let asked = format!("{} of `{}` version {}", release.operation, release.key, release.version);
            (release.decided_at, "release", "permitted".to_owned(), asked, release.policy)
        }
        Record::Event(Event::Denied(denied)) => {
            let asked = format!("{} of `{}`", denied.operation, denied.key);
            (denied.decided_at, "denial", denied.code, asked, denied.policy)
        }
        Record::Event(Event::Trial(trial)) => {
            let boot = if trial.predicted { ", as supposed of its next boot" } else { "" };
            let asked = format!("{} of `{}`{boot}", trial.operation, trial.key);
            (trial.decided_at, "trial", trial.outcome, asked, trial.policy)
        }
        Record::Event(_) => return Err(ExplainError::NoAnswer { leaf: stored.index }),
    };
    let answer = ExplainedAnswer {
        outcome: outcome.to_owned(),
        code,
        asked,
        leaf: Some(stored.index),
        policy: Some(policy.to_string()),
        reasons: reasons(stored)?,
    };
    Ok((at.to_string(), answer))
}

/// The explanation beside a leaf; empty if there is none.
pub(crate) fn reasons_beside(stored: &StoredLeaf) -> Result<Vec<Reason>, ExplainError> {
    let Some(text) = &stored.leaf.explanation else { return Ok(Vec::new()) };
    serde_json::from_str(text).map_err(|source| ExplainError::Json { leaf: stored.index, source })
}

fn reasons(stored: &StoredLeaf) -> Result<Vec<ExplainedReason>, ExplainError> {
    let reasons = reasons_beside(stored)?;
    let explained = |Reason { kind, rule, doc, condition, wanted, found }| {
        let kind = kind.name().to_owned();
        ExplainedReason { kind, rule, doc, condition, wanted, found }
    };
    Ok(reasons.into_iter().map(explained).collect())
}
