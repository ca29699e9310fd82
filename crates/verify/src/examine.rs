//! Every check of a report, past the first that fails: for people who want to know all that is wrong.
//!
//! It makes no claims and can be mistaken for no proof: findings are words and errors. Where a chain is not
//! authenticated, the checks that rest on it are not made at all; comparing a report with certificates that anybody
//! may have written would only look like a result.

use core::fmt;

use claims::{EvidenceKind, UnixTime};
use evidence::azure::RuntimeData;
use evidence::snp::SnpEvidence;
use evidence::tpm::{Public, Quote};
use evidence::{Evidence, EvidenceError};

use crate::check::{Check, Judge, OnCheck};
use crate::tpm::{EnrolledKeys, examine as quote};
use crate::{Endorsements, TrustAnchors, VerifyError, report, snp};

/// What came of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which check.
    pub check: Check,
    /// What came of it.
    pub outcome: Outcome,
    /// What was compared, in words, one line each; for a check that a policy makes, the claims that it decides on.
    pub compared: Vec<String>,
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Passed,
    /// It failed, first with this.
    Failed(VerifyError),
    /// It failed as the bytes were read.
    Malformed(EvidenceError),
    /// It was not made: what it rests on is not authenticated, is missing or could not be read, or, for
    /// [`Check::Revocation`], there was no list and none is required.
    NotMade,
    /// This evidence has nothing that it could be made on.
    NotApplicable,
    /// It is made once there is a challenge, by [`crate::Authenticated::bind`].
    ForChallenge,
    /// It is not made here but by a policy.
    ForPolicy,
}

/// Examines evidence as [`crate::authenticate_enrolled`] would: one finding for each check of its kind
/// ([`Check::of`]), in that order.
///
/// # Errors
/// [`VerifyError::Unsupported`] for evidence of a kind without checks.
pub fn examine(
    evidence: &Evidence,
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    enrolled: &dyn EnrolledKeys,
    now: UnixTime,
) -> Result<Vec<Finding>, VerifyError> {
    let material = Material::of(evidence)?;
    let mut notes = Notes::default();
    material.examine(endorsements, anchors, enrolled, now, &mut notes);
    Ok(notes.findings(material.kind))
}

/// What there is to examine: all of some evidence, or what can be read of bytes that are none.
pub(crate) struct Material<'a> {
    pub(crate) kind: EvidenceKind,
    pub(crate) snp: Option<&'a SnpEvidence>,
    pub(crate) runtime: Option<&'a RuntimeData>,
    pub(crate) manifest: Option<&'a Public>,
    pub(crate) ak: Option<&'a Public>,
    pub(crate) quote: Option<&'a Quote>,
}

impl<'a> Material<'a> {
    fn of(evidence: &'a Evidence) -> Result<Self, VerifyError> {
        let (runtime, manifest, ak) = match evidence {
            Evidence::SevSnp(_) => (None, None, None),
            Evidence::Tpm(tpm) => (None, None, Some(&tpm.ak)),
            Evidence::AzureVtpm(azure) => (Some(&azure.runtime), None, None),
            Evidence::Svsm(svsm) => (None, Some(&svsm.manifest), Some(&svsm.ak)),
            other => return Err(VerifyError::Unsupported { kind: other.kind() }),
        };
        let (kind, snp, quote) = (evidence.kind(), evidence.snp(), evidence.quote());
        Ok(Self { kind, snp, runtime, manifest, ak, quote })
    }

    pub(crate) fn examine(
        &self,
        endorsements: &Endorsements,
        anchors: &TrustAnchors,
        enrolled: &dyn EnrolledKeys,
        now: UnixTime,
        notes: &mut Notes,
    ) {
        if let Some(report) = self.snp {
            examine_snp(report, endorsements, anchors, now, notes);
            for_policy(report, self.kind, notes);
        }
        match self.kind {
            EvidenceKind::SevSnp => (),
            EvidenceKind::Tpm => quote::of_tpm(self, enrolled, now, notes),
            EvidenceKind::AzureVtpm => quote::of_azure(self, notes),
            EvidenceKind::Svsm => quote::of_svsm(self, enrolled, now, notes),
        }
    }
}

fn examine_snp(
    evidence: &SnpEvidence,
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    now: UnixTime,
    notes: &mut Notes,
) {
    let fields = evidence.report.fields();
    notes.settle(|on_check| report::layout(fields.version, anchors, on_check));
    notes.settle(|on_check| report::requester(fields, on_check));
    let kind = notes.settle(|_| report::signed(fields));
    let chain = notes.settle(|on_check| Ok(anchors.chain_for(fields, endorsements, now, on_check)?));
    if let Some(chain) = &chain {
        if let Some(kind) = kind {
            notes.settle(|on_check| report::signer(kind, chain, on_check));
        }
        notes.settle(|on_check| snp::validity(chain, now, on_check));
        let list = notes.settle(|on_check| snp::revocation(chain, endorsements, anchors, now, on_check));
        if list == Some(None) {
            notes.skip(Check::Revocation, "no valid list, and none is required");
        }
        notes.settle(|on_check| report::product(fields, chain, on_check));
        notes.settle(|on_check| report::reserved(fields, chain, on_check));
        notes.settle(|on_check| report::tcb(fields, chain, on_check));
        notes.settle(|on_check| report::chip(fields, chain, on_check));
        notes.settle(|on_check| report::order(fields, chain, on_check));
        notes.settle(|on_check| report::signature(&evidence.report, chain, on_check));
    }
}

