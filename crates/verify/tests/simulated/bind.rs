//! Binding to a challenge: each condition on its own.

use claims::snp::Product;
use claims::{
    AttestedRequest, BrokerId, ConfigDigest, EvidenceKind, Nonce, Operation, PreflightTranscript,
    RecipientKey, ReportData, Sha256Digest, Suite, Transcript, TranscriptHash, UnixTime, UnwrapAlgorithm,
    UnwrapBinding, VersionSelector,
};
use verify::challenge::{Challenge, ChallengeKey};
use verify::{BindError, VerifiedClaims, VerifyError};

use crate::machine::{CREATED, NOW, VCEK_LIFE, check, host, launch, trust};

const NONCE: Nonce = Nonce([3; 32]);

fn challenge(nonce: Nonce) -> Challenge {
    let key = ChallengeKey::new(&[1; 32]);
    key.open(key.issue(nonce, NOW, 60).as_bytes(), NOW).unwrap()
}

fn request(operation: Operation) -> AttestedRequest {
    let (wrapped, context) = (Sha256Digest([4; 32]), Sha256Digest([5; 32]));
    let binding = UnwrapBinding { algorithm: UnwrapAlgorithm::RsaOaep256, wrapped, context };
    let unwrap = (operation == Operation::Unwrap).then_some(binding);
    AttestedRequest { operation, key: "disk".parse().unwrap(), version: VersionSelector::Latest, unwrap }
}

fn transcript() -> Transcript {
    Transcript {
        broker: BrokerId([2; 32]),
        nonce: NONCE,
        recipient: RecipientKey { suite: Suite::P384, public: vec![4; 97] },
        evidence: EvidenceKind::SevSnp,
        config: ConfigDigest([6; 32]),
        requests: vec![request(Operation::Unwrap), request(Operation::Release)],
    }
}

/// A guest that attests `attested`, bound by a broker that holds `held`, at `now`.
fn bind(attested: &Transcript, held: &Transcript, now: UnixTime) -> Result<VerifiedClaims, VerifyError> {
    let host = host(Product::Genoa);
    let report_data = ReportData(crypto::sha512(&[&attested.encode()]));
    let bytes = launch(&host).attest(&report_data).unwrap();
    check(&bytes, &trust(&host), NOW)?.bind(challenge(NONCE), held, now)
}

fn refusal(alter: impl FnOnce(&mut Transcript)) -> VerifyError {
    let mut altered = transcript();
    alter(&mut altered);
    bind(&altered, &altered, NOW).unwrap_err()
}

#[test]
fn an_answer_to_our_challenge_becomes_claims() {
    let transcript = transcript();
    let claims = bind(&transcript, &transcript, NOW.plus(60)).unwrap();
    let record = claims.record();
    assert!(record.simulated && record.snp_fresh);
    assert_eq!((record.config, record.suite), (transcript.config, Suite::P384));
    assert_eq!(claims.recipient(), &transcript.recipient);
    assert_eq!(claims.transcript_bytes(), transcript.encode());
    assert_eq!(claims.transcript_hash(), TranscriptHash(crypto::sha512(&[&transcript.encode()])));
    assert_eq!((claims.nonce(), claims.broker()), (NONCE, transcript.broker));
    assert_eq!(claims.valid_until(), NOW.plus(360));
    assert_eq!(claims.request_count(), 2);
    assert_eq!(claims.request(0).unwrap().index(), 0);
    let second = claims.request(1).unwrap();
    assert_eq!((second.index(), second.request()), (1, &transcript.requests[1]));
    assert_eq!(second.claims().nonce(), NONCE);
    assert!(claims.request(2).is_none());
}

#[test]
fn claims_do_not_outlive_their_certificates() {
    let host = host(Product::Genoa);
    let transcript = transcript();
    let report_data = ReportData(crypto::sha512(&[&transcript.encode()]));
    let bytes = launch(&host).attest(&report_data).unwrap();
    let not_after = CREATED.plus(VCEK_LIFE);
    let key = ChallengeKey::new(&[1; 32]);
    let open = || key.open(key.issue(NONCE, not_after, 60).as_bytes(), not_after).unwrap();
    let authenticated = || check(&bytes, &trust(&host), not_after).unwrap();
    let claims = authenticated().bind(open(), &transcript, not_after).unwrap();
    assert_eq!(claims.valid_until(), not_after);
    let now = not_after.plus(1);
    let error = authenticated().bind(open(), &transcript, now).unwrap_err();
    assert_eq!(error, BindError::ChainExpired { not_after, now }.into());
}

#[test]
fn a_late_answer_is_refused() {
    let transcript = transcript();
    let (expires, now) = (NOW.plus(60), NOW.plus(61));
    let error = bind(&transcript, &transcript, now).unwrap_err();
    assert_eq!(error, BindError::ChallengeExpired { expires, now }.into());
}

#[test]
fn an_answer_to_another_challenge_is_refused() {
    let got = Nonce([9; 32]);
    let error = refusal(|transcript| transcript.nonce = got);
    assert_eq!(error, BindError::Nonce { expected: NONCE, got }.into());
}

