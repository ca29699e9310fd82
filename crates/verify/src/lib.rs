//! Evidence in, verified claims out.
//!
//! The way of a guest's evidence, each step a value that only the one before can make:
//!
//! 1. [`evidence::Evidence::parse`] reads bytes and believes nothing.
//! 2. [`authenticate`] checks signatures, chain, windows and certificate extensions under the [`TrustAnchors`], and
//!    gives [`Authenticated`]: a genuine machine said this, at some time, to somebody.
//! 3. [`Authenticated::bind`] spends a [`challenge::Challenge`] and compares the [`claims::Transcript`], and gives
//!    [`VerifiedClaims`]: it was said now, to us, about this recipient and these requests.
//! 4. [`VerifiedClaims::request`] gives a [`BoundRequest`], the only thing that a policy decides on.
//!
//! A guest that asks what would be decided ends at [`PreflightClaims`] instead of the third, and there is no fourth.
//!
//! The numbered steps of verifying a report are in [`snp`], those of a quote in [`tpm`]. Time and trust roots are
//! arguments; there is no clock here, no network and no file. This crate must never take a root, a revocation list or a time from the evidence's
//! sender, compare anything but the bytes that were signed, or decide what is good enough: that is `policy`'s.
//! [`examine`] goes through the same checks for people, past the first that fails, and gives no claims;
//! [`examine_malformed`] does so with what can be read of bytes that are no evidence.
//!
//! Errors are split by blame: [`VerifyError`] (the report), [`ChainError`] and [`CertificateError`] (its
//! certificates), [`RevocationError`] (AMD, or a list that is missing), [`BindError`] (its answer to the challenge),
//! [`ChallengeError`] (the token), [`AnchorError`] and [`CrlError`] (the operator).

#![deny(clippy::arithmetic_side_effects)]

mod anchors;
mod authenticated;
mod binding;
mod cache;
mod certificate;
mod chain;
mod chain_error;
pub mod challenge;
mod check;
mod crl;
mod endorsed;
mod endorsements;
mod error;
mod examine;
mod leaf;
mod malformed;
mod pem;
mod product;
mod report;
mod revocation;
mod signed;
pub mod snp;
pub mod tpm;

use core::fmt;

use claims::UnixTime;
use evidence::Evidence;
use evidence::snp::SnpEvidence;

pub use anchors::{AnchorError, TrustAnchors};
pub use authenticated::{Authenticated, BindError, BoundRequest, PreflightClaims, QuotedTpm, VerifiedClaims};
pub use certificate::CertificateError;
pub use chain_error::{ChainError, Role};
pub use challenge::ChallengeError;
pub use check::{Check, Judge};
pub use crl::CrlError;
pub use endorsed::{
    EndorsedIssuer, EndorsedKey, ListError, NeededKey, SignedList, answers, endorsed_issuer, endorsed_key,
    endorsed_root, is_leaf, precheck, signed_list,
};
pub use endorsements::{Endorsements, EndorsementsError};
pub use error::VerifyError;
pub use examine::{Finding, Outcome, examine};
pub use malformed::examine_malformed;
pub use pem::{PemError, certificates_from_file};
pub use product::of_cpu as product_of_cpu;
pub use revocation::{CrlPolicy, RevocationError};
pub use tpm::{EnrolledKey, EnrolledKeys, Enrolment, NoEnrolledKeys, TpmVerifyError};

/// Checks that evidence is genuine at `now` (seconds since 1970, UTC).
///
/// `endorsements` are certificates from anywhere; only a chain that ends in one of `anchors` counts.
///
/// Attestation keys of bare TPMs and of service modules are believed only where they are enrolled: see
/// [`authenticate_enrolled`].
///
/// # Errors
/// [`VerifyError`], the first check that failed with what it expected and what it found.
pub fn authenticate(
    evidence: Evidence,
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    now: UnixTime,
) -> Result<Authenticated, VerifyError> {
    authenticate_with(evidence, endorsements, anchors, now, &mut |_, _| ())
}

/// As [`authenticate`], and tells `on_check` of each check that passed, with what was compared.
///
/// # Errors
/// As [`authenticate`].
pub fn authenticate_with(
    evidence: Evidence,
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    now: UnixTime,
    on_check: &mut dyn FnMut(Check, fmt::Arguments<'_>),
) -> Result<Authenticated, VerifyError> {
    authenticate_enrolled(evidence, endorsements, anchors, &NoEnrolledKeys, now, on_check)
}

/// As [`authenticate_with`], and believes attestation keys that are in `enrolled`.
///
/// # Errors
/// As [`authenticate`].
pub fn authenticate_enrolled(
    evidence: Evidence,
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    enrolled: &dyn EnrolledKeys,
    now: UnixTime,
    on_check: &mut dyn FnMut(Check, fmt::Arguments<'_>),
) -> Result<Authenticated, VerifyError> {
    let snp = |snp: &SnpEvidence, on_check: &mut check::OnCheck<'_>| {
        snp::authenticate(snp, endorsements, anchors, now, on_check)
    };
    match evidence {
        Evidence::SevSnp(evidence) => snp(&evidence, on_check),
        Evidence::Tpm(evidence) => tpm::authenticate(evidence, enrolled, now, on_check),
        Evidence::AzureVtpm(evidence) => {
            let report = snp(&evidence.snp, on_check)?;
            tpm::azure::authenticate(evidence, report, on_check)
        }
        Evidence::Svsm(evidence) => {
            let report = snp(&evidence.snp, on_check)?;
            tpm::svsm::authenticate(evidence, report, enrolled, now, on_check)
        }
        other => Err(VerifyError::Unsupported { kind: other.kind() }),
    }
}
