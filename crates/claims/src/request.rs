//! What a guest asks for, as it stands in the transcript that its evidence binds.

use core::fmt;
use core::str::FromStr;

use crate::{KeyId, Sha256Digest, VersionSelector};

/// Most requests in one message, and so in one transcript.
pub const MAX_REQUESTS: usize = 32;

/// What a guest wants done with a key. The code is what stands in transcripts, leaves and messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Operation {
    /// The KEK stays in the broker and unwraps one DEK for the guest.
    Unwrap = 1,
    /// The KEK itself goes to the guest.
    Release = 2,
    /// Opaque bytes go to the guest.
    Secret = 3,
    /// The guest attests again and gets a receipt and no key.
    Renew = 4,
}

impl Operation {
    /// Every operation, in order of its code.
    pub const ALL: [Self; 4] = [Self::Unwrap, Self::Release, Self::Secret, Self::Renew];

    /// The code: 1 to 4.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The operation of a code, or `None`.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.code() == code)
    }

    /// The name that commands and policies use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unwrap => "unwrap",
            Self::Release => "release",
            Self::Secret => "secret",
            Self::Renew => "renew",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Operation {
    type Err = &'static str;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|op| op.name() == s);
        found.ok_or("not an operation; use unwrap, release, secret or renew")
    }
}

/// How a DEK was wrapped. The code is what stands in transcripts and messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum UnwrapAlgorithm {
    /// RSA-OAEP, SHA-256, MGF1-SHA-256, no label (RFC 8017, 7.1).
    RsaOaep256 = 1,
    /// AES-256 key wrap with padding (RFC 5649).
    Aes256Kwp = 2,
    /// AES-256-GCM: 12-byte nonce, then ciphertext and tag; the context is the associated data.
    Aes256Gcm = 3,
}

impl UnwrapAlgorithm {
    /// The code: 1 to 3.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The algorithm of a code, or `None`.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::RsaOaep256, Self::Aes256Kwp, Self::Aes256Gcm].into_iter().find(|a| a.code() == code)
    }
}

/// Which DEK an `unwrap` is about. Hashes stand in for the bytes, so that the transcript stays short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnwrapBinding {
    /// How the DEK was wrapped.
    pub algorithm: UnwrapAlgorithm,
    /// SHA-256 of the wrapped DEK.
    pub wrapped: Sha256Digest,
    /// SHA-256 of the context (associated data); of nothing where there is none.
    pub context: Sha256Digest,
}

/// One request of a guest, in the form that its evidence binds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestedRequest {
    /// What is wanted.
    pub operation: Operation,
    /// Of which key.
    pub key: KeyId,
    /// Of which version.
    pub version: VersionSelector,
    /// For [`Operation::Unwrap`], and only there: which DEK.
    pub unwrap: Option<UnwrapBinding>,
}

/// An HPKE cipher suite of the protocol (RFC 9180). The code is what stands in transcripts and messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Suite {
    /// DHKEM(P-384, HKDF-SHA384), HKDF-SHA384, AES-256-GCM. Public keys are 97 bytes.
    P384 = 1,
    /// X-Wing (0x647a: ML-KEM-768 and X25519), HKDF-SHA384, AES-256-GCM. Public keys are 1216 bytes.
    XWing = 2,
}

impl Suite {
    /// The code: 1 or 2.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The suite of a code, or `None`.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::P384, Self::XWing].into_iter().find(|s| s.code() == code)
    }

    /// Length of a recipient's public key, in bytes.
    pub fn public_key_len(self) -> usize {
        match self {
            Self::P384 => 97,
            Self::XWing => 1216,
        }
    }

    /// The name that configuration files and policies use.
    pub fn name(self) -> &'static str {
        match self {
            Self::P384 => "p384",
            Self::XWing => "x-wing",
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Suite {
    type Err = &'static str;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let found = [Self::P384, Self::XWing].into_iter().find(|suite| suite.name() == s);
        found.ok_or("not a suite; use x-wing or p384")
    }
}

/// The public key that the broker seals to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientKey {
    /// The suite that the key belongs to.
    pub suite: Suite,
    /// The public key as RFC 9180 serialises it, [`Suite::public_key_len`] bytes.
    pub public: Vec<u8>,
}
