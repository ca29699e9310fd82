//! Which encodings of a point on P-384 and P-256 are read (SEC 1, 2.3.3).
//!
//! Decided here, before either library sees the bytes, because each of them takes more: aws-lc the hybrid form
//! (tags 6 and 7), the crate `p384` the one without y (tag 5). One key must have few spellings, and both back ends
//! the same ones.

use crate::{EcdhCurve, Error};

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

/// Whether tag and length are those of an uncompressed point on this curve, the only form that ECDH reads.
pub(crate) fn is_ecdh_point(curve: EcdhCurve, point: &[u8]) -> bool {
    let len = curve.field_len().saturating_mul(2).saturating_add(1);
    point.len() == len && point.first() == Some(&4)
}

pub(crate) const BAD_ECDH_POINT: Error = Error::BadKey { expected: "an uncompressed point on the curve" };
pub(crate) const BAD_ECDH_PRIVATE: Error =
    Error::BadKey { expected: "a private number of the curve, as long as a coordinate" };
