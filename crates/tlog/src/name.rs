//! [`KeyName`] and the verifier keys' text form, shared by logs and witnesses (C2SP signed-note, "Verifier keys").

use core::fmt;
use core::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A key's name in notes: 1 to 255 bytes, without spaces, control characters and `+`. By custom a URL without its
/// scheme, `keys.example.com/journal`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 255;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no key name or no verifier key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadKey {
    /// The name is empty, too long, or has a character that it must not have.
    #[error("not a key name: `{got}`; use 1 to 255 bytes without spaces, control characters and `+`")]
    Name {
        /// What was given, escaped and cut to 64 characters.
        got: String,
    },
    /// The text is not name, hash and key, separated by `+`.
    #[error("not a verifier key; expected `name+hash+key`, the hash in hexadecimal, the key in base64")]
    Form,
    /// The key is for another kind of signature.
    #[error("wrong kind of key: expected signature type {expected:#04x}, got {got:#04x}")]
    Type {
        /// What the place asks for.
        expected: u8,
        /// What the key says.
        got: u8,
    },
    /// The hash is another key's.
    #[error("the hash in the verifier key is not its own: expected {expected:08x}, got {got:08x}")]
    Hash {
        /// What name and key give.
        expected: u32,
        /// What the text says.
        got: u32,
    },
    /// The bytes are no public key.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
}

impl FromStr for KeyName {
    type Err = BadKey;

    fn from_str(s: &str) -> Result<Self, BadKey> {
        let forbidden = |c: char| c == '+' || c.is_whitespace() || c.is_control();
        if s.is_empty() || s.len() > Self::MAX_LEN || s.contains(forbidden) {
            return Err(BadKey::Name { got: s.escape_debug().take(64).collect() });
        }
        Ok(Self(s.to_owned()))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An Ed25519 public key with the name and id that its signature lines carry.
#[derive(Clone, Debug)]
pub(crate) struct NamedKey {
    pub(crate) name: KeyName,
    pub(crate) id: u32,
    pub(crate) signature_type: u8,
    pub(crate) public: crypto::Ed25519PublicKey,
}

impl NamedKey {
    pub(crate) fn new(name: KeyName, signature_type: u8, public: &[u8; 32]) -> Result<Self, BadKey> {
        let id = key_id(&name, signature_type, public);
        Ok(Self { name, id, signature_type, public: crypto::Ed25519PublicKey::from_bytes(public)? })
    }

    /// Reads `name+hash+key` for one type of signature.
    pub(crate) fn parse(text: &str, expected: u8) -> Result<Self, BadKey> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(BadKey::Form);
        };
        let got = u32::from_str_radix(hash, 16).ok().filter(|id| format!("{id:08x}") == hash);
        let got = got.ok_or(BadKey::Form)?;
        let bytes = if key.len() > MAX_KEY_TEXT { None } else { STANDARD.decode(key).ok() };
        let bytes = bytes.ok_or(BadKey::Form)?;
        let (signature_type, public) = bytes.split_first().ok_or(BadKey::Form)?;
        if *signature_type != expected {
            return Err(BadKey::Type { expected, got: *signature_type });
        }
        let key = Self::new(name.parse()?, expected, public.try_into().map_err(|_| BadKey::Form)?)?;
        if key.id == got { Ok(key) } else { Err(BadKey::Hash { expected: key.id, got }) }
    }
}

impl fmt::Display for NamedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<u8> = [self.signature_type].iter().chain(self.public.as_bytes()).copied().collect();
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(bytes))
    }
}

/// The first four bytes of SHA-256(name ‖ newline ‖ type ‖ key), big-endian.
fn key_id(name: &KeyName, signature_type: u8, public: &[u8; 32]) -> u32 {
    let hash = crypto::sha256(&[name.as_str().as_bytes(), b"\n", &[signature_type], public]);
    let [a, b, c, d, ..] = hash;
    u32::from_be_bytes([a, b, c, d])
}

/// Longest base64 of a verifier key that is looked at.
const MAX_KEY_TEXT: usize = 64;