/// What a policy will decide on, whatever the verifier says.
fn for_policy(evidence: &SnpEvidence, kind: EvidenceKind, notes: &mut Notes) {
    let fields = evidence.report.fields();
    let allowed = |name, allowed| format!("{name} {}", if allowed { "allowed" } else { "not allowed" });
    let vector = |bits: Option<u64>| bits.map_or_else(|| "none".to_owned(), |bits| format!("{bits:#x}"));
    let (launch, current) = (vector(fields.launch_mit_vector), vector(fields.current_mit_vector));
    let policy = fields.policy;
    notes.compared.extend([
        (Check::Floors, "reported and launch tcb against the floors of the reference values".to_owned()),
        (Check::GuestPolicy, allowed("debugging", policy.debug_allowed())),
        (Check::GuestPolicy, allowed("a migration agent", policy.migrate_ma_allowed())),
        (Check::GuestPolicy, allowed("smt", policy.smt_allowed())),
        (Check::Launch, launched(kind).to_owned()),
        (Check::Platform, format!("platform bits {:#x}", fields.platform.0)),
        (Check::Platform, format!("mitigations at launch {launch}, now {current}")),
    ]);
}

fn launched(kind: EvidenceKind) -> &'static str {
    match kind {
        EvidenceKind::AzureVtpm => "measurement, which must be a paravisor's; host data, id key",
        EvidenceKind::Svsm => "measurement, which must be a service module's; host data, id key",
        _ => "measurement, host data, id key; report data against the challenge",
    }
}

/// What was found so far.
#[derive(Default)]
pub(crate) struct Notes {
    compared: Vec<(Check, String)>,
    malformed: Option<(Check, EvidenceError)>,
    failed: Vec<VerifyError>,
    skipped: Vec<Check>,
    not_applicable: Vec<Check>,
}

impl Notes {
    /// Makes one check and keeps what comes of it.
    pub(crate) fn settle<T>(
        &mut self,
        check: impl FnOnce(&mut OnCheck<'_>) -> Result<T, VerifyError>,
    ) -> Option<T> {
        let compared = &mut self.compared;
        let mut on_check = |check: Check, text: fmt::Arguments<'_>| compared.push((check, text.to_string()));
        match check(&mut on_check) {
            Ok(value) => Some(value),
            Err(error) => {
                self.failed.push(error);
                None
            }
        }
    }

    /// Notes that a check was not made, and why.
    pub(crate) fn skip(&mut self, check: Check, why: &str) {
        self.skipped.push(check);
        self.compared.push((check, why.to_owned()));
    }

    /// Notes what was compared, or what somebody else will compare.
    pub(crate) fn note(&mut self, check: Check, what: impl Into<String>) {
        self.compared.push((check, what.into()));
    }

    /// Notes which check failed as the bytes were read.
    pub(crate) fn malformed(&mut self, check: Check, error: EvidenceError) {
        self.malformed = Some((check, error));
    }

    /// Whether nothing was found yet that a check could be told by.
    pub(crate) fn is_silent(&self, check: Check) -> bool {
        let Finding { outcome, compared, .. } = self.finding(check);
        compared.is_empty() && !matches!(outcome, Outcome::Failed(_) | Outcome::Malformed(_))
    }

    /// One finding for each check of a kind.
    pub(crate) fn findings(&self, kind: EvidenceKind) -> Vec<Finding> {
        Check::of(kind).into_iter().map(|check| self.finding(check)).collect()
    }

    /// Whether no check has failed so far.
    pub(crate) fn all_passed(&self) -> bool {
        self.failed.is_empty()
    }

    /// Notes that there is nothing to check, and why.
    pub(crate) fn not_applicable(&mut self, check: Check, why: &str) {
        self.not_applicable.push(check);
        self.compared.push((check, why.to_owned()));
    }

    fn finding(&self, check: Check) -> Finding {
        if let Some((_, error)) = self.malformed.as_ref().filter(|(failed, _)| *failed == check) {
            // What else was compared says nothing of what could not be read.
            let outcome = Outcome::Malformed(error.clone());
            return Finding { check, outcome, compared: Vec::new() };
        }
        let compared = self.compared.iter().filter(|(of, _)| *of == check).map(|(_, text)| text.clone());
        let compared: Vec<String> = compared.collect();
        let failed = self.failed.iter().find(|error| error.check() == Some(check));
        let outcome = match failed {
            Some(error) => Outcome::Failed(error.clone()),
            None if self.skipped.contains(&check) => Outcome::NotMade,
            None if check.judge() == Judge::Policy => Outcome::ForPolicy,
            None if check.judge() == Judge::Challenge => Outcome::ForChallenge,
            None if self.not_applicable.contains(&check) => Outcome::NotApplicable,
            None if compared.is_empty() => Outcome::NotMade,
            None => Outcome::Passed,
        };
        Finding { check, outcome, compared }
    }
}
