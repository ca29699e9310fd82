//! The checks on lengths, counts and texts that messages share. Each names the field that it refuses.

use core::ops::RangeInclusive;

use crate::FieldError;

/// A byte string's length.
pub(crate) fn length(
    field: &'static str,
    bytes: &[u8],
    allowed: RangeInclusive<usize>,
) -> Result<(), FieldError> {
    let (got, min, max) = (bytes.len(), *allowed.start(), *allowed.end());
    if allowed.contains(&got) { Ok(()) } else { Err(FieldError::Length { field, min, max, got }) }
}

/// A list's number of items.
pub(crate) fn count<T>(
    field: &'static str,
    items: &[T],
    allowed: RangeInclusive<usize>,
) -> Result<(), FieldError> {
    let (got, min, max) = (items.len(), *allowed.start(), *allowed.end());
    if allowed.contains(&got) { Ok(()) } else { Err(FieldError::Count { field, min, max, got }) }
}

/// A list of texts: 1 to [`MAX_TEXT`] bytes each, printable ASCII without spaces.
pub(crate) fn texts(
    field: &'static str,
    items: &[String],
    allowed: RangeInclusive<usize>,
) -> Result<(), FieldError> {
    count(field, items, allowed)?;
    for text in items {
        length(field, text.as_bytes(), 1..=MAX_TEXT)?;
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(FieldError::Text { field, expected: "printable ASCII without spaces" });
        }
    }
    Ok(())
}

/// A coarse code: 1 to 64 bytes of `a-z`, `0-9` and `-`.
pub(crate) fn code(field: &'static str, text: &str) -> Result<(), FieldError> {
    length(field, text.as_bytes(), 1..=64)?;
    let well_formed = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if well_formed { Ok(()) } else { Err(FieldError::Text { field, expected: "a-z, 0-9 and `-`" }) }
}

/// Most bytes of a text in a list.
pub(crate) const MAX_TEXT: usize = 256;
