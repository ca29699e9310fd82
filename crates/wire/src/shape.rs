//! The shape of every message, checked before anything is allocated: well-formed CBOR (RFC 8949, 5.3.1) in the
//! deterministic encoding (4.2.1), of the few types that messages use.
//!
//! One pass over the bytes, no recursion, a stack of [`MAX_DEPTH`] frames. Afterwards a decoder that is lax by
//! itself has nothing left to be lax about but unknown keys, and those [`crate::decode`] finds by encoding again.

use crate::DecodeError;

/// Most levels of arrays and maps inside each other.
pub(crate) const MAX_DEPTH: usize = 8;

/// Checks that `bytes` are exactly one item in deterministic encoding.
pub(crate) fn check(bytes: &[u8]) -> Result<(), DecodeError> {
    let mut reader = Reader { bytes, at: 0 };
    let mut open: Vec<Frame> = Vec::with_capacity(MAX_DEPTH);
    loop {
        let head = reader.head()?;
        if let Some(frame) = open.last_mut() {
            frame.take(&head)?;
        }
        if let Some(frame) = reader.enter(&head)? {
            if open.len() == MAX_DEPTH {
                return Err(DecodeError::TooDeep { at: head.at, max: MAX_DEPTH });
            }
            open.push(frame);
        }
        while open.last().is_some_and(|frame| frame.left == 0) {
            open.pop();
        }
        if open.is_empty() {
            return reader.finish();
        }
    }
}

/// An item's first bytes.
struct Head {
    /// Where it starts.
    at: usize,
    /// Major type, 0 to 7.
    major: u8,
    /// The number in it: the value, a length in bytes, or a count of items.
    number: u64,
}

/// An array or map that is not complete.
struct Frame {
    /// Items to come; a pair is two.
    left: u64,
    map: bool,
    last_key: Option<u64>,
}

impl Frame {
    /// Counts one item, and checks it if it is a key.
    fn take(&mut self, head: &Head) -> Result<(), DecodeError> {
        let is_key = self.map && self.left.is_multiple_of(2);
        self.left = self.left.saturating_sub(1);
        if !is_key {
            return Ok(());
        }
        let (at, key) = (head.at, head.number);
        if head.major != UNSIGNED {
            return Err(DecodeError::KeyType { at });
        }
        match self.last_key.replace(key) {
            Some(previous) if previous == key => Err(DecodeError::RepeatedKey { at, key }),
            Some(previous) if previous > key => Err(DecodeError::KeyOrder { at, key, previous }),
            _ => Ok(()),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// Reads one head; of an indefinite, foreign or overlong one only the error.
    fn head(&mut self) -> Result<Head, DecodeError> {
        let at = self.at;
        let [first] = self.take::<1>(at)?;
        let (major, info) = (first >> 5, first & 0x1f);
        if !matches!(major, UNSIGNED | BYTES | TEXT | ARRAY | MAP) {
            return Err(DecodeError::ForeignType { at, got: first });
        }
        let (number, least) = match info {
            0..=23 => (u64::from(info), 0),
            24 => (u64::from(u8::from_be_bytes(self.take(at)?)), 24),
            25 => (u64::from(u16::from_be_bytes(self.take(at)?)), 1 << 8),
            26 => (u64::from(u32::from_be_bytes(self.take(at)?)), 1 << 16),
            27 => (u64::from_be_bytes(self.take(at)?), 1 << 32),
            31 if major != UNSIGNED => return Err(DecodeError::Indefinite { at }),
            _ => return Err(DecodeError::ForeignType { at, got: first }),
        };
        if number < least {
            return Err(DecodeError::NotShortest { at });
        }
        Ok(Head { at, major, number })
    }

    /// Steps over a string's bytes, or opens an array or map. Every item takes a byte at least, so a count above
    /// the bytes that are left is refused at once.
    fn enter(&mut self, head: &Head) -> Result<Option<Frame>, DecodeError> {
        let truncated = DecodeError::Truncated { at: head.at };
        let left = self.bytes.len().saturating_sub(self.at);
        let (map, per_item) = match head.major {
            UNSIGNED => return Ok(None),
            ARRAY => (false, 1),
            MAP => (true, 2),
            _ => (false, 1),
        };
        let items = head.number.checked_mul(per_item);
        let fits = items.and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= left).ok_or(truncated)?;
        if matches!(head.major, BYTES | TEXT) {
            self.at = self.at.saturating_add(fits);
            return Ok(None);
        }
        Ok(Some(Frame { left: fits as u64, map, last_key: None }))
    }

    fn take<const N: usize>(&mut self, item: usize) -> Result<[u8; N], DecodeError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let chunk = rest.first_chunk::<N>().ok_or(DecodeError::Truncated { at: item })?;
        self.at = self.at.saturating_add(N);
        Ok(*chunk)
    }

