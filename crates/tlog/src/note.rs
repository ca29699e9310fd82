//! Signed notes: a text and the signatures of those who stand behind it (C2SP signed-note).
//!
//! A note is a text that ends in a newline, an empty line, and one line for each signature. Only signatures of
//! keys that the caller names count; others are passed over, so that keys can be added and rotated. A signature by
//! a named key that does not verify spoils the note.

use core::fmt;
use core::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::name::NamedKey;
use crate::{BadKey, KeyName};

/// Longest note that is read, in bytes.
pub const MAX_NOTE: usize = 64 * 1024;
/// Most signatures in a note.
pub const MAX_SIGNATURES: usize = 32;

/// Why a note is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// The note is too long to be looked at.
    #[error("the note is too long: expected at most {MAX_NOTE} bytes, got {got}")]
    TooLong {
        /// Bytes given.
        got: usize,
    },
    /// The note has more signatures than are looked at.
    #[error("the note has more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// The bytes are not in the form of a note.
    #[error("not a signed note: {what}")]
    Malformed {
        /// What is missing or wrong.
        what: &'static str,
    },
    /// A line of the signature block is no signature.
    #[error("line {line} of the note's signatures is malformed")]
    SignatureLine {
        /// Which, from 1.
        line: usize,
    },
    /// One key has signed twice.
    #[error("the note has two signatures of one key: `{name}+{id:08x}`")]
    Repeated {
        /// The key's name.
        name: String,
        /// The key's id.
        id: u32,
    },
    /// A key that was asked for has signed something else.
    #[error("the signature of `{name}+{id:08x}` does not verify")]
    BadSignature {
        /// The key's name.
        name: KeyName,
        /// The key's id.
        id: u32,
    },
    /// None of the keys that were asked for has signed.
    #[error("the note is not signed by any of the {known} known keys")]
    NoKnownSignature {
        /// How many were asked for.
        known: usize,
    },
}

/// A key that signs notes, public half (signature type 0x01, Ed25519).
#[derive(Clone, Debug)]
pub struct VerifierKey(NamedKey);

impl VerifierKey {
    /// Names a public key.
    ///
    /// # Errors
    /// [`BadKey::Crypto`] if it is none.
    pub fn new(name: KeyName, public: &[u8; 32]) -> Result<Self, BadKey> {
        NamedKey::new(name, ED25519, public).map(Self)
    }

    /// Its name.
    pub fn name(&self) -> &KeyName {
        &self.0.name
    }

    /// Its id, which tells keys of one name apart; no proof of anything.
    pub fn id(&self) -> u32 {
        self.0.id
    }

    /// The public key, 32 bytes.
    pub fn public(&self) -> &[u8; 32] {
        self.0.public.as_bytes()
    }
}

impl FromStr for VerifierKey {
    type Err = BadKey;

    /// Reads `name+hash+key`.
    fn from_str(text: &str) -> Result<Self, BadKey> {
        NamedKey::parse(text, ED25519).map(Self)
    }
}

/// `name+hash+key`.
impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A key that signs notes.
pub struct Signer {
    verifier: VerifierKey,
    key: crypto::Ed25519SigningKey,
}

impl Signer {
    /// Names a private key.
    ///
    /// # Errors
    /// [`BadKey::Crypto`] if the back end refuses its public half.
    pub fn new(name: KeyName, key: crypto::Ed25519SigningKey) -> Result<Self, BadKey> {
        Ok(Self { verifier: VerifierKey::new(name, &key.public())?, key })
    }

    /// The public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The note of a text that ends in a newline, with one signature.
    ///
    /// # Errors
    /// [`NoteError::Malformed`] if the text is empty, does not end in a newline, or has another control character.
    pub fn sign(&self, text: &str) -> Result<Vec<u8>, NoteError> {
        check_text(text)?;
        let VerifierKey(key) = &self.verifier;
        let signature: Vec<u8> =
            key.id.to_be_bytes().into_iter().chain(self.key.sign(text.as_bytes())).collect();
        Ok(format!("{text}\n{DASH}{} {}\n", key.name, STANDARD.encode(signature)).into_bytes())
    }
}

/// A note whose signatures nobody has checked: its text is not to be believed.
pub struct SignedNote<'a> {
    text: &'a str,
    signatures: Vec<Signature<'a>>,
}

/// A note that at least one of the keys asked for has signed, and none of them wrongly.
pub struct VerifiedNote<'a>(SignedNote<'a>);

