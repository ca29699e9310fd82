//! Every check that can be made of bytes that are no evidence: for people who want to know what is wrong with them, or
//! who have a report and no quote yet.
//!
//! As with [`crate::examine`], findings are words and errors. What was read here leads to no claims: there is no way
//! from [`Parts`] to [`evidence::Evidence`].

use claims::{EvidenceKind, UnixTime};
use evidence::{EvidenceError, Parts, SectionError};

use crate::check::Check;
use crate::examine::{Material, Notes};
use crate::tpm::{EnrolledKeys, examine as quote};
use crate::{Endorsements, Finding, TrustAnchors, report};

/// Examines what can be read of bytes that [`evidence::Evidence::parse`] refused with `error`: one finding for each check
/// of their kind, in order. A check whose bytes are missing, or could not be read, is not made, and its finding says so.
pub fn examine_malformed(
    parts: &Parts,
    error: &EvidenceError,
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    enrolled: &dyn EnrolledKeys,
    now: UnixTime,
) -> Vec<Finding> {
    let mut notes = Notes::default();
    let failed = failed(parts, error);
    if let Some(failed) = failed {
        notes.malformed(failed, error.clone());
    }
    material(parts).examine(endorsements, anchors, enrolled, now, &mut notes);
    if let Some(version) = parts.version.filter(|_| parts.snp.is_err()) {
        notes.settle(|on_check| report::layout(version, anchors, on_check));
    }
    // The values are read last of a quote: by then, all that T1 asks was right.
    if failed == Some(Check::Selection) && parts.attest.is_ok() {
        quote::quote_layout(&mut notes);
    }
    for check in Check::of(parts.kind) {
        if let Some(error) = unread(parts, check).filter(|_| notes.is_silent(check)) {
            notes.skip(check, &why(error));
        }
    }
    notes.findings(parts.kind)
}

/// Which check failed as the bytes were read. Of two keys, the error does not say which it is about.
fn failed(parts: &Parts, error: &EvidenceError) -> Option<Check> {
    match (error, &parts.manifest) {
        (EvidenceError::Tpm(_), Err(of_manifest)) if of_manifest == error => Some(Check::EndorsementKey),
        _ => Check::of_malformed(parts.kind, error),
    }
}

fn material(parts: &Parts) -> Material<'_> {
    let Parts { kind, version: _, snp, runtime, manifest, ak, attest: _, quote } = parts;
    Material {
        kind: *kind,
        snp: snp.as_ref().ok(),
        runtime: runtime.as_ref().ok(),
        manifest: manifest.as_ref().ok(),
        ak: ak.as_ref().ok(),
        quote: quote.as_ref().ok(),
    }
}

/// Why the first of the parts that a check is made on was not read, or `None` if all were.
fn unread(parts: &Parts, check: Check) -> Option<&EvidenceError> {
    let (snp, runtime, manifest) =
        (parts.snp.as_ref().err(), parts.runtime.as_ref().err(), parts.manifest.as_ref().err());
    let (ak, quote) = (parts.ak.as_ref().err(), parts.quote.as_ref().err());
    match check {
        Check::ParavisorVmpl | Check::ServiceVmpl => snp,
        Check::RuntimeData => snp.or(runtime),
        Check::RuntimeKey => runtime,
        Check::EndorsementKey => manifest.or(ak),
        Check::Manifest => snp.or(manifest),
        check if Check::SNP.contains(&check) => snp,
        _ if parts.kind == EvidenceKind::AzureVtpm => quote.or(runtime),
        _ => quote.or(ak),
    }
}

fn why(error: &EvidenceError) -> String {
    match error {
        EvidenceError::Sections(SectionError::Missing { missing, .. }) => {
            format!("not made: there is no {missing}")
        }
        _ => "not made: the bytes could not be read".to_owned(),
    }
}
