//! Which encodings of a point on P-384 and P-256 are read (SEC 1, 2.3.3).
//!
//! Decided here, before either library sees the bytes, because each of them takes more: aws-lc the hybrid form
//! (tags 6 and 7), the crate `p384` the one without y (tag 5). One key must have few spellings, and both back ends
//! the same ones.

/// Whether tag and length are those of an uncompressed point, the only form that RFC 9180 (7.1.1) serialises.
#[cfg(feature = "aws-lc")]
pub(crate) fn is_uncompressed(point: &[u8]) -> bool {
    matches!((point.first(), point.len()), (Some(4), 97))
}

/// Whether tag and length are those of a point, uncompressed or compressed.
pub(crate) fn is_point(point: &[u8]) -> bool {
    matches!((point.first(), point.len()), (Some(4), 97) | (Some(2 | 3), 49))
}

/// Whether the tag is that of an uncompressed point on P-256, the only form that is read of it.
pub(crate) fn is_p256_point(point: &[u8; 65]) -> bool {
    point.first() == Some(&4)
}
