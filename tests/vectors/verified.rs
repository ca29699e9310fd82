//! Genuine evidence is authenticated, at every time at which its certificates are valid and at no other.

use claims::UnixTime;
use verify::{ChainError, Endorsements, TrustAnchors, authenticate};

use crate::folder::{GENUINE, OTHER_CHIP, load, read};

#[test]
fn every_genuine_report_is_authenticated_throughout_its_window() {
    let anchors = TrustAnchors::amd();
    for vector in load(&GENUINE).iter().filter(|vector| vector.name != OTHER_CHIP) {
        let (not_before, not_after) = vector.window();
        for now in [not_before, not_after] {
            let authenticated = vector.verify_at(&anchors, now).unwrap();
            let snp = authenticated.snp().unwrap();
            assert!(!authenticated.simulated(), "{}", vector.name);
            let (kind, _) = vector.kind();
            assert_eq!((snp.product, snp.signing_key), (vector.product(), kind), "{}", vector.name);
            let csp_id = vector.expected["vek"]["extensions"]["csp_id"].as_str();
            assert_eq!(snp.csp_id.as_deref(), csp_id, "{}", vector.name);
            assert_eq!(snp.crl_issued, None, "{}", vector.name);
            assert_eq!(authenticated.not_after(), not_after, "{}", vector.name);
        }
        let now = UnixTime(not_before.0 - 1);
        let early = ChainError::NotYetValid { certificate: vector.kind().1, not_before, now };
        assert_eq!(vector.verify_at(&anchors, now).unwrap_err(), early.into(), "{}", vector.name);
        let now = not_after.plus(1);
        let late = ChainError::Expired { certificate: vector.kind().1, not_after, now };
        assert_eq!(vector.verify_at(&anchors, now).unwrap_err(), late.into(), "{}", vector.name);
    }
}

#[test]
fn claims_are_what_the_independent_decoder_read() {
    let anchors = TrustAnchors::amd();
    for vector in load(&GENUINE).iter().filter(|vector| vector.name != OTHER_CHIP) {
        let authenticated = vector.verify_at(&anchors, vector.window().0).unwrap();
        let (snp, report) = (authenticated.snp().unwrap(), &vector.expected["report"]);
        assert_eq!(snp.measurement.to_string(), report["measurement"].as_str().unwrap());
        let chip_id = snp.chip_id.map_or_else(|| "0".repeat(128), |chip| chip.to_string());
        assert_eq!(chip_id, report["chip_id"].as_str().unwrap());
        assert_eq!(snp.policy.debug_allowed(), report["policy"]["debug"].as_bool().unwrap());
        assert_eq!(u64::from(snp.vmpl), report["vmpl"].as_u64().unwrap());
        for (tcb, name) in [
            (snp.reported_tcb, "reported_tcb"),
            (snp.committed_tcb, "committed_tcb"),
            (snp.current_tcb, "current_tcb"),
            (snp.launch_tcb, "launch_tcb"),
        ] {
            let part = |part: &str| report[name][part].as_u64().map(|value| u8::try_from(value).unwrap());
            let read = [part("fmc"), part("bootloader"), part("tee"), part("snp"), part("microcode")];
            let ours = [tcb.fmc, Some(tcb.bootloader), Some(tcb.tee), Some(tcb.snp), Some(tcb.microcode)];
            assert_eq!(ours, read, "{}: {name}", vector.name);
        }
    }
}

#[test]
fn a_guest_that_allows_debugging_is_genuine_and_says_so() {
    for vector in load(&["milan-v2-debug-gosevguest"]) {
        let authenticated = vector.verify_at(&TrustAnchors::amd(), vector.window().0).unwrap();
        assert!(authenticated.snp().unwrap().policy.debug_allowed());
    }
}

#[test]
fn the_right_one_of_two_intermediates_of_one_name_is_found() {
    let Some(revoked) = read("crl/genoa-ask-0x20001-REVOKED.pem") else { return };
    let revoked = verify::certificates_from_file(&revoked).unwrap().remove(0);
    for vector in load(&["genoa-v5-oak"]) {
        let (vcek, ask) = (vector.certificate("vcek.der"), vector.certificate("ask.pem"));
        for order in [[&revoked, &ask], [&ask, &revoked]] {
            let certificates = order.into_iter().chain([&vcek]).cloned();
            let endorsements = Endorsements::from_certificates(certificates).unwrap();
            let now = vector.window().0;
            assert!(authenticate(vector.evidence(), &endorsements, &TrustAnchors::amd(), now).is_ok());
        }
    }
}
