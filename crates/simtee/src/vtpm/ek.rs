//! Certificates of endorsement keys, and the root above them (TCG EK Credential Profile 2.5, 3.2).
//!
//! The root is another one than the ARK: who makes TPMs and who makes processors vouch for different things, and an
//! operator trusts them one by one.

use claims::UnixTime;

use crate::authority::{self, basic_constraints, key_usage};
use crate::certificate::{CertificateSpec, Name, SignatureAlgorithm, Signer};
use crate::{Extension, der};

/// extendedKeyUsage.
pub const EXTENDED_KEY_USAGE: &[u32] = &[2, 5, 29, 37];
/// subjectAltName.
pub const SUBJECT_ALT_NAME: &[u32] = &[2, 5, 29, 17];

/// The root's certificate for this key: 25 years from `created`.
pub(crate) fn root_spec(created: UnixTime, spki: &[u8]) -> CertificateSpec {
    let name = name("Simulated EK Root");
    CertificateSpec {
        version: 2,
        serial: 1,
        inner_algorithm: SignatureAlgorithm::EcdsaSha384,
        outer_algorithm: SignatureAlgorithm::EcdsaSha384,
        issuer: name.clone(),
        not_before: created,
        not_after: created.plus(YEARS * YEAR),
        subject: name,
        spki: spki.to_vec(),
        extensions: vec![
            key_usage(true),
            authority::subject_key_identifier(spki),
            basic_constraints(true, Some(0)),
        ],
        signer: Signer::EkRoot,
    }
}

/// The certificate of the endorsement key of the TPM with this serial number: as long as the root's. Its subject is
/// empty, and a critical subjectAltName names the TPM, as vendors do.
pub(crate) fn ek_spec(created: UnixTime, root_spki: &[u8], serial: u64, spki: &[u8]) -> CertificateSpec {
    let directory_name = der::sequence(&[
        tpm_attribute(MANUFACTURER, "id:4B464153"),
        tpm_attribute(MODEL, "keyfast simulated vTPM"),
        tpm_attribute(VERSION, "id:00010000"),
    ]);
    let tpm = Extension {
        oid: SUBJECT_ALT_NAME,
        critical: true,
        value: der::sequence(&[der::explicit(4, &directory_name)]),
    };
    let value = der::sequence(&[der::oid(EK_CERTIFICATE)]);
    let usage = Extension { oid: EXTENDED_KEY_USAGE, critical: false, value };
    // keyEncipherment, bit 2.
    let encipher = Extension { oid: authority::KEY_USAGE, critical: true, value: der::bits(&[0x20], 5) };
    let issuer = authority::authority_key_identifier(root_spki);
    CertificateSpec {
        serial,
        subject: name(""),
        spki: spki.to_vec(),
        extensions: vec![issuer, basic_constraints(false, None), tpm, encipher, usage],
        ..root_spec(created, root_spki)
    }
}

fn name(common_name: &str) -> Name {
    Name {
        organizational_unit: String::new(),
        country: String::new(),
        locality: String::new(),
        state: String::new(),
        organization: String::new(),
        common_name: common_name.to_owned(),
    }
}

fn tpm_attribute(oid: &[u32], text: &str) -> Vec<u8> {
    der::set_of(&der::sequence(&[der::oid(oid), der::utf8(text)]))
}

const EK_CERTIFICATE: &[u32] = &[2, 23, 133, 8, 1];
const MANUFACTURER: &[u32] = &[2, 23, 133, 2, 1];
const MODEL: &[u32] = &[2, 23, 133, 2, 2];
const VERSION: &[u32] = &[2, 23, 133, 2, 3];
/// Seconds, leap days spread.
const YEAR: u64 = 31_557_600;
const YEARS: u64 = 25;
