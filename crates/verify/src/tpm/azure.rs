//! Azure: an SNP report that binds the vTPM's key through the paravisor's runtime data (openvmm,
//! `openhcl_attestation_protocol`), and a quote of that vTPM.
//!
//! After the checks of [`crate::snp`] on the report:
//!
//! 1. the report was asked for at VMPL 0, where only the paravisor is;
//! 2. REPORT_DATA is SHA-256 of the runtime data as they came, then 32 zeros;
//! 3. the key comes from the runtime data and from nowhere else;
//! 4. the quote ([`super`]), which is fresh; the report is not, and a claim says so.
//!
//! All of it rests on the *measurement* being a paravisor's: any other guest at VMPL 0 can ask for a report over runtime
//! data of its own making. Which measurements are paravisors is for policies to say.

use claims::tpm::{AkBinding, TpmClaims};
use claims::{EvidenceKind, GuestIdentity, OsBinding, Sha256Digest};
use evidence::azure::AzureEvidence;

use super::ak::AttestationKey;
use super::quote::{self, VerifiedQuote};
use super::{TpmVerifyError, boot, claims};
use crate::authenticated::Binding;
use crate::{Authenticated, VerifyError};

/// Checks what `snp`, the authenticated report, binds.
pub(crate) fn authenticate(
    evidence: AzureEvidence,
    snp: Authenticated,
) -> Result<Authenticated, VerifyError> {
    let verified = check(&evidence)?; // 1 to 4
    let boot = boot::of_quote(&evidence.quote, &verified)?;
    let binding = binding(&evidence);
    let paravisor = Some(evidence.runtime.configuration);
    let tpm = TpmClaims { boot, paravisor, ..claims(&evidence.quote, verified, AkBinding::InTee) };
    Ok(Authenticated {
        kind: EvidenceKind::AzureVtpm,
        os_binding: OsBinding::InTeeVtpm,
        // The ID key in the report is Microsoft's, the same for every tenant.
        guest_identity: GuestIdentity::VmId,
        binding,
        tpm: Some(tpm),
        ..snp
    })
}

/// The checks above, none of which needs a certificate; the report is as unproven after them as before.
pub(crate) fn check(evidence: &AzureEvidence) -> Result<VerifiedQuote, TpmVerifyError> {
    let fields = evidence.snp.report.fields();
    if fields.vmpl != 0 {
        return Err(TpmVerifyError::Vmpl { got: fields.vmpl }); // 1
    }
    let expected = Sha256Digest(crypto::sha256(&[evidence.runtime.as_bytes()]));
    if fields.report_data.0 != bound(expected) {
        let got = Box::new(fields.report_data);
        return Err(TpmVerifyError::RuntimeData { expected, got }); // 2
    }
    let ak = &evidence.runtime.ak;
    let key = AttestationKey::of_azure(&ak.modulus, &ak.exponent)?; // 3
    quote::check(&evidence.quote, &key, None) // 4
}

/// Where the evidence carries what it answers.
pub(crate) fn binding(evidence: &AzureEvidence) -> Binding {
    Binding::Quote {
        extra_data: evidence.quote.attest.fields().extra_data.clone(),
        report: Sha256Digest(crypto::sha256(&[evidence.snp.report.as_bytes()])),
    }
}

/// The report data that bind runtime data of this digest.
fn bound(runtime: Sha256Digest) -> [u8; 64] {
    let mut data = [0; 64];
    data.iter_mut().zip(runtime.0).for_each(|(to, from)| *to = from);
    data
}
