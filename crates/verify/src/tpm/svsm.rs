//! A vTPM in a secure VM service module (COCONUT-SVSM, service attestation with manifest version 0).
//!
//! After the checks of [`crate::snp`] on the report:
//!
//! 1. the report was asked for at VMPL 0, where only the service module is;
//! 2. the attestation key was enrolled by activation with an endorsement key, and that key is the one in the manifest;
//! 3. the quote ([`super`]); its signer is the key's, under that endorsement key where enrolment knows;
//! 4. REPORT_DATA is SHA-512(SHA-512(transcript) ‖ manifest), compared by [`crate::Authenticated::bind`]: the report is
//!    fresh, and so is the quote.
//!
//! Whether the measurement is a service module's is for policies to say.

use claims::tpm::{AkBinding, ObjectName, TpmClaims};
use claims::{EvidenceKind, GuestIdentity, OsBinding, Sha256Digest};
use evidence::svsm::SvsmEvidence;

use super::ak::{AttestationKey, check_attributes, name_of};
use super::quote::{self, VerifiedQuote};
use super::{EnrolledKey, EnrolledKeys, TpmVerifyError, boot, claims};
use crate::authenticated::Binding;
use crate::{Authenticated, VerifyError};

/// Checks what `snp`, the authenticated report, binds.
pub(crate) fn authenticate(
    evidence: SvsmEvidence,
    snp: Authenticated,
    enrolled: &dyn EnrolledKeys,
) -> Result<Authenticated, VerifyError> {
    let (name, known, verified) = check(&evidence, enrolled)?; // 1 to 3
    let boot = boot::of_quote(&evidence.quote, &verified)?;
    let tpm = claims(&evidence.quote, verified, AkBinding::InTee);
    let identity = match snp.guest_identity {
        GuestIdentity::None => GuestIdentity::Enrolled,
        identity => identity,
    };
    Ok(Authenticated {
        kind: EvidenceKind::Svsm,
        os_binding: OsBinding::InTeeVtpm,
        guest_identity: identity,
        binding: binding(&evidence),
        tpm: Some(TpmClaims { ak_name: Some(name), boot, ..tpm }),
        not_after: snp.not_after.min(known.not_after),
        simulated: snp.simulated || known.simulated,
        snp: snp.snp,
    })
}

/// The checks above but the last, none of which needs a certificate; the report is as unproven after them as before.
pub(crate) fn check(
    evidence: &SvsmEvidence,
    enrolled: &dyn EnrolledKeys,
) -> Result<(ObjectName, EnrolledKey, VerifiedQuote), TpmVerifyError> {
    let fields = evidence.snp.report.fields();
    if fields.vmpl != 0 {
        return Err(TpmVerifyError::Vmpl { got: fields.vmpl }); // 1
    }
    let name = name_of(&evidence.ak);
    let known = enrolled.find(&name).ok_or_else(|| TpmVerifyError::AkUnknown { name: name.clone() })?;
    let expected = name_of(&evidence.manifest);
    if known.ek.as_ref() != Some(&expected) {
        let got = known.ek.map_or_else(|| "none".to_owned(), |ek| ek.to_string());
        return Err(TpmVerifyError::EkName { expected, got }); // 2
    }
    let key = AttestationKey::of_public(&evidence.ak)?;
    check_attributes(evidence.ak.fields().attributes)?;
    let verified = quote::check(&evidence.quote, &key, known.qualified_name.as_ref())?; // 3
    Ok((name, known, verified))
}

/// Where the evidence carries what it answers.
pub(crate) fn binding(evidence: &SvsmEvidence) -> Binding {
    Binding::Service {
        extra_data: evidence.quote.attest.fields().extra_data.clone(),
        report: Sha256Digest(crypto::sha256(&[evidence.snp.report.as_bytes()])),
        report_data: evidence.snp.report.fields().report_data,
        manifest: evidence.manifest.as_bytes().to_vec(),
    }
}
