//! Every check of a report, past the first that fails: for people who want to know all that is wrong.
//!
//! It makes no claims and can be mistaken for no proof: findings are words and errors. Where a chain is not
//! authenticated, the checks that rest on it are not made at all; comparing a report with certificates that anybody
//! may have written would only look like a result.

use core::fmt;

use claims::UnixTime;
use evidence::Evidence;
use evidence::snp::SnpEvidence;

use crate::check::{Check, Judge};
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
    /// It was not made: what it rests on is not authenticated, or, for [`Check::Revocation`], there was no list and none
    /// is required.
    NotMade,
    /// It is not made here but by a policy.
    ForPolicy,
}

/// Examines the report in evidence as [`crate::authenticate`] would: one finding for each of [`Check::ALL`], by number.
///
/// # Errors
/// [`VerifyError::Unsupported`] for evidence without a report.
pub fn examine(
    evidence: &Evidence,
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    now: UnixTime,
) -> Result<Vec<Finding>, VerifyError> {
    match evidence.snp() {
        Some(report) => Ok(examine_snp(report, endorsements, anchors, now)),
        None => Err(VerifyError::Unsupported { kind: evidence.kind() }),
    }
}

fn examine_snp(
    evidence: &SnpEvidence,
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    now: UnixTime,
) -> Vec<Finding> {
    let fields = evidence.report.fields();
    let mut notes = Notes::default();
    notes.settle(|on_check| report::layout(fields, anchors, on_check));
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
    for_policy(evidence, &mut notes);
    Check::ALL.into_iter().map(|check| notes.finding(check)).collect()
}

/// What a policy will decide on, whatever the verifier says.
fn for_policy(evidence: &SnpEvidence, notes: &mut Notes) {
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
        (Check::Launch, "measurement, host data, id key; report data against the challenge".to_owned()),
        (Check::Platform, format!("platform bits {:#x}", fields.platform.0)),
        (Check::Platform, format!("mitigations at launch {launch}, now {current}")),
    ]);
}

/// What was found so far.
#[derive(Default)]
struct Notes {
    compared: Vec<(Check, String)>,
    failed: Vec<VerifyError>,
    skipped: Vec<Check>,
}

impl Notes {
    /// Makes one check and keeps what comes of it.
    fn settle<T>(
        &mut self,
        check: impl FnOnce(&mut snp::OnCheck<'_>) -> Result<T, VerifyError>,
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
    fn skip(&mut self, check: Check, why: &str) {
        self.skipped.push(check);
        self.compared.push((check, why.to_owned()));
    }

    fn finding(&self, check: Check) -> Finding {
        let compared = self.compared.iter().filter(|(of, _)| *of == check).map(|(_, text)| text.clone());
        let compared: Vec<String> = compared.collect();
        let failed = self.failed.iter().find(|error| error.check() == Some(check));
        let outcome = match failed {
            Some(error) => Outcome::Failed(error.clone()),
            None if check.judge() == Judge::Policy => Outcome::ForPolicy,
            None if compared.is_empty() || self.skipped.contains(&check) => Outcome::NotMade,
            None => Outcome::Passed,
        };
        Finding { check, outcome, compared }
    }
}
