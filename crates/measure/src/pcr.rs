//! A platform configuration register: `PCR := H(PCR ‖ digest)` for each event (TPM 2.0 Library, part 1, 17.2).

use core::fmt;

use crate::{Bank, Digests};

/// A register's value, from zeros on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pcr {
    /// Of the SHA-256 bank.
    Sha256([u8; 32]),
    /// Of the SHA-384 bank.
    Sha384([u8; 48]),
}

impl Pcr {
    /// A register that nothing was extended into.
    pub fn new(bank: Bank) -> Self {
        match bank {
            Bank::Sha256 => Self::Sha256([0; 32]),
            Bank::Sha384 => Self::Sha384([0; 48]),
        }
    }

    /// Extends it by an event's digest.
    #[must_use]
    pub fn extended(self, event: &Digests) -> Self {
        match self {
            Self::Sha256(value) => Self::Sha256(crypto::sha256(&[&value, &event.sha256])),
            Self::Sha384(value) => Self::Sha384(crypto::sha384(&[&value, &event.sha384])),
        }
    }

    /// Its bytes, 32 or 48.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(value) => value,
            Self::Sha384(value) => value,
        }
    }
}

impl fmt::Display for Pcr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
