//! Why bytes are none of a TPM's structures.

use claims::tpm::HashAlgorithm;

/// Bytes that are no structure of the kind that they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TpmError {
    /// The structure ends behind the bytes.
    #[error("the {structure} ends too early: expected {needed} more bytes, got {got}")]
    Truncated {
        /// What was read.
        structure: &'static str,
        /// Bytes that the next field takes.
        needed: usize,
        /// Bytes that are left.
        got: usize,
    },
    /// Bytes follow the structure.
    #[error("the {structure} ends too late: expected no bytes after it, got {got}")]
    Trailing {
        /// What was read.
        structure: &'static str,
        /// Bytes that are left.
        got: usize,
    },
    /// Not made by a TPM.
    #[error("not attested by a tpm: expected magic 0xff544347, got {got:#010x}")]
    Magic {
        /// TPMS_ATTEST.magic.
        got: u32,
    },
    /// Attests something else than PCRs.
    #[error("not a quote: expected attestation type 0x8018, got {got:#06x}")]
    AttestType {
        /// TPMS_ATTEST.type.
        got: u16,
    },
    /// An algorithm that is not read here.
    #[error("{field} not supported: expected {expected}, got {got:#06x}")]
    Algorithm {
        /// Which field.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
        /// TPM_ALG_ID, or TPM_ECC_CURVE for a curve.
        got: u16,
    },
    /// A sized buffer longer than its type allows.
    #[error("{field} too long: expected at most {limit} bytes, got {got}")]
    TooLong {
        /// Which field.
        field: &'static str,
        /// Most bytes allowed.
        limit: usize,
        /// The length stated.
        got: usize,
    },
    /// A value that the field cannot have.
    #[error("wrong {field}: expected {expected}, got {got}")]
    Value {
        /// Which field.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What stands there.
        got: u64,
    },
    /// A selection names a bank twice.
    #[error("the bank {bank} is there twice: expected each bank once")]
    RepeatedBank {
        /// The bank.
        bank: HashAlgorithm,
    },
    /// A selection names a bank and none of its PCRs.
    #[error("the bank {bank} is selected without pcrs: expected at least one")]
    EmptyBank {
        /// The bank.
        bank: HashAlgorithm,
    },
    /// PCR values whose indices do not rise.
    #[error("pcr values out of order: expected an index above {previous} in the bank {bank}, got {got}")]
    PcrOrder {
        /// The bank.
        bank: HashAlgorithm,
        /// The index before.
        previous: u8,
        /// The index found.
        got: u8,
    },
}
