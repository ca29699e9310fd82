//! A table of enrolled keys, and what every test of quotes needs.

use claims::UnixTime;
use claims::tpm::ObjectName;
use evidence::Evidence;
use verify::{
    Authenticated, Check, Endorsements, EnrolledKey, EnrolledKeys, Enrolment, Finding, Outcome, TrustAnchors,
    VerifyError, authenticate_enrolled, examine,
};

/// Keys and what is known of them.
#[derive(Default)]
pub struct Table(pub Vec<(ObjectName, EnrolledKey)>);

impl EnrolledKeys for Table {
    fn find(&self, ak: &ObjectName) -> Option<EnrolledKey> {
        self.0.iter().find(|(name, _)| name == ak).map(|(_, key)| key.clone())
    }
}

pub const FOREVER: UnixTime = UnixTime(253_402_300_799);
pub const NOW: UnixTime = UnixTime(1_790_086_400);

/// A key that was activated with a certified endorsement key.
pub fn activated(ek: ObjectName, qualified_name: Option<ObjectName>) -> EnrolledKey {
    let enrolment = Enrolment::EkCertificate;
    EnrolledKey { enrolment, ek: Some(ek), qualified_name, simulated: false, not_after: FOREVER }
}

/// Authenticates evidence of any kind with the certificates that came along, and holds the findings against the verdict.
pub fn check(
    evidence: Evidence,
    anchors: &TrustAnchors,
    table: &Table,
    now: UnixTime,
) -> Result<Authenticated, VerifyError> {
    let endorsements = Endorsements::from_evidence(&evidence);
    let found = examine(&evidence, &endorsements, anchors, table, now).unwrap();
    assert_eq!(found.iter().map(|finding| finding.check).collect::<Vec<_>>(), Check::of(evidence.kind()));
    let failed: Vec<_> = found.iter().filter(|f| matches!(f.outcome, Outcome::Failed(_))).collect();
    let verdict = check_quickly(evidence, anchors, table, now);
    match &verdict {
        Ok(_) => assert_eq!(failed, [] as [&Finding; 0]),
        Err(error) => {
            let found = failed.iter().find(|finding| finding.outcome == Outcome::Failed(error.clone()));
            assert_eq!(found.map(|finding| Some(finding.check)), Some(error.check()), "{error}");
        }
    }
    verdict
}

/// As [`check`], without the findings.
pub fn check_quickly(
    evidence: Evidence,
    anchors: &TrustAnchors,
    table: &Table,
    now: UnixTime,
) -> Result<Authenticated, VerifyError> {
    let endorsements = Endorsements::from_evidence(&evidence);
    authenticate_enrolled(evidence, &endorsements, anchors, table, now, &mut |_, _| ())
}
