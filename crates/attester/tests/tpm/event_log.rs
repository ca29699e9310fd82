//! The firmware's event log, sent along: the PCRs of the TPM are extended as a genuine boot did.

use std::path::{Path, PathBuf};

use attester::{AttestError, Attester, TpmAttester, TpmError, TpmPlaces};
use claims::EvidenceKind;
use claims::tpm::{Digest, HashAlgorithm};
use evidence::tpm::EventLog;
use verify::tpm::boot::BootError;
use verify::{TpmVerifyError, TrustAnchors, VerifyError};

use crate::broker::{Table, attest, authenticate, claims, enrol, report_data};
use crate::swtpm::{LIMIT, Swtpm};

/// The type of an event that extends nothing.
const EV_NO_ACTION: u32 = 3;
const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors");

/// A genuine log; `None` where the vectors are not there.
fn genuine(boot: &str) -> Option<PathBuf> {
    let root = std::env::var_os("KEYFAST_VECTORS").map_or_else(|| PathBuf::from(VECTORS), PathBuf::from);
    let path = root.join("tpm/qemu-ovmf").join(boot).join("eventlog.bin");
    if !path.is_file() {
        eprintln!("1 vector missing: no {}", path.display());
        return None;
    }
    Some(path)
}

/// A TPM that measured what the log says.
fn measured(log: &Path) -> Swtpm {
    let tpm = Swtpm::start();
    let log = EventLog::parse(&std::fs::read(log).unwrap()).unwrap();
    let events = log.events.iter().filter(|event| event.kind != EV_NO_ACTION);
    tpm.extend(events.map(|event| (event.pcr, event.digest(HashAlgorithm::Sha256).unwrap().to_vec())));
    tpm
}

fn with_log(tpm: &Swtpm, log: &Path) -> TpmAttester {
    let places = TpmPlaces { event_log: Some(log.to_owned()), ..tpm.places() };
    TpmAttester::tpm(places, LIMIT).unwrap()
}

fn refusal(attester: &mut TpmAttester, table: &Table) -> VerifyError {
    let bytes = attest(attester);
    authenticate(EvidenceKind::Tpm, &bytes, &TrustAnchors::none(), table).unwrap_err()
}

#[test]
fn what_a_genuine_boot_measured_is_claimed() {
    for (boot, secure_boot) in [("tcg-crb", Some(false)), ("tcg-snakeoil-uki", Some(true))] {
        let Some(log) = genuine(boot) else { return };
        let tpm = measured(&log);
        let table = enrol(&mut tpm.attester(), &tpm.issuer());
        let claims = claims(&mut with_log(&tpm, &log), &table);
        let facts = claims.record().tpm.as_ref().unwrap().boot.as_ref().unwrap();
        assert_eq!((facts.secure_boot, facts.boot_services_exited), (secure_boot, Some(true)), "{boot}");
        assert!(!facts.applications.is_empty(), "{boot}");
    }
}

#[test]
fn a_log_that_does_not_lead_to_the_quoted_values_is_refused() {
    let Some(log) = genuine("tcg-snakeoil-uki") else { return };
    let tpm = measured(&log);
    let table = enrol(&mut tpm.attester(), &tpm.issuer());
    let before = claims(&mut with_log(&tpm, &log), &table);
    let got = before.record().tpm.as_ref().unwrap().pcrs[&4].clone();
    tpm.extend([(4, vec![9; 32])]);
    let expected = Digest(crypto::sha256(&[&got.0, &[9; 32]]).to_vec());
    let replay = BootError::Replay { pcr: 4, bank: HashAlgorithm::Sha256, expected, got };
    let error = refusal(&mut with_log(&tpm, &log), &table);
    assert_eq!(error, VerifyError::Tpm(TpmVerifyError::Boot(replay)));
    // Without the log the values count for themselves.
    let claims = claims(&mut tpm.attester(), &table);
    assert_eq!(claims.record().tpm.as_ref().unwrap().boot, None);
}

#[test]
fn a_log_of_another_boot_is_refused() {
    let (Some(one), Some(other)) = (genuine("tcg-snakeoil-uki"), genuine("tcg-crb")) else { return };
    let tpm = measured(&one);
    let table = enrol(&mut tpm.attester(), &tpm.issuer());
    let error = refusal(&mut with_log(&tpm, &other), &table);
    assert!(matches!(error, VerifyError::Tpm(TpmVerifyError::Boot(BootError::Replay { .. }))), "{error}");
}

#[test]
fn a_log_that_is_not_there_is_left_out_and_one_that_cannot_be_sent_is_named() {
    let tpm = Swtpm::start();
    let table = enrol(&mut tpm.attester(), &tpm.issuer());
    claims(&mut with_log(&tpm, &tpm.path("none")), &table);

    let refused = |log: &Path| match with_log(&tpm, log).attest(&report_data(EvidenceKind::Tpm)).unwrap_err()
    {
        AttestError::Device(error) => *error.downcast::<TpmError>().unwrap(),
        other => panic!("{other}"),
    };
    let long = tpm.path("long");
    std::fs::write(&long, vec![0; attester::MAX_EVIDENCE + 5000]).unwrap();
    let error = refused(&long);
    // What is read of it is bounded, too.
    let most = attester::MAX_EVIDENCE + 4096;
    assert!(matches!(error, TpmError::TooLong { got } if got < most), "{error}");
    let directory = refused(&tpm.path("ca"));
    assert!(matches!(directory, TpmError::EventLog { .. }), "{directory}");
}