struct Signature<'a> {
    name: &'a str,
    id: u32,
    bytes: Vec<u8>,
}

impl<'a> SignedNote<'a> {
    /// Takes a note apart.
    ///
    /// # Errors
    /// [`NoteError::TooLong`], [`NoteError::TooManySignatures`], [`NoteError::Malformed`],
    /// [`NoteError::SignatureLine`] or [`NoteError::Repeated`].
    pub fn parse(note: &'a [u8]) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE {
            return Err(NoteError::TooLong { got: note.len() });
        }
        let note =
            core::str::from_utf8(note).map_err(|_| NoteError::Malformed { what: "it is not UTF-8" })?;
        let (text, lines) =
            split(note).ok_or(NoteError::Malformed { what: "no empty line before signatures" })?;
        check_text(text)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed { what: "no newline at the end" })?;
        let mut signatures: Vec<Signature<'a>> = Vec::new();
        for (line, text) in (1..).zip(lines.split('\n')) {
            if signatures.len() >= MAX_SIGNATURES {
                return Err(NoteError::TooManySignatures);
            }
            let next = Signature::parse(text).ok_or(NoteError::SignatureLine { line })?;
            if signatures.iter().any(|known| known.name == next.name && known.id == next.id) {
                return Err(NoteError::Repeated { name: next.name.to_owned(), id: next.id });
            }
            signatures.push(next);
        }
        Ok(Self { text, signatures })
    }

    /// The text, which nothing vouches for.
    pub fn unverified_text(&self) -> &'a str {
        self.text
    }

    /// Checks the signatures of these keys.
    ///
    /// # Errors
    /// [`NoteError::NoKnownSignature`] if none of them has signed; [`NoteError::BadSignature`] if one of them has
    /// not signed this.
    pub fn verify(self, keys: &[VerifierKey]) -> Result<VerifiedNote<'a>, NoteError> {
        let mut signed = false;
        for VerifierKey(key) in keys {
            if let Some(signature) = self.signature_of(key) {
                check(key, self.text.as_bytes(), signature)?;
                signed = true;
            }
        }
        if signed { Ok(VerifiedNote(self)) } else { Err(NoteError::NoKnownSignature { known: keys.len() }) }
    }

    /// The bytes after the key id in the signature line of this key.
    fn signature_of(&self, key: &NamedKey) -> Option<&[u8]> {
        let is_key = |s: &&Signature<'_>| s.name == key.name.as_str() && s.id == key.id;
        self.signatures.iter().find(is_key).map(|signature| signature.bytes.as_slice())
    }
}

impl<'a> VerifiedNote<'a> {
    /// The text that was signed, its last newline included.
    pub fn text(&self) -> &'a str {
        self.0.text
    }

    pub(crate) fn signature_of(&self, key: &NamedKey) -> Option<&[u8]> {
        self.0.signature_of(key)
    }
}

impl<'a> Signature<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (name, base64) = line.strip_prefix(DASH)?.split_once(' ')?;
        name.parse::<KeyName>().ok()?;
        let bytes = STANDARD.decode(base64).ok()?;
        let (id, bytes) = bytes.split_first_chunk::<4>().filter(|(_, bytes)| !bytes.is_empty())?;
        Some(Self { name, id: u32::from_be_bytes(*id), bytes: bytes.to_vec() })
    }
}

/// Checks a signature over `message`.
pub(crate) fn check(key: &NamedKey, message: &[u8], signature: &[u8]) -> Result<(), NoteError> {
    let bad = |_| NoteError::BadSignature { name: key.name.clone(), id: key.id };
    key.public.verify(message, signature).map_err(bad)
}

/// Text and signature lines, without the last empty line between them.
fn split(note: &str) -> Option<(&str, &str)> {
    let end = note.rfind("\n\n")?.checked_add(1)?;
    let (text, rest) = note.split_at_checked(end)?;
    Some((text, rest.strip_prefix('\n')?))
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if !text.ends_with('\n') {
        return Err(NoteError::Malformed { what: "its text does not end in a newline" });
    }
    if text.contains(|c| c < ' ' && c != '\n') {
        return Err(NoteError::Malformed { what: "its text has a control character" });
    }
    Ok(())
}

/// Signature type of this document's Ed25519.
const ED25519: u8 = 0x01;
/// What a signature line starts with.
const DASH: &str = "\u{2014} ";
