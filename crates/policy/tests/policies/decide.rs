//! `decide` through the real verifier and a simulated host: a grant only for what evidence binds, to whom it binds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use claims::snp::Product;
use claims::{
    AttestedRequest, BrokerId, ConfigDigest, EvidenceKind, KeyAttributes, KeyKind, KeyVersion, Nonce,
    Operation, Origin, RecipientKey, ReportData, Sha256Digest, Suite, Transcript, UnixTime, UnwrapAlgorithm,
    UnwrapBinding, VersionSelector,
};
use evidence::Evidence;
use policy::{Bundle, Circumstances, DenialCode, Policy};
use simtee::{GuestSpec, HostKeys, SimHost};
use verify::challenge::ChallengeKey;
use verify::{Endorsements, TrustAnchors, VerifiedClaims, authenticate};

use crate::bundle;

const NOW: UnixTime = UnixTime(1_800_000_000);

/// The development policy, which knows the image of simulated guests.
fn development() -> Policy {
    let measurement = GuestSpec::default_measurement();
    let references = format!(
        "version = 1\n[[measurement]]\nvalue = \"{measurement}\"\nname = \"simulated\"\nstate = \"active\"\n\
         [[tcb_floor]]\nproduct = \"Genoa\"\nfmc = 0\nbootloader = 10\ntee = 0\nsnp = 27\nmicrocode = 86\n"
    );
    let bundle = Bundle::new(bundle::read("schema.cedarschema"), references);
    let file = "simulated-development.cedar";
    Policy::load(bundle.with_policy(file, bundle::read(file))).unwrap_or_else(|errors| panic!("{errors}"))
}

fn unwrap_binding() -> UnwrapBinding {
    UnwrapBinding {
        algorithm: UnwrapAlgorithm::RsaOaep256,
        wrapped: Sha256Digest([1; 32]),
        context: Sha256Digest([2; 32]),
    }
}

/// Two requests: unwrap with the newest `db`, and `disk` in version 3 itself.
fn requests() -> Vec<AttestedRequest> {
    vec![
        AttestedRequest {
            operation: Operation::Unwrap,
            key: "db".parse().unwrap(),
            version: VersionSelector::Latest,
            unwrap: Some(unwrap_binding()),
        },
        AttestedRequest {
            operation: Operation::Release,
            key: "disk".parse().unwrap(),
            version: VersionSelector::Exact(KeyVersion(3)),
            unwrap: None,
        },
    ]
}

fn transcript() -> Transcript {
    Transcript {
        broker: BrokerId([7; 32]),
        nonce: Nonce([9; 32]),
        recipient: RecipientKey { suite: Suite::XWing, public: vec![5; Suite::XWing.public_key_len()] },
        evidence: EvidenceKind::SevSnp,
        config: ConfigDigest([3; 32]),
        requests: requests(),
    }
}

/// The claims of a simulated Genoa guest, altered before it is launched.
fn claims(alter: impl FnOnce(&mut GuestSpec)) -> VerifiedClaims {
    let transcript = transcript();
    static KEYS: LazyLock<Arc<HostKeys>> = LazyLock::new(|| Arc::new(simtee::kept_keys!().unwrap()));
    let host = SimHost::with_keys(Arc::clone(&KEYS), Product::Genoa, NOW).unwrap();
    let mut spec = GuestSpec::new(Product::Genoa, "guest");
    alter(&mut spec);
    let report_data = ReportData(crypto::sha512(&[&transcript.encode()]));
    let bytes = host.attest(&spec, &report_data).unwrap();
    let evidence = Evidence::parse(EvidenceKind::SevSnp, &bytes).unwrap();
    let endorsements = Endorsements::from_evidence(&evidence);
    let anchors = TrustAnchors::none().with_simulated(host.ark_der(), host.ark_sha256()).unwrap();
    let authenticated = authenticate(evidence, &endorsements, &anchors, NOW).unwrap();
    let challenges = ChallengeKey::new(&[4; 32]);
    let token = challenges.issue(transcript.nonce, NOW, 60);
    let challenge = challenges.open(token.as_bytes(), NOW).unwrap();
    authenticated.bind(challenge, &transcript, NOW).unwrap()
}

fn key(id: &str, version: u32) -> KeyAttributes {
    KeyAttributes {
        id: id.parse().unwrap(),
        version: KeyVersion(version),
        kind: KeyKind::Rsa { bits: 3072 },
        origin: Origin::Generated,
        operations: BTreeSet::from([Operation::Unwrap, Operation::Release]),
        for_simulation: true,
        suite_floor: Suite::XWing,
        enabled: true,
        revision: 12,
        created_at: UnixTime(1_700_000_000),
        ring: claims::RingId::default(),
        region: None,
        release_policy: None,
        tags: BTreeMap::new(),
        commitment: Sha256Digest([8; 32]),
    }
}

