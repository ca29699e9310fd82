//! TPMs that are not there, keep silent, or talk nonsense.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use attester::{Activate, AttestError, Attester, Tcti, TpmAttester, TpmError, TpmPlaces};
use claims::{EvidenceKind, ReportData};

use crate::swtpm::two_ports;

const DATA: ReportData = ReportData([7; 64]);

fn places(port: u16) -> TpmPlaces {
    let tcti = Tcti::Swtpm { host: [127, 0, 0, 1].into(), port };
    TpmPlaces { tcti, event_log: None, ..TpmPlaces::default() }
}

fn refused(error: &AttestError) -> bool {
    matches!(error, AttestError::Device(error) if error.is::<TpmError>())
}

#[test]
fn nobody_there_is_said_at_once() {
    let port = two_ports().0.local_addr().unwrap().port();
    let missing = Tcti::Device("/nonexistent/tpmrm0".into());
    for places in [places(port), TpmPlaces { tcti: missing, ..places(port) }] {
        let tcti = places.tcti.clone();
        let mut attester = TpmAttester::tpm(places, Duration::from_secs(20)).unwrap();
        assert_eq!(attester.kind(), EvidenceKind::Tpm);
        match attester.attest(&DATA).unwrap_err() {
            AttestError::Device(error) => match *error.downcast::<TpmError>().unwrap() {
                TpmError::Open { tcti: got, .. } => assert_eq!(got, tcti),
                other => panic!("{other}"),
            },
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_silent_tpm_holds_nobody_up() {
    let (commands, _control) = two_ports();
    let limit = Duration::from_millis(300);
    let port = commands.local_addr().unwrap().port();
    let mut attester = TpmAttester::tpm(places(port), limit).unwrap();
    let begun = Instant::now();
    // The first waits for its limit; behind it the others find the TPM busy.
    for _ in 0..50 {
        assert!(matches!(attester.attest(&DATA), Err(AttestError::TimedOut { .. })));
    }
    assert!(matches!(attester.keys(), Err(AttestError::TimedOut { .. })));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn nonsense_is_an_error() {
    let nonsense: [&[u8]; 5] = [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        &[0xff; 4096],
        // A header that announces four gigabytes.
        &[0x80, 0x01, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
        // Success, and nothing.
        &[0x80, 0x01, 0, 0, 0, 10, 0, 0, 0, 0],
    ];
    for answer in nonsense {
        let (commands, control) = two_ports();
        let port = commands.local_addr().unwrap().port();
        // Each control command is acknowledged, each TPM command answered with nonsense.
        for (listener, answer) in [(control, &[0; 4][..]), (commands, answer)] {
            let answer = answer.to_vec();
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let (mut stream, answer) = (stream.unwrap(), answer.clone());
                    std::thread::spawn(move || {
                        let mut request = [0; 4096];
                        while stream.read(&mut request).is_ok_and(|read| read > 0) {
                            if stream.write_all(&answer).is_err() || answer.is_empty() {
                                return;
                            }
                        }
                    });
                }
            });
        }
        let mut attester = TpmAttester::tpm(places(port), Duration::from_secs(20)).unwrap();
        let error = attester.attest(&DATA).unwrap_err();
        assert!(refused(&error), "{answer:?}: {error}");
    }
}
