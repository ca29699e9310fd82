//! Guests with a vTPM, over their sockets, as a broker sees them: enrolled, quoted, verified.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::sync::OnceLock;
use std::time::Duration;

use attester::{Attester, Credential, Failure, SocketAttester, TpmKeys};
use claims::snp::Product;
use claims::tpm::{AkBinding, Digest, HashAlgorithm, ObjectName};
use claims::{
    AttestedRequest, BrokerId, ConfigDigest, EvidenceKind, GuestIdentity, Nonce, Operation, OsBinding,
    RecipientKey, ReportData, Suite, Transcript, UnixTime, VersionSelector,
};
use evidence::Evidence;
use evidence::tpm::Public;
use simtee::control::{CallError, GuestRequest, PcrExtend, Reply, Request, VtpmChange, call};
use simtee::vtpm::VTpm;
use simtee::vtpm::ek::{EXTENDED_KEY_USAGE, SUBJECT_ALT_NAME};
use simtee::{CertificateSpec, GuestSpec, Server, SimHost, authority};
use verify::challenge::ChallengeKey;
use verify::tpm::boot::BootError;
use verify::tpm::credential::{EnrolError, Enrolling};
use verify::tpm::ek::{EkError, EkRoots};
use verify::{
    Authenticated, Endorsements, EnrolledKey, EnrolledKeys, Enrolment, TpmVerifyError, TrustAnchors,
    VerifiedClaims, VerifyError, authenticate_enrolled,
};

const CREATED: UnixTime = UnixTime(1_790_000_000);
const NOW: UnixTime = UnixTime(1_790_086_400);
const LIMIT: Duration = Duration::from_secs(20);
const NONCE: Nonce = Nonce([3; 32]);
const WITH_VTPM: [EvidenceKind; 3] = [EvidenceKind::Tpm, EvidenceKind::AzureVtpm, EvidenceKind::Svsm];

/// One host for all tests, since its keys are slow to make.
struct Served {
    dir: tempfile::TempDir,
    ark: Vec<u8>,
    ek_root: Vec<u8>,
}

fn served() -> &'static Served {
    static SERVED: OnceLock<Served> = OnceLock::new();
    SERVED.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::open(dir.path(), Product::Genoa, CREATED).unwrap();
        let (ark, ek_root) = (server.host().ark_der().to_vec(), server.host().ek_root_der().to_vec());
        std::thread::spawn(move || server.run());
        Served { dir, ark, ek_root }
    })
}

impl Served {
    fn launch(&self, request: GuestRequest) -> Result<Guest, CallError> {
        let kind = request.kind;
        match call(&self.dir.path().join("control.sock"), &Request::Guest(request))? {
            Reply::Guest(reply) => {
                let socket = SocketAttester::connect(&reply.socket, LIMIT).unwrap();
                assert_eq!(socket.kind(), kind);
                Ok(Guest { socket, measurement: reply.measurement })
            }
            other => panic!("{other:?}"),
        }
    }

    fn ek_roots(&self) -> EkRoots {
        EkRoots::default().with_root(&self.ek_root, true).unwrap()
    }

    fn anchors(&self) -> TrustAnchors {
        let fingerprint = claims::Sha256Digest(crypto::sha256(&[&self.ark]));
        TrustAnchors::none().with_simulated(&self.ark, fingerprint).unwrap()
    }
}

/// A guest as its agent has it.
struct Guest {
    socket: SocketAttester,
    measurement: String,
}

impl Guest {
    fn keys(&mut self) -> TpmKeys {
        self.socket.activation().unwrap().unwrap().keys().unwrap()
    }

    fn activate(&mut self, credential: &verify::tpm::credential::Credential) -> Option<Vec<u8>> {
        let (blob, encrypted_seed) = (credential.blob.clone(), credential.encrypted_seed.clone());
        let tpm = self.socket.activation().unwrap().unwrap();
        match tpm.activate(&Credential { blob, encrypted_seed }) {
            Ok(secret) => Some(secret),
            Err(attester::AttestError::Refused { failure: Failure::Attestation, .. }) => None,
            Err(other) => panic!("{other}"),
        }
    }

    /// Enrols its key as a broker does; empty where there is nothing to enrol.
    fn enrol(&mut self) -> Table {
        if self.socket.activation().unwrap().is_none() {
            return Table(None);
        }
        let enrolling = enrolling(&self.keys()).unwrap();
        let credential = enrolling.credential(b"a secret of the broker").unwrap();
        assert_eq!(self.activate(&credential).as_deref(), Some(&b"a secret of the broker"[..]));
        let key = EnrolledKey {
            enrolment: Enrolment::EkCertificate,
            ek: Some(enrolling.ek_name().clone()),
            qualified_name: Some(enrolling.qualified_name().clone()),
            simulated: true,
            not_after: NOW.plus(86_400),
        };
        Table(Some((enrolling.ak_name().clone(), key)))
    }

