//! Fixed-length byte strings, each under its own name so that one cannot be passed for another.
//!
//! All print and parse as lower-case hexadecimal without a prefix. None of them is secret.

use core::fmt;
use core::str::FromStr;

/// Why a hexadecimal string is not the value it was read as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseHexError {
    /// The string has another number of digits.
    Length {
        /// Digits that the type needs.
        expected: usize,
        /// Digits found.
        got: usize,
    },
    /// The byte at this offset is no hexadecimal digit.
    Digit {
        /// Offset into the string, in bytes.
        at: usize,
    },
}

impl fmt::Display for ParseHexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { expected, got } => {
                write!(f, "wrong number of hexadecimal digits: expected {expected}, got {got}")
            }
            Self::Digit { at } => write!(f, "not a hexadecimal digit at offset {at}"),
        }
    }
}

impl core::error::Error for ParseHexError {}

macro_rules! byte_string {
    ($($(#[$doc:meta])* $name:ident, $len:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Whether every byte is zero, which is how firmware spells "not set".
            pub fn is_zero(&self) -> bool {
                self.0.iter().all(|b| *b == 0)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseHexError;

            fn from_str(s: &str) -> Result<Self, ParseHexError> {
                let mut bytes = [0; $len];
                decode_hex(s, &mut bytes)?;
                Ok(Self(bytes))
            }
        }
    )*};
}

byte_string! {
    /// A launch measurement: 48 bytes, SHA-384 (AMD SEV-SNP ABI 1.58, table 23, MEASUREMENT).
    Measurement, 48;
    /// A processor's id: 64 bytes; on Turin the first 8 count (AMD SEV-SNP ABI, table 23, CHIP_ID).
    ChipId, 64;
    /// What the guest binds into its report: 64 bytes (AMD SEV-SNP ABI, table 23, REPORT_DATA).
    ReportData, 64;
    /// A broker's identity: the SHA-256 of its offline Ed25519 identity key.
    BrokerId, 32;
    /// The broker's challenge: 32 random bytes, used once.
    Nonce, 32;
    /// SHA-256 of the agent's configuration file as it was read.
    ConfigDigest, 32;
    /// SHA-256 of a policy bundle: what was decided under.
    PolicyDigest, 32;
    /// SHA-512 of a [`crate::Transcript`]; an SNP report carries it as its report data.
    TranscriptHash, 64;
    /// A SHA-256 of something else.
    Sha256Digest, 32;
    /// Names one answer of the broker, for `keyfast audit explain`: 16 random bytes.
    RequestId, 16;
}

impl BrokerId {
    /// The name of this broker's log, and of the keys that sign it: `keyfast/` and the first 16 digits.
    pub fn log_origin(&self) -> String {
        self.0.iter().take(8).fold("keyfast/".to_owned(), |name, byte| format!("{name}{byte:02x}"))
    }
}

fn decode_hex(s: &str, out: &mut [u8]) -> Result<(), ParseHexError> {
    let expected = out.len().saturating_mul(2);
    if s.len() != expected {
        return Err(ParseHexError::Length { expected, got: s.len() });
    }
    for (i, (pair, byte)) in s.as_bytes().chunks_exact(2).zip(out).enumerate() {
        let digit = |offset: usize| {
            let at = i.saturating_mul(2).saturating_add(offset);
            let d = pair.get(offset).and_then(|b| char::from(*b).to_digit(16));
            d.and_then(|d| u8::try_from(d).ok()).ok_or(ParseHexError::Digit { at })
        };
        *byte = (digit(0)? << 4) | digit(1)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_it_parses() {
        let text = "00112233445566778899aabbccddeeff";
        assert_eq!(text.parse::<RequestId>().unwrap().to_string(), text);
    }

    #[test]
    fn names_the_offending_offset() {
        assert_eq!("0g".repeat(16).parse::<RequestId>(), Err(ParseHexError::Digit { at: 1 }));
        assert_eq!("00".parse::<RequestId>(), Err(ParseHexError::Length { expected: 32, got: 2 }));
        assert_eq!("é".repeat(16).parse::<RequestId>(), Err(ParseHexError::Digit { at: 0 }));
    }
}
