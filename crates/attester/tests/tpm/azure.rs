//! An Azure guest's vTPM: a `swtpm` with Azure's index and Azure's key, and a simulated report in the blob.

use std::sync::{Arc, OnceLock};

use attester::{AttestError, Attester, Choice, Places, TpmAttester, TpmError};
use claims::snp::Product;
use claims::tpm::AkBinding;
use claims::{EvidenceKind, GuestIdentity, OsBinding};
use evidence::tpm::{KeyFields, Public};
use simtee::vtpm::evidence as parts;
use simtee::{Guest, GuestSpec, SimHost};
use verify::{Endorsements, TpmVerifyError, TrustAnchors, VerifyError};

use crate::broker::{Table, attest, bind, now, report_data};
use crate::swtpm::{LIMIT, Swtpm};

const KIND: EvidenceKind = EvidenceKind::AzureVtpm;

fn host() -> &'static SimHost {
    static HOST: OnceLock<SimHost> = OnceLock::new();
    HOST.get_or_init(|| {
        let keys = Arc::new(simtee::kept_keys!().unwrap());
        SimHost::with_keys(keys, Product::Genoa, claims::UnixTime(now().0 - 3600)).unwrap()
    })
}

/// A TPM with Azure's key.
fn with_key() -> Swtpm {
    let tpm = Swtpm::start();
    tpm.tool("tpm2_createek -c ek.ctx -G rsa -u ek.pub");
    tpm.tool("tpm2_createak -C ek.ctx -c ak.ctx -G rsa -s rsassa -g sha256 -u ak.pub -n ak.name");
    tpm.tool("tpm2_evictcontrol -C o -c ak.ctx 0x81000003");
    tpm
}

/// Puts a blob into Azure's index, and gives its guest: runtime data with the key of `named`, or another one.
fn provision(tpm: &Swtpm, modulus: Option<Vec<u8>>) -> Guest {
    let public = Public::parse_sized(&std::fs::read(tpm.path("ak.pub")).unwrap()).unwrap();
    let KeyFields::Rsa { modulus: own, .. } = public.fields().key.clone() else { panic!("no rsa key") };
    let numbers = (modulus.unwrap_or(own), vec![1, 0, 1]);
    let runtime = parts::runtime_data_of(&numbers, "baefd3e1-184b-4c4c-ab88-0bdad260505f", true);
    let guest = host().launch(&GuestSpec::new(Product::Genoa, "paravisor")).unwrap();
    let report = guest.sign(guest.report(&parts::runtime_report_data(&runtime))).unwrap();
    write_index(tpm, &parts::unpadded_hcl(&report, &runtime));
    guest
}

fn write_index(tpm: &Swtpm, blob: &[u8]) {
    std::fs::write(tpm.path("blob"), blob).unwrap();
    let attributes = "ownerread|ownerwrite|authread|authwrite";
    tpm.tool(&format!("tpm2_nvdefine 0x01400001 -C o -s {} -a {attributes}", blob.len()));
    tpm.tool("tpm2_nvwrite 0x01400001 -C o -i blob");
}

fn attester(tpm: &Swtpm) -> TpmAttester {
    TpmAttester::azure(tpm.places(), LIMIT).unwrap()
}

/// Verifies with the certificates that the broker found elsewhere: Azure's TPM has none.
fn verify(bytes: &[u8], guest: &Guest) -> Result<verify::Authenticated, VerifyError> {
    let evidence = evidence::Evidence::parse(KIND, bytes).unwrap();
    let chain = guest.chain();
    let endorsements = Endorsements::from_certificates([chain.vek.clone(), chain.ask.clone()]).unwrap();
    let anchors = TrustAnchors::none().with_simulated(host().ark_der(), host().ark_sha256()).unwrap();
    verify::authenticate_enrolled(evidence, &endorsements, &anchors, &Table::default(), now(), &mut |_, _| ())
}

#[test]
fn the_blob_and_a_quote_of_its_key_answer_the_challenge() {
    let tpm = with_key();
    let guest = provision(&tpm, None);
    let mut attester = attester(&tpm);
    assert_eq!(attester.kind(), KIND);
    assert!(attester.activation().unwrap().is_none());
    let claims = bind(verify(&attest(&mut attester), &guest).unwrap(), KIND);
    let record = claims.record();
    assert_eq!((record.os_binding, record.guest_identity), (OsBinding::InTeeVtpm, GuestIdentity::VmId));
    assert_eq!(record.tpm.as_ref().unwrap().ak_binding, AkBinding::InTee);
    assert_eq!(record.snp.as_ref().unwrap().measurement, GuestSpec::default_measurement());

    // It is recognised by its index.
    let nowhere = tpm.path("nowhere");
    let places = Places {
        reports: nowhere.clone(),
        device: nowhere.clone(),
        socket: None,
        service_vtpm: nowhere,
        tpm: tpm.places(),
    };
    assert_eq!(Choice::Auto.resolve(&places).unwrap(), Choice::Azure);
    assert_eq!(Choice::Auto.open(&places, LIMIT).unwrap().kind(), KIND);
    tpm.tool("tpm2_nvundefine 0x01400001 -C o");
    assert_eq!(Choice::Auto.resolve(&places).unwrap(), Choice::Tpm);
}

#[test]
fn a_blob_that_names_another_key_is_refused() {
    let tpm = with_key();
    let other = simtee::vtpm::VTpm::generate().unwrap().ak_numbers().unwrap().0;
    let guest = provision(&tpm, Some(other));
    let error = verify(&attest(&mut attester(&tpm)), &guest).unwrap_err();
    assert_eq!(error, VerifyError::Tpm(TpmVerifyError::Signature));
}

#[test]
fn what_is_missing_is_named() {
    let refusal = |tpm: &Swtpm| match attester(tpm).attest(&report_data(KIND)).unwrap_err() {
        AttestError::Device(error) => error.downcast::<TpmError>().unwrap().to_string(),
        other => panic!("{other}"),
    };
    let tpm = Swtpm::start();
    let blob =
        |len| format!("the tpm gave the wrong hcl blob: expected an snp report at 32, got {len} bytes");
    assert_eq!(refusal(&tpm), blob(0));
    write_index(&tpm, &[7; 1215]);
    assert_eq!(refusal(&tpm), blob(1215));
    tpm.tool("tpm2_nvundefine 0x01400001 -C o");
    write_index(&tpm, &[7; 1216]);
    let key = "there is no key at 0x81000003: expected the attestation key of this platform";
    assert_eq!(refusal(&tpm), key);
}