    fn evidence(&mut self) -> Evidence {
        let kind = self.socket.kind();
        let hash = crypto::sha512(&[&transcript(kind).encode()]);
        Evidence::parse(kind, &self.socket.attest(&ReportData(hash)).unwrap()).unwrap()
    }

    fn authenticate(&mut self) -> Result<Authenticated, VerifyError> {
        let (table, evidence) = (self.enrol(), self.evidence());
        let endorsements = Endorsements::from_evidence(&evidence);
        authenticate_enrolled(evidence, &endorsements, &served().anchors(), &table, NOW, &mut |_, _| ())
    }

    fn claims(&mut self) -> VerifiedClaims {
        let key = ChallengeKey::new(&[1; 32]);
        let challenge = key.open(key.issue(NONCE, NOW, 60).as_bytes(), NOW).unwrap();
        self.authenticate().unwrap().bind(challenge, &transcript(self.socket.kind()), NOW).unwrap()
    }
}

fn enrolling(keys: &TpmKeys) -> Result<Enrolling, EnrolError> {
    let public = |bytes: &[u8]| Public::parse_sized(bytes).unwrap();
    let (ak, ek) = (public(&keys.ak), public(&keys.ek));
    let (enrolling, verified) = Enrolling::check(&ak, &ek, &keys.certificates, &served().ek_roots(), NOW)?;
    assert!(verified.simulated());
    Ok(enrolling)
}

struct Table(Option<(ObjectName, EnrolledKey)>);

impl EnrolledKeys for Table {
    fn find(&self, ak: &ObjectName) -> Option<EnrolledKey> {
        self.0.as_ref().filter(|(name, _)| name == ak).map(|(_, key)| key.clone())
    }
}

