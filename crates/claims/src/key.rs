//! What a key is called, and of which kind it is.

use core::fmt;
use core::str::FromStr;

/// A key's name: 1 to 64 bytes of `a-z`, `0-9`, `-`, `_` and `.`, starting with a letter or digit.
///
/// The grammar leaves no room for a path, an empty name, or two spellings of one name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 64;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A string that is no [`KeyId`], [`RingId`] or [`Region`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidKeyId {
    /// What was given, cut to 64 characters.
    pub got: String,
}

impl fmt::Display for InvalidKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not a name: `{}`; use 1 to {} of a-z, 0-9, `-`, `_`, `.`, starting with a letter or digit",
            self.got.escape_debug(),
            KeyId::MAX_LEN
        )
    }
}

impl core::error::Error for InvalidKeyId {}

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(s: &str) -> Result<Self, InvalidKeyId> {
        let well_formed = s.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
            && s.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
            && s.len() <= Self::MAX_LEN;
        if well_formed {
            Ok(Self(s.to_owned()))
        } else {
            Err(InvalidKeyId { got: s.chars().take(Self::MAX_LEN).collect() })
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a set of keys is called that policies treat alike. The grammar is that of [`KeyId`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RingId(KeyId);

impl RingId {
    /// The name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it is the ring of keys for which none was named.
    pub fn is_default(&self) -> bool {
        self.as_str() == DEFAULT_RING
    }
}

/// The ring of keys for which none was named: `default`.
impl Default for RingId {
    fn default() -> Self {
        Self(KeyId(DEFAULT_RING.to_owned()))
    }
}

impl FromStr for RingId {
    type Err = InvalidKeyId;

    fn from_str(s: &str) -> Result<Self, InvalidKeyId> {
        s.parse().map(Self)
    }
}

impl fmt::Display for RingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a key may be used, in its owner's words, such as `eu-central-1`. The grammar is that of [`KeyId`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Region(KeyId);

impl Region {
    /// The name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for Region {
    type Err = InvalidKeyId;

    fn from_str(s: &str) -> Result<Self, InvalidKeyId> {
        s.parse().map(Self)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const DEFAULT_RING: &str = "default";

/// A key's version, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyVersion(pub u32);

impl fmt::Display for KeyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Which version of a key a guest asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VersionSelector {
    /// The newest enabled one.
    Latest,
    /// This one and no other.
    Exact(KeyVersion),
}

/// What kind of key it is, and so what can be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA, wrapped under RSA-OAEP with SHA-256 and MGF1-SHA-256 (RFC 8017, 7.1).
    Rsa {
        /// Modulus length: 2048, 3072 or 4096.
        bits: u16,
    },
    /// AES-256.
    Aes256,
    /// Bytes that keyfast stores and does not use.
    Secret,
}

/// A string that names no [`KeyKind`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKeyKind {
    /// What was given.
    pub got: String,
}

impl fmt::Display for UnknownKeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let got = self.got.escape_debug();
        write!(f, "not a kind of key: `{got}`; use rsa-2048, rsa-3072, rsa-4096, aes-256 or secret")
    }
}

impl core::error::Error for UnknownKeyKind {}

impl FromStr for KeyKind {
    type Err = UnknownKeyKind;

    fn from_str(s: &str) -> Result<Self, UnknownKeyKind> {
        Ok(match s {
            "rsa-2048" => Self::Rsa { bits: 2048 },
            "rsa-3072" => Self::Rsa { bits: 3072 },
            "rsa-4096" => Self::Rsa { bits: 4096 },
            "aes-256" => Self::Aes256,
            "secret" => Self::Secret,
            other => return Err(UnknownKeyKind { got: other.chars().take(32).collect() }),
        })
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "rsa-{bits}"),
            Self::Aes256 => f.write_str("aes-256"),
            Self::Secret => f.write_str("secret"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leaves_no_room_for_a_path() {
        for good in ["db", "a", "0", "disk.root_1-x", &"a".repeat(64)] {
            assert_eq!(good.parse::<KeyId>().unwrap().as_str(), good);
        }
        for bad in ["", "..", ".a", "-a", "a/b", "A", "a b", "a\0", "ä", &"a".repeat(65)] {
            assert!(bad.parse::<KeyId>().is_err(), "{bad}");
        }
    }
}
