//! A simulated vTPM's quotes, altered and signed again: each check is reached, and says exactly what it found.

use std::sync::OnceLock;

use claims::tpm::{HashAlgorithm, ObjectName};
use claims::{
    AttestedRequest, BrokerId, ConfigDigest, EvidenceKind, Nonce, Operation, OsBinding, RecipientKey,
    Sha256Digest, Suite, Transcript, VersionSelector,
};
use evidence::tpm::{Public, TpmError};
use evidence::{Evidence, EvidenceError};
use simtee::vtpm::log::BootSpec;
use simtee::vtpm::{KeySpec, Quote, QuoteSpec, VTpm, evidence as parts};
use verify::challenge::{Challenge, ChallengeKey};
use verify::tpm::name_of;
use verify::{BindError, TpmVerifyError, TrustAnchors, VerifyError};

use crate::table::{FOREVER, NOW, Table, activated, check};

/// PCRs 0 to 15.
pub const BITS: u32 = 0xffff;
pub const NONCE: Nonce = Nonce([3; 32]);

/// A vTPM that has booted. Its keys take a moment to make, so tests share them.
pub fn booted() -> &'static VTpm {
    static BOOTED: OnceLock<VTpm> = OnceLock::new();
    BOOTED.get_or_init(|| boot(&BootSpec::new("web")))
}

