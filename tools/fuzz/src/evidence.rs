//! Evidence of each kind, through parsing and every check that needs no key of ours.

use claims::{EvidenceKind, TranscriptHash};
use evidence::Evidence;
use evidence::azure::{HclBlob, RuntimeData};
use verify::{Endorsements, NoEnrolledKeys, TrustAnchors, answers, authenticate, precheck};

use crate::NOW;

/// An SEV-SNP report with or without a certificate table.
pub fn snp_evidence(data: &[u8]) {
    read(EvidenceKind::SevSnp, data);
}

/// Sections with a TPM's quote.
pub fn tpm_evidence(data: &[u8]) {
    read(EvidenceKind::Tpm, data);
}

/// Sections with an HCL blob and a quote.
pub fn azure_evidence(data: &[u8]) {
    read(EvidenceKind::AzureVtpm, data);
}

/// Sections with a report, a service's manifest and a quote.
pub fn svsm_evidence(data: &[u8]) {
    read(EvidenceKind::Svsm, data);
}

/// The blob alone.
pub fn hcl_blob(data: &[u8]) {
    let Ok(blob) = HclBlob::parse(data) else { return };
    assert!(contains(data, blob.report.as_bytes()), "the report is as it came");
    assert!(contains(data, blob.runtime.as_bytes()), "the runtime data are as they came");
}

/// The JSON document alone.
pub fn runtime_data(data: &[u8]) {
    if let Ok(runtime) = RuntimeData::parse(data) {
        assert_eq!(runtime.as_bytes(), data);
        assert!(data.len() >= runtime.ak.modulus.len() + runtime.ak.exponent.len());
    }
}

/// Nobody's evidence is believed where there is no root; what was signed is as it came.
fn read(kind: EvidenceKind, data: &[u8]) {
    let Ok(parsed) = Evidence::parse(kind, data) else { return };
    assert_eq!(parsed.kind(), kind);
    if let Some(snp) = parsed.snp() {
        assert!(contains(data, snp.report.as_bytes()));
        assert!(snp.certificates.iter().all(|(_, der)| contains(data, der)));
    }
    let endorsements = Endorsements::from_evidence(&parsed);
    assert!(endorsements.certificates().all(|der| der.len() <= data.len()));
    let _any = precheck(&parsed, &NoEnrolledKeys, NOW);
    // Not even by chance: the hash that evidence answers is not of its making.
    let hash = crypto::sha512(&[b"fuzz", data]);
    assert!(answers(&parsed, TranscriptHash(hash)).is_err());
    assert!(authenticate(parsed, &endorsements, &TrustAnchors::none(), NOW).is_err());
}

fn contains(data: &[u8], part: &[u8]) -> bool {
    part.is_empty() || data.windows(part.len()).any(|window| window == part)
}
