//! What a broker does: enrol a key, verify evidence, bind it to a challenge.

use attester::{Activate, Attester, Credential, TpmKeys};
use claims::tpm::ObjectName;
use claims::{
    AttestedRequest, BrokerId, ConfigDigest, EvidenceKind, Nonce, Operation, RecipientKey, ReportData, Suite,
    Transcript, UnixTime, VersionSelector,
};
use evidence::Evidence;
use evidence::tpm::Public;
use verify::challenge::ChallengeKey;
use verify::tpm::credential::Enrolling;
use verify::tpm::ek::EkRoots;
use verify::{
    Authenticated, Endorsements, EnrolledKey, EnrolledKeys, Enrolment, TrustAnchors, VerifiedClaims,
    VerifyError, authenticate_enrolled,
};

const NONCE: Nonce = Nonce([3; 32]);

/// Now, since swtpm's CA signs certificates that begin now.
pub fn now() -> UnixTime {
    UnixTime(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs())
}

/// The keys that a broker has enrolled: none, or one.
#[derive(Default)]
pub struct Table(pub Option<(ObjectName, EnrolledKey)>);

impl EnrolledKeys for Table {
    fn find(&self, ak: &ObjectName) -> Option<EnrolledKey> {
        self.0.as_ref().filter(|(name, _)| name == ak).map(|(_, key)| key.clone())
    }
}

/// Both keys and the certificate, checked under this root.
pub fn enrolling(keys: &TpmKeys, root: &[u8]) -> Enrolling {
    let public = |bytes: &[u8]| Public::parse_sized(bytes).unwrap();
    let roots = EkRoots::default().with_root(root, false).unwrap();
    let (enrolling, verified) =
        Enrolling::check(&public(&keys.ak), &public(&keys.ek), &keys.certificates, &roots, now()).unwrap();
    assert!(!verified.simulated());
    enrolling
}

/// A credential for these keys, as the attester takes it.
pub fn credential(enrolling: &Enrolling, secret: &[u8]) -> Credential {
    let made = enrolling.credential(secret).unwrap();
    Credential { blob: made.blob, encrypted_seed: made.encrypted_seed }
}

/// Enrols the attester's key: certificate chain, then activation.
pub fn enrol(tpm: &mut dyn Activate, root: &[u8]) -> Table {
    let enrolling = enrolling(&tpm.keys().unwrap(), root);
    let secret = [7; 32];
    assert_eq!(tpm.activate(&credential(&enrolling, &secret)).unwrap(), secret);
    let key = EnrolledKey {
        enrolment: Enrolment::EkCertificate,
        ek: Some(enrolling.ek_name().clone()),
        qualified_name: Some(enrolling.qualified_name().clone()),
        simulated: false,
        not_after: now().plus(86_400),
    };
    Table(Some((enrolling.ak_name().clone(), key)))
}

pub fn transcript(evidence: EvidenceKind) -> Transcript {
    let request = AttestedRequest {
        operation: Operation::Release,
        key: "disk".parse().unwrap(),
        version: VersionSelector::Latest,
        unwrap: None,
    };
    Transcript {
        broker: BrokerId([2; 32]),
        nonce: NONCE,
        recipient: RecipientKey { suite: Suite::P384, public: vec![4; 97] },
        evidence,
        config: ConfigDigest([6; 32]),
        requests: vec![request],
    }
}

/// The report data that answer the broker's challenge.
pub fn report_data(kind: EvidenceKind) -> ReportData {
    ReportData(crypto::sha512(&[&transcript(kind).encode()]))
}

pub fn attest(attester: &mut dyn Attester) -> Vec<u8> {
    let kind = attester.kind();
    attester.attest(&report_data(kind)).unwrap()
}

pub fn authenticate(
    kind: EvidenceKind,
    bytes: &[u8],
    anchors: &TrustAnchors,
    table: &Table,
) -> Result<Authenticated, VerifyError> {
    let evidence = Evidence::parse(kind, bytes).unwrap();
    let endorsements = Endorsements::from_evidence(&evidence);
    authenticate_enrolled(evidence, &endorsements, anchors, table, now(), &mut |_, _| ())
}

pub fn bind(authenticated: Authenticated, kind: EvidenceKind) -> VerifiedClaims {
    let key = ChallengeKey::new(&[1; 32]);
    let challenge = key.open(key.issue(NONCE, now(), 60).as_bytes(), now()).unwrap();
    authenticated.bind(challenge, &transcript(kind), now()).unwrap()
}

/// The claims of a bare TPM.
pub fn claims(attester: &mut dyn Attester, table: &Table) -> VerifiedClaims {
    let kind = EvidenceKind::Tpm;
    bind(authenticate(kind, &attest(attester), &TrustAnchors::none(), table).unwrap(), kind)
}
