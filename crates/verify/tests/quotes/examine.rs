//! Findings on evidence with a quote: what came of each check, and what people are told of it.

use claims::EvidenceKind;
use evidence::Evidence;
use simtee::vtpm::evidence as parts;
use verify::{Check, Endorsements, Finding, Outcome, TrustAnchors, examine};

use crate::azure::{AzureGuest, anchors, paravisor};
use crate::simulated::{booted, extra_data, quoted, table, transcript};
use crate::svsm::{self, Service};
use crate::table::NOW;

fn found(kind: EvidenceKind, bytes: &[u8], anchors: &TrustAnchors) -> Vec<Finding> {
    let evidence = Evidence::parse(kind, bytes).unwrap();
    let endorsements = Endorsements::from_evidence(&evidence);
    examine(&evidence, &endorsements, anchors, &table(booted()), NOW).unwrap()
}

/// The checks with this outcome, by number.
fn ids(found: &[Finding], outcome: &Outcome) -> Vec<&'static str> {
    found.iter().filter(|finding| finding.outcome == *outcome).map(|finding| finding.check.id()).collect()
}

/// What was compared in this check.
fn compared(found: &[Finding], check: Check) -> &[String] {
    &found.iter().find(|finding| finding.check == check).unwrap().compared
}

const SNP_PASSED: [&str; 13] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "15"];

#[test]
fn of_a_bare_tpm_each_check_is_told() {
    let vtpm = booted();
    let bytes = parts::tpm(&vtpm.ak_public().unwrap(), &quoted(vtpm));
    let found = found(EvidenceKind::Tpm, &bytes, &TrustAnchors::none());
    assert_eq!(ids(&found, &Outcome::Passed), ["T1", "T2", "T3", "T4", "T6", "T7", "T8", "T9", "T10"]);
    assert_eq!(ids(&found, &Outcome::ForChallenge), ["T5"]);
    let layout = "magic 0xff544347, type 0x8018, nothing behind it";
    assert_eq!(compared(&found, Check::QuoteLayout), [layout]);
    let extra = extra_data(&transcript(EvidenceKind::Tpm), &[]);
    assert_eq!(compared(&found, Check::ExtraData), [hex::encode(extra)]);
}

#[test]
fn what_nobody_knows_of_a_key_or_its_boot_is_not_applicable() {
    let vtpm = booted();
    let mut quote = quoted(vtpm);
    quote.log.clear();
    let bytes = parts::tpm(&vtpm.ak_public().unwrap(), &quote);
    let evidence = Evidence::parse(EvidenceKind::Tpm, &bytes).unwrap();
    let mut known = table(vtpm);
    known.0[0].1.qualified_name = None;
    let found = examine(&evidence, &Endorsements::default(), &TrustAnchors::none(), &known, NOW).unwrap();
    assert_eq!(ids(&found, &Outcome::NotApplicable), ["T4", "T10"]);
    assert_eq!(compared(&found, Check::QualifiedSigner), ["the key's parents are not known"]);
    assert_eq!(compared(&found, Check::EventLog), ["no event log came along"]);
}

#[test]
fn of_azures_evidence_each_check_is_told() {
    let azure = AzureGuest::new(booted(), &paravisor());
    let bytes = azure.evidence(&azure.quote(&azure.report));
    let found = found(EvidenceKind::AzureVtpm, &bytes, &anchors());
    let passed = [&SNP_PASSED[..], &["A1", "A2", "A3", "T1", "T2", "T6", "T7", "T8", "T9", "T10"]].concat();
    assert_eq!(ids(&found, &Outcome::Passed), passed);
    assert_eq!(ids(&found, &Outcome::NotMade), ["13"]);
    assert_eq!(ids(&found, &Outcome::ForPolicy), ["14", "16", "17", "18"]);
    assert_eq!(ids(&found, &Outcome::NotApplicable), ["T3", "T4"]);
    assert_eq!(ids(&found, &Outcome::ForChallenge), ["T5"]);
    let launch = "measurement, which must be a paravisor's; host data, id key";
    assert_eq!(compared(&found, Check::Launch), [launch]);
    let trust = "the runtime data name it, which the report binds";
    assert_eq!(compared(&found, Check::KeyTrust), [trust]);
    let attributes = "the runtime data name the key alone; its maker vouches for it";
    assert_eq!(compared(&found, Check::KeyAttributes), [attributes]);
}

/// A report that nobody vouches for binds no key, however well the rest fits.
#[test]
fn a_key_in_runtime_data_is_not_believed_beside_a_report_that_is_not() {
    let azure = AzureGuest::new(booted(), &paravisor());
    let bytes = azure.evidence(&azure.quote(&azure.report));
    let found = found(EvidenceKind::AzureVtpm, &bytes, &TrustAnchors::amd());
    assert!(ids(&found, &Outcome::NotMade).contains(&"T9"));
    assert_eq!(compared(&found, Check::KeyTrust), [] as [&str; 0]);
}

#[test]
fn of_a_service_modules_evidence_each_check_is_told() {
    let vtpm = booted();
    let service = Service::new(vtpm, &svsm::spec(), vtpm.ek_public().unwrap());
    let found = found(EvidenceKind::Svsm, &service.evidence(), &anchors());
    let quote = ["V1", "V2", "T1", "T2", "T3", "T4", "T6", "T7", "T8", "T9", "T10"];
    assert_eq!(ids(&found, &Outcome::Passed), [&SNP_PASSED[..], &quote].concat());
    assert_eq!(ids(&found, &Outcome::ForChallenge), ["V3", "T5"]);
    assert_eq!(ids(&found, &Outcome::NotApplicable), [] as [&str; 0]);
    let launch = "measurement, which must be a service module's; host data, id key";
    assert_eq!(compared(&found, Check::Launch), [launch]);
    let bound = svsm::report_data(&vtpm.ek_public().unwrap());
    assert_eq!(compared(&found, Check::Manifest), [format!("report data {bound}")]);
    let extra = extra_data(&transcript(EvidenceKind::Svsm), &service.report);
    assert_eq!(compared(&found, Check::ExtraData), [hex::encode(extra)]);
}
