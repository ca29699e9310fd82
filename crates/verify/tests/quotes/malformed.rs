//! Findings on bytes that are no evidence: what can be read of them is examined, the rest says why it is not.

use claims::EvidenceKind;
use evidence::{Evidence, Parts};
use simtee::vtpm::evidence as parts;
use verify::{Check, Endorsements, Finding, Outcome, TrustAnchors, examine_malformed};

use crate::azure::{AzureGuest, anchors, paravisor};
use crate::simulated::{booted, quoted, table};
use crate::svsm::{self, Service};
use crate::table::NOW;

fn found(kind: EvidenceKind, bytes: &[u8]) -> Vec<Finding> {
    let error = Evidence::parse(kind, bytes).unwrap_err();
    let read = Parts::read(kind, bytes);
    let own = read.snp.as_ref().map(|snp| Endorsements::from_table(&snp.certificates));
    let anchors = if kind == EvidenceKind::Tpm { TrustAnchors::none() } else { anchors() };
    examine_malformed(&read, &error, &own.unwrap_or_default(), &anchors, &table(booted()), NOW)
}

/// The bytes of evidence with other ones in the section of a tag, or without it.
fn with(mut bytes: &[u8], tag: u8, part: Option<&[u8]>) -> Vec<u8> {
    let mut all = Vec::new();
    while let [found, a, b, c, d, rest @ ..] = bytes {
        let (held, more) = rest.split_at(u32::from_le_bytes([*a, *b, *c, *d]).try_into().unwrap());
        all.extend(if *found == tag { part } else { Some(held) }.map(|held| (*found, held)));
        bytes = more;
    }
    parts::sections(&all)
}

fn ids(found: &[Finding], of: fn(&Outcome) -> bool) -> Vec<&'static str> {
    found.iter().filter(|finding| of(&finding.outcome)).map(|finding| finding.check.id()).collect()
}

fn passed(found: &[Finding]) -> Vec<&'static str> {
    ids(found, |outcome| *outcome == Outcome::Passed)
}

fn malformed(found: &[Finding]) -> Vec<&'static str> {
    ids(found, |outcome| matches!(outcome, Outcome::Malformed(_)))
}

/// The checks that were not made for this reason.
fn not_made(found: &[Finding], why: &str) -> Vec<&'static str> {
    let of = found.iter().filter(|f| f.outcome == Outcome::NotMade && f.compared == [why.to_owned()]);
    of.map(|finding| finding.check.id()).collect()
}

fn ids_of(checks: &[Check]) -> Vec<&'static str> {
    checks.iter().map(|check| check.id()).collect()
}

const REPORT: [&str; 13] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "15"];
const QUOTE: [&str; 9] = ["T1", "T2", "T3", "T4", "T6", "T7", "T8", "T9", "T10"];
const UNREAD: &str = "not made: the bytes could not be read";

fn service() -> Vec<u8> {
    let vtpm = booted();
    Service::new(vtpm, &svsm::spec(), vtpm.ek_public().unwrap()).evidence()
}

fn azure() -> Vec<u8> {
    let azure = AzureGuest::new(booted(), &paravisor());
    azure.evidence(&azure.quote(&azure.report))
}

#[test]
fn a_quote_that_is_missing_fails_nothing() {
    let service = found(EvidenceKind::Svsm, &with(&service(), 6, None));
    assert_eq!(passed(&service), [&REPORT[..], &["V1", "V2", "T3", "T9"]].concat());
    let quote = ["T1", "T2", "T4", "T5", "T6", "T7", "T8", "T10"];
    assert_eq!(not_made(&service, "not made: there is no quote"), quote);
    assert_eq!(malformed(&service), [] as [&str; 0]);
    let azure = found(EvidenceKind::AzureVtpm, &with(&azure(), 6, None));
    assert_eq!(passed(&azure), [&REPORT[..], &["A1", "A2", "A3"]].concat());
    assert_eq!(not_made(&azure, "not made: there is no quote"), ids_of(&Check::TPM));
    assert_eq!(malformed(&azure), [] as [&str; 0]);
}

#[test]
fn a_signature_that_is_missing_fails_the_quotes_layout() {
    let found = found(EvidenceKind::AzureVtpm, &with(&azure(), 7, None));
    assert_eq!((malformed(&found), passed(&found).contains(&"A3")), (vec!["T1"], true));
    assert_eq!(not_made(&found, "not made: there is no signature"), ids_of(&Check::TPM[1..]));
}

