//! A vTPM in a secure VM service module (COCONUT-SVSM, service attestation with manifest version 0).
//!
//! After the checks of [`crate::snp`] on the report:
//!
//! - V1: the report was asked for at VMPL 0, where only the service module is;
//! - V2: the attestation key was enrolled by activation with an endorsement key, and that key is the one in the
//!   manifest;
//! - V3: REPORT_DATA is SHA-512(SHA-512(transcript) ‖ manifest), compared by [`crate::Authenticated::bind`]: the report
//!   is fresh, and so is the quote.
//!
//! And those of the quote ([`super`]).
//!
//! Whether the measurement is a service module's is for policies to say.

use claims::{EvidenceKind, GuestIdentity, OsBinding};
use evidence::svsm::SvsmEvidence;
use evidence::tpm::Public;

use super::ak::name_of;
use super::azure::requester;
use super::{EnrolledKey, EnrolledKeys, Signer, TpmVerifyError, enrolled};
use crate::binding::Binding;
use crate::check::OnCheck;
use crate::{Authenticated, Check, QuotedTpm, VerifyError};

/// Checks what `snp`, the authenticated report, binds.
pub(crate) fn authenticate(
    evidence: SvsmEvidence,
    snp: Authenticated,
    table: &dyn EnrolledKeys,
    now: claims::UnixTime,
    on_check: &mut OnCheck<'_>,
) -> Result<Authenticated, VerifyError> {
    let fields = evidence.snp.report.fields();
    requester(fields, EvidenceKind::Svsm, on_check)?; // V1
    let trusted = enrolled::trust(&evidence.ak, table, true, now, on_check)?; // T9
    endorsement_key(&evidence.manifest, &trusted.known, on_check)?; // V2
    let signer = Signer::of_public(&evidence.ak, &trusted, on_check)?;
    let tpm = signer.claims(&evidence.quote, on_check)?;
    let signer = evidence.quote.attest.fields().qualified_signer.clone();
    let quoted = QuotedTpm { key: trusted.name, signer };
    let known = trusted.known;
    let identity = match snp.guest_identity {
        GuestIdentity::None => GuestIdentity::Enrolled,
        identity => identity,
    };
    Ok(Authenticated {
        kind: EvidenceKind::Svsm,
        os_binding: OsBinding::InTeeVtpm,
        guest_identity: identity,
        binding: Binding::of_service(&evidence),
        tpm: Some(tpm),
        quoted: Some(quoted),
        not_after: snp.not_after.min(known.not_after),
        simulated: snp.simulated || known.simulated,
        snp: snp.snp,
    })
}

/// Those of the checks above that need no certificate; the report is as unproven after them as before.
pub(crate) fn precheck(
    evidence: &SvsmEvidence,
    table: &dyn EnrolledKeys,
    now: claims::UnixTime,
) -> Result<(), TpmVerifyError> {
    requester(evidence.snp.report.fields(), EvidenceKind::Svsm, &mut |_, _| ())?;
    let trusted = enrolled::trust(&evidence.ak, table, true, now, &mut |_, _| ())?;
    endorsement_key(&evidence.manifest, &trusted.known, &mut |_, _| ())?;
    let signer = Signer::of_public(&evidence.ak, &trusted, &mut |_, _| ())?;
    signer.claims(&evidence.quote, &mut |_, _| ()).map(drop)
}

/// V2: the key was activated with the endorsement key that the report binds.
pub(super) fn endorsement_key(
    manifest: &Public,
    known: &EnrolledKey,
    on_check: &mut OnCheck<'_>,
) -> Result<(), TpmVerifyError> {
    let expected = name_of(manifest);
    if known.ek.as_ref() != Some(&expected) {
        let got = known.ek.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
        return Err(TpmVerifyError::EkName { expected, got });
    }
    on_check(Check::EndorsementKey, format_args!("{expected}, of manifest and enrolment"));
    Ok(())
}
