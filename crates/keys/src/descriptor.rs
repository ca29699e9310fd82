//! [`Descriptor`]: the public half of a key, as its owner's data are encrypted to it.
//!
//! A descriptor is the text of a C2SP signed note, signed with the broker's journal key:
//!
//! ```text
//! keyfast/1 key descriptor
//! broker <64 hexadecimal digits>
//! key <name>
//! version <decimal>
//! kind <rsa-2048 | rsa-3072 | rsa-4096>
//! operations <names, comma-separated, in order of their codes>
//! guests <genuine | simulated>
//! public <SubjectPublicKeyInfo, DER, base64>
//! statement <the broker's signed statement, base64>
//! ```
//!
//! followed by an empty line and the signature. The statement names the journal key and is itself signed by the
//! broker's identity key, so an owner pins one hash and needs no contact to the broker. Lines come in this order,
//! each once; anything else is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use claims::{BrokerId, KeyId, KeyKind, KeyVersion, Operation};
use crypto::RsaPublicKey;

use crate::KeyError;

/// Most bytes of a descriptor.
pub const MAX_DESCRIPTOR: usize = 64 * 1024;

const TITLE: &str = "keyfast/1 key descriptor";

/// What a descriptor says. Anyone may make one: it counts once its note is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Whose key it is.
    pub broker: BrokerId,
    /// The key's name.
    pub key: KeyId,
    /// Its version.
    pub version: KeyVersion,
    /// What kind it is.
    pub kind: KeyKind,
    /// What guests may ask of it.
    pub operations: Vec<Operation>,
    /// For simulated guests, and for no other.
    pub for_simulation: bool,
    /// SubjectPublicKeyInfo in DER.
    pub public_spki: Vec<u8>,
    /// The broker's signed statement, as the broker sends it.
    pub statement: Vec<u8>,
}

/// A text that is no descriptor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key descriptor: line {line}: expected {expected}")]
pub struct DescriptorError {
    /// The line, from 1.
    pub line: usize,
    /// What belongs there.
    pub expected: &'static str,
}

impl Descriptor {
    /// The public key, to wrap data keys under.
    ///
    /// # Errors
    /// [`KeyError::Crypto`] if it is none, or not of the length that [`Self::kind`] says.
    pub fn public_key(&self) -> Result<RsaPublicKey, KeyError> {
        let key = RsaPublicKey::from_spki(&self.public_spki)?;
        match self.kind {
            KeyKind::Rsa { bits } if usize::from(bits) == key.bits() => Ok(key),
            _ => Err(crypto::Error::BadKey { expected: "a public key of the kind that is named" }.into()),
        }
    }

    /// The note's text, to be signed.
    pub fn to_text(&self) -> String {
        let operations: Vec<_> = self.operations.iter().map(|op| op.name()).collect();
        format!(
            "{TITLE}\nbroker {}\nkey {}\nversion {}\nkind {}\noperations {}\nguests {}\npublic {}\nstatement {}\n",
            self.broker,
            self.key,
            self.version,
            self.kind,
            operations.join(","),
            guests(self.for_simulation),
            BASE64.encode(&self.public_spki),
            BASE64.encode(&self.statement),
        )
    }

    /// Reads a note's text. What it says counts once the note's signature is verified.
    ///
    /// # Errors
    /// [`DescriptorError`] with the first line that is not as it must be.
    pub fn from_unverified_text(text: &str) -> Result<Self, DescriptorError> {
        let mut lines = Lines { rest: text, line: 0 };
        lines.exact(TITLE)?;
        let descriptor = Self {
            broker: lines.field("broker ", "`broker ` and 64 hexadecimal digits", |s| s.parse().ok())?,
            key: lines.field("key ", "`key ` and a key's name", |s| s.parse().ok())?,
            version: lines
                .field("version ", "`version ` and a number", |s| Some(KeyVersion(s.parse().ok()?)))?,
            kind: lines.field("kind ", "`kind ` and an RSA kind", |s| s.parse().ok())?,
            operations: lines.field("operations ", "`operations ` and their names", |s| {
                s.split(',').map(|name| name.parse().ok()).collect()
            })?,
            for_simulation: lines.field("guests ", "`guests genuine` or `guests simulated`", |s| {
                [false, true].into_iter().find(|simulated| guests(*simulated) == s)
            })?,
            public_spki: lines.field("public ", "`public ` and base64", |s| BASE64.decode(s).ok())?,
            statement: lines.field("statement ", "`statement ` and base64", |s| BASE64.decode(s).ok())?,
        };
        let whole = lines.rest.is_empty() && descriptor.to_text() == text;
        let trailing =
            DescriptorError { line: lines.line.saturating_add(1), expected: "the end, in canonical form" };
        if whole { Ok(descriptor) } else { Err(trailing) }
    }
}

fn guests(simulated: bool) -> &'static str {
    if simulated { "simulated" } else { "genuine" }
}

struct Lines<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self, expected: &'static str) -> Result<&'a str, DescriptorError> {
        self.line = self.line.saturating_add(1);
        let (line, rest) = self.rest.split_once('\n').ok_or(DescriptorError { line: self.line, expected })?;
        self.rest = rest;
        Ok(line)
    }

    fn exact(&mut self, title: &'static str) -> Result<(), DescriptorError> {
        let found = self.next(title)?;
        if found == title { Ok(()) } else { Err(DescriptorError { line: self.line, expected: title }) }
    }

    fn field<T>(
        &mut self,
        prefix: &str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, DescriptorError> {
        let line = self.next(expected)?;
        line.strip_prefix(prefix).and_then(parse).ok_or(DescriptorError { line: self.line, expected })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor() -> Descriptor {
        Descriptor {
            broker: BrokerId([7; 32]),
            key: "db".parse().unwrap(),
            version: KeyVersion(3),
            kind: KeyKind::Rsa { bits: 3072 },
            operations: vec![Operation::Unwrap, Operation::Release],
            for_simulation: true,
            public_spki: vec![1, 2, 3],
            statement: vec![4, 5],
        }
    }

    #[test]
    fn reads_what_it_writes() {
        assert_eq!(Descriptor::from_unverified_text(&descriptor().to_text()), Ok(descriptor()));
    }

    #[test]
    fn names_the_line_that_is_wrong() {
        let good = descriptor().to_text();
        for (from, to, line) in [
            ("keyfast/1", "keyfast/2", 1),
            ("broker 07", "broker x7", 2),
            ("key db", "key ../db", 3),
            ("version 3", "version three", 4),
            ("rsa-3072", "rsa-1024", 5),
            ("unwrap,release", "unwrap,sign", 6),
            ("simulated", "sometimes", 7),
            ("public AQID", "public !", 8),
            ("statement BAU=", "statement BAU", 9),
            ("version 3", "version 03", 10),
            ("BAU=\n", "BAU=\nmore\n", 10),
            ("key db\n", "", 3),
        ] {
            let error = Descriptor::from_unverified_text(&good.replace(from, to)).unwrap_err();
            assert_eq!(error.line, line, "{from} -> {to}: {error}");
        }
        assert_eq!(Descriptor::from_unverified_text("").unwrap_err().line, 1);
    }
}
