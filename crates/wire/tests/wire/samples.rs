//! One sound message of each kind, with every optional field present somewhere and absent somewhere.

use claims::tpm::{Digest, HashAlgorithm};
use claims::{
    BrokerId, ConfigDigest, EvidenceKind, KeyId, KeyVersion, Nonce, Operation, PolicyDigest, RequestId,
    Sha256Digest, Suite, UnixTime, UnwrapAlgorithm, VersionSelector,
};
use wire::{
    Answer, ChallengeRequest, ChallengeResponse, Denial, EnrolChallenge, EnrolProof, EnrolRequest, Enrolled,
    Message, Permit, PredictedImage, PredictedPcr, PredictedSection, Prediction, PreflightRequest,
    PreflightResponse, Receipt, ReleaseRequest, ReleaseResponse, Request, Sealed, SignedStatement, Statement,
    ToldReason, Unwrap, Verdict, WouldDeny, WouldPermit,
};

use crate::format::Vector;

/// The identity key's seed in the vectors.
pub const IDENTITY_SEED: [u8; 32] = [0x49; 32];

/// `len` bytes that count up from `first`.
pub fn counting(first: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| first.wrapping_add(u8::try_from(i % 251).unwrap())).collect()
}

fn array<const N: usize>(first: u8) -> [u8; N] {
    counting(first, N).try_into().unwrap()
}

pub fn key(name: &str) -> KeyId {
    name.parse().unwrap()
}

pub fn broker() -> BrokerId {
    let identity = crypto::Ed25519SigningKey::from_seed(&IDENTITY_SEED).unwrap();
    BrokerId(crypto::sha256(&[&identity.public()]))
}

pub fn nonce() -> Nonce {
    Nonce(array(0x40))
}

pub fn challenge_request() -> ChallengeRequest {
    ChallengeRequest { known_statement: 3 }
}

pub fn challenge_response() -> ChallengeResponse {
    ChallengeResponse {
        token: counting(0x10, 72),
        nonce: nonce(),
        expires: UnixTime(1_900_000_060),
        statement: Some(wire::encode(&signed_statement()).unwrap()),
    }
}

pub fn requests() -> Vec<Request> {
    let plain = |operation, name: &str| Request {
        operation,
        key: key(name),
        version: VersionSelector::Latest,
        unwrap: None,
    };
    let unwrap = |algorithm, wrapped: Vec<u8>, context: &[u8]| {
        Some(Unwrap { algorithm, wrapped, context: context.to_vec() })
    };
    vec![
        Request {
            version: VersionSelector::Exact(KeyVersion(2)),
            unwrap: unwrap(UnwrapAlgorithm::RsaOaep256, counting(0x80, 384), b""),
            ..plain(Operation::Unwrap, "disk.root")
        },
        Request {
            unwrap: unwrap(UnwrapAlgorithm::Aes256Gcm, counting(0x90, 60), b"volume=0f1e"),
            ..plain(Operation::Unwrap, "volumes")
        },
        plain(Operation::Release, "payments-kek"),
        plain(Operation::Secret, "api_token"),
        plain(Operation::Renew, "disk.root"),
    ]
}

pub fn release_request(suite: Suite) -> ReleaseRequest {
    ReleaseRequest {
        token: counting(0x10, 72),
        kind: EvidenceKind::SevSnp,
        evidence: counting(0x00, 1184),
        suite,
        recipient: counting(0x04, suite.public_key_len()),
        config: ConfigDigest(array(0xc0)),
        requests: requests(),
        known_checkpoint_size: 1000,
    }
}

pub fn receipt(index: u64) -> Receipt {
    Receipt {
        policy: PolicyDigest(array(0xd0)),
        key_commitment: Sha256Digest(array(0xe0)),
        decided_at: UnixTime(1_900_000_005),
        salt: array(0xf0),
        index,
        proof: vec![Sha256Digest(array(0x01)), Sha256Digest(array(0x02))],
    }
}

pub fn release_response() -> ReleaseResponse {
    let sealed = Sealed { encapsulated: counting(0x04, 97), ciphertext: counting(0x70, 48) };
    ReleaseResponse {
        request_id: RequestId(array(0xa0)),
        answers: vec![
            Answer::Permit(Permit { version: KeyVersion(2), sealed: Some(sealed), receipt: receipt(70_000) }),
            Answer::Permit(Permit { version: KeyVersion(1), sealed: None, receipt: receipt(70_001) }),
            Answer::Denial(Denial { code: "policy-denied".to_owned() }),
        ],
        checkpoint: b"keyfast/example\n70003\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n".to_vec(),
        consistency: vec![Sha256Digest(array(0x03))],
    }
}

pub fn statement() -> Statement {
    Statement {
        broker: broker(),
        sequence: 4,
        expires: UnixTime(1_930_000_000),
        urls: vec!["https://kms-1.example:8443".to_owned(), "https://[2001:db8::1]".to_owned()],
        tls_keys: vec![Sha256Digest(array(0x21)), Sha256Digest(array(0x22))],
        journal_keys: vec![
            "keyfast/example+0f1e2d3c+AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB".to_owned(),
            "keyfast/example+4b5a6978+AQICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC".to_owned(),
        ],
        witnesses: Vec::new(),
    }
}

