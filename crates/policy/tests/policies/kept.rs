//! What is kept of a decision gives back the guest, the key and the request that it was about, for evidence of every
//! kind; and becomes a case that is decided the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use claims::snp::Product;
use claims::tpm::{DatabaseEntries, ObjectName};
use claims::{
    AttestedRequest, BrokerId, ClaimsRecord, ConfigDigest, EvidenceKind, KeyAttributes, KeyKind, KeyVersion,
    Nonce, Operation, Origin, RecipientKey, ReleasePolicy, ReportData, RequestId, Sha256Digest, Suite,
    Transcript, UnixTime, VersionSelector,
};
use evidence::Evidence;
use policy::case::{Answer, Case, CaseError, Decision, Expect, ExpectedDenial, Kept};
use policy::{Bundle, Circumstances, Policy, Recent};
use simtee::vtpm::VTpm;
use simtee::vtpm::guest::{Platform, VtpmSpec};
use simtee::{GuestSpec, HostKeys, SimHost};
use verify::challenge::ChallengeKey;
use verify::tpm::name_of;
use verify::{Endorsements, EnrolledKey, EnrolledKeys, Enrolment, TrustAnchors, authenticate_enrolled};

use crate::bundle::{case, padded, read, shipped_policy};

const NOW: UnixTime = UnixTime(1_800_000_000);

/// The one key that is enrolled.
struct One(Option<(ObjectName, EnrolledKey)>);

impl EnrolledKeys for One {
    fn find(&self, ak: &ObjectName) -> Option<EnrolledKey> {
        self.0.iter().find(|(name, _)| name == ak).map(|(_, key)| key.clone())
    }
}

fn request(key: &str, version: VersionSelector) -> AttestedRequest {
    AttestedRequest { operation: Operation::Release, key: key.parse().unwrap(), version, unwrap: None }
}

fn requests() -> Vec<AttestedRequest> {
    vec![
        request("db", VersionSelector::Latest),
        request("disk", VersionSelector::Exact(KeyVersion(3))),
        request("none", VersionSelector::Latest),
        request("db", VersionSelector::Latest),
    ]
}

/// The claims of a simulated guest with evidence of this kind, through the real verifier.
fn record(kind: EvidenceKind) -> ClaimsRecord {
    static KEYS: LazyLock<Arc<HostKeys>> = LazyLock::new(|| Arc::new(simtee::kept_keys!().unwrap()));
    let transcript = Transcript {
        broker: BrokerId([7; 32]),
        nonce: Nonce([9; 32]),
        recipient: RecipientKey { suite: Suite::P384, public: vec![4; 97] },
        evidence: kind,
        config: ConfigDigest([3; 32]),
        requests: requests(),
    };
    let host = SimHost::with_keys(Arc::clone(&KEYS), Product::Genoa, NOW).unwrap();
    let spec = GuestSpec::new(Product::Genoa, "guest");
    let report_data = ReportData(crypto::sha512(&[&transcript.encode()]));
    let (bytes, enrolled) = match Platform::of(kind) {
        None => (host.attest(&spec, &report_data).unwrap(), One(None)),
        Some(platform) => {
            let vm_id = "baefd3e1-184b-4c4c-ab88-0bdad260505f";
            let how = VtpmSpec::new(platform, "web");
            let guest = host.launch_with_vtpm(&spec, vm_id, VTpm::generate().unwrap(), &how).unwrap();
            let keys = guest.keys().unwrap();
            let name =
                |public: &[u8]| name_of(&evidence::tpm::Public::parse(public.get(2..).unwrap()).unwrap());
            let key = EnrolledKey {
                enrolment: Enrolment::EkCertificate,
                ek: Some(name(&keys.ek)),
                qualified_name: None,
                simulated: true,
                not_after: UnixTime::END,
            };
            (guest.attest(&report_data).unwrap(), One(Some((name(&keys.ak), key))))
        }
    };
    let evidence = Evidence::parse(kind, &bytes).unwrap();
    let endorsements = Endorsements::from_evidence(&evidence);
    let anchors = TrustAnchors::none().with_simulated(host.ark_der(), host.ark_sha256()).unwrap();
    let authenticated =
        authenticate_enrolled(evidence, &endorsements, &anchors, &enrolled, NOW, &mut |_, _| ()).unwrap();
    let challenges = ChallengeKey::new(&[4; 32]);
    let challenge = challenges.open(challenges.issue(transcript.nonce, NOW, 60).as_bytes(), NOW).unwrap();
    authenticated.bind(challenge, &transcript, NOW).unwrap().record().clone()
}

