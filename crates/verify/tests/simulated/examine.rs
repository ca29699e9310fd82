//! Findings: everything that is wrong, and the same first error as for whoever wants claims.

use claims::snp::Product;
use claims::{EvidenceKind, ReportData};
use evidence::Evidence;
use simtee::{GuestSpec, SimHost, field};
use verify::{
    Check, CrlPolicy, Endorsements, Finding, NoEnrolledKeys, Outcome, Role, TrustAnchors, VerifyError,
    authenticate, examine,
};

use crate::machine::{NOW, altered_chain, altered_report, host, launch, trust};

fn findings(bytes: &[u8], anchors: &TrustAnchors) -> Vec<Finding> {
    let evidence = Evidence::parse(EvidenceKind::SevSnp, bytes).unwrap();
    let endorsements = Endorsements::from_evidence(&evidence);
    let found = examine(&evidence, &endorsements, anchors, &NoEnrolledKeys, NOW).unwrap();
    let failed = |finding: &&Finding| matches!(finding.outcome, Outcome::Failed(_));
    match authenticate(evidence, &endorsements, anchors, NOW) {
        Ok(_) => assert_eq!(found.iter().find(failed), None),
        Err(error) => assert!(found.iter().any(|f| f.outcome == Outcome::Failed(error.clone())), "{error}"),
    }
    found
}

/// The numbers of the checks with an outcome.
fn numbers(found: &[Finding], of: fn(&Outcome) -> bool) -> Vec<u8> {
    found
        .iter()
        .filter(|finding| of(&finding.outcome))
        .map(|finding| finding.check.id().parse().unwrap())
        .collect()
}

fn failed(found: &[Finding]) -> Vec<u8> {
    numbers(found, |outcome| matches!(outcome, Outcome::Failed(_)))
}

fn genoa() -> SimHost {
    host(Product::Genoa)
}

#[test]
fn an_honest_guest_passes_every_check_that_is_made_here() {
    let anchors = trust(&genoa());
    for _again_from_the_cache in 0..2 {
        let found = findings(&launch(&genoa()).attest(&ReportData([7; 64])).unwrap(), &anchors);
        assert_eq!(found.iter().map(|finding| finding.check).collect::<Vec<_>>(), Check::SNP);
        let passed = numbers(&found, |outcome| *outcome == Outcome::Passed);
        assert_eq!(passed, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15]);
        assert_eq!(numbers(&found, |outcome| *outcome == Outcome::NotMade), [13]);
        assert_eq!(numbers(&found, |outcome| *outcome == Outcome::ForPolicy), [14, 16, 17, 18]);
        assert!(found.iter().all(|finding| !finding.compared.is_empty()));
        let launch = "measurement, host data, id key; report data against the challenge";
        assert_eq!((found[16].check, &found[16].compared[..]), (Check::Launch, &[launch.to_owned()][..]));
    }
}

#[test]
fn a_list_that_was_heeded_is_a_check_that_passed() {
    let evidence = launch(&genoa()).attest(&ReportData([7; 64])).unwrap();
    let evidence = Evidence::parse(EvidenceKind::SevSnp, &evidence).unwrap();
    let list = genoa().sign_crl(&genoa().crl_spec(NOW)).unwrap();
    let endorsements = Endorsements::from_evidence(&evidence).with_crls([list]).unwrap();
    let found = examine(&evidence, &endorsements, &trust(&genoa()), &NoEnrolledKeys, NOW).unwrap();
    assert_eq!((found[12].check, &found[12].outcome), (Check::Revocation, &Outcome::Passed));
}

#[test]
fn all_that_is_wrong_is_told() {
    let bytes = altered_report(&genoa(), |report| {
        report.put(field::VMPL, [4, 0, 0, 0]).put(field::CHIP_ID, [0; 64]);
        report.put(field::CPUID, [0x19, 1, 1]).put(field::REPORTED_TCB, [0, 0, 0, 0, 0, 0, 0xff, 0]);
    });
    let found = findings(&bytes, &trust(&genoa()).with_crl_policy(CrlPolicy::Required { max_age_s: 1 }));
    assert_eq!(failed(&found), [3, 10, 11, 12, 13, 15]);
}

#[test]
fn an_altered_report_fails_by_its_signature_alone() {
    let mut bytes = launch(&genoa()).attest(&ReportData([7; 64])).unwrap();
    bytes[0x90] ^= 1;
    let found = findings(&bytes, &trust(&genoa()));
    assert_eq!(failed(&found), [4]);
    let error = VerifyError::Signature { certificate: Role::Vcek };
    assert_eq!(found[3].outcome, Outcome::Failed(error));
}

#[test]
fn what_rests_on_a_chain_is_not_reached_without_one() {
    let bytes = launch(&genoa()).attest(&ReportData([7; 64])).unwrap();
    let found = findings(&bytes, &TrustAnchors::amd());
    assert_eq!(failed(&found), [5]);
    let not_made = numbers(&found, |outcome| *outcome == Outcome::NotMade);
    assert_eq!(not_made, [2, 4, 6, 7, 8, 9, 10, 11, 12, 13, 15]);
    let found = findings(&bytes[..simtee::REPORT_LEN], &TrustAnchors::amd());
    assert_eq!(failed(&found), [6]);
}

#[test]
fn an_expired_chain_hides_nothing_else() {
    let bytes = altered_chain(&genoa(), |spec| spec.vek.not_after = claims::UnixTime(NOW.0 - 1));
    assert_eq!(failed(&findings(&bytes, &trust(&genoa()))), [7]);
}

#[test]
fn a_guest_that_is_genuine_and_not_good_enough_is_for_policy() {
    let host = genoa();
    let spec = GuestSpec::new(Product::Genoa, "test").debug(true);
    let found = findings(&host.attest(&spec, &ReportData([7; 64])).unwrap(), &trust(&host));
    assert_eq!(failed(&found), [] as [u8; 0]);
    assert_eq!(found[15].outcome, Outcome::ForPolicy);
    assert_eq!(found[15].compared[0], "debugging allowed");
}
