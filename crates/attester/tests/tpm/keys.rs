//! The attestation key: made once, found again, never taken from somebody else; and credentials.

use attester::{
    Activate, AttestError, Attester, Choice, Credential, Places, TpmAttester, TpmError, TpmPlaces,
};
use claims::EvidenceKind;
use evidence::tpm::{Curve, KeyFields, Public};

use crate::broker::{claims, credential, enrol, enrolling, report_data};
use crate::swtpm::{AK_HANDLE, LIMIT, Swtpm};

fn device_error(error: AttestError) -> TpmError {
    match error {
        AttestError::Device(error) => *error.downcast::<TpmError>().unwrap(),
        other => panic!("{other}"),
    }
}

#[test]
fn the_key_is_made_once_and_found_again() {
    let tpm = Swtpm::start();
    let (first, second) = (tpm.attester().keys().unwrap(), tpm.attester().keys().unwrap());
    assert_eq!(first, second);
    assert_eq!(first.certificates.len(), 1);
    let table = enrol(&mut tpm.attester(), &tpm.issuer());
    // By name, as the agent opens it.
    let places = Places { tpm: tpm.places(), ..Places::of_this_machine(None) };
    let mut by_name = Choice::Tpm.open(&places, LIMIT).unwrap();
    claims(by_name.as_mut(), &table);
}

/// As TPMs have it whose vendor has no other place for it.
#[test]
fn certificates_above_the_endorsement_keys_come_along_if_the_tpm_has_them() {
    let tpm = Swtpm::start();
    let issuer = tpm.issuer();
    // Over two indices, and longer than what is in them.
    let (first, second) = issuer.split_at(700);
    for (index, part) in [("0x01c00100", first), ("0x01c00101", &[second, &[0; 30]].concat())] {
        std::fs::write(tpm.path("part"), part).unwrap();
        tpm.tool(&format!("tpm2_nvdefine {index} -C o -s {} -a ownerread|ownerwrite", part.len()));
        tpm.tool(&format!("tpm2_nvwrite {index} -C o -i part"));
    }
    let keys = tpm.attester().keys().unwrap();
    assert_eq!(keys.certificates.len(), 2);
    assert_eq!(keys.certificates[1], issuer);
    enrol(&mut tpm.attester(), &tpm.root());
}

#[test]
fn the_key_of_a_quote_before_enrolment_is_the_one_that_is_enrolled() {
    let tpm = Swtpm::start();
    let early = tpm.attester().attest(&report_data(EvidenceKind::Tpm)).unwrap();
    let ak = tpm.attester().keys().unwrap().ak;
    assert!(early.windows(ak.len()).any(|window| window == ak));
}

#[test]
fn an_endorsement_key_that_is_not_kept_is_made_again() {
    let tpm = Swtpm::start();
    let kept = tpm.attester().keys().unwrap();
    tpm.tool("tpm2_evictcontrol -C o -c 0x81010001");
    assert_eq!(tpm.attester().keys().unwrap(), kept);
    enrol(&mut tpm.attester(), &tpm.issuer());
    // Something else in its place is not used.
    tpm.tool("tpm2_createprimary -C o -c other.ctx");
    tpm.tool("tpm2_evictcontrol -C o -c other.ctx 0x81010001");
    assert_eq!(tpm.attester().keys().unwrap(), kept);
}

/// Of each TPM, nothing but the certificate says which endorsement key it enrols with.
#[test]
fn a_tpm_whose_only_certificate_is_of_a_key_on_p384_enrols_with_that_key() {
    let tpm = Swtpm::start();
    tpm.tool("tpm2_nvundefine -C p 0x01c00002");
    let keys = tpm.attester().keys().unwrap();
    let ek = Public::parse_sized(&keys.ek).unwrap();
    assert!(matches!(ek.fields().key, KeyFields::Ecc { curve: Curve::P384, .. }), "{:?}", ek.fields());
    assert_eq!(keys.certificates.len(), 1);
    let table = enrol(&mut tpm.attester(), &tpm.issuer());
    // The quote's qualified signer is that of a key under this very endorsement key.
    let mut attester = tpm.attester();
    claims(&mut attester, &table);

    let made = credential(&enrolling(&keys, &tpm.issuer()), b"secret");
    for at in [4, made.blob.len() - 1] {
        let mut altered = made.clone();
        altered.blob[at] ^= 1;
        assert_shut(attester.activate(&altered).unwrap_err());
    }
    // A point that lies on no curve, and the point of another credential.
    let mut altered = made.clone();
    *altered.encrypted_seed.last_mut().unwrap() ^= 1;
    assert_shut(attester.activate(&altered).unwrap_err());
    let other = credential(&enrolling(&keys, &tpm.issuer()), b"secret");
    assert_shut(
        attester.activate(&Credential { encrypted_seed: other.encrypted_seed, ..made.clone() }).unwrap_err(),
    );
    assert_eq!(attester.activate(&made).unwrap(), b"secret");
}

