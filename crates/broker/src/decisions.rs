//! Past decisions with what they were decided on, for operators: of one request, or by time in pages.
//!
//! What was asked lies beside the leaves, what was answered is in them. Before either is told, the claims are held
//! against the salts that commit to them.

use claims::{RequestId, UnixTime};
use journal::{Event, Record, Salts};
use policy::case::{Answer, CaseError, Decision, Expect, ExpectedDenial, ExpectedReason, Kept};
use policy::{Reason, ReasonKind};
use store::{Reader, StorageError, StoredClaims, StoredLeaf};

use crate::explain::{ExplainError, reasons_beside};

/// Why past decisions are not told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecisionsError {
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A leaf or its explanation cannot be read.
    #[error(transparent)]
    Leaf(#[from] ExplainError),
    /// The claims cannot be read.
    #[error("the claims beside leaf {leaf} cannot be read: {source}")]
    Claims {
        /// The leaf.
        leaf: u64,
        /// Why.
        source: CaseError,
    },
    /// The claims are not those that the leaf commits to.
    #[error("the claims of leaf {leaf} are not those that were recorded: they were altered")]
    Altered {
        /// The leaf.
        leaf: u64,
    },
    /// The claims say nothing of an answer.
    #[error("the claims beside leaf {leaf} lack what answer {index} was decided on")]
    Missing {
        /// The leaf.
        leaf: u64,
        /// The answer.
        index: u32,
    },
}

/// Decisions of a span of time, in order.
#[derive(Debug, Default)]
pub struct Page {
    /// The decisions of whole requests.
    pub decisions: Vec<Decision>,
    /// Time and first leaf of the last request, if there may be more behind it.
    pub last: Option<(UnixTime, u64)>,
}

/// The decisions of one request; `None` if nothing is known of it, or no longer what it was decided on.
///
/// # Errors
/// [`DecisionsError`].
pub fn of_request(reader: &Reader, request: RequestId) -> Result<Option<Vec<Decision>>, DecisionsError> {
    let leaves = reader.leaves_of_request(request)?;
    let Some(first) = leaves.first() else { return Ok(None) };
    match reader.claims_beside(first.index)? {
        Some(stored) => decisions(&stored, &leaves).map(Some),
        None => Ok(None),
    }
}

/// The decisions of up to `limit` requests, and of fewer where they are long, from `since` on and before `until`, behind
/// `after`.
///
/// # Errors
/// [`DecisionsError`].
pub fn page(
    reader: &Reader,
    since: UnixTime,
    until: UnixTime,
    after: Option<(UnixTime, u64)>,
    limit: usize,
) -> Result<Page, DecisionsError> {
    let limit = limit.clamp(1, MAX_REQUESTS);
    let requests = reader.claims_between(since, until, after, limit)?;
    let (mut page, mut bytes) = (Page::default(), 0_usize);
    for stored in &requests {
        let leaves = reader.leaves_of_request(stored.request)?;
        let explained = leaves.iter().filter_map(|leaf| Some(leaf.leaf.explanation.as_ref()?.len()));
        let one = stored.claims.text.len().saturating_mul(leaves.len());
        bytes = bytes.saturating_add(one).saturating_add(explained.sum());
        if bytes > MAX_BYTES && page.last.is_some() {
            return Ok(page);
        }
        page.decisions.extend(decisions(stored, &leaves)?);
        page.last = Some((stored.claims.at, stored.leaf));
    }
    if requests.len() < limit {
        page.last = None;
    }
    Ok(page)
}

fn decisions(stored: &StoredClaims, leaves: &[StoredLeaf]) -> Result<Vec<Decision>, DecisionsError> {
    let read = |source| DecisionsError::Claims { leaf: stored.leaf, source };
    let kept = Kept::parse(&stored.claims.text).map_err(read)?;
    let salts = Salts::new(stored.claims.blind, &stored.claims.text);
    leaves.iter().map(|leaf| decision(stored, &kept, &salts, leaf)).collect()
}

fn decision(
    stored: &StoredClaims,
    kept: &Kept,
    salts: &Salts,
    leaf: &StoredLeaf,
) -> Result<Decision, DecisionsError> {
    let source = |source| ExplainError::Record { leaf: leaf.index, source };
    let reasons = reasons_beside(leaf)?;
    let (index, policy, decided) = match Record::decode(leaf.leaf.kind, &leaf.leaf.record).map_err(source)? {
        Record::Release(release) => {
            // What is announced did not decide yet.
            let permits = reasons.into_iter().filter(|reason| reason.kind != ReasonKind::Announced);
            let rules = permits.map(|reason| reason.rule).collect();
            (release.index, release.policy, Expect::Permit(rules))
        }
        Record::Event(Event::Denied(denied)) => {
            let reasons = reasons.into_iter().map(expected).collect();
            (denied.index, denied.policy, Expect::Deny(ExpectedDenial { code: denied.code, reasons }))
        }
        Record::Event(_) => return Err(ExplainError::NoAnswer { leaf: leaf.index }.into()),
    };
    if salts.salt(index) != leaf.leaf.salt {
        return Err(DecisionsError::Altered { leaf: leaf.index });
    }
    let answer = Answer { id: stored.request, leaf: leaf.index, policy: policy.to_string(), decided };
    kept.decision(index, answer).ok_or(DecisionsError::Missing { leaf: leaf.index, index })
}

fn expected(reason: Reason) -> ExpectedReason {
    let Reason { rule, condition, wanted, found, .. } = reason;
    ExpectedReason { rule, condition, wanted: Some(wanted), found: Some(found) }
}

/// Most requests of a page.
pub const MAX_REQUESTS: usize = 500;
/// About how many bytes a page has at most, unless one request has more.
const MAX_BYTES: usize = 4 * 1024 * 1024;
