//! Verifying a TPM 2.0 quote: the checks, by number (TCG TPM 2.0 Library 1.59; TCG PC Client Platform Firmware Profile
//! 1.06). Every kind of evidence with a quote runs them; they differ in where the key comes from.
//!
//! 1. strict layout; magic 0xff544347, so that a TPM made it, and type 0x8018, so that it is a quote (`evidence`);
//! 2. the signature's scheme and hash are those that the *key* is bound to, never what the evidence says, and on the
//!    list: RSASSA or RSAPSS of 2048 bits and more with SHA-256, SHA-384 or SHA-512; ECDSA P-256 with SHA-256, P-384
//!    with SHA-384 (RSAPSS with a salt as long as the hash);
//! 3. the key's attributes: restricted, sign, fixedTPM, fixedParent, sensitiveDataOrigin, and not decrypt. A key
//!    without `restricted` signs any forged quote. The Name is computed from these very bytes;
//! 4. qualifiedSigner is the key's qualified Name, where that is known;
//! 5. extraData is exactly SHA-256(SHA-512(transcript) ‖ SHA-256(report or nothing)), compared by
//!    [`crate::Authenticated::bind`];
//! 6. the PCR values name exactly the banks and indices of the *signed* selection; SHA-1 is not selected;
//! 7. pcrDigest is the digest of these values, with the hash of the signature;
//! 8. PCRs 16 to 23, which software can reset, and zeros are no claims;
//! 9. the key is believed: bound by an SNP report of VMPL 0, or enrolled ([`EnrolledKeys`]). A key that only the guest
//!    names is refused;
//! 10. the event log, where there is one, replays into the quoted values ([`boot`]).
//!
//! Clock, counters and firmware version are claims; whether they go back is for whoever keeps them by key.

mod ak;
pub(crate) mod azure;
pub mod boot;
pub mod credential;
pub mod ek;
mod enrolled;
mod error;
mod quote;
pub(crate) mod svsm;
pub mod ticket;

use claims::tpm::{AkBinding, ObjectName, TpmClaims};
use claims::{EvidenceKind, GuestIdentity, OsBinding, Sha256Digest};
use evidence::tpm::TpmEvidence;

use crate::authenticated::Binding;
use crate::{Authenticated, VerifyError};

pub use ak::{name_of, qualified_name};
pub use enrolled::{EnrolledKey, EnrolledKeys, Enrolment, NoEnrolledKeys};
pub use error::TpmVerifyError;

use ak::{AttestationKey, check_attributes};
use quote::VerifiedQuote;

/// Checks a bare TPM's evidence: its key must be enrolled.
///
/// What measured the operating system is then a TPM outside any confidential context, as far as anybody can tell.
pub(crate) fn authenticate(
    evidence: TpmEvidence,
    enrolled: &dyn EnrolledKeys,
) -> Result<Authenticated, VerifyError> {
    let name = name_of(&evidence.ak);
    let known = enrolled.find(&name).ok_or_else(|| TpmVerifyError::AkUnknown { name: name.clone() })?; // 9
    let key = AttestationKey::of_public(&evidence.ak)?; // 2
    check_attributes(evidence.ak.fields().attributes)?; // 3
    let quote = quote::check(&evidence.quote, &key, known.qualified_name.as_ref())?; // 4, 6, 7, 8
    let boot = boot::of_quote(&evidence.quote, &quote)?; // 10
    let ak_binding = match known.enrolment {
        Enrolment::EkCertificate => AkBinding::EkCertificate,
        Enrolment::Operator => AkBinding::Enrolled,
        Enrolment::Activated => return Err(TpmVerifyError::AkUnvouched { name }.into()),
    };
    Ok(Authenticated {
        kind: EvidenceKind::Tpm,
        simulated: known.simulated,
        os_binding: OsBinding::HostVtpm,
        guest_identity: GuestIdentity::Enrolled,
        snp: None,
        binding: Binding::Quote {
            extra_data: evidence.quote.attest.fields().extra_data.clone(),
            report: Sha256Digest(crypto::sha256(&[])),
        },
        tpm: Some(TpmClaims { ak_name: Some(name), boot, ..claims(&evidence.quote, quote, ak_binding) }),
        not_after: known.not_after,
    })
}

/// The Name of a key that is fit for quotes: of a scheme on the list, restricted, and bound to its TPM.
///
/// # Errors
/// [`TpmVerifyError`], the first rule that it breaks.
pub fn fit_for_quotes(ak: &evidence::tpm::Public) -> Result<ObjectName, TpmVerifyError> {
    check_attributes(ak.fields().attributes)?;
    AttestationKey::of_public(ak)?;
    Ok(name_of(ak))
}

/// The claims of a quote, without what only some kinds of evidence know.
fn claims(evidence: &evidence::tpm::Quote, quote: VerifiedQuote, ak_binding: AkBinding) -> TpmClaims {
    let fields = evidence.attest.fields();
    TpmClaims {
        ak_binding,
        ak_name: None,
        bank: quote.bank,
        pcrs: quote.pcrs,
        clock_ms: fields.clock_ms,
        reset_count: fields.reset_count,
        restart_count: fields.restart_count,
        safe: fields.safe,
        firmware_version: fields.firmware_version,
        boot: None,
        paravisor: None,
    }
}
