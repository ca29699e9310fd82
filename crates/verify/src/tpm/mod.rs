//! Verifying a TPM 2.0 quote: the checks, by the numbers that errors, tests and `keyfast evidence verify` use, T1 to T10
//! (TCG TPM 2.0 Library 1.59; TCG PC Client Platform Firmware Profile 1.06). Every kind of evidence with a quote runs
//! them; they differ in where the key comes from.
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
//! 9. the key is believed: bound by an SNP report of VMPL 0, or enrolled ([`EnrolledKeys`]) and not for too long, under a
//!    Name that is not made with SHA-1. A key that only the guest names is refused;
//! 10. the event log, where there is one, replays into the quoted values ([`boot`]).
//!
//! Clock, counters and firmware version are claims; whether they go back is for whoever keeps them by key: the Name of an
//! enrolled key, or what tells a key apart that a report vouches for ([`crate::QuotedTpm`]).

mod ak;
pub(crate) mod azure;
pub mod boot;
pub mod credential;
pub mod ek;
mod ek_lists;
mod enrolled;
mod error;
pub(crate) mod examine;
mod quote;
pub(crate) mod svsm;
mod template;
pub mod ticket;

use claims::tpm::{AkBinding, ObjectName, TpmClaims};
use claims::{EvidenceKind, GuestIdentity, OsBinding, UnixTime};
use evidence::tpm::{Public, Quote, TpmEvidence};

use crate::binding::Binding;
use crate::check::OnCheck;
use crate::{Authenticated, Check, QuotedTpm, VerifyError};

pub use ak::{name_of, qualified_name};
pub use ek_lists::{EkLists, EkListsError};
pub use enrolled::{EnrolledKey, EnrolledKeys, Enrolment, NoEnrolledKeys};
pub use error::TpmVerifyError;

use ak::{AttestationKey, check_attributes};
use enrolled::Trusted;

/// Checks a bare TPM's evidence: its key must be enrolled.
///
/// What measured the operating system is then a TPM outside any confidential context, as far as anybody can tell.
pub(crate) fn authenticate(
    evidence: TpmEvidence,
    enrolled: &dyn EnrolledKeys,
    now: UnixTime,
    on_check: &mut OnCheck<'_>,
) -> Result<Authenticated, VerifyError> {
    let trusted = enrolled::trust(&evidence.ak, enrolled, false, now, on_check)?; // 9
    let signer = Signer::of_public(&evidence.ak, &trusted, on_check)?; // 2, 3
    let tpm = signer.claims(&evidence.quote, on_check)?;
    let signer = evidence.quote.attest.fields().qualified_signer.clone();
    Ok(Authenticated {
        kind: EvidenceKind::Tpm,
        simulated: trusted.known.simulated,
        os_binding: OsBinding::HostVtpm,
        guest_identity: GuestIdentity::Enrolled,
        snp: None,
        binding: Binding::of_quote(&evidence.quote, &[]),
        tpm: Some(tpm),
        quoted: Some(QuotedTpm { key: trusted.name, signer }),
        not_after: trusted.known.not_after,
    })
}

/// The Name of a key that is fit for quotes: of a scheme on the list, restricted, and bound to its TPM.
///
/// # Errors
/// [`TpmVerifyError`], the first rule that it breaks.
pub fn fit_for_quotes(ak: &Public) -> Result<ObjectName, TpmVerifyError> {
    check_attributes(ak.fields().attributes, &mut |_, _| ())?;
    AttestationKey::of_public(ak)?;
    Ok(name_of(ak))
}

/// A key that something vouches for, and what is known of it.
struct Signer {
    key: AttestationKey,
    binding: AkBinding,
    name: Option<ObjectName>,
    qualified: Option<ObjectName>,
}

impl Signer {
    /// The key of a public area, of this Name and enrolment: checks 2, as far as the key goes, and 3.
    fn of_public(ak: &Public, trusted: &Trusted, on_check: &mut OnCheck<'_>) -> Result<Self, TpmVerifyError> {
        let key = AttestationKey::of_public(ak)?; // 2
        check_attributes(ak.fields().attributes, on_check)?; // 3
        let Trusted { name, binding, known } = trusted;
        let (name, qualified) = (Some(name.clone()), known.qualified_name.clone());
        Ok(Self { key, binding: *binding, name, qualified })
    }

    /// What a quote claims under this key: the checks that every kind of evidence shares.
    fn claims(self, quote: &Quote, on_check: &mut OnCheck<'_>) -> Result<TpmClaims, TpmVerifyError> {
        layout(on_check); // 1
        let verified = quote::check(quote, &self.key, self.qualified.as_ref(), on_check)?; // 2, 4, 6, 7, 8
        let boot = boot::of_quote(quote, &verified, on_check)?; // 10
        let fields = quote.attest.fields();
        Ok(TpmClaims {
            ak_binding: self.binding,
            ak_name: self.name,
            bank: verified.bank,
            pcrs: verified.pcrs,
            clock_ms: fields.clock_ms,
            reset_count: fields.reset_count,
            restart_count: fields.restart_count,
            safe: fields.safe,
            firmware_version: fields.firmware_version,
            boot,
            paravisor: None,
        })
    }
}

/// 1: parsing made it.
fn layout(on_check: &mut OnCheck<'_>) {
    on_check(Check::QuoteLayout, format_args!("magic 0xff544347, type 0x8018, nothing behind it"));
}
