//! Checks 2, 4, 6, 7 and 8 of a quote ([`super`]), given the key.

use std::collections::BTreeMap;

use claims::tpm::{Digest, HashAlgorithm, ObjectName};
use evidence::tpm::{PcrSelection, PcrValue, Quote};

use super::TpmVerifyError;
use super::ak::{AttestationKey, digest};
use crate::Check;
use crate::check::OnCheck;

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
    on_check: &mut OnCheck<'_>,
) -> Result<VerifiedQuote, TpmVerifyError> {
    selection(quote, on_check)?; // 6
    pcr_digest(quote, key.hash, on_check)?; // 7
    qualified_signer(quote, signer, on_check)?; // 4
    signature(quote, key, on_check)?; // 2
    claimed(quote, on_check) // 8
}

/// 6: the values are those of the signed selection, bank by bank in its order, and none is of SHA-1.
pub(super) fn selection(quote: &Quote, on_check: &mut OnCheck<'_>) -> Result<(), TpmVerifyError> {
    let (signed, named) = (&quote.attest.fields().selection, quote.pcrs.selection());
    if signed.iter().any(|selection| selection.bank == HashAlgorithm::Sha1) {
        return Err(TpmVerifyError::Sha1Bank);
    }
    if *signed != named {
        return Err(TpmVerifyError::Selection { expected: text(signed), got: text(&named) });
    }
    on_check(Check::Selection, format_args!("{}, signed and given", text(signed)));
    Ok(())
}

/// 7: the digest of the values in their order, with the hash of the signature.
pub(super) fn pcr_digest(
    quote: &Quote,
    hash: HashAlgorithm,
    on_check: &mut OnCheck<'_>,
) -> Result<(), TpmVerifyError> {
    let values: Vec<&[u8]> = quote.pcrs.values().iter().map(|value| value.value.0.as_slice()).collect();
    let (expected, got) = (&quote.attest.fields().pcr_digest, digest(hash, &values));
    if *expected != got {
        return Err(TpmVerifyError::PcrDigest { expected: expected.clone(), got });
    }
    on_check(Check::PcrDigest, format_args!("{hash} of {} values is {got}", values.len()));
    Ok(())
}

/// 4: the key signed in its place in the hierarchy, where that is known.
pub(super) fn qualified_signer(
    quote: &Quote,
    signer: Option<&ObjectName>,
    on_check: &mut OnCheck<'_>,
) -> Result<(), TpmVerifyError> {
    let got = &quote.attest.fields().qualified_signer;
    match signer {
        Some(expected) if expected != got => {
            let (expected, got) = (expected.clone(), got.clone());
            return Err(TpmVerifyError::QualifiedSigner { expected, got });
        }
        Some(expected) => on_check(Check::QualifiedSigner, format_args!("{expected}")),
        None => (),
    }
    Ok(())
}

/// 2: the signature, with the key's scheme, over the bytes that came.
pub(super) fn signature(
    quote: &Quote,
    key: &AttestationKey,
    on_check: &mut OnCheck<'_>,
) -> Result<(), TpmVerifyError> {
    let signed = quote.attest.as_bytes();
    key.verify(signed, &quote.signature)?;
    on_check(
        Check::QuoteSignature,
        format_args!("{} over the {} bytes that came", key.scheme(), signed.len()),
    );
    Ok(())
}

/// 8: what may be claimed: of one bank, without PCRs that software resets and without zeros.
pub(super) fn claimed(quote: &Quote, on_check: &mut OnCheck<'_>) -> Result<VerifiedQuote, TpmVerifyError> {
    let selected = |bank| quote.attest.fields().selection.iter().any(|selection| selection.bank == bank);
    let bank = [HashAlgorithm::Sha256, HashAlgorithm::Sha384].into_iter().find(|bank| selected(*bank));
    let bank = bank.ok_or(TpmVerifyError::NoBank { got: HashAlgorithm::Sha512 })?;
    let is_claim =
        |value: &&PcrValue| value.bank == bank && value.index <= LAST_CLAIMED && !value.value.is_zero();
    let values = quote.pcrs.values().iter().filter(is_claim);
    let pcrs: BTreeMap<_, _> = values.map(|value| (value.index, value.value.clone())).collect();
    on_check(Check::ClaimedPcrs, format_args!("{} of {bank} are claims", list(pcrs.keys().copied())));
    Ok(VerifiedQuote { bank, pcrs })
}

/// A selection as `tpm2-tools` write it: `sha256:0,1,2+sha384:7`.
fn text(selection: &[PcrSelection]) -> String {
    let banks = selection.iter().map(|PcrSelection { bank, .. }| bank);
    let lists = selection.iter().map(|one| list(one.indices()));
    banks.zip(lists).map(|(bank, list)| format!("{bank}:{list}")).collect::<Vec<_>>().join("+")
}

fn list(indices: impl Iterator<Item = u8>) -> String {
    let indices: Vec<String> = indices.map(|index| index.to_string()).collect();
    if indices.is_empty() { "none".to_owned() } else { indices.join(",") }
}

/// The last PCR that only a reset of the TPM clears.
const LAST_CLAIMED: u8 = 15;
