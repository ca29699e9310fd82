//! Genuine bytes in the wrong place are refused, each with its exact error.

use claims::{EvidenceKind, UnixTime};
use evidence::snp::ReportError;
use evidence::{Evidence, EvidenceError, SectionError};
use verify::{
    ChainError, Endorsements, Role, TrustAnchors, VerifyError, authenticate, certificates_from_file,
};

use crate::folder::{OTHER_CHIP, VLEK, Vector, load, read};

/// Authenticates a vector's report with other certificates.
fn refusal(vector: &Vector, certificates: impl IntoIterator<Item = Vec<u8>>) -> VerifyError {
    refusal_at(vector, certificates, vector.window().0)
}

fn refusal_at(
    vector: &Vector,
    certificates: impl IntoIterator<Item = Vec<u8>>,
    now: UnixTime,
) -> VerifyError {
    let endorsements = Endorsements::from_certificates(certificates).unwrap();
    authenticate(vector.evidence(), &endorsements, &TrustAnchors::amd(), now).unwrap_err()
}

#[test]
fn the_genuine_key_of_another_chip_is_refused() {
    for vector in load(&[OTHER_CHIP]) {
        let expected = hex::decode(vector.expected["report"]["chip_id"].as_str().unwrap()).unwrap();
        let got = hex::decode(vector.expected["vek"]["extensions"]["hwid"].as_str().unwrap()).unwrap();
        let error = vector.verify_at(&TrustAnchors::amd(), vector.window().0).unwrap_err();
        assert_eq!(error, VerifyError::Chip { expected, got });
    }
}

#[test]
fn the_genuine_keys_of_the_two_kinds_do_not_stand_in_for_each_other() {
    let (vlek, vcek) = (load(&[VLEK]), load(&["milan-v2-azure-hcl"]));
    for (vlek, vcek) in vlek.iter().zip(&vcek) {
        let now = vlek.window().0;
        let of_vlek = [vlek.certificate("vlek.der"), vlek.certificate("asvk.pem")];
        let (expected, got) = (Role::Vcek, Role::Vlek);
        assert_eq!(refusal(vcek, of_vlek.clone()), VerifyError::Signer { expected, got });
        let of_vcek = [vcek.certificate("vcek.der"), vcek.certificate("ask.pem")];
        let (expected, got) = (Role::Vlek, Role::Vcek);
        let error = refusal_at(vlek, of_vcek.clone(), now);
        assert_eq!(error, VerifyError::Signer { expected, got });
        let [leaf, asvk] = of_vlek;
        let certificate = Role::Vlek;
        let no_asvk = ChainError::NoIntermediate { certificate, issuer: "SEV-VLEK-Milan".into() };
        assert_eq!(refusal_at(vlek, [leaf, of_vcek[1].clone()], now), no_asvk.into());
        let certificate = Role::Vcek;
        let no_ask = ChainError::NoIntermediate { certificate, issuer: "SEV-Milan".into() };
        assert_eq!(refusal(vcek, [of_vcek[0].clone(), asvk]), no_ask.into());
    }
}

#[test]
fn a_chain_with_a_wrong_or_missing_intermediate_is_refused() {
    for vector in load(&["genoa-v5-oak"]) {
        let (vcek, ark) = (vector.certificate("vcek.der"), vector.certificate("ark.pem"));
        let certificate = Role::Vcek;
        let no_ask = ChainError::NoIntermediate { certificate, issuer: "SEV-Genoa".into() };
        assert_eq!(refusal(&vector, [vcek.clone(), ark]), no_ask.clone().into());
        for other in ["SEV-Milan", "SEV-Turin", "SEV-VLEK-Genoa"] {
            let file = read(&format!("crl/{other}.pem")).unwrap();
            let other = certificates_from_file(&file).unwrap().remove(0);
            assert_eq!(refusal(&vector, [vcek.clone(), other]), no_ask.clone().into());
        }
        let file = read("crl/genoa-ask-0x20001-REVOKED.pem").unwrap();
        let revoked = certificates_from_file(&file).unwrap().remove(0);
        let signature = ChainError::Signature { certificate: Role::Vcek, issuer: "SEV-Genoa".into() };
        assert_eq!(refusal(&vector, [vcek, revoked]), signature.into());
        assert_eq!(refusal(&vector, [vector.certificate("ask.pem")]), ChainError::NoLeaf { got: 1 }.into());
    }
}

#[test]
fn certificates_altered_in_any_byte_are_refused() {
    for vector in load(&["turin-v5-oak"]) {
        let (vcek, ask) = (vector.certificate("vcek.der"), vector.certificate("ask.pem"));
        let anchors = TrustAnchors::amd();
        let refused = |vcek: Vec<u8>, ask: Vec<u8>| {
            let endorsements = Endorsements::from_certificates([vcek, ask]).unwrap();
            let result = authenticate(vector.evidence(), &endorsements, &anchors, vector.window().0);
            matches!(result, Err(VerifyError::Chain(_)))
        };
        for at in 0..ask.len() {
            let mut altered = ask.clone();
            altered[at] ^= 1;
            assert!(refused(vcek.clone(), altered), "byte {at} of the ASK");
        }
        for at in 0..vcek.len() {
            let mut altered = vcek.clone();
            altered[at] ^= 1;
            assert!(refused(altered, ask.clone()), "byte {at} of the VCEK");
        }
    }
}

#[test]
fn the_report_of_another_guest_is_refused_under_the_same_products_certificates() {
    let vectors = load(&["milan-v3-azure-hcl", "milan-v3-azure-microsoft"]);
    let [ours, theirs] = &vectors[..] else { return };
    let now = theirs.window().0;
    let error = authenticate(ours.evidence(), &theirs.endorsements(), &TrustAnchors::amd(), now).unwrap_err();
    assert!(matches!(error, VerifyError::Chip { .. }), "{error:?}");
}

#[test]
fn a_report_that_is_wrapped_is_no_plain_report() {
    for vector in load(&["milan-v3-azure-hcl", "genoa-v3-azure-hcl"]) {
        let wrapped = read(&format!("{}/hcl-report.bin", vector.name)).unwrap();
        let error = Evidence::parse(EvidenceKind::SevSnp, &wrapped).unwrap_err();
        let got = u32::from_le_bytes(*b"HCLA");
        assert_eq!(error, EvidenceError::Report(ReportError::Version { got }));
        let error = Evidence::parse(EvidenceKind::AzureVtpm, &wrapped).unwrap_err();
        assert_eq!(error, EvidenceError::Sections(SectionError::UnknownTag { got: b'H' }));
    }
}
