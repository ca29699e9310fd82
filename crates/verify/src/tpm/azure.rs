//! Azure: an SNP report that binds the vTPM's key through the paravisor's runtime data (openvmm,
//! `openhcl_attestation_protocol`), and a quote of that vTPM.
//!
//! After the checks of [`crate::snp`] on the report:
//!
//! - A1: the report was asked for at VMPL 0, where only the paravisor is;
//! - A2: REPORT_DATA is SHA-256 of the runtime data as they came, then 32 zeros;
//! - A3: the key comes from the runtime data and from nowhere else.
//!
//! Then those of the quote ([`super`]), which is fresh; the report is not, and a claim says so. T3 does not apply, as
//! the runtime data name the key without its attributes: the paravisor made it, and vouches for them. Nor does T4.
//!
//! All of it rests on the *measurement* being a paravisor's: any other guest at VMPL 0 can ask for a report over runtime
//! data of its own making. Which measurements are paravisors is for policies to say.

use core::fmt;

use claims::tpm::{AkBinding, Digest, HashAlgorithm, ObjectName, TpmClaims};
use claims::{EvidenceKind, GuestIdentity, OsBinding, Sha256Digest};
use evidence::azure::{AzureEvidence, RuntimeData};
use evidence::snp::ReportFields;
use evidence::tpm::Quote;

use super::ak::AttestationKey;
use super::{Signer, TpmVerifyError, quote};
use crate::binding::Binding;
use crate::check::OnCheck;
use crate::{Authenticated, Check, QuotedTpm, VerifyError};

/// Checks what `snp`, the authenticated report, binds.
pub(crate) fn authenticate(
    evidence: AzureEvidence,
    snp: Authenticated,
    on_check: &mut OnCheck<'_>,
) -> Result<Authenticated, VerifyError> {
    let fields = evidence.snp.report.fields();
    requester(fields, EvidenceKind::AzureVtpm, on_check)?; // A1
    runtime_data(fields, &evidence.runtime, on_check)?; // A2
    let key = key(&evidence.runtime, on_check)?; // A3
    on_check(Check::KeyTrust, format_args!("the runtime data name it, which the report binds")); // T9
    let signer = Signer { key, binding: AkBinding::InTee, name: None, qualified: None };
    let quoted = quoted(&signer.key, &evidence.quote);
    let paravisor = Some(evidence.runtime.configuration);
    let tpm = TpmClaims { paravisor, ..signer.claims(&evidence.quote, on_check)? };
    Ok(Authenticated {
        kind: EvidenceKind::AzureVtpm,
        os_binding: OsBinding::InTeeVtpm,
        // The ID key in the report is Microsoft's, the same for every tenant.
        guest_identity: GuestIdentity::VmId,
        binding: Binding::of_quote(&evidence.quote, evidence.snp.report.as_bytes()),
        tpm: Some(tpm),
        quoted,
        ..snp
    })
}

/// What tells the vTPM apart: its key, under the hash that a Name would have, and where it says to be in its hierarchy.
fn quoted(key: &AttestationKey, quote: &Quote) -> Option<QuotedTpm> {
    let digest = Digest(crypto::sha256(&[key.rsa_spki()?]).to_vec());
    let key = ObjectName { algorithm: HashAlgorithm::Sha256, digest };
    Some(QuotedTpm { key, signer: quote.attest.fields().qualified_signer.clone() })
}

/// What needs no certificate: what the report would bind if it were genuine, and the quote under that key.
pub(crate) fn precheck(evidence: &AzureEvidence) -> Result<(), TpmVerifyError> {
    let (fields, on_check) = (evidence.snp.report.fields(), &mut |_: Check, _: fmt::Arguments<'_>| ());
    requester(fields, EvidenceKind::AzureVtpm, on_check)?;
    runtime_data(fields, &evidence.runtime, on_check)?;
    quote::check(&evidence.quote, &key(&evidence.runtime, on_check)?, None, on_check)?;
    Ok(())
}

/// A1, V1: whoever asked for the report runs where the paravisor or service module does, and the guest does not.
pub(crate) fn requester(
    fields: &ReportFields,
    kind: EvidenceKind,
    on_check: &mut OnCheck<'_>,
) -> Result<(), TpmVerifyError> {
    if fields.vmpl != 0 {
        return Err(TpmVerifyError::Vmpl { kind, got: fields.vmpl });
    }
    let check = if kind == EvidenceKind::Svsm { Check::ServiceVmpl } else { Check::ParavisorVmpl };
    on_check(check, format_args!("vmpl 0"));
    Ok(())
}

/// A2: the report binds the runtime data as they came, and nothing else.
pub(super) fn runtime_data(
    fields: &ReportFields,
    runtime: &RuntimeData,
    on_check: &mut OnCheck<'_>,
) -> Result<(), TpmVerifyError> {
    let expected = Sha256Digest(crypto::sha256(&[runtime.as_bytes()]));
    if fields.report_data.0 != bound(expected) {
        let got = Box::new(fields.report_data);
        return Err(TpmVerifyError::RuntimeData { expected, got });
    }
    on_check(Check::RuntimeData, format_args!("report data: sha-256 {expected}, then zeros"));
    Ok(())
}

/// A3: the key comes from the runtime data and from nowhere else.
pub(super) fn key(
    runtime: &RuntimeData,
    on_check: &mut OnCheck<'_>,
) -> Result<AttestationKey, TpmVerifyError> {
    let key = AttestationKey::of_azure(&runtime.ak.modulus, &runtime.ak.exponent)?;
    on_check(Check::RuntimeKey, format_args!("HCLAkPub, the only one; {}", key.scheme()));
    Ok(key)
}

/// The report data that bind runtime data of this digest.
fn bound(runtime: Sha256Digest) -> [u8; 64] {
    let mut data = [0; 64];
    data.iter_mut().zip(runtime.0).for_each(|(to, from)| *to = from);
    data
}
