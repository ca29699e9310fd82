//! The names and numbers of the checks, for those who want to see them pass.

/// A check of the list in [`crate::snp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Check {
    /// Exact length and a version from the list.
    Layout = 1,
    /// Reserved bytes and bits.
    Reserved = 2,
    /// Who asked for the report.
    Vmpl = 3,
    /// The report's signature over the bytes that came.
    Signature = 4,
    /// The root.
    Anchor = 5,
    /// The certificates' signatures.
    Chain = 6,
    /// The certificates' windows.
    Validity = 7,
    /// Names, CA flags, and the kind of the leaf's key.
    Names = 8,
    /// Which key signed.
    Signer = 9,
    /// The leaf's TCB against the report's.
    Tcb = 10,
    /// The leaf's chip against the report's.
    Chip = 11,
    /// The chain's product against the report's.
    Product = 12,
}

impl Check {
    /// Its number in the list: 1 to 12.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// What it is called.
    pub fn title(self) -> &'static str {
        match self {
            Self::Layout => "length and version",
            Self::Reserved => "reserved bytes",
            Self::Vmpl => "requester",
            Self::Signature => "report signature",
            Self::Anchor => "trust anchor",
            Self::Chain => "certificate signatures",
            Self::Validity => "validity",
            Self::Names => "certificate names",
            Self::Signer => "signing key",
            Self::Tcb => "tcb extensions",
            Self::Chip => "chip id",
            Self::Product => "product",
        }
    }
}
