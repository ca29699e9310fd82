//! The broker's signed statement, as the guest comes to believe it.
//!
//! Trust rests on the pinned identity and on the highest sequence number seen, never on a date: a guest has no
//! trusted clock.

use claims::{BrokerId, Sha256Digest};
use keys::IdentityError;
use tlog::note::VerifierKey;
use wire::{SignedStatement, Statement};

/// A statement signed by a pinned identity.
#[derive(Debug)]
pub struct VerifiedStatement {
    statement: Statement,
    bytes: Vec<u8>,
}

/// Why a statement is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// The bytes are no statement.
    #[error("malformed statement of the broker: {0}")]
    Malformed(#[from] wire::DecodeError),
    /// It is not signed by a pinned identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The identity signed a statement about another broker.
    #[error("the statement is about broker {got}, its signer is {expected}")]
    Subject {
        /// Whose key signed.
        expected: BrokerId,
        /// Whom it is about.
        got: BrokerId,
    },
    /// A newer one has been seen.
    #[error("the statement is older than one seen before: expected sequence {expected} or more, got {got}")]
    Older {
        /// Highest sequence seen.
        expected: u64,
        /// Sequence found.
        got: u64,
    },
    /// There is none, neither here nor from the broker.
    #[error("the broker sent no statement and none is at hand")]
    Missing,
    /// The TLS connection ends at a key that the statement does not name.
    #[error("the TLS key {got} is not in the broker's statement {sequence}: someone stands in between")]
    TlsKey {
        /// SHA-256 of the peer's key.
        got: Sha256Digest,
        /// Sequence of the statement.
        sequence: u64,
    },
    /// None of its journal keys can be read.
    #[error("no journal key of the statement can be read")]
    JournalKeys,
}

impl VerifiedStatement {
    /// Checks a signed statement against the pinned identities.
    ///
    /// # Errors
    /// [`StatementError`] for bytes that are none, or are not signed by one of `pins` about itself.
    pub fn open(bytes: &[u8], pins: &[BrokerId]) -> Result<Self, StatementError> {
        let signed: SignedStatement = wire::decode(bytes)?;
        let message = SignedStatement::signed_bytes(&signed.statement);
        let expected = keys::verify_identity(pins, &signed.identity, &message, &signed.signature)?;
        let statement: Statement = wire::decode(&signed.statement)?;
        if statement.broker != expected {
            return Err(StatementError::Subject { expected, got: statement.broker });
        }
        Ok(Self { statement, bytes: bytes.to_vec() })
    }

    /// The newer of the statement at hand and the one that the broker sent.
    ///
    /// # Errors
    /// [`StatementError::Older`] if the broker's is older than the one at hand; [`StatementError::Missing`] if there
    /// is neither.
    pub fn newest(kept: Option<Self>, sent: Option<Self>) -> Result<Self, StatementError> {
        match (kept, sent) {
            (Some(kept), Some(sent)) if sent.sequence() < kept.sequence() => {
                Err(StatementError::Older { expected: kept.sequence(), got: sent.sequence() })
            }
            (_, Some(sent)) => Ok(sent),
            (Some(kept), None) => Ok(kept),
            (None, None) => Err(StatementError::Missing),
        }
    }

    /// Checks that a TLS connection ends at one of the broker's keys.
    ///
    /// # Errors
    /// [`StatementError::TlsKey`].
    pub fn check_tls_key(&self, peer: Sha256Digest) -> Result<(), StatementError> {
        if self.statement.tls_keys.contains(&peer) {
            return Ok(());
        }
        Err(StatementError::TlsKey { got: peer, sequence: self.sequence() })
    }

    /// The keys that may sign the journal. Keys of kinds unknown here are left out.
    ///
    /// # Errors
    /// [`StatementError::JournalKeys`] if none remains.
    pub fn journal_keys(&self) -> Result<Vec<VerifierKey>, StatementError> {
        let keys: Vec<VerifierKey> =
            self.statement.journal_keys.iter().filter_map(|key| key.parse().ok()).collect();
        if keys.is_empty() { Err(StatementError::JournalKeys) } else { Ok(keys) }
    }

    /// Whose statement it is.
    pub fn broker(&self) -> BrokerId {
        self.statement.broker
    }

    /// Its sequence number.
    pub fn sequence(&self) -> u64 {
        self.statement.sequence
    }

    /// The signed bytes, to be kept.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}