#[test]
fn a_quote_is_examined_beside_a_report_that_cannot_be_read() {
    let whole = service();
    let without = found(EvidenceKind::Svsm, &with(&whole, 1, None));
    assert_eq!((malformed(&without), passed(&without)), (vec!["1"], [&["V2"][..], &QUOTE].concat()));
    let rest = [&ids_of(&Check::SNP)[1..], &["V1", "V3"]].concat();
    assert_eq!(not_made(&without, "not made: there is no report"), rest);

    let manifest = found(EvidenceKind::Svsm, &with(&whole, 4, Some(b"?")));
    let kept = [&REPORT[..], &["V1"], &QUOTE].concat();
    assert_eq!((malformed(&manifest), passed(&manifest)), (vec!["V2"], kept));
    assert_eq!(not_made(&manifest, UNREAD), ["V3"]);

    let ak = found(EvidenceKind::Svsm, &with(&whole, 5, Some(b"?")));
    assert_eq!((malformed(&ak), passed(&ak)), (vec!["T1"], [&REPORT[..], &["V1", "T6"]].concat()));
    assert_eq!(not_made(&ak, UNREAD), ["V2", "T2", "T3", "T7", "T8", "T9", "T10"]);
}

#[test]
fn each_check_says_which_of_its_own_parts_is_missing() {
    let bare = found(EvidenceKind::Svsm, &with(&with(&service(), 1, None), 4, None));
    assert_eq!(
        (malformed(&bare), not_made(&bare, "not made: there is no manifest")),
        (vec!["1"], vec!["V2"])
    );
    // Of the signature that is missing as well the first error says nothing, nor that the layout is right.
    let unsigned = found(EvidenceKind::Svsm, &with(&with(&service(), 1, None), 7, None));
    assert_eq!((malformed(&unsigned), passed(&unsigned).contains(&"T1")), (vec!["1"], false));
    // The key is in the blob, whatever is wrong with the quote.
    let blob = found(EvidenceKind::AzureVtpm, &with(&with(&azure(), 2, Some(b"HCLA")), 6, None));
    assert_eq!((malformed(&blob), not_made(&blob, UNREAD).contains(&"A3")), (vec!["A2"], true));
    // The runtime data count by the report that has their hash.
    let mut version = azure();
    let at = version.windows(4).position(|bytes| bytes == b"HCLA").unwrap();
    version[at + 32] = 9;
    let version = found(EvidenceKind::AzureVtpm, &version);
    assert_eq!((malformed(&version), not_made(&version, UNREAD).contains(&"A2")), (vec!["1"], true));
}

#[test]
fn values_that_cannot_be_read_leave_the_layout_of_what_is_signed() {
    let whole = parts::tpm(&booted().ak_public().unwrap(), &quoted(booted()));
    // PCR 0 in SHA-256, twice.
    let value = [&[0, 11, 0][..], &[7; 32]].concat();
    let values = found(EvidenceKind::Tpm, &with(&whole, 8, Some(&[value.clone(), value].concat())));
    assert_eq!((malformed(&values), passed(&values).contains(&"T1")), (vec!["T6"], true));
}

#[test]
fn a_key_that_cannot_be_read_is_the_one_that_was_tried_first() {
    let whole = parts::tpm(&booted().ak_public().unwrap(), &quoted(booted()));
    assert_eq!(malformed(&found(EvidenceKind::Tpm, &with(&whole, 5, Some(b"?")))), ["T1"]);
    for (manifest, ak) in [(&b"?"[..], &b"????????"[..]), (b"????????", b"?")] {
        let both = found(EvidenceKind::Svsm, &with(&with(&service(), 4, Some(manifest)), 5, Some(ak)));
        assert_eq!(malformed(&both), ["V2"]);
    }
}

#[test]
fn a_key_in_a_blob_that_cannot_be_read_signs_nothing() {
    let found = found(EvidenceKind::AzureVtpm, &with(&azure(), 2, Some(b"HCLA")));
    assert_eq!((malformed(&found), passed(&found)), (vec!["A2"], vec!["T1", "T6"]));
    let key = ["A1", "A3", "T2", "T7", "T8", "T9", "T10"];
    assert_eq!(not_made(&found, UNREAD), [&ids_of(&Check::SNP)[..], &key].concat());
    assert_eq!(ids(&found, |outcome| *outcome == Outcome::ForChallenge), ["T5"]);
}

#[test]
fn nothing_is_examined_of_a_container_that_ends_too_early() {
    let mut bytes = azure();
    bytes.pop();
    let found = found(EvidenceKind::AzureVtpm, &bytes);
    assert_eq!((malformed(&found), passed(&found)), (vec!["T1"], Vec::new()));
    assert_eq!(not_made(&found, UNREAD).len(), 30);
}

#[test]
fn a_damaged_log_leaves_its_quote() {
    let vtpm = booted();
    let whole = parts::tpm(&vtpm.ak_public().unwrap(), &quoted(vtpm));
    let found = found(EvidenceKind::Tpm, &with(&whole, 9, Some(b"?")));
    assert_eq!((malformed(&found), passed(&found)), (vec!["T10"], QUOTE[..8].to_vec()));
}
