//! What lies beside the report of a container group of Azure: the policy that its host data bind, and the vendor's
//! signed statement of its measurement.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::folder::{load, read};

const NAME: &str = "milan-v2-aci-uvm";

#[test]
fn host_data_are_the_digest_of_the_security_policy() {
    for vector in load(&[NAME]) {
        let text = read(&format!("{NAME}/uvm_security_policy.base64")).unwrap();
        let policy = STANDARD.decode(text.trim_ascii()).unwrap();
        assert!(policy.starts_with(b"package policy"));
        let host_data = vector.expected["report"]["host_data"].as_str().unwrap();
        assert_eq!(hex::encode(crypto::sha256(&[&policy])), host_data);
        let mut altered = policy;
        altered[0] ^= 1;
        assert_ne!(hex::encode(crypto::sha256(&[&altered])), host_data);
    }
}

/// The statement is a COSE_Sign1 under a chain of the vendor's (did:x509). Nothing here reads COSE or believes that
/// chain: which measurements are right is for an operator's reference values to say, and a signature of a cloud's vendor
/// that could say it instead would be a second root of trust. That its payload names the measurement of the report
/// beside it shows that the two belong together, and what an operator would write down.
#[test]
fn the_vendors_statement_names_the_reports_measurement() {
    for vector in load(&[NAME]) {
        let statement = read(&format!("{NAME}/uvm_reference_info.cose")).unwrap();
        assert_eq!(statement[..2], [0xd2, 0x84], "COSE_Sign1, an array of four");
        let measurement = vector.expected["report"]["measurement"].as_str().unwrap();
        let named = format!("\"x-ms-sevsnpvm-launchmeasurement\": \"{measurement}\"");
        assert!(statement.windows(named.len()).any(|part| part == named.as_bytes()));
        let authenticated = vector.verify_at(&verify::TrustAnchors::amd(), vector.window().0).unwrap();
        assert_eq!(authenticated.snp().unwrap().measurement.to_string(), measurement);
    }
}
