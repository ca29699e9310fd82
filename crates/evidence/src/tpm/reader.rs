//! Reads the TPM's marshalled structures: big-endian integers and sized buffers (TCG TPM 2.0 Library, part 2, 4.2).

use claims::tpm::{Digest, HashAlgorithm, ObjectName};

use super::TpmError;

/// What of a structure is still to be read.
pub(crate) struct Reader<'a> {
    structure: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts a structure; its name is what errors say.
    pub(crate) fn new(structure: &'static str, bytes: &'a [u8]) -> Self {
        Self { structure, rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], TpmError> {
        let short = TpmError::Truncated { structure: self.structure, needed: N, got: self.rest.len() };
        let (head, rest) = self.rest.split_first_chunk().ok_or(short)?;
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], TpmError> {
        let short = TpmError::Truncated { structure: self.structure, needed: len, got: self.rest.len() };
        let (head, rest) = self.rest.split_at_checked(len).ok_or(short)?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, TpmError> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, TpmError> {
        self.take().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, TpmError> {
        self.take().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, TpmError> {
        self.take().map(u64::from_be_bytes)
    }

    /// TPM2B: two bytes of length, then at most `limit` bytes.
    pub(crate) fn sized(&mut self, field: &'static str, limit: usize) -> Result<&'a [u8], TpmError> {
        let got = usize::from(self.u16()?);
        if got > limit {
            return Err(TpmError::TooLong { field, limit, got });
        }
        self.bytes(got)
    }

    /// TPMI_ALG_HASH.
    pub(crate) fn hash(&mut self, field: &'static str) -> Result<HashAlgorithm, TpmError> {
        let got = self.u16()?;
        let expected = "sha1, sha256, sha384 or sha512";
        HashAlgorithm::from_id(got).ok_or(TpmError::Algorithm { field, expected, got })
    }

    /// A digest of an algorithm, without a length in front.
    pub(crate) fn digest(&mut self, algorithm: HashAlgorithm) -> Result<Digest, TpmError> {
        self.bytes(algorithm.digest_len()).map(|bytes| Digest(bytes.to_vec()))
    }

    /// TPM2B_NAME of an object; names that are handles are refused.
    pub(crate) fn name(&mut self, field: &'static str) -> Result<ObjectName, TpmError> {
        let mut inner = Reader::new(field, self.sized(field, NAME_LIMIT)?);
        let algorithm = inner.hash(field)?;
        let digest = inner.digest(algorithm)?;
        inner.finish()?;
        Ok(ObjectName { algorithm, digest })
    }

    /// The end: nothing may follow.
    pub(crate) fn finish(self) -> Result<(), TpmError> {
        match self.rest.len() {
            0 => Ok(()),
            got => Err(TpmError::Trailing { structure: self.structure, got }),
        }
    }
}

/// Bytes of the longest name: an algorithm and a SHA-512.
const NAME_LIMIT: usize = 66;
