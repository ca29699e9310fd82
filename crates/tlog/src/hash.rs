//! [`Hash`], and what the tree hashes (RFC 6962, 2.1; the same in RFC 9162, 2.1.1).
//!
//! Entries and inner nodes are hashed under different first bytes, so that neither can be passed for the other.

use core::fmt;

use claims::Sha256Digest;
use claims::leaf::{self, Entry, LeafKind, Salt};

/// A SHA-256 in the tree: of an entry, of a node, or the root. 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Length in bytes.
    pub const LEN: usize = 32;
}

/// The hash of an entry: SHA-256(0x00 ‖ entry).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash(crypto::sha256(&[&[0], entry]))
}

/// The hash of a node: SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(crypto::sha256(&[&[1], &left.0, &right.0]))
}

/// The root of a tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Hash(crypto::sha256(&[]))
}

/// SHA-256 of bytes that a record refers to and does not hold.
pub fn digest(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest(crypto::sha256(&[bytes]))
}

/// The salted commitment of a record: SHA-256 of its [`leaf::commitment_preimage`].
pub fn commitment(kind: LeafKind, salt: &Salt, record: &[u8]) -> Sha256Digest {
    digest(&leaf::commitment_preimage(kind, salt, record))
}

/// The public entry of a record, 34 bytes: version, kind, commitment.
pub fn entry(kind: LeafKind, salt: &Salt, record: &[u8]) -> Entry {
    leaf::entry(kind, &commitment(kind, salt, record))
}

/// Lower-case hexadecimal.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}