fn transcript(evidence: EvidenceKind) -> Transcript {
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

fn request(name: &str, kind: EvidenceKind) -> GuestRequest {
    GuestRequest { kind, ..GuestRequest::new(name.parse().unwrap()) }
}

fn launch(name: &str, kind: EvidenceKind, vtpm: VtpmChange) -> Guest {
    served().launch(GuestRequest { vtpm: Some(vtpm), ..request(name, kind) }).unwrap()
}

#[test]
fn evidence_of_each_kind_becomes_claims() {
    let expected = [
        (EvidenceKind::SevSnp, OsBinding::Launch, GuestIdentity::HostData, GuestSpec::default_measurement()),
        (EvidenceKind::Tpm, OsBinding::HostVtpm, GuestIdentity::Enrolled, GuestSpec::default_measurement()),
        (EvidenceKind::AzureVtpm, OsBinding::InTeeVtpm, GuestIdentity::VmId, GuestSpec::default_paravisor()),
        (
            EvidenceKind::Svsm,
            OsBinding::InTeeVtpm,
            GuestIdentity::HostData,
            GuestSpec::default_service_module(),
        ),
    ];
    for (kind, os_binding, identity, measurement) in expected {
        let mut guest = served().launch(request(&format!("each-{kind}"), kind)).unwrap();
        assert_eq!(guest.measurement, measurement.to_string());
        let claims = guest.claims();
        let record = claims.record();
        assert_eq!((record.evidence, record.simulated), (kind, true));
        assert_eq!((record.os_binding, record.guest_identity), (os_binding, identity), "{kind}");
        let snp = record.snp.as_ref().map(|snp| snp.measurement);
        assert_eq!(snp, (kind != EvidenceKind::Tpm).then_some(measurement), "{kind}");
        let tpm = record.tpm.as_ref().map(|tpm| (tpm.ak_binding, tpm.boot.as_ref().unwrap().secure_boot));
        let binding = match kind {
            EvidenceKind::SevSnp => None,
            EvidenceKind::Tpm => Some(AkBinding::EkCertificate),
            EvidenceKind::AzureVtpm | EvidenceKind::Svsm => Some(AkBinding::InTee),
        };
        assert_eq!(tpm, binding.map(|binding| (binding, Some(true))), "{kind}");
    }
}

#[test]
fn a_credential_opens_at_its_own_guest_only() {
    let (mut web, mut db) = (
        served().launch(request("web", EvidenceKind::Tpm)).unwrap(),
        served().launch(request("db", EvidenceKind::Svsm)).unwrap(),
    );
    let credential = enrolling(&web.keys()).unwrap().credential(&[7; 32]).unwrap();
    assert_eq!(web.activate(&credential), Some(vec![7; 32]));
    assert_eq!(db.activate(&credential), None);
    let mut altered = credential;
    altered.blob[5] ^= 1;
    assert_eq!(web.activate(&altered), None);
    // The certificate of one beside the keys of the other.
    let keys = TpmKeys { certificates: db.keys().certificates, ..web.keys() };
    assert_eq!(enrolling(&keys).unwrap_err(), EnrolError::Certificate(EkError::OtherKey));
}

#[test]
fn a_machine_keeps_its_keys_and_counts_its_resets() {
    let mut first = served().launch(request("again", EvidenceKind::Tpm)).unwrap();
    let (keys, one) = (first.keys(), first.claims());
    let mut second = served().launch(request("again", EvidenceKind::Tpm)).unwrap();
    let again = second.keys();
    assert!(again.ak == keys.ak && again.ek == keys.ek);
    let resets = |claims: &VerifiedClaims| claims.record().tpm.as_ref().unwrap().reset_count;
    assert_eq!((resets(&one), resets(&second.claims())), (1, 2));
    let clock = |claims: VerifiedClaims| claims.record().tpm.as_ref().unwrap().clock_ms;
    let before = (clock(one), clock(second.claims()));
    assert!(before.0 < before.1 && before.1 < clock(second.claims()));
    let mut other = served().launch(request("other", EvidenceKind::Tpm)).unwrap();
    let other = other.keys();
    assert!(other.ak != keys.ak && other.ek != keys.ek);
}

#[test]
fn what_a_vtpm_saw_is_what_is_claimed() {
    for kind in WITH_VTPM {
        let usual = launch("usual", kind, VtpmChange::default()).claims();
        let change = VtpmChange {
            secure_boot: Some(false),
            command_line: Some("init=/bin/sh".into()),
            image: Some("another image".into()),
            ..VtpmChange::default()
        };
        let changed = launch("changed", kind, change).claims();
        let tpm = |claims: &VerifiedClaims| claims.record().tpm.clone().unwrap();
        let (usual, changed) = (tpm(&usual), tpm(&changed));
        assert_eq!(changed.boot.as_ref().unwrap().secure_boot, Some(false));
        assert_ne!(changed.boot.as_ref().unwrap().applications, usual.boot.as_ref().unwrap().applications);
        for pcr in [4, 7, 9, 11] {
            assert_ne!(changed.pcrs[&pcr], usual.pcrs[&pcr], "pcr {pcr} of {kind}");
        }
        let paravisor = changed.paravisor.map(|paravisor| paravisor.secure_boot);
        assert_eq!(paravisor, (kind == EvidenceKind::AzureVtpm).then_some(false));
    }
}

#[test]
fn what_is_extended_without_a_trace_shows_against_the_log_and_counts_without_one() {
    for kind in WITH_VTPM {
        let extend = vec![PcrExtend { pcr: 15, digest: [7; 32] }, PcrExtend { pcr: 4, digest: [8; 32] }];
        let change = VtpmChange { extend, ..VtpmChange::default() };
        let got = launch("extended", kind, VtpmChange::default()).claims();
        let got = got.record().tpm.as_ref().unwrap().pcrs[&4].clone();
        let expected = Digest(crypto::sha256(&[&got.0, &[8; 32]]).to_vec());
        let replay = BootError::Replay { pcr: 4, bank: HashAlgorithm::Sha256, expected, got };
        let error = launch("extended", kind, change.clone()).authenticate().unwrap_err();
        assert_eq!(error, VerifyError::Tpm(TpmVerifyError::Boot(replay)), "{kind}");
        let claims = launch("extended", kind, VtpmChange { without_log: true, ..change }).claims();
        let tpm = claims.record().tpm.as_ref().unwrap();
        let value = crypto::sha256(&[&[0; 32], &[7; 32]]);
        assert_eq!((tpm.boot.as_ref(), tpm.pcrs[&15].0.as_slice()), (None, &value[..]));
    }
}

#[test]
fn certificates_are_left_out_everywhere() {
    for kind in WITH_VTPM {
        let bare = GuestRequest { without_certificates: true, ..request("bare", kind) };
        let mut guest = served().launch(bare).unwrap();
        if guest.socket.activation().unwrap().is_some() {
            let error = enrolling(&guest.keys()).unwrap_err();
            assert_eq!(error, EnrolError::Certificate(EkError::Count { limit: 4, got: 0 }));
        }
        let certificates = Endorsements::from_evidence(&guest.evidence());
        let with = served().launch(request("bare", kind)).unwrap().evidence();
        let none = format!("{:?}", Endorsements::from_evidence(&with)) == format!("{certificates:?}");
        assert_eq!(none, kind == EvidenceKind::Tpm, "{kind}");
    }
}

#[test]
fn a_vtpm_is_asked_for_only_where_there_is_one() {
    let vtpm = Some(VtpmChange::default());
    let none = GuestRequest { vtpm, ..request("none", EvidenceKind::SevSnp) };
    let Err(CallError::Refused { code, error }) = served().launch(none) else { panic!("launched") };
    let expected = "a guest of kind sev-snp has no vtpm; ask for kind tpm, azure-vtpm or svsm";
    assert_eq!((code.as_str(), error.as_str()), ("failed", expected));
    let mut snp = served().launch(request("none", EvidenceKind::SevSnp)).unwrap();
    assert!(snp.socket.activation().unwrap().is_none());
    let mut azure = served().launch(request("none", EvidenceKind::AzureVtpm)).unwrap();
    assert!(azure.socket.activation().unwrap().is_none());
}

/// Each says one thing that no certificate of an endorsement key may say, and is signed by the root.
#[test]
fn certificates_altered_and_signed_again_are_refused_for_what_was_altered() {
    let host = SimHost::open_or_create(&copy_of_host(), Product::Genoa, CREATED).unwrap();
    assert_eq!(host.ek_root_der(), served().ek_root);
    let vtpm = VTpm::generate().unwrap();
    let spec = host.ek_spec(&vtpm).unwrap();
    let roots = served().ek_roots();
    let verify = |alter: &dyn Fn(&mut CertificateSpec), now| {
        let mut spec = spec.clone();
        alter(&mut spec);
        roots.verify(&[host.sign(&spec).unwrap()], now)
    };
    assert_eq!(verify(&|_| (), NOW).unwrap().spki(), vtpm.ek_spki());
    let wrong = |expected| EkError::Certificate { index: 0, expected };
    let usage = wrong("the extended key usage 2.23.133.8.1");
    let altered = |alter: &dyn Fn(&mut CertificateSpec)| verify(alter, NOW).unwrap_err();
    assert_eq!(altered(&|spec| assert!(spec.remove_extension(EXTENDED_KEY_USAGE))), usage);
    let other_usage = |spec: &mut CertificateSpec| {
        *spec.extension_mut(EXTENDED_KEY_USAGE).unwrap().last_mut().unwrap() = 2;
    };
    assert_eq!(altered(&other_usage), usage);
    let names = wrong("manufacturer, model and version of the tpm in its subjectAltName");
    assert_eq!(altered(&|spec| assert!(spec.remove_extension(SUBJECT_ALT_NAME))), names);
    let other_name = |spec: &mut CertificateSpec| {
        let value = spec.extension_mut(SUBJECT_ALT_NAME).unwrap();
        let model = [0x67, 0x81, 0x05, 0x02, 0x02];
        let at = value.windows(5).position(|window| window == model).unwrap();
        value[at + 4] = 9;
    };
    assert_eq!(altered(&other_name), names);
    let authority = |spec: &mut CertificateSpec| {
        assert!(spec.remove_extension(authority::BASIC_CONSTRAINTS));
        spec.extensions.push(authority::basic_constraints(true, None));
    };
    assert_eq!(altered(&authority), wrong("no CA"));
    let twice = |spec: &mut CertificateSpec| spec.extensions.push(spec.extensions[0].clone());
    assert_eq!(altered(&twice), wrong("each extension once, and none that is critical and unknown"));
    assert_eq!(altered(&|spec| spec.version = 1), wrong("x.509 v3 with one signature algorithm"));
    let other_issuer = |spec: &mut CertificateSpec| spec.issuer.common_name.push('x');
    assert_eq!(altered(&other_issuer), EkError::Signature { index: 0, by_root: true });
    let (not_before, not_after) = (spec.not_before, spec.not_after);
    for now in [UnixTime(not_before.0 - 1), UnixTime(not_after.0 + 1)] {
        let error = verify(&|_| (), now).unwrap_err();
        assert_eq!(error, EkError::Validity { index: 0, not_before, not_after, now });
    }
}

/// The directory of the one host, without its lock.
fn copy_of_host() -> std::path::PathBuf {
    let copy = served().dir.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    for file in std::fs::read_dir(served().dir.path()).unwrap().map(Result::unwrap) {
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
        }
    }
    copy
}