pub fn signed_statement() -> SignedStatement {
    let identity = crypto::Ed25519SigningKey::from_seed(&IDENTITY_SEED).unwrap();
    let statement = wire::encode(&statement()).unwrap();
    let signature = identity.sign(&SignedStatement::signed_bytes(&statement));
    SignedStatement { statement, identity: identity.public(), signature }
}

pub fn enrol_request() -> EnrolRequest {
    EnrolRequest {
        ak: counting(0x01, 280),
        ek: counting(0x02, 314),
        certificates: vec![counting(0x30, 900), counting(0x31, 1000)],
    }
}

pub fn enrol_challenge() -> EnrolChallenge {
    EnrolChallenge {
        token: counting(0x11, 180),
        credential: counting(0x12, 70),
        encrypted_seed: counting(0x13, 258),
        expires: UnixTime(1_900_000_060),
    }
}

pub fn enrol_proof() -> EnrolProof {
    EnrolProof { token: counting(0x11, 180), secret: counting(0x14, 32) }
}

pub fn enrolled() -> Enrolled {
    Enrolled { ak_name: counting(0x00, 34), until: UnixTime(2_000_000_000) }
}

pub fn preflight_request() -> PreflightRequest {
    let asked = ReleaseRequest { known_checkpoint_size: 0, ..release_request(Suite::XWing) };
    PreflightRequest { asked, prediction: Some(prediction()) }
}

pub fn prediction() -> Prediction {
    let digest = |first| Digest(counting(first, 32));
    let pcr = |index, value| PredictedPcr { index, value };
    let section = |name: &str, first| PredictedSection { name: name.to_owned(), digest: digest(first) };
    Prediction {
        bank: HashAlgorithm::Sha256,
        pcrs: vec![pcr(4, Some(digest(0x24))), pcr(9, None), pcr(11, Some(digest(0x2b)))],
        image: Some(PredictedImage {
            application: digest(0x50),
            sections: vec![section(".linux", 0x51), section(".initrd", 0x52)],
            command_line: None,
            initrd: None,
        }),
        dbx: Some(counting(0x60, 76)),
    }
}

pub fn preflight_response() -> PreflightResponse {
    let text = |text: &str| text.to_owned();
    let reason = ToldReason {
        kind: text("near-miss"),
        rule: text("measured-boot/permit"),
        doc: text("a known boot chain"),
        condition: text("principal.tpm.pcrs.pcr4 in [ReferenceState::\"active\"]"),
        wanted: text("one of the 2 values"),
        found: text("50"),
    };
    let deny =
        |reasons, left_out, nearest| WouldDeny { code: text("policy-denied"), reasons, left_out, nearest };
    PreflightResponse {
        request_id: RequestId(array(0xa0)),
        verdicts: vec![
            Verdict::Permit(WouldPermit {
                version: KeyVersion(2),
                rules: vec![text("measured-boot/permit")],
            }),
            Verdict::Deny(deny(vec![reason], 3, Some(text("would be permitted by `a` if `b`")))),
            Verdict::Deny(deny(Vec::new(), 0, None)),
        ],
    }
}

pub fn vectors() -> Vec<Vector> {
    let no_statement = ChallengeResponse { statement: None, ..challenge_response() };
    let first_contact = ReleaseResponse { consistency: Vec::new(), ..release_response() };
    let bare = EnrolRequest { certificates: Vec::new(), ..enrol_request() };
    let as_it_is = PreflightRequest { prediction: None, ..preflight_request() };
    vec![
        sound("preflight_request", "about the next boot: another image, another dbx", &preflight_request()),
        sound("preflight_request_as_it_is", "about the guest as it is", &as_it_is),
        sound("preflight_response", "permitted; denied with reasons; denied without", &preflight_response()),
        sound("challenge_request", "the guest has statement 3", &challenge_request()),
        sound("challenge_response", "with statement 4, as in signed_statement", &challenge_response()),
        sound("challenge_response_without_statement", "the guest's statement is the newest", &no_statement),
        sound(
            "release_request_p384",
            "suite 1; one request of each operation",
            &release_request(Suite::P384),
        ),
        sound("release_request_x_wing", "suite 2", &release_request(Suite::XWing)),
        sound("release_response", "a sealed key, a renewal, a denial", &release_response()),
        sound("release_response_first_contact", "the guest kept no checkpoint", &first_contact),
        sound(
            "enrol_request",
            "with the certificate of its endorsement key, and an issuer's",
            &enrol_request(),
        ),
        sound("enrol_request_without_certificates", "of a service module, which a report vouches for", &bare),
        sound("enrol_challenge", "the answer to enrol_request", &enrol_challenge()),
        sound("enrol_proof", "the secret of enrol_challenge", &enrol_proof()),
        sound("enrolled", "the answer to enrol_proof", &enrolled()),
        sound("statement", "what signed_statement holds in its byte string", &statement()),
        sound("signed_statement", "signed with the identity key of protocol_statement", &signed_statement()),
    ]
}

fn sound<M: Message + PartialEq + core::fmt::Debug>(name: &str, comment: &str, message: &M) -> Vector {
    let bytes = wire::encode(message).unwrap();
    assert_eq!(&wire::decode::<M>(&bytes).unwrap(), message);
    Vector::message(name, comment, M::NAME, "ok", &bytes)
}
