//! Puts evidence together from its parts, for a bare TPM, Azure and a secure VM service module.
//!
//! Parts are bytes and can be altered or exchanged before; [`sections`] makes any container, proper or not.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claims::ReportData;

use super::{Quote, VTpm, sized};
use crate::{Guest, SimError};

/// Sections: tag, length (little-endian), bytes.
pub fn sections(parts: &[(u8, &[u8])]) -> Vec<u8> {
    let section = |(tag, bytes): &(u8, &[u8])| {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        [&[*tag][..], &len.to_le_bytes(), bytes].concat()
    };
    parts.iter().flat_map(section).collect()
}

/// A bare TPM's evidence, given the key's TPMT_PUBLIC.
pub fn tpm(ak_public: &[u8], quote: &Quote) -> Vec<u8> {
    let ak = sized(ak_public);
    with_quote(&[(5, &ak)], quote)
}

/// An Azure guest's evidence: the HCL blob, the table of the guest's certificates (empty where there is none), the quote.
pub fn azure(hcl: &[u8], certificates: &[u8], quote: &Quote) -> Vec<u8> {
    with_quote(&[(2, hcl), (3, certificates)], quote)
}

/// A service module's evidence, given the endorsement key's and the attestation key's TPMT_PUBLIC; `certificates` is
/// empty where there is no table.
pub fn svsm(report: &[u8], certificates: &[u8], ek: &[u8], ak_public: &[u8], quote: &Quote) -> Vec<u8> {
    let ak = sized(ak_public);
    with_quote(&[(1, report), (3, certificates), (4, ek), (5, &ak)], quote)
}

fn with_quote(parts: &[(u8, &[u8])], quote: &Quote) -> Vec<u8> {
    let mut all: Vec<_> =
        parts.iter().copied().filter(|(tag, bytes)| *tag != 3 || !bytes.is_empty()).collect();
    all.extend([(6, &quote.attest[..]), (7, &quote.signature), (8, &quote.pcrs)]);
    if !quote.log.is_empty() {
        all.push((9, &quote.log));
    }
    sections(&all)
}

/// Runtime data that name this vTPM's attestation key.
///
/// # Errors
/// [`SimError::Crypto`] if the library fails.
pub fn runtime_data(vtpm: &VTpm, vm_id: &str) -> Result<String, SimError> {
    Ok(runtime_data_of(&vtpm.ak_numbers()?, vm_id, true))
}

/// Runtime data that name an attestation key by modulus and exponent, big-endian.
pub fn runtime_data_of((modulus, exponent): &(Vec<u8>, Vec<u8>), vm_id: &str, secure_boot: bool) -> String {
    let (n, e) = (URL_SAFE_NO_PAD.encode(modulus), URL_SAFE_NO_PAD.encode(exponent));
    let key = format!(r#"{{"kid":"HCLAkPub","key_ops":["sign"],"kty":"RSA","e":"{e}","n":"{n}"}}"#);
    let tpm = r#""tpm-enabled":true,"tpm-persisted":true"#;
    let flags = format!(r#""console-enabled":false,"secure-boot":{secure_boot},{tpm}"#);
    format!(r#"{{"keys":[{key}],"vm-configuration":{{{flags},"vmUniqueId":"{vm_id}"}},"user-data":""}}"#)
}

/// REPORT_DATA of a report that binds runtime data.
pub fn runtime_report_data(runtime: &str) -> ReportData {
    let mut data = [0; 64];
    data.iter_mut().zip(crypto::sha256(&[runtime.as_bytes()])).for_each(|(to, from)| *to = from);
    ReportData(data)
}

/// An HCL blob around a report and runtime data, padded as Azure pads it.
pub fn hcl(report: &[u8], runtime: &str) -> Vec<u8> {
    let mut blob = unpadded_hcl(report, runtime);
    blob.resize(blob.len().max(2600), 0);
    blob
}

/// An HCL blob without padding, for TPMs whose indices are smaller than Azure's.
pub fn unpadded_hcl(report: &[u8], runtime: &str) -> Vec<u8> {
    let len = u32::try_from(runtime.len()).unwrap_or(u32::MAX);
    let header = [&b"HCLA"[..], &2_u32.to_le_bytes(), &[0; 24]].concat();
    let about = [len.saturating_add(20), 1, 2, 1, len].map(u32::to_le_bytes).concat();
    [&header, report, &about, runtime.as_bytes()].concat()
}

/// The table of the guest's certificates, as behind an extended report.
pub fn certificates(guest: &Guest) -> Vec<u8> {
    guest.chain().table().encode()
}