#[test]
fn a_grant_names_what_the_evidence_binds() {
    let (policy, claims) = (development(), claims(|_| {}));
    let grant = policy.decide(&claims.request(0).unwrap(), &key("db", 2), &Circumstances::at(NOW)).unwrap();
    let transcript = transcript();
    assert_eq!(grant.operation(), Operation::Unwrap);
    assert_eq!((grant.key().as_str(), grant.version(), grant.index()), ("db", KeyVersion(2), 0));
    assert_eq!(grant.unwrap(), Some(&unwrap_binding()));
    assert_eq!(grant.recipient(), &transcript.recipient);
    assert_eq!(grant.transcript_bytes(), transcript.encode());
    assert_eq!(grant.transcript_hash().0, crypto::sha512(&[&transcript.encode()]));
    assert_eq!((grant.broker(), grant.policy()), (transcript.broker, policy.digest()));
    assert_eq!(grant.rules(), ["simulated-development/permit"]);
    assert_eq!((grant.key_commitment(), grant.key_revision()), (Sha256Digest([8; 32]), 12));
    assert_eq!(grant.decided_at(), NOW);

    let grant = policy.decide(&claims.request(1).unwrap(), &key("disk", 3), &Circumstances::at(NOW)).unwrap();
    assert_eq!((grant.operation(), grant.key().as_str()), (Operation::Release, "disk"));
    assert_eq!((grant.version(), grant.index(), grant.unwrap()), (KeyVersion(3), 1, None));
}

#[test]
fn requests_are_those_of_the_transcript_and_no_more() {
    assert!(claims(|_| {}).request(2).is_none());
}

#[test]
fn another_key_or_version_than_was_attested_is_refused() {
    let (policy, claims) = (development(), claims(|_| {}));
    let code = |index, key| {
        policy.decide(&claims.request(index).unwrap(), &key, &Circumstances::at(NOW)).unwrap_err().code
    };
    assert_eq!(code(0, key("disk", 3)), DenialCode::KeyMismatch);
    assert_eq!(code(1, key("disk", 4)), DenialCode::VersionMismatch);
}

#[test]
fn claims_count_until_their_last_second_and_no_longer() {
    let (policy, claims) = (development(), claims(|_| {}));
    let request = claims.request(0).unwrap();
    let until = claims.valid_until();
    assert!(policy.decide(&request, &key("db", 2), &Circumstances::at(until)).is_ok());
    let denial = policy.decide(&request, &key("db", 2), &Circumstances::at(until.plus(1))).unwrap_err();
    assert_eq!(denial.code, DenialCode::ClaimsExpired);
    assert_eq!(denial.reasons[0].found, until.plus(1).to_string());
}

#[test]
fn a_simulated_guest_gets_no_real_key() {
    let (policy, claims) = (development(), claims(|_| {}));
    let real = KeyAttributes { for_simulation: false, ..key("db", 2) };
    let denial = policy.decide(&claims.request(0).unwrap(), &real, &Circumstances::at(NOW)).unwrap_err();
    assert_eq!(denial.code, DenialCode::SimulatedMismatch);
}

/// Condition, wanted and found of the only reason to refuse a guest.
fn refused(alter: impl FnOnce(&mut GuestSpec)) -> (String, String, String) {
    let denial = development()
        .decide(&claims(alter).request(0).unwrap(), &key("db", 2), &Circumstances::at(NOW))
        .unwrap_err();
    assert_eq!(denial.code, DenialCode::PolicyDenied);
    let [reason] = &denial.reasons[..] else { panic!("{denial}") };
    (reason.condition.clone(), reason.wanted.clone(), reason.found.clone())
}

#[test]
fn a_refusal_says_what_the_report_lacks() {
    let debug = refused(|spec| *spec = spec.clone().debug(true));
    assert_eq!(debug, ("principal.snp.policy.debug_allowed".into(), "false".into(), "true".into()));
    let (condition, wanted, found) = refused(|spec| spec.launch_tcb.snp = 26);
    assert_eq!(condition, "principal.snp.launch_tcb.snp >= principal.snp.processor.tcb_floor.snp");
    assert_eq!((wanted.as_str(), found.as_str()), (">= 27", "26"));
    let (_, wanted, found) = refused(|spec| spec.measurement.0[0] ^= 1);
    assert_eq!(wanted, "one of the 1 active or retiring reference values");
    assert_eq!(found.len(), 96);
}
