//! `POST /v1/release`, what the broker answers: a sealed key and a receipt, or a denial (SPEC.md, 5.3).

use claims::leaf::Salt;
use claims::{KeyVersion, MAX_REQUESTS, PolicyDigest, RequestId, Sha256Digest, UnixTime};
use minicbor::{Decode, Encode};

use crate::{FieldError, Message, bounds};

/// One answer for each request, in order, and the checkpoint that all receipts lead to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ReleaseResponse {
    /// What to quote to an operator.
    #[n(0)]
    #[cbor(with = "crate::codec::fixed")]
    pub request_id: RequestId,
    /// The answers, in the order of the requests.
    #[n(1)]
    pub answers: Vec<Answer>,
    /// A signed note (C2SP `signed-note`, `tlog-checkpoint`), 1 to [`Self::MAX_CHECKPOINT`] bytes.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub checkpoint: Vec<u8>,
    /// Consistency proof from the checkpoint that the guest kept to this one; empty if it kept none.
    #[n(3)]
    #[cbor(with = "crate::codec::fixed_list")]
    pub consistency: Vec<Sha256Digest>,
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Answer {
    /// Granted.
    #[n(0)]
    Permit(#[n(0)] Permit),
    /// Refused.
    #[n(1)]
    Denial(#[n(0)] Denial),
}

/// A grant: what was sealed, and the receipt for it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Permit {
    /// The version of the key, 1 or more.
    #[n(0)]
    #[cbor(with = "crate::codec::version")]
    pub version: KeyVersion,
    /// The sealed bytes; absent for `renew`, and only there.
    #[n(1)]
    pub sealed: Option<Sealed>,
    /// Proof that the release is in the log.
    #[n(2)]
    pub receipt: Receipt,
}

/// An HPKE ciphertext.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Sealed {
    /// The encapsulated key, up to [`Self::MAX_ENCAPSULATED`] bytes.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub encapsulated: Vec<u8>,
    /// Ciphertext and tag, 16 to [`Self::MAX_CIPHERTEXT`] bytes.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub ciphertext: Vec<u8>,
}

/// What the guest cannot know by itself and needs to rebuild the leaf of its release and find it in the log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Receipt {
    /// The policy bundle that permitted it.
    #[n(0)]
    #[cbor(with = "crate::codec::fixed")]
    pub policy: PolicyDigest,
    /// The key's commitment.
    #[n(1)]
    #[cbor(with = "crate::codec::fixed")]
    pub key_commitment: Sha256Digest,
    /// When the broker decided, by its clock.
    #[n(2)]
    #[cbor(with = "crate::codec::time")]
    pub decided_at: UnixTime,
    /// The record's salt.
    #[n(3)]
    #[cbor(with = "crate::codec::fixed")]
    pub salt: Salt,
    /// Place of the leaf in the log, from 0.
    #[n(4)]
    pub index: u64,
    /// Inclusion proof in the checkpoint's tree, up to [`Self::MAX_PROOF`] hashes.
    #[n(5)]
    #[cbor(with = "crate::codec::fixed_list")]
    pub proof: Vec<Sha256Digest>,
}

/// A refusal, as coarse as the guest needs; the reasons are the operator's.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Denial {
    /// 1 to 64 of `a-z`, `0-9` and `-`.
    #[n(0)]
    pub code: String,
}

impl Sealed {
    /// Most bytes of an encapsulated key (X-Wing).
    pub const MAX_ENCAPSULATED: usize = 1120;
    /// Most bytes of ciphertext and tag: a secret of 64 KiB.
    pub const MAX_CIPHERTEXT: usize = 64 * 1024 + 16;

    fn check(&self) -> Result<(), FieldError> {
        bounds::length("encapsulated key", &self.encapsulated, 1..=Self::MAX_ENCAPSULATED)?;
        bounds::length("ciphertext", &self.ciphertext, 16..=Self::MAX_CIPHERTEXT)
    }
}

impl Receipt {
    /// Most hashes of a proof: the height of a tree with 2^64 leaves.
    pub const MAX_PROOF: usize = 64;
}

impl Permit {
    fn check(&self) -> Result<(), FieldError> {
        if self.version.0 == 0 {
            return Err(FieldError::Number { field: "key version", expected: "1 or more", got: 0 });
        }
        self.sealed.iter().try_for_each(Sealed::check)?;
        bounds::count("inclusion proof hashes", &self.receipt.proof, 0..=Receipt::MAX_PROOF)
    }
}

impl ReleaseResponse {
    /// Most bytes of a checkpoint: its text, the journal's signature, and cosignatures of witnesses.
    pub const MAX_CHECKPOINT: usize = 16 * 1024;
}

impl Message for ReleaseResponse {
    const NAME: &'static str = "release response";
    /// Room for [`MAX_REQUESTS`] answers of the greatest length.
    const MAX_LEN: usize = 2304 * 1024;

    fn check(&self) -> Result<(), FieldError> {
        bounds::count("answers", &self.answers, 1..=MAX_REQUESTS)?;
        bounds::length("checkpoint", &self.checkpoint, 1..=Self::MAX_CHECKPOINT)?;
        bounds::count("consistency proof hashes", &self.consistency, 0..=Receipt::MAX_PROOF)?;
        self.answers.iter().try_for_each(|answer| match answer {
            Answer::Permit(permit) => permit.check(),
            Answer::Denial(denial) => bounds::code("denial code", &denial.code),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode, encode};

    #[test]
    fn the_largest_answers_fit_the_message() {
        let receipt = Receipt {
            policy: PolicyDigest([1; 32]),
            key_commitment: Sha256Digest([2; 32]),
            decided_at: UnixTime(u64::MAX),
            salt: [3; 16],
            index: u64::MAX,
            proof: vec![Sha256Digest([4; 32]); Receipt::MAX_PROOF],
        };
        let sealed = Sealed {
            encapsulated: vec![5; Sealed::MAX_ENCAPSULATED],
            ciphertext: vec![6; Sealed::MAX_CIPHERTEXT],
        };
        let permit = Permit { version: KeyVersion(u32::MAX), sealed: Some(sealed), receipt };
        let response = ReleaseResponse {
            request_id: RequestId([7; 16]),
            answers: vec![Answer::Permit(permit); MAX_REQUESTS],
            checkpoint: vec![8; ReleaseResponse::MAX_CHECKPOINT],
            consistency: vec![Sha256Digest([9; 32]); Receipt::MAX_PROOF],
        };
        let bytes = encode(&response).unwrap();
        assert_eq!(decode::<ReleaseResponse>(&bytes), Ok(response));
    }
}
