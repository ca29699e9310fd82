//! Reading records back: the inverse of [`claims::Fields`], for bytes that may be anything.

use claims::UnixTime;

/// Why bytes are not the record that they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The record ends before this field does.
    #[error("the record ends before its field `{field}` does")]
    Truncated {
        /// Which field.
        field: &'static str,
    },
    /// A field has a length that it cannot have.
    #[error("wrong length of the field `{field}`: expected {expected} bytes, got {got}")]
    Length {
        /// Which field.
        field: &'static str,
        /// Bytes that it has, or may at most have.
        expected: usize,
        /// Bytes found.
        got: usize,
    },
    /// A field has a value that it cannot have.
    #[error("the field `{field}` has no valid value")]
    Value {
        /// Which field.
        field: &'static str,
    },
    /// Bytes follow the last field.
    #[error("{got} bytes follow the last field of the record")]
    Trailing {
        /// How many.
        got: usize,
    },
}

/// Takes fields off a record, in order.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts after the label, which must be this.
    pub(crate) fn labelled(record: &'a [u8], label: &str) -> Result<Self, RecordError> {
        let mut reader = Self(record);
        if reader.bytes("label")? == label.as_bytes() {
            Ok(reader)
        } else {
            Err(RecordError::Value { field: "label" })
        }
    }

    pub(crate) fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], RecordError> {
        let truncated = RecordError::Truncated { field };
        let (len, rest) = self.0.split_first_chunk::<4>().ok_or_else(|| truncated.clone())?;
        let len = usize::try_from(u32::from_be_bytes(*len)).map_err(|_| truncated.clone())?;
        let (bytes, rest) = rest.split_at_checked(len).ok_or(truncated)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], RecordError> {
        let bytes = self.bytes(field)?;
        bytes.try_into().map_err(|_| RecordError::Length { field, expected: N, got: bytes.len() })
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, RecordError> {
        self.array(field).map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, RecordError> {
        self.array(field).map(u64::from_be_bytes)
    }

    pub(crate) fn time(&mut self, field: &'static str) -> Result<UnixTime, RecordError> {
        self.u64(field).map(UnixTime)
    }

    pub(crate) fn text(&mut self, field: &'static str) -> Result<&'a str, RecordError> {
        core::str::from_utf8(self.bytes(field)?).map_err(|_| RecordError::Value { field })
    }

    /// One byte that stands for a value.
    pub(crate) fn code<T>(
        &mut self,
        field: &'static str,
        from: fn(u8) -> Option<T>,
    ) -> Result<T, RecordError> {
        let [code] = self.array(field)?;
        from(code).ok_or(RecordError::Value { field })
    }

    /// One byte, 0 or 1.
    pub(crate) fn flag(&mut self, field: &'static str) -> Result<bool, RecordError> {
        match self.array(field)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(RecordError::Value { field }),
        }
    }

    /// A text that stands for a value.
    pub(crate) fn parsed<T: core::str::FromStr>(&mut self, field: &'static str) -> Result<T, RecordError> {
        self.text(field)?.parse().map_err(|_| RecordError::Value { field })
    }

    pub(crate) fn end(self) -> Result<(), RecordError> {
        if self.0.is_empty() { Ok(()) } else { Err(RecordError::Trailing { got: self.0.len() }) }
    }
}