fn key(id: &str, version: u32) -> KeyAttributes {
    KeyAttributes {
        id: id.parse().unwrap(),
        version: KeyVersion(version),
        kind: KeyKind::Rsa { bits: 3072 },
        origin: Origin::Imported,
        operations: BTreeSet::from([Operation::Unwrap, Operation::Release]),
        for_simulation: true,
        suite_floor: Suite::XWing,
        enabled: true,
        revision: 1,
        created_at: UnixTime(1_700_000_000),
        ring: "prod".parse().unwrap(),
        region: Some("eu".parse().unwrap()),
        release_policy: Some(ReleasePolicy { cedar: "// \"own\"\n".into(), immutable: true }),
        tags: BTreeMap::from([("team".to_owned(), "\"db\"\n".to_owned())]),
        commitment: Sha256Digest([0; 32]),
    }
}

fn circumstances() -> Circumstances {
    Circumstances {
        now: NOW,
        evidence_age_s: 7,
        network: Some("192.0.2.7".parse().unwrap()),
        recent: Recent { guest: 1, key: 2 },
    }
}

fn kept(record: &ClaimsRecord) -> Kept {
    let mut kept = Kept::new(record, NOW);
    let keys = [Some(key("db", 2)), Some(key("disk", 3)), None, Some(key("db", 2))];
    requests().iter().zip(&keys).for_each(|(request, key)| kept.add(&circumstances(), request, key.as_ref()));
    kept
}

fn answer(decided: Expect) -> Answer {
    Answer { id: RequestId([0xab; 16]), leaf: 17, policy: "00".to_owned(), decided }
}

fn denied(code: &str) -> Expect {
    Expect::Deny(ExpectedDenial { code: code.to_owned(), reasons: Vec::new() })
}

#[test]
fn evidence_of_every_kind_comes_back() {
    for kind in EvidenceKind::ALL {
        let record = record(kind);
        assert_eq!(record.evidence, kind);
        let text = kept(&record).to_text().unwrap();
        let read = Kept::parse(&text).unwrap();
        let keys = [Some(key("db", 2)), Some(key("disk", 3)), None, Some(key("db", 2))];
        for ((index, request), key) in (0..).zip(requests()).zip(keys) {
            let decision = read.decision(index, answer(Expect::Permit(vec!["p".to_owned()]))).unwrap();
            let decision = Decision::parse(&decision.to_line().unwrap()).unwrap();
            let Some(key) = key else {
                assert_eq!(
                    decision.case().unwrap_err(),
                    CaseError::NotByPolicy { code: "unknown-key".into() }
                );
                continue;
            };
            let case = decision.case().unwrap();
            assert_eq!(
                (&case.record, case.request, case.key, case.circumstances),
                (&record, request, key, circumstances()),
                "{kind}"
            );
            let file = Case::parse(&decision.case_file().unwrap(), |_| None).unwrap();
            assert_eq!((file.record, file.expect), (case.record, case.expect));
        }
        assert!(read.decision(4, answer(denied("policy-denied"))).is_none());
        // A guest once, however much it asks for.
        assert_eq!(text.matches("\"suite\":").count(), 1);
        assert_eq!(text.matches("\"created_at\"").count(), 2, "a key once: {text}");
    }
}

#[test]
fn what_policy_did_not_decide_is_no_case() {
    let kept = kept(&record(EvidenceKind::SevSnp));
    let not_by_policy =
        |code: &str| kept.decision(0, answer(denied(code))).unwrap().not_by_policy().map(str::to_owned);
    for code in ["policy-denied", "key-disabled", "suite-too-weak", "simulated-mismatch"] {
        assert_eq!(not_by_policy(code), None);
    }
    for code in ["unwrap-failed", "not-sealed", "unknown-key", "claims-expired"] {
        assert_eq!(not_by_policy(code).as_deref(), Some(code));
    }
    let error = kept.decision(0, answer(denied("unwrap-failed"))).unwrap().case_file().unwrap_err();
    assert_eq!(error.to_string(), "`unwrap-failed` was not decided by policy: there is no case of it");
}

#[test]
fn a_text_that_is_too_long_is_not_kept_and_not_read() {
    let record = record(EvidenceKind::Tpm);
    let text = |phase: usize| {
        let mut record = record.clone();
        record.tpm.as_mut().unwrap().boot.as_mut().unwrap().phases = vec!["x".repeat(phase)];
        kept(&record).to_text()
    };
    let rest = text(0).unwrap().len();
    assert_eq!(text(65_536 - rest).map(|text| text.len()), Some(65_536));
    assert_eq!(text(65_537 - rest), None);
    let short = text(0).unwrap();
    assert!(Kept::parse(&padded(&short, 65_536)).is_ok());
    let too_long = |max| CaseError::TooLong { max, got: max + 1 };
    assert_eq!(Kept::parse(&padded(&short, 65_537)).unwrap_err(), too_long(65_536));
    let decision = kept(&record).decision(0, answer(denied("policy-denied"))).unwrap();
    let line = decision.to_line().unwrap();
    assert!(Decision::parse(&padded(&line, 1_048_576)).is_ok());
    assert_eq!(Decision::parse(&padded(&line, 1_048_577)).unwrap_err(), too_long(1_048_576));
    assert_eq!((Kept::MAX_TEXT, Decision::MAX_LINE), (65_536, 1_048_576));
}

