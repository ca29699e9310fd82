//! Evidence, and the parts of it: see [`fuzz::evidence`].
#![no_main]

fuzz::targets! {
    azure_evidence => fuzz::evidence::azure_evidence,
    hcl_blob => fuzz::evidence::hcl_blob,
    runtime_data => fuzz::evidence::runtime_data,
    snp_evidence => fuzz::evidence::snp_evidence,
    svsm_evidence => fuzz::evidence::svsm_evidence,
    tpm_evidence => fuzz::evidence::tpm_evidence,
}
