//! [`EncryptionContext`]: what a message is about, authenticated and in clear.
//!
//! Layout (AWS Encryption SDK, "Message format reference", AAD): the number of pairs, then for each pair the
//! lengths and bytes of name and value, all numbers two bytes, big-endian; sorted by the names' bytes. No pairs: no
//! bytes at all.

use std::collections::BTreeMap;

use crate::{MAX_CONTEXT_PAIRS, MessageError, UsageError};

/// Names and values that a message carries in clear and that decryption authenticates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncryptionContext(BTreeMap<String, String>);

impl EncryptionContext {
    /// Names under this prefix belong to the format.
    pub const RESERVED_PREFIX: &'static str = "aws-crypto-";

    /// A context for a new message.
    ///
    /// # Errors
    /// [`UsageError::ReservedName`], [`UsageError::EmptyName`], [`UsageError::RepeatedName`]. Numbers and lengths
    /// are checked when the header is made.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, UsageError> {
        let mut context = BTreeMap::new();
        for (name, value) in pairs {
            if name.is_empty() {
                return Err(UsageError::EmptyName);
            }
            if name.starts_with(Self::RESERVED_PREFIX) {
                return Err(UsageError::ReservedName { name });
            }
            if context.insert(name.clone(), value).is_some() {
                return Err(UsageError::RepeatedName { name });
            }
        }
        Ok(Self(context))
    }

    /// The pairs, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of a name.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This context and the signer's public key, in base64.
    pub(crate) fn with_signer(mut self, public_key: String) -> Self {
        self.0.insert(SIGNER_NAME.to_owned(), public_key);
        self
    }

    /// The signer's public key, in base64.
    pub(crate) fn signer(&self) -> Option<&str> {
        self.value(SIGNER_NAME)
    }

    /// Lays out the pairs.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, UsageError> {
        let mut out = Vec::new();
        if self.is_empty() {
            return Ok(out);
        }
        if self.len() > MAX_CONTEXT_PAIRS {
            return Err(UsageError::TooManyPairs { got: self.len() });
        }
        put_len(&mut out, self.len())?;
        for (name, value) in self.iter() {
            for field in [name, value] {
                put_len(&mut out, field.len())?;
                out.extend_from_slice(field.as_bytes());
            }
        }
        Ok(out)
    }

    /// Reads pairs that fill `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut context = BTreeMap::new();
        if bytes.is_empty() {
            return Ok(Self(context));
        }
        let (count, mut rest) = take_len(bytes)?;
        if count == 0 || count > MAX_CONTEXT_PAIRS {
            return Err(defect("expected 1 to 64 pairs"));
        }
        let mut previous = None;
        for _ in 0..count {
            let name = take_text(&mut rest)?;
            let value = take_text(&mut rest)?;
            if previous.is_some_and(|previous| previous >= name) {
                return Err(defect("names must be unique and sorted"));
            }
            previous = Some(name);
            context.insert(name.to_owned(), value.to_owned());
        }
        if rest.is_empty() { Ok(Self(context)) } else { Err(defect("bytes follow the last pair")) }
    }
}

/// Appends a length, two bytes, big-endian.
pub(crate) fn put_len(out: &mut Vec<u8>, len: usize) -> Result<(), UsageError> {
    let len = u16::try_from(len).map_err(|_| UsageError::HeaderTooLong { got: len })?;
    out.extend_from_slice(&len.to_be_bytes());
    Ok(())
}

fn take_len(bytes: &[u8]) -> Result<(usize, &[u8]), MessageError> {
    let (len, rest) = bytes.split_first_chunk().ok_or(defect("it ends inside a length"))?;
    Ok((usize::from(u16::from_be_bytes(*len)), rest))
}

fn take_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, MessageError> {
    let (len, rest) = take_len(bytes)?;
    let (field, rest) = rest.split_at_checked(len).ok_or(defect("it ends inside a name or value"))?;
    *bytes = rest;
    str::from_utf8(field).map_err(|_| defect("names and values must be UTF-8"))
}

fn defect(defect: &'static str) -> MessageError {
    MessageError::Context { defect }
}

/// The name under which a signed message carries the compressed point of its signer's key, in base64.
const SIGNER_NAME: &str = "aws-crypto-public-key";

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn callers_cannot_take_reserved_empty_or_repeated_names() {
        let new = |pairs: &[(String, String)]| EncryptionContext::new(pairs.iter().cloned());
        let reserved = UsageError::ReservedName { name: "aws-crypto-public-key".to_owned() };
        assert_eq!(new(&[pair("aws-crypto-public-key", "x")]), Err(reserved));
        assert_eq!(new(&[pair("", "x")]), Err(UsageError::EmptyName));
        let repeated = UsageError::RepeatedName { name: "a".to_owned() };
        assert_eq!(new(&[pair("a", "x"), pair("a", "x")]), Err(repeated));
    }

    #[test]
    fn reads_what_it_wrote_and_sorts_by_bytes() {
        let context = EncryptionContext::new([pair("é", "2"), pair("z", ""), pair("B", "1")]).unwrap();
        let names: Vec<_> = context.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["B", "z", "é"]);
        assert_eq!(EncryptionContext::decode(&context.encode().unwrap()).unwrap(), context);
        assert_eq!(EncryptionContext::default().encode().unwrap(), []);
    }

    #[test]
    fn refuses_each_defect_by_name() {
        let cases: [(&[u8], &str); 8] = [
            (b"\0", "it ends inside a length"),
            (b"\0\0", "expected 1 to 64 pairs"),
            (b"\0\x41", "expected 1 to 64 pairs"),
            (b"\0\x01\0\x02a", "it ends inside a name or value"),
            (b"\0\x01\0\x01\xff\0\0", "names and values must be UTF-8"),
            (b"\0\x02\0\x01b\0\0\0\x01a\0\0", "names must be unique and sorted"),
            (b"\0\x02\0\x01a\0\0\0\x01a\0\0", "names must be unique and sorted"),
            (b"\0\x01\0\x01a\0\0x", "bytes follow the last pair"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(EncryptionContext::decode(bytes), Err(defect(expected)), "{bytes:?}");
        }
    }

    #[test]
    fn more_pairs_than_are_read_are_not_written() {
        let pairs = (0..65).map(|i| pair(&i.to_string(), ""));
        let context = EncryptionContext::new(pairs).unwrap();
        assert_eq!(context.encode(), Err(UsageError::TooManyPairs { got: 65 }));
    }
}
