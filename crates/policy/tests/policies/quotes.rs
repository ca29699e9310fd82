//! What policies can ask of a quote, and that a guest cannot vouch for a vTPM of its own making.

use std::collections::BTreeMap;

use claims::tpm::{AkBinding, BootClaims, DatabaseEntries, Digest, HashAlgorithm, TpmClaims};
use claims::{EvidenceKind, GuestIdentity, Measurement, OsBinding, Sha256Digest};
use policy::case::Case;
use policy::{Bundle, Evaluation, Policy};

use crate::bundle::{case, read};

/// A guest with a quote, in the place of the known image's.
fn quoted() -> Case {
    let mut case = case("snp-production", "permit/known-image.json");
    case.record.evidence = EvidenceKind::AzureVtpm;
    case.record.snp_fresh = false;
    case.record.os_binding = OsBinding::InTeeVtpm;
    case.record.guest_identity = GuestIdentity::VmId;
    case.record.tpm = Some(TpmClaims {
        ak_binding: AkBinding::InTee,
        ak_name: None,
        bank: HashAlgorithm::Sha256,
        pcrs: BTreeMap::from([(7, Digest(vec![0x77; 32]))]),
        clock_ms: 60_000,
        reset_count: 3,
        restart_count: 0,
        safe: true,
        firmware_version: 1,
        boot: Some(BootClaims {
            secure_boot: Some(true),
            dbx_entries: Some(DatabaseEntries {
                certificates: vec![Sha256Digest([0xca; 32])],
                hashes: vec![Sha256Digest([0xa1; 32]), Sha256Digest([0xb2; 32])],
            }),
            applications: vec![Digest(vec![1; 32]), Digest(vec![2; 32])],
            sections: vec![(".cmdline".to_owned(), Digest(vec![3; 32]))],
            ..BootClaims::default()
        }),
        paravisor: None,
    });
    case
}

fn load(condition: &str, references: &str) -> Result<Policy, String> {
    let rule = format!(
        "@id(\"t\") @doc(\"t\") permit (principal is Guest, action, resource) when {{ {condition} }};"
    );
    let bundle = Bundle::new(read("schema.cedarschema"), references).with_policy("t.cedar", rule);
    Policy::load(bundle).map_err(|errors| errors.to_string())
}

fn permits(policy: &Policy, case: &Case) -> bool {
    let evaluation = policy.evaluate(&case.record, &case.request, &case.key, &case.circumstances);
    matches!(evaluation, Evaluation::Permit { .. })
}

fn holds(condition: &str) -> bool {
    permits(&load(condition, "version = 1").unwrap(), &quoted())
}

#[test]
fn facts_of_a_quote_can_be_asked_for() {
    let app = |byte: &str| format!("Measured::\"{}\"", byte.repeat(32));
    let boot = "principal has tpm && principal.tpm has boot";
    assert!(holds(&format!(
        "{boot} && principal.tpm.boot has secure_boot && principal.tpm.boot.secure_boot"
    )));
    let pcr = |index: u8, byte: &str| {
        let value = format!("Pcr::\"{}\"", byte.repeat(32));
        format!(
            "principal has tpm && principal.tpm.pcrs has pcr{index} && principal.tpm.pcrs.pcr{index} == {value}"
        )
    };
    assert!(holds(&pcr(7, "77")) && !holds(&pcr(7, "78")));
    assert!(!holds(&pcr(11, "77")), "pcr 11 was not quoted");
    let all = |known: &[&str]| {
        let known: Vec<_> = known.iter().map(|byte| app(byte)).collect();
        format!("{boot} && [{}].containsAll(principal.tpm.boot.applications)", known.join(", "))
    };
    assert!(holds(&all(&["01", "02", "09"])) && !holds(&all(&["01", "09"])));
    let section = "principal.tpm.boot.sections has cmdline && principal.tpm.boot.sections.cmdline";
    assert!(holds(&format!("{boot} && {section} == {}", app("03"))));
}

#[test]
fn what_a_database_holds_can_be_asked_for() {
    let entry = |byte: &str| format!("DatabaseEntry::\"{}\"", byte.repeat(32));
    let contains = |set: &str, byte| {
        format!(
            "principal has tpm.boot.dbx_entries && principal.tpm.boot.dbx_entries.{set}.contains({})",
            entry(byte)
        )
    };
    assert!(holds(&contains("hashes", "b2")) && holds(&contains("certificates", "ca")));
    assert!(!holds(&contains("hashes", "ca")) && !holds(&contains("certificates", "b2")));
    let revoked = format!(
        "principal has tpm && principal.tpm has boot && principal.tpm.boot has dbx_entries && \
         principal.tpm.boot.dbx_entries.hashes.containsAll([{}, {}])",
        entry("a1"),
        entry("b2")
    );
    assert!(holds(&revoked) && !holds(&revoked.replace("a1a1", "a0a0")));
    // What holds nothing that can be read has no entries, and a rule must ask.
    assert!(!holds("principal has tpm.boot.db_entries"));
    assert!(
        load("principal has tpm.boot && principal.tpm.boot.db_entries.hashes.isEmpty()", "version = 1")
            .is_err()
    );
    let short = contains("hashes", "b2").replace(&"b2".repeat(32), "B2");
    assert!(load(&short, "version = 1").err().unwrap().contains("64 lower-case hexadecimal digits"));
}

#[test]
fn a_quote_is_asked_for_before_it_is_read() {
    assert!(load("principal.tpm.safe", "version = 1").is_err());
    assert!(load("principal has tpm && principal.tpm.boot.secure_boot", "version = 1").is_err());
    let short = "principal has tpm && principal.tpm.pcrs has pcr7 && principal.tpm.pcrs.pcr7 == Pcr::\"00\"";
    assert!(load(short, "version = 1").is_err());
}

#[test]
fn no_ordinary_guest_of_a_known_image_is_a_paravisor() {
    let value = |kind: &str, byte: &str| {
        let value = byte.repeat(48);
        format!("[[{kind}]]\nvalue = \"{value}\"\nname = \"{kind}\"\nstate = \"active\"\n")
    };
    let references = format!("version = 1\n{}{}", value("measurement", "11"), value("paravisor", "42"));
    let condition = "principal has tpm && principal.tpm has paravisor && \
                     principal.tpm.paravisor in [ReferenceState::\"active\", ReferenceState::\"retiring\"]";
    let policy = load(condition, &references).unwrap();
    let mut case = quoted();
    // Its launch measurement, 11..11, is a known image, and vouches for no vTPM.
    assert!(!permits(&policy, &case));
    case.record.snp.as_mut().unwrap().measurement = Measurement([0x42; 48]);
    assert!(permits(&policy, &case));
    // A key that no report binds has no paravisor, whatever report stands beside it.
    for binding in [AkBinding::GuestVouched, AkBinding::EkCertificate, AkBinding::Enrolled] {
        case.record.tpm.as_mut().unwrap().ak_binding = binding;
        assert!(!permits(&policy, &case));
    }
}