    fn finish(&self) -> Result<(), DecodeError> {
        match self.bytes.len().saturating_sub(self.at) {
            0 => Ok(()),
            got => Err(DecodeError::Trailing { at: self.at, got }),
        }
    }
}

const UNSIGNED: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_items_that_messages_use() {
        for good in [
            &[0x00][..],
            &[0x18, 24],
            &[0x1b, 0, 0, 0, 1, 0, 0, 0, 0],
            &[0x40],
            &[0x42, 1, 2],
            &[0x61, b'a'],
            &[0x80],
            &[0x82, 0xa0, 0x00],
            &[0xa2, 0x00, 0x80, 0x01, 0xa1, 0x00, 0x00],
        ] {
            assert_eq!(check(good), Ok(()), "{good:02x?}");
        }
    }

    #[test]
    fn names_each_defect_and_its_place() {
        use DecodeError::*;
        for (bad, error) in [
            (&[][..], Truncated { at: 0 }),
            (&[0x18], Truncated { at: 0 }),
            (&[0x42, 1], Truncated { at: 0 }),
            (&[0x82, 0x00], Truncated { at: 0 }),
            (&[0x81, 0x41], Truncated { at: 1 }),
            (&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Truncated { at: 0 }),
            (&[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Truncated { at: 0 }),
            (&[0x00, 0x00], Trailing { at: 1, got: 1 }),
            (&[0x18, 23], NotShortest { at: 0 }),
            (&[0x19, 0, 255], NotShortest { at: 0 }),
            (&[0x1a, 0, 0, 255, 255], NotShortest { at: 0 }),
            (&[0x1b, 0, 0, 0, 0, 255, 255, 255, 255], NotShortest { at: 0 }),
            (&[0x58, 1, 0], NotShortest { at: 0 }),
            (&[0x5f, 0xff], Indefinite { at: 0 }),
            (&[0x81, 0x9f, 0xff], Indefinite { at: 1 }),
            (&[0xbf, 0xff], Indefinite { at: 0 }),
            (&[0x20], ForeignType { at: 0, got: 0x20 }),
            (&[0xc0, 0x00], ForeignType { at: 0, got: 0xc0 }),
            (&[0xf6], ForeignType { at: 0, got: 0xf6 }),
            (&[0x1c], ForeignType { at: 0, got: 0x1c }),
            (&[0x1f], ForeignType { at: 0, got: 0x1f }),
            (&[0xff], ForeignType { at: 0, got: 0xff }),
            (&[0xa1, 0x40, 0x00], KeyType { at: 1 }),
            (&[0xa2, 0x01, 0x00, 0x01, 0x00], RepeatedKey { at: 3, key: 1 }),
            (&[0xa2, 0x01, 0x00, 0x00, 0x00], KeyOrder { at: 3, key: 0, previous: 1 }),
            (&[0x81; 100], TooDeep { at: 8, max: 8 }),
        ] {
            assert_eq!(check(bad), Err(error), "{bad:02x?}");
        }
    }
}