/// Templates L-2 and H-2, whose keys differ in policy and password.
#[test]
fn a_tpm_whose_only_certificate_is_of_a_key_on_p256_enrols_with_that_key() {
    let mut names = Vec::new();
    for index in [0x01c0_000a, 0x01c0_0014] {
        let tpm = Swtpm::start();
        tpm.tool("tpm2_nvundefine -C p 0x01c00002");
        tpm.store(index, b"none yet");
        let ek = Public::parse_sized(&tpm.attester().keys().unwrap().ek).unwrap();
        let KeyFields::Ecc { curve: Curve::P256, x, y } = &ek.fields().key else { panic!("{ek:?}") };
        let certificate = tpm.certificate_on_p256(x, y);
        tpm.tool(&format!("tpm2_nvundefine -C o {index:#x}"));
        tpm.store(index, &certificate);
        let keys = tpm.attester().keys().unwrap();
        assert_eq!(keys.certificates, [certificate]);
        let table = enrol(&mut tpm.attester(), &tpm.issuer());
        claims(&mut tpm.attester(), &table);
        names.push(enrolling(&keys, &tpm.issuer()).ek_name().clone());
    }
    assert_ne!(names[0], names[1]);
}

/// The first certificate counts, so that a key that is enrolled stays the child of the same endorsement key.
#[test]
fn a_key_under_one_endorsement_key_is_not_enrolled_with_another() {
    let tpm = Swtpm::start();
    let ek = Public::parse_sized(&tpm.attester().keys().unwrap().ek).unwrap();
    assert!(matches!(ek.fields().key, KeyFields::Rsa { .. }));
    tpm.tool("tpm2_nvundefine -C p 0x01c00002");
    let error = device_error(tpm.attester().keys().unwrap_err());
    let expected = "a child of the endorsement key";
    assert!(
        matches!(error, TpmError::OtherKey { handle: AK_HANDLE, expected: e } if e == expected),
        "{error}"
    );
}

fn assert_shut(error: AttestError) {
    let error = device_error(error);
    assert!(matches!(error, TpmError::Command { what: "open the credential", .. }), "{error}");
}

#[test]
fn credentials_for_another_tpm_or_another_key_stay_shut() {
    let tpm = Swtpm::start();
    let other = tpm.another();
    let (mut here, mut there) = (tpm.attester(), other.attester());
    let made = credential(&enrolling(&here.keys().unwrap(), &tpm.issuer()), b"secret");
    let refusal = |attester: &mut TpmAttester, credential| {
        let error = device_error(attester.activate(credential).unwrap_err());
        assert!(matches!(error, TpmError::Command { what: "open the credential", .. }), "{error}");
    };
    there.keys().unwrap();
    refusal(&mut there, &made);
    let mut altered = made.clone();
    altered.blob[10] ^= 1;
    refusal(&mut here, &altered);
    let second = TpmPlaces { ak_handle: AK_HANDLE + 1, ..tpm.places() };
    let mut second = TpmAttester::tpm(second, LIMIT).unwrap();
    second.keys().unwrap();
    refusal(&mut second, &made);
    assert_eq!(here.activate(&made).unwrap(), b"secret");
}

#[test]
fn a_key_of_somebody_else_at_the_handle_is_named_and_left_alone() {
    for (attributes, expected) in [
        (
            "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign",
            "a restricted signing key that was made in the tpm and stays there",
        ),
        (
            "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign -G rsa2048:rsapss:null",
            "rsassa of 2048 bits with sha256",
        ),
        (
            "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign -G ecc256:ecdsa-sha256:null",
            "an rsa key",
        ),
    ] {
        let tpm = Swtpm::start();
        let (attributes, kind) = attributes.split_once(" -G ").unwrap_or((attributes, "rsa2048:rsassa:null"));
        tpm.tool("tpm2_createprimary -C e -c parent.ctx");
        tpm.tool(&format!(
            "tpm2_create -C parent.ctx -G {kind} -g sha256 -a {attributes} -u k.pub -r k.priv"
        ));
        tpm.tool("tpm2_load -C parent.ctx -u k.pub -r k.priv -c k.ctx");
        tpm.tool(&format!("tpm2_evictcontrol -C o -c k.ctx {AK_HANDLE:#x}"));
        for error in [
            tpm.attester().attest(&report_data(EvidenceKind::Tpm)).unwrap_err(),
            tpm.attester().keys().unwrap_err(),
        ] {
            match device_error(error) {
                TpmError::OtherKey { handle: AK_HANDLE, expected: got } => assert_eq!(got, expected),
                other => panic!("{other}"),
            }
        }
        tpm.tool(&format!("tpm2_readpublic -c {AK_HANDLE:#x}"));
    }
}

#[test]
fn a_key_under_another_parent_is_not_enrolled() {
    let tpm = Swtpm::start();
    tpm.tool("tpm2_createprimary -C e -c parent.ctx");
    tpm.tool(
        "tpm2_create -C parent.ctx -G rsa2048:rsassa-sha256:null -a \
         fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign -u k.pub -r k.priv",
    );
    tpm.tool("tpm2_load -C parent.ctx -u k.pub -r k.priv -c k.ctx");
    tpm.tool(&format!("tpm2_evictcontrol -C o -c k.ctx {AK_HANDLE:#x}"));
    let error = device_error(tpm.attester().keys().unwrap_err());
    let expected = "a child of the endorsement key";
    assert!(
        matches!(error, TpmError::OtherKey { handle: AK_HANDLE, expected: e } if e == expected),
        "{error}"
    );
}
