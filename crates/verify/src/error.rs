//! Why a report was not believed.

use core::fmt;

use claims::EvidenceKind;
use claims::snp::Product;

use crate::tpm::TpmVerifyError;
use crate::{BindError, ChainError, Check, RevocationError, Role};

/// Evidence that is well-formed and not genuine, or genuine and not for this challenge.
///
/// Each variant is one condition, with what was expected and what was found, for the operator; guests learn less.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// There is no verifier for this kind.
    #[error("evidence of kind {kind} is not supported")]
    Unsupported {
        /// The kind.
        kind: EvidenceKind,
    },
    /// A version whose layout AMD has not published.
    #[error(
        "report version 4 is not believed: expected 2, 3 or 5; an operator may have it read in the layout of version 3"
    )]
    Version4,
    /// The host asked for the report, not the guest.
    #[error("the host requested this report: expected a guest's vmpl, 0 to 3, got 0xffffffff")]
    HostRequested,
    /// A VMPL that does not exist.
    #[error("vmpl out of range: expected 0 to 3, got {got}")]
    Vmpl {
        /// The VMPL found.
        got: u32,
    },
    /// Firmware says that it did not sign.
    #[error("the report is not signed: expected signing key 0 (VCEK) or 1 (VLEK), got 7 (none)")]
    NotSigned,
    /// A signing key without a meaning.
    #[error("signing key not known: expected 0 (VCEK) or 1 (VLEK), got {got}")]
    ReservedSigner {
        /// The code found.
        got: u8,
    },
    /// The host has firmware leave the signature out.
    #[error("the host masks the chip key, so that the report is not signed: expected MASK_CHIP_KEY 0, got 1")]
    ChipKeyMasked,
    /// The certificate is of another kind of key than the one that signed.
    #[error(
        "the certificate is of another kind than the signing key: expected a {expected} as reported, got a {got}"
    )]
    Signer {
        /// The kind that the report names.
        expected: Role,
        /// The kind that the certificate is of.
        got: Role,
    },
    /// A certificate was revoked, or it cannot be known.
    #[error(transparent)]
    Revocation(#[from] RevocationError),
    /// The certificates lead to no trusted root.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A CPU that belongs to no product with a root here.
    #[error(
        "cpu not known: expected a model of Milan, Genoa or Turin, got family {family:#04x}, model {model:#04x}"
    )]
    UnknownCpu {
        /// Family.
        family: u8,
        /// Model.
        model: u8,
    },
    /// A CPU of a product that is known and not read.
    #[error(
        "{name} is not supported: expected a model of Milan, Genoa or Turin, got family {family:#04x}, model \
         {model:#04x}"
    )]
    UnsupportedProduct {
        /// AMD's name for it.
        name: &'static str,
        /// Family.
        family: u8,
        /// Model.
        model: u8,
    },
    /// A CPU of another product than the root's.
    #[error("the report is of another product than its root: expected {expected}, got {got}")]
    Product {
        /// The root's product.
        expected: Product,
        /// The CPU's product.
        got: Product,
    },
    /// A reserved byte of a TCB version is set.
    #[error("reserved byte {byte} of the {field} tcb is set: expected 0 on {product}, got {got}")]
    TcbReserved {
        /// Current, reported, committed or launch.
        field: &'static str,
        /// Which of its eight bytes, from 0.
        byte: usize,
        /// Whose layout it is.
        product: Product,
        /// What stands there.
        got: u8,
    },
    /// The key was derived for another TCB than the one reported.
    #[error("the {certificate} is for another tcb: expected {component} {expected} as reported, got {got}")]
    Tcb {
        /// Whose certificate.
        certificate: Role,
        /// Which part.
        component: &'static str,
        /// The report's.
        expected: u8,
        /// The certificate's.
        got: u8,
    },
    /// The report does not say which chip made it.
    #[error("the host masks the chip id: expected the id of the VCEK's chip, got zeros")]
    ChipIdMasked,
    /// The key is of another chip.
    #[error("the VCEK is of another chip: expected chip id {} as reported, got {}", hex(.expected), hex(.got))]
    Chip {
        /// The report's, as many bytes as the product has.
        expected: Vec<u8>,
        /// The certificate's.
        got: Vec<u8>,
    },
    /// CHIP_ID goes on behind the bytes that the product has.
    #[error("the chip id is longer than that of {product}: expected zeros after {len} bytes")]
    ChipIdTail {
        /// Whose layout it is.
        product: Product,
        /// Bytes that count.
        len: usize,
    },
    /// A TCB version is above the one that bounds it.
    #[error("the {lower} tcb is above the {higher} one: expected {component} at most {limit}, got {got}")]
    TcbOrder {
        /// Which part.
        component: &'static str,
        /// The version that is too high: reported or committed.
        lower: &'static str,
        /// The version that bounds it: committed or current.
        higher: &'static str,
        /// The part in the version that bounds it.
        limit: u8,
        /// The part in the version that is too high.
        got: u8,
    },
    /// The platform has committed to newer firmware than it runs.
    #[error("the committed firmware is above the current one: expected at most {limit:?}, got {got:?}")]
    FirmwareOrder {
        /// What runs: major, minor, build.
        limit: (u8, u8, u8),
        /// What is committed: major, minor, build.
        got: (u8, u8, u8),
    },
    /// The signature is none of these bytes by this key.
    #[error(
        "the report's signature does not verify under the {certificate}: it was altered, or another key signed it"
    )]
    Signature {
        /// Whose key it should be by.
        certificate: Role,
    },
    /// A quote, its key or its event log.
    #[error(transparent)]
    Tpm(#[from] TpmVerifyError),
    /// Genuine, and no answer to this challenge.
    #[error(transparent)]
    Bind(#[from] BindError),
}

impl VerifyError {
    /// Which check failed, or `None` for what is no check of any list.
    pub fn check(&self) -> Option<Check> {
        Some(match self {
            Self::Version4 => Check::Layout,
            Self::TcbReserved { .. } => Check::Reserved,
            Self::HostRequested | Self::Vmpl { .. } => Check::Vmpl,
            Self::NotSigned | Self::ReservedSigner { .. } | Self::ChipKeyMasked | Self::Signer { .. } => {
                Check::Signer
            }
            Self::Revocation(_) => Check::Revocation,
            Self::Chain(error) => error.check(),
            Self::UnknownCpu { .. } | Self::UnsupportedProduct { .. } | Self::Product { .. } => {
                Check::Product
            }
            Self::Tcb { .. } => Check::Tcb,
            Self::ChipIdMasked | Self::Chip { .. } | Self::ChipIdTail { .. } => Check::Chip,
            Self::TcbOrder { .. } | Self::FirmwareOrder { .. } => Check::Order,
            Self::Signature { .. } => Check::Signature,
            Self::Bind(BindError::ExtraData { .. }) => Check::ExtraData,
            Self::Bind(BindError::Manifest { .. }) => Check::Manifest,
            Self::Bind(_) => Check::Launch,
            Self::Tpm(error) => error.check(),
            Self::Unsupported { .. } => return None,
        })
    }
}

/// Bytes in lower-case hexadecimal, at most 64 of them.
pub(crate) fn hex(bytes: &[u8]) -> impl fmt::Display {
    let shown = bytes.iter().take(64);
    shown.fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
