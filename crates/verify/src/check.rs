//! The names and numbers of the checks, for those who want to see them pass.

use core::fmt;

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
    /// Which kind of key signed.
    Signer = 9,
    /// The leaf's TCB against the report's.
    Tcb = 10,
    /// The leaf's chip, or cloud provider, against the report.
    Chip = 11,
    /// The chain's product against the report's.
    Product = 12,
    /// What was revoked.
    Revocation = 13,
    /// TCB versions that are new enough.
    Floors = 14,
    /// The TCB versions against each other.
    Order = 15,
    /// What the guest's owner allowed the host.
    GuestPolicy = 16,
    /// What was launched, by whom, for which request.
    Launch = 17,
    /// What the platform has switched on and mitigated.
    Platform = 18,
}

/// Who makes a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Judge {
    /// This crate, on every report: there are no claims unless it passes.
    Verifier,
    /// A policy, on the claims; for report data [`crate::Authenticated::bind`] before it.
    Policy,
}

impl Check {
    /// All of them, by number.
    pub const ALL: [Self; 18] = [
        Self::Layout,
        Self::Reserved,
        Self::Vmpl,
        Self::Signature,
        Self::Anchor,
        Self::Chain,
        Self::Validity,
        Self::Names,
        Self::Signer,
        Self::Tcb,
        Self::Chip,
        Self::Product,
        Self::Revocation,
        Self::Floors,
        Self::Order,
        Self::GuestPolicy,
        Self::Launch,
        Self::Platform,
    ];

    /// Its number in the list: 1 to 18.
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
            Self::Chip => "chip or provider",
            Self::Product => "product",
            Self::Revocation => "revocation",
            Self::Floors => "tcb floors",
            Self::Order => "order of tcb versions",
            Self::GuestPolicy => "guest policy",
            Self::Launch => "launch and report data",
            Self::Platform => "platform",
        }
    }

    /// Who makes it.
    pub fn judge(self) -> Judge {
        match self {
            Self::Floors | Self::GuestPolicy | Self::Launch | Self::Platform => Judge::Policy,
            _ => Judge::Verifier,
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.number(), self.title())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_no_gap_and_no_two_titles_alike() {
        let numbers: Vec<u8> = Check::ALL.map(Check::number).to_vec();
        assert_eq!(numbers, (1..=18).collect::<Vec<_>>());
        let mut titles = Check::ALL.map(Check::title).to_vec();
        titles.sort_unstable();
        titles.dedup();
        assert_eq!(titles.len(), 18);
    }
}
