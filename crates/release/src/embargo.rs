//! [`Embargoed`]: a sealed key that nobody gets before its record is durable.

use core::fmt;

use claims::Sha256Digest;
use journal::RecordedGrant;
use keys::SealedKey;

/// A sealed key under embargo.
///
/// Neither `Clone` nor readable: its digest goes into the journal, and [`Self::unembargo`] trades it in for the
/// ciphertext once that is recorded.
pub struct Embargoed(SealedKey);

impl fmt::Debug for Embargoed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Embargoed").field(&self.digest()).finish()
    }
}

/// The record is of another sealed key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the recorded grant is for the sealed bytes {recorded}, these are {sealed}")]
pub struct EmbargoError {
    /// Digest in the record.
    pub recorded: Sha256Digest,
    /// Digest of the sealed key.
    pub sealed: Sha256Digest,
}

impl Embargoed {
    pub(crate) fn new(sealed: SealedKey) -> Self {
        Self(sealed)
    }

    /// SHA-256 of the sealed bytes, for the journal.
    pub fn digest(&self) -> Sha256Digest {
        self.0.digest()
    }

    /// Gives up the sealed key for the record of exactly this one. Both are spent.
    ///
    /// # Errors
    /// [`EmbargoError`] if the record is of another sealed key; nothing is given up then.
    pub fn unembargo(self, recorded: RecordedGrant) -> Result<SealedKey, EmbargoError> {
        let sealed = self.0.digest();
        let recorded = recorded.sealed();
        if recorded == sealed { Ok(self.0) } else { Err(EmbargoError { recorded, sealed }) }
    }
}
