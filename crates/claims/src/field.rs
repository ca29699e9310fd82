//! The one way in which keyfast lays out bytes to be hashed: fields, each behind its length.
//!
//! A field is its length in bytes as a big-endian `u32`, then the bytes. Two different sequences of fields
//! therefore never give the same bytes. Integers are fields of four or eight big-endian bytes.

/// Builds a byte string of length-prefixed fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<u8>);

impl Fields {
    /// Starts a byte string with its label as the first field: what this is, and in which version.
    pub fn labelled(label: &str) -> Self {
        Self(Vec::with_capacity(512)).bytes(label.as_bytes())
    }

    /// Appends one field. Fields of 4 GiB and more do not occur; their length would saturate.
    #[must_use]
    pub fn bytes(mut self, field: &[u8]) -> Self {
        let len = u32::try_from(field.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&len.to_be_bytes());
        self.0.extend_from_slice(field);
        self
    }

    /// Appends a four-byte integer, big-endian.
    #[must_use]
    pub fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// Appends an eight-byte integer, big-endian.
    #[must_use]
    pub fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    /// The bytes.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_byte_between_fields_changes_the_bytes() {
        let one = Fields::labelled("t").bytes(b"ab").bytes(b"c").finish();
        let other = Fields::labelled("t").bytes(b"a").bytes(b"bc").finish();
        assert_ne!(one, other);
    }
}