/// A vTPM with keys of its own that booted this.
pub fn boot(spec: &BootSpec) -> VTpm {
    let mut vtpm = VTpm::generate().unwrap();
    vtpm.boot(spec);
    vtpm
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

pub fn challenge() -> Challenge {
    let key = ChallengeKey::new(&[1; 32]);
    key.open(key.issue(NONCE, NOW, 60).as_bytes(), NOW).unwrap()
}

/// extraData of a quote that answers the challenge beside this report (empty for a bare TPM).
pub fn extra_data(transcript: &Transcript, report: &[u8]) -> [u8; 32] {
    crypto::sha256(&[&crypto::sha512(&[&transcript.encode()]), &crypto::sha256(&[report])])
}

pub fn object_name(public: &[u8]) -> ObjectName {
    name_of(&Public::parse(public).unwrap())
}

/// The table in which this vTPM's key is enrolled, with its qualified Name.
pub fn table(vtpm: &VTpm) -> Table {
    let (ak, ek) = (vtpm.ak_public().unwrap(), vtpm.ek_public().unwrap());
    let qualified = simtee::vtpm::qualified_name(&ek, &ak);
    let qualified: ObjectName = hex::encode(qualified).parse().unwrap();
    Table(vec![(object_name(&ak), activated(object_name(&ek), Some(qualified)))])
}

pub fn quoted(vtpm: &VTpm) -> Quote {
    let extra = extra_data(&transcript(EvidenceKind::Tpm), &[]);
    vtpm.quote(&vtpm.quote_spec(&extra, BITS).unwrap(), BITS).unwrap()
}

pub fn verify(vtpm: &VTpm, quote: &Quote) -> Result<verify::Authenticated, VerifyError> {
    let bytes = parts::tpm(&vtpm.ak_public().unwrap(), quote);
    let evidence = Evidence::parse(EvidenceKind::Tpm, &bytes).unwrap();
    check(evidence, &TrustAnchors::none(), &table(vtpm), NOW)
}

/// The refusal of a quote that was altered before it was signed.
fn refusal(alter: impl FnOnce(&mut QuoteSpec)) -> TpmVerifyError {
    let vtpm = booted();
    let mut spec = vtpm.quote_spec(&[7; 32], BITS).unwrap();
    alter(&mut spec);
    match verify(vtpm, &vtpm.quote(&spec, BITS).unwrap()).unwrap_err() {
        VerifyError::Tpm(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn an_answer_to_our_challenge_becomes_claims() {
    let vtpm = booted();
    let transcript = transcript(EvidenceKind::Tpm);
    let claims = verify(vtpm, &quoted(vtpm)).unwrap().bind(challenge(), &transcript, NOW).unwrap();
    let record = claims.record();
    assert_eq!((record.evidence, record.os_binding), (EvidenceKind::Tpm, OsBinding::HostVtpm));
    assert!(!record.snp_fresh && record.snp.is_none());
    let tpm = record.tpm.as_ref().unwrap();
    assert_eq!((tpm.clock_ms, tpm.reset_count, tpm.safe), (60_000, 3, true));
    let facts = tpm.boot.as_ref().unwrap();
    let spec = BootSpec::new("web");
    assert_eq!(facts.applications[0].0, spec.applications[0]);
    assert_eq!(facts.db, Some(Sha256Digest(crypto::sha256(&[&spec.databases[2]]))));
    assert_eq!(facts.initrd.as_ref().unwrap().0, crypto::sha256(&[&spec.initrd]));
    assert_eq!(claims.valid_until().min(FOREVER), NOW.plus(300));
}

#[test]
fn a_quote_answers_exactly_one_transcript() {
    let vtpm = booted();
    let transcript = transcript(EvidenceKind::Tpm);
    let expected = Sha256Digest(extra_data(&transcript, &[]));
    let mut padded = expected.0.to_vec();
    padded.push(0);
    let other_report = extra_data(&transcript, b"another report").to_vec();
    let plain = crypto::sha512(&[&transcript.encode()])[..32].to_vec();
    for got in [padded, expected.0[..31].to_vec(), Vec::new(), other_report, plain] {
        let quote = vtpm.quote(&vtpm.quote_spec(&got, BITS).unwrap(), BITS).unwrap();
        let error = verify(vtpm, &quote).unwrap().bind(challenge(), &transcript, NOW).unwrap_err();
        assert_eq!(error, VerifyError::Bind(BindError::ExtraData { expected, got }));
    }
}

#[test]
fn the_values_are_those_of_the_signed_selection() {
    let listed = "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15";
    let got = format!("sha256:{listed}");
    for (selection, expected) in [
        (vec![(0x0b, 0xf7ff | 1 << 16)], "sha256:0,1,2,3,4,5,6,7,8,9,10,12,13,14,15,16".to_owned()),
        (vec![(0x0b, BITS | 1 << 23)], format!("sha256:{listed},23")),
        (vec![(0x0b, BITS >> 1)], "sha256:0,1,2,3,4,5,6,7,8,9,10,11,12,13,14".to_owned()),
        (vec![(0x0c, BITS)], format!("sha384:{listed}")),
        (vec![(0x0b, BITS), (0x0c, 1)], format!("sha256:{listed}+sha384:0")),
    ] {
        let error = refusal(|spec| spec.selection = selection);
        assert_eq!(error, TpmVerifyError::Selection { expected, got: got.clone() });
    }
    assert_eq!(refusal(|spec| spec.selection.push((0x04, 1))), TpmVerifyError::Sha1Bank);
}

#[test]
fn the_values_are_those_that_were_quoted() {
    let expected = claims::tpm::Digest(vec![9; 32]);
    let error = refusal(|spec| spec.pcr_digest = vec![9; 32]);
    assert!(matches!(error, TpmVerifyError::PcrDigest { expected: found, .. } if found == expected));
    let vtpm = booted();
    let mut quote = quoted(vtpm);
    quote.pcrs[3] ^= 1;
    let error = verify(vtpm, &quote).unwrap_err();
    assert!(matches!(error, VerifyError::Tpm(TpmVerifyError::PcrDigest { .. })));
}

#[test]
fn another_signer_or_hierarchy_is_refused() {
    let other = [&[0, 0x0b][..], &[9; 32]].concat();
    let error = refusal(|spec| spec.qualified_signer = other.clone());
    assert!(matches!(error, TpmVerifyError::QualifiedSigner { got, .. } if got.to_bytes() == other));

    let (vtpm, other) = (booted(), boot(&BootSpec::new("web")));
    let mut quote = quoted(vtpm);
    quote.signature = other.sign(&quote.attest).unwrap();
    assert_eq!(verify(vtpm, &quote).unwrap_err(), VerifyError::Tpm(TpmVerifyError::Signature));
    let name = object_name(&other.ak_public().unwrap());
    let bytes = parts::tpm(&other.ak_public().unwrap(), &quoted(&other));
    let evidence = Evidence::parse(EvidenceKind::Tpm, &bytes).unwrap();
    let error = check(evidence, &TrustAnchors::none(), &table(vtpm), NOW).unwrap_err();
    assert_eq!(error, VerifyError::Tpm(TpmVerifyError::AkUnknown { name }));
}

#[test]
fn what_no_tpm_would_sign_is_refused_before_its_signature() {
    let vtpm = booted();
    let parsed = |alter: &dyn Fn(&mut QuoteSpec)| {
        let mut spec = vtpm.quote_spec(&[7; 32], BITS).unwrap();
        alter(&mut spec);
        let quote = vtpm.quote(&spec, BITS).unwrap();
        Evidence::parse(EvidenceKind::Tpm, &parts::tpm(&vtpm.ak_public().unwrap(), &quote)).unwrap_err()
    };
    let magic = parsed(&|spec| spec.magic = 0xff54_4300);
    assert_eq!(magic, EvidenceError::Tpm(TpmError::Magic { got: 0xff54_4300 }));
    let certify = parsed(&|spec| spec.kind = 0x8017);
    assert_eq!(certify, EvidenceError::Tpm(TpmError::AttestType { got: 0x8017 }));
    let twice = parsed(&|spec| spec.selection = vec![(0x0b, 1), (0x0b, 2)]);
    assert_eq!(twice, EvidenceError::Tpm(TpmError::RepeatedBank { bank: HashAlgorithm::Sha256 }));
}

#[test]
fn the_signature_is_of_the_keys_scheme() {
    let vtpm = booted();
    let mut quote = quoted(vtpm);
    quote.signature[1] = 0x16;
    let (expected, got) = ("rsassa with sha256".to_owned(), "rsapss with sha256".to_owned());
    let error = verify(vtpm, &quote).unwrap_err();
    assert_eq!(error, VerifyError::Tpm(TpmVerifyError::Scheme { expected: expected.clone(), got }));
    let mut quote = quoted(vtpm);
    quote.signature[3] = 0x04;
    let error = verify(vtpm, &quote).unwrap_err();
    let got = "rsassa with sha1".to_owned();
    assert_eq!(error, VerifyError::Tpm(TpmVerifyError::Scheme { expected, got }));
}

#[test]
fn a_key_that_signs_forgeries_is_refused_by_its_attributes() {
    let mut vtpm = boot(&BootSpec::new("web"));
    for (attributes, attribute, expected) in [
        (0x0004_0072, "restricted", true),
        (0x0001_0072, "sign", true),
        (0x0005_0070, "fixedTPM", true),
        (0x0005_0062, "fixedParent", true),
        (0x0005_0052, "sensitiveDataOrigin", true),
        (0x0007_0072, "decrypt", false),
    ] {
        vtpm.ak_spec = KeySpec { attributes, ..KeySpec::attestation() };
        let error = verify(&vtpm, &quoted(&vtpm)).unwrap_err();
        assert_eq!(error, VerifyError::Tpm(TpmVerifyError::AkAttribute { attribute, expected }));
    }
    for (scheme, got) in [
        (None, "none"),
        (Some((0x14, 0x04)), "rsassa with sha1 on rsa"),
        (Some((0x18, 0x0b)), "ecdsa with sha256 on rsa"),
    ] {
        vtpm.ak_spec = KeySpec { scheme, ..KeySpec::attestation() };
        let error = verify(&vtpm, &quoted(&vtpm)).unwrap_err();
        assert_eq!(error, VerifyError::Tpm(TpmVerifyError::AkScheme { got: got.to_owned() }));
    }
}

#[test]
fn no_bit_of_a_quote_or_its_values_can_be_flipped() {
    let vtpm = booted();
    let quote = quoted(vtpm);
    let table = table(vtpm);
    let ak = vtpm.ak_public().unwrap();
    let believed = |quote: &Quote| {
        let parsed = Evidence::parse(EvidenceKind::Tpm, &parts::tpm(&ak, quote));
        parsed.is_ok_and(|evidence| check(evidence, &TrustAnchors::none(), &table, NOW).is_ok())
    };
    assert!(believed(&quote));
    let parts: [fn(&mut Quote) -> &mut Vec<u8>; 3] =
        [|quote| &mut quote.attest, |quote| &mut quote.signature, |quote| &mut quote.pcrs];
    for part in parts {
        // Values are hashed: one bit of each byte is enough of them.
        let bits = part(&mut quote.clone()).len() * 8;
        for bit in (0..bits).step_by(if bits > 2500 { 9 } else { 1 }) {
            let mut altered = quote.clone();
            part(&mut altered)[bit / 8] ^= 1 << (bit % 8);
            assert!(!believed(&altered), "bit {bit}");
        }
    }
}

#[test]
fn no_certificate_is_looked_for_where_there_is_no_report() {
    let vtpm = booted();
    let bytes = parts::tpm(&vtpm.ak_public().unwrap(), &quoted(vtpm));
    let evidence = Evidence::parse(EvidenceKind::Tpm, &bytes).unwrap();
    let unsupported = VerifyError::Unsupported { kind: EvidenceKind::Tpm };
    assert_eq!(verify::precheck(&evidence, &verify::NoEnrolledKeys, NOW), Err(unsupported));
    let other = verify::answers(&evidence, claims::TranscriptHash([0; 64])).unwrap_err();
    assert!(matches!(other, VerifyError::Bind(verify::BindError::ExtraData { .. })), "{other}");
}

#[test]
fn a_key_that_is_activated_with_an_endorsement_key_that_nobody_knows_is_refused() {
    let vtpm = booted();
    let mut known = table(vtpm);
    known.0[0].1.enrolment = verify::Enrolment::Activated;
    let name = known.0[0].0.clone();
    let bytes = parts::tpm(&vtpm.ak_public().unwrap(), &quoted(vtpm));
    let evidence = Evidence::parse(EvidenceKind::Tpm, &bytes).unwrap();
    let error = check(evidence, &TrustAnchors::none(), &known, NOW).unwrap_err();
    assert_eq!(error, VerifyError::Tpm(TpmVerifyError::AkUnvouched { name }));
}
