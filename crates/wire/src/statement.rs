//! The broker's signed statement: who may speak for the identity that guests pin (SPEC.md, 6).
//!
//! Reading one checks no signature. Whoever takes a statement for true must compare the SHA-256 of `identity` with
//! the pinned [`BrokerId`]; verify `signature` over [`SignedStatement::signed_bytes`]; only then decode the statement;
//! and refuse one of another broker, or with a sequence number below one seen before.

use claims::{BrokerId, Fields, Sha256Digest, UnixTime};
use minicbor::{Decode, Encode};

use crate::{FieldError, Message, bounds};

/// What the identity key vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Statement {
    /// Whose statement it is: SHA-256 of the identity key.
    #[n(0)]
    #[cbor(with = "crate::codec::fixed")]
    pub broker: BrokerId,
    /// Counts statements, from 1.
    #[n(1)]
    pub sequence: u64,
    /// When it should have been replaced; for those who have a clock to trust.
    #[n(2)]
    #[cbor(with = "crate::codec::time")]
    pub expires: UnixTime,
    /// Where brokers are, `https://host[:port]`, 1 to 16.
    #[n(3)]
    pub urls: Vec<String>,
    /// SHA-256 of the SubjectPublicKeyInfo of each TLS key, 1 to 16.
    #[n(4)]
    #[cbor(with = "crate::codec::fixed_list")]
    pub tls_keys: Vec<Sha256Digest>,
    /// Verifier keys of the journal (C2SP `signed-note`), old and new, 1 to 8.
    #[n(5)]
    pub journal_keys: Vec<String>,
    /// Verifier keys of witnesses, up to 16.
    #[n(6)]
    pub witnesses: Vec<String>,
}

impl Message for Statement {
    const NAME: &'static str = "statement";
    const MAX_LEN: usize = 12 * 1024;

    fn check(&self) -> Result<(), FieldError> {
        if self.sequence == 0 {
            return Err(FieldError::Number { field: "sequence", expected: "1 or more", got: 0 });
        }
        bounds::texts("URLs", &self.urls, 1..=16)?;
        bounds::count("TLS keys", &self.tls_keys, 1..=16)?;
        bounds::texts("journal keys", &self.journal_keys, 1..=8)?;
        bounds::texts("witnesses", &self.witnesses, 0..=16)
    }
}

/// A statement as signed. Nobody has verified it yet, so it is still bytes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SignedStatement {
    /// The encoded [`Statement`].
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub statement: Vec<u8>,
    /// The identity key: Ed25519, 32 bytes.
    #[n(1)]
    #[cbor(with = "crate::codec::fixed")]
    pub identity: [u8; 32],
    /// Ed25519 signature over [`SignedStatement::signed_bytes`].
    #[n(2)]
    #[cbor(with = "crate::codec::fixed")]
    pub signature: [u8; 64],
}

impl SignedStatement {
    /// What the identity key signs: a label and the encoded statement, each length-prefixed.
    pub fn signed_bytes(statement: &[u8]) -> Vec<u8> {
        Fields::labelled("keyfast/1 statement").bytes(statement).finish()
    }
}

impl Message for SignedStatement {
    const NAME: &'static str = "signed statement";
    const MAX_LEN: usize = 13 * 1024;

    fn check(&self) -> Result<(), FieldError> {
        bounds::length("statement", &self.statement, 1..=Statement::MAX_LEN)
    }
}