#[test]
fn whatever_the_broker_holds_otherwise_is_refused() {
    let attested = transcript();
    let changes: [fn(&mut Transcript); 8] = [
        |t| t.broker.0[0] ^= 1,
        |t| t.recipient.public[96] ^= 1,
        |t| t.config.0[0] ^= 1,
        |t| _ = t.requests.pop(),
        |t| t.requests.swap(0, 1),
        |t| t.requests[1].key = "other".parse().unwrap(),
        |t| t.requests[1].version = VersionSelector::Exact(claims::KeyVersion(1)),
        |t| t.requests[0] = request(Operation::Release),
    ];
    let got = Box::new(ReportData(crypto::sha512(&[&attested.encode()])));
    for change in changes {
        let mut held = attested.clone();
        change(&mut held);
        let expected = Box::new(TranscriptHash(crypto::sha512(&[&held.encode()])));
        let error = BindError::ReportData { expected, got: got.clone() };
        assert_eq!(bind(&attested, &held, NOW).unwrap_err(), error.into());
    }
}

#[test]
fn as_many_as_32_requests_are_bound_each_at_its_place() {
    let mut asked = transcript();
    asked.requests = vec![request(Operation::Renew); 32];
    let claims = bind(&asked, &asked, NOW).unwrap();
    assert_eq!(claims.request_count(), 32);
    assert_eq!(claims.request(31).unwrap().index(), 31);
    assert!(claims.request(32).is_none());
}

#[test]
fn a_transcript_that_is_not_well_formed_is_refused_even_if_attested() {
    let error = refusal(|t| t.evidence = EvidenceKind::Tpm);
    let (expected, got) = (EvidenceKind::SevSnp, EvidenceKind::Tpm);
    assert_eq!(error, BindError::EvidenceKind { expected, got }.into());
    let error = refusal(|t| t.requests.clear());
    assert_eq!(error, BindError::RequestCount { limit: 32, got: 0 }.into());
    let error = refusal(|t| t.requests = vec![request(Operation::Renew); 33]);
    assert_eq!(error, BindError::RequestCount { limit: 32, got: 33 }.into());
    let error = refusal(|t| t.requests[0].unwrap = None);
    assert_eq!(error, BindError::UnwrapMissing { index: 0 }.into());
    let error = refusal(|t| t.requests[1].unwrap = request(Operation::Unwrap).unwrap);
    assert_eq!(error, BindError::UnwrapUnexpected { index: 1, operation: Operation::Release }.into());
    let error = refusal(|t| t.recipient.suite = Suite::XWing);
    assert_eq!(error, BindError::RecipientLength { suite: Suite::XWing, expected: 1216, got: 97 }.into());
    let error = refusal(|t| _ = t.recipient.public.pop());
    assert_eq!(error, BindError::RecipientLength { suite: Suite::P384, expected: 97, got: 96 }.into());
}

#[test]
fn a_question_and_a_release_are_never_each_other() {
    let host = host(Product::Genoa);
    let asked = transcript();
    let question = PreflightTranscript { asked: asked.clone(), prediction: None };
    let supposed = PreflightTranscript { prediction: Some(Sha256Digest([9; 32])), ..question.clone() };
    let hash = |bytes: Vec<u8>| TranscriptHash(crypto::sha512(&[&bytes]));
    let attested = |hash: TranscriptHash| {
        let bytes = launch(&host).attest(&ReportData(hash.0)).unwrap();
        check(&bytes, &trust(&host), NOW).unwrap()
    };
    let ask = |attested: verify::Authenticated, held: &PreflightTranscript| {
        attested.bind_preflight(challenge(NONCE), held, NOW)
    };
    let (release, plain, other) = (hash(asked.encode()), hash(question.encode()), hash(supposed.encode()));
    let refused = |expected: TranscriptHash, got: TranscriptHash| {
        let (expected, got) = (Box::new(expected), Box::new(ReportData(got.0)));
        VerifyError::Bind(BindError::ReportData { expected, got })
    };
    assert_eq!(ask(attested(release), &question).unwrap_err(), refused(plain, release));
    let bound = attested(plain).bind(challenge(NONCE), &asked, NOW);
    assert_eq!(bound.unwrap_err(), refused(release, plain));
    assert_eq!(ask(attested(plain), &supposed).unwrap_err(), refused(other, plain));
    assert_eq!(ask(attested(other), &question).unwrap_err(), refused(plain, other));

    let claims = ask(attested(other), &supposed).unwrap();
    assert_eq!((claims.transcript_hash(), claims.broker()), (other, asked.broker));
    assert_eq!(claims.requests(), asked.requests);
    assert!(claims.record().simulated && claims.record().suite == Suite::P384);
    let late = attested(plain).bind_preflight(challenge(NONCE), &question, NOW.plus(61));
    assert!(matches!(late, Err(VerifyError::Bind(BindError::ChallengeExpired { .. }))));
    let mut elsewhere = question.clone();
    elsewhere.asked.nonce = Nonce([4; 32]);
    let refused = ask(attested(hash(elsewhere.encode())), &elsewhere);
    assert!(matches!(refused, Err(VerifyError::Bind(BindError::Nonce { .. }))));
}
