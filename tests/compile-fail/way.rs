//! The way of a key, taken honestly, on both sides: the steps that the cases try to get around.
//!
//! Nothing here runs. That it compiles shows that the cases fail for the step that they alter. They are compiled against
//! this crate alone, and name the others through it.

pub use {claims, evidence, journal, keys, policy, release, store, verify};

use claims::leaf::Salt;
use claims::{KeyAttributes, Transcript, UnixTime};
use evidence::Evidence;
use journal::{ConfirmError, SignedGroup, Staged};
use keys::{
    Answer, LogHead, LogTrust, OpenError, Opened, ReceiptError, Receipted, RecipientSecret, SealedKey,
};
use policy::{Circumstances, Denial, Grant, Policy};
use release::{EmbargoError, Embargoed, ReleaseError, RootKey, WrappedKek};
use store::Committed;
use verify::challenge::Challenge;
use verify::{Endorsements, TrustAnchors, VerifiedClaims, VerifyError};

/// Evidence and a challenge become claims.
pub fn verified(
    (evidence, endorsements, anchors): (Evidence, &Endorsements, &TrustAnchors),
    (challenge, transcript): (Challenge, &Transcript),
    now: UnixTime,
) -> Result<VerifiedClaims, VerifyError> {
    verify::authenticate(evidence, endorsements, anchors, now)?.bind(challenge, transcript, now)
}

/// Claims become a grant for the first request.
pub fn grant(
    claims: &VerifiedClaims,
    policy: &Policy,
    key: &KeyAttributes,
    now: UnixTime,
) -> Option<Result<Grant, Denial>> {
    claims.request(0).map(|request| policy.decide(&request, key, &Circumstances::at(now)))
}

/// A grant seals a key and becomes a leaf that is not durable yet.
pub fn sealed(
    grant: Grant,
    root: &RootKey,
    wrapped: &WrappedKek,
    salt: Salt,
) -> Result<(Embargoed, Staged), ReleaseError> {
    let embargoed = root.seal(&grant, wrapped, None)?;
    let staged = journal::stage(grant, embargoed.digest(), salt);
    Ok((embargoed, staged))
}

/// What is durable and signed becomes a record, and the record lets the sealed key go.
pub fn answered(
    embargoed: Embargoed,
    staged: Staged,
    committed: &Committed<SignedGroup>,
) -> Result<Result<SealedKey, EmbargoError>, ConfirmError> {
    Ok(embargoed.unembargo(journal::confirm(staged, committed)?))
}

/// The guest checks the receipts, then opens.
pub fn opened(
    secret: RecipientSecret,
    transcript: &Transcript,
    answers: Vec<Answer>,
    (head, trust): (LogHead<'_>, &LogTrust),
) -> Result<Result<Vec<Opened>, OpenError>, ReceiptError> {
    Ok(keys::open(secret, Receipted::check(transcript, answers, head, trust)?))
}