/// Secure Boot databases are long, and the same in each guest.
#[test]
fn what_databases_hold_is_kept_where_a_rule_reads_it() {
    let mut record = record(EvidenceKind::Tpm);
    let hashes: Vec<_> = (0..=255).map(|byte| Sha256Digest([byte; 32])).collect();
    let boot = record.tpm.as_mut().unwrap().boot.as_mut().unwrap();
    boot.dbx_entries = Some(DatabaseEntries { certificates: Vec::new(), hashes });
    let rule = |condition: &str| {
        format!(
            "@id(\"t\") @doc(\"t\") permit (principal is Guest, action, resource) when {{ {condition} }};"
        )
    };
    let policy = |condition| {
        let bundle = Bundle::new(read("schema.cedarschema"), "version = 1");
        Policy::load(bundle.with_policy("t.cedar", rule(condition))).unwrap()
    };
    let (asks, other) = (
        "principal has tpm.boot.dbx_entries && principal.tpm.boot.dbx_entries.hashes.isEmpty()",
        "principal has tpm.boot.dbx && principal.tpm.boot has secure_boot",
    );
    let own = |condition| KeyAttributes {
        release_policy: Some(ReleasePolicy { cedar: rule(condition).into(), immutable: false }),
        ..key("db", 2)
    };
    let plain = KeyAttributes { release_policy: None, ..key("db", 2) };
    for (policy, key, expected) in [
        (policy(other), &plain, false),
        (policy(asks), &plain, true),
        (policy(other), &own(asks), true),
        (policy(other), &own(other), false),
    ] {
        let mut kept = kept(&record);
        kept.complete(&record, &policy, &[key]);
        let text = kept.to_text().unwrap();
        assert_eq!(text.contains(&"fe".repeat(32)), expected, "{expected}");
        assert_eq!(text.len() > 17_000, expected);
        let decision = Kept::parse(&text).unwrap().decision(0, answer(denied("policy-denied"))).unwrap();
        let kept = decision.case().unwrap().record.tpm.unwrap().boot.unwrap();
        assert_eq!(
            kept.dbx_entries == record.tpm.as_ref().unwrap().boot.as_ref().unwrap().dbx_entries,
            expected
        );
    }
}

#[test]
fn a_place_that_names_no_key_gives_no_decision() {
    let text = kept(&record(EvidenceKind::SevSnp)).to_text().unwrap();
    let altered = Kept::parse(&text.replace("\"key\":1}", "\"key\":9}")).unwrap();
    assert!(altered.decision(1, answer(denied("policy-denied"))).is_none());
    assert!(altered.decision(0, answer(denied("policy-denied"))).is_some());
    let unknown = Kept::parse(&text.replace("\"asked\"", "\"answers\"")).unwrap_err();
    assert!(unknown.to_string().contains("unknown field `answers`"), "{unknown}");
}

/// Cases of every shipped policy, put through the journal and back, are decided as they say.
#[test]
fn a_past_decision_becomes_a_case_that_is_decided_the_same() {
    for (policy, path) in [
        ("snp-production", "permit/known-image.json"),
        ("snp-production", "deny/debug.json"),
        ("snp-azure-vtpm", "deny/identity-none.json"),
    ] {
        let case = case(policy, path);
        let mut kept = Kept::new(&case.record, case.circumstances.now);
        kept.add(&case.circumstances, &case.request, Some(&case.key));
        let decision = kept.decision(0, answer(case.expect.clone())).unwrap();
        assert_eq!((decision.id(), decision.leaf()), ("ab".repeat(16).as_str(), 17));
        assert_eq!(decision.now(), Ok(case.circumstances.now));
        decision.case().unwrap().run(&shipped_policy(policy)).unwrap();
    }
}

#[test]
fn an_image_is_told_by_its_name_or_the_beginning_of_its_bytes() {
    let policy = shipped_policy("snp-production");
    let mut case = case("snp-production", "permit/known-image.json");
    assert_eq!(policy.image(&case.record), "sev-snp web 2");
    case.record.snp.as_mut().unwrap().measurement.0 = [0xab; 48];
    assert_eq!(policy.image(&case.record), "sev-snp abababababababab...");
    let quoted = policy.image(&record(EvidenceKind::AzureVtpm));
    assert!(quoted.starts_with("azure-vtpm pcr 4 ") && quoted.contains("..., pcr 11 "), "{quoted}");
}
