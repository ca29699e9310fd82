//! KEY_INFO of a report: 32 bits that say which key signed (AMD SEV-SNP ABI 1.58, table 23, offset 0x48).

use claims::snp::SigningKey;

/// The 32 bits of KEY_INFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyInfo(pub u32);

/// Which key firmware says that it signed with: KEY_INFO, bits 4:2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportSigner {
    /// 0: the versioned chip endorsement key.
    Vcek,
    /// 1: the versioned loaded endorsement key.
    Vlek,
    /// 7: none, the report is not signed.
    None,
    /// 2 to 6: no meaning yet.
    Reserved(u8),
}

impl ReportSigner {
    /// The endorsement key that signed, or `None` for a report that is not signed by one.
    pub fn key(self) -> Option<SigningKey> {
        match self {
            Self::Vcek => Some(SigningKey::Vcek),
            Self::Vlek => Some(SigningKey::Vlek),
            Self::None | Self::Reserved(_) => None,
        }
    }
}

impl KeyInfo {
    /// Bit 0: AUTHOR_KEY_DIGEST holds a digest.
    pub fn author_key_enabled(self) -> bool {
        self.0 & 1 == 1
    }

    /// Bit 1: the host masks the chip key, so that the signature is zero.
    pub fn chip_key_masked(self) -> bool {
        self.0 & 2 == 2
    }

    /// Bits 4:2.
    pub fn signer(self) -> ReportSigner {
        match (self.0.to_le_bytes()[0] >> 2) & 7 {
            0 => ReportSigner::Vcek,
            1 => ReportSigner::Vlek,
            7 => ReportSigner::None,
            other => ReportSigner::Reserved(other),
        }
    }

    /// Bits 31:5, which must be zero.
    pub fn reserved_bits(self) -> u32 {
        self.0 & !0x1f
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signer_is_bits_two_to_four() {
        let signers = [0, 1, 2, 6, 7].map(|code| KeyInfo(code << 2 | 3).signer());
        let [vcek, vlek, two, six, none] = signers;
        assert_eq!([vcek, vlek, none], [ReportSigner::Vcek, ReportSigner::Vlek, ReportSigner::None]);
        assert_eq!([two, six], [ReportSigner::Reserved(2), ReportSigner::Reserved(6)]);
        assert_eq!(KeyInfo(0x20).reserved_bits(), 0x20);
    }

    #[test]
    fn bits_zero_and_one_are_flags_and_only_two_keys_sign() {
        let flags = [0, 1, 2, 3, u32::MAX - 3].map(KeyInfo);
        assert_eq!(flags.map(KeyInfo::author_key_enabled), [false, true, false, true, false]);
        assert_eq!(flags.map(KeyInfo::chip_key_masked), [false, false, true, true, false]);
        assert_eq!(ReportSigner::Vcek.key(), Some(SigningKey::Vcek));
        assert_eq!(ReportSigner::Vlek.key(), Some(SigningKey::Vlek));
        assert_eq!((ReportSigner::None.key(), ReportSigner::Reserved(2).key()), (None, None));
    }
}
