//! Checks 2, 4, 6, 7 and 8 of a quote ([`super`]), given the key.

use std::collections::BTreeMap;

use claims::tpm::{Digest, HashAlgorithm, ObjectName};
use evidence::tpm::{PcrSelection, Quote};

use super::TpmVerifyError;
use super::ak::{AttestationKey, digest};

/// What a verified quote leaves for claims.
pub(crate) struct VerifiedQuote {
    /// The bank of `pcrs`.
    pub(super) bank: HashAlgorithm,
    /// PCRs 0 to 15 that something was measured into.
    pub(super) pcrs: BTreeMap<u8, Digest>,
}

/// Checks a quote under its key; `signer` is the key's qualified Name, where it is known.
pub(super) fn check(
    quote: &Quote,
    key: &AttestationKey,
    signer: Option<&ObjectName>,
) -> Result<VerifiedQuote, TpmVerifyError> {
    let fields = quote.attest.fields();
    check_selection(&fields.selection, &quote.pcrs.selection())?; // 6
    check_digest(quote, key.hash)?; // 7
    if let Some(expected) = signer.filter(|signer| **signer != fields.qualified_signer) {
        let (expected, got) = (expected.clone(), fields.qualified_signer.clone());
        return Err(TpmVerifyError::QualifiedSigner { expected, got }); // 4
    }
    key.verify(quote.attest.as_bytes(), &quote.signature)?; // 2
    claimed(quote) // 8
}

/// 6: the values are those of the signed selection, bank by bank in its order, and none is of SHA-1.
fn check_selection(signed: &[PcrSelection], named: &[PcrSelection]) -> Result<(), TpmVerifyError> {
    if signed.iter().any(|selection| selection.bank == HashAlgorithm::Sha1) {
        return Err(TpmVerifyError::Sha1Bank);
    }
    if signed != named {
        return Err(TpmVerifyError::Selection { expected: text(signed), got: text(named) });
    }
    Ok(())
}

/// 7: the digest of the values in their order, with the hash of the signature.
fn check_digest(quote: &Quote, hash: HashAlgorithm) -> Result<(), TpmVerifyError> {
    let values: Vec<&[u8]> = quote.pcrs.values().iter().map(|value| value.value.0.as_slice()).collect();
    let (expected, got) = (&quote.attest.fields().pcr_digest, digest(hash, &values));
    if *expected != got {
        return Err(TpmVerifyError::PcrDigest { expected: expected.clone(), got });
    }
    Ok(())
}

/// 8: what may be claimed: of one bank, without PCRs that software resets and without zeros.
fn claimed(quote: &Quote) -> Result<VerifiedQuote, TpmVerifyError> {
    let selected = |bank| quote.attest.fields().selection.iter().any(|selection| selection.bank == bank);
    let bank = [HashAlgorithm::Sha256, HashAlgorithm::Sha384].into_iter().find(|bank| selected(*bank));
    let bank = bank.ok_or(TpmVerifyError::NoBank { got: HashAlgorithm::Sha512 })?;
    let values = quote.pcrs.values().iter().filter(|value| value.bank == bank && value.index <= LAST_CLAIMED);
    let values = values.filter(|value| !value.value.is_zero());
    Ok(VerifiedQuote { bank, pcrs: values.map(|value| (value.index, value.value.clone())).collect() })
}

/// A selection as `tpm2-tools` write it: `sha256:0,1,2+sha384:7`.
fn text(selection: &[PcrSelection]) -> String {
    let banks = selection.iter().map(|PcrSelection { bank, .. }| bank);
    let lists =
        selection.iter().map(|one| one.indices().map(|i| i.to_string()).collect::<Vec<_>>().join(","));
    banks.zip(lists).map(|(bank, list)| format!("{bank}:{list}")).collect::<Vec<_>>().join("+")
}

/// The last PCR that only a reset of the TPM clears.
const LAST_CLAIMED: u8 = 15;
