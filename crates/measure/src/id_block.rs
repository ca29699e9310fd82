//! The ID block, by which an image's author says which launch is theirs, and the structure that signs it.
//!
//! AMD SEV-SNP ABI 1.58, 8.18 (SNP_LAUNCH_FINISH): table 75, the ID block (96 bytes), and table 76, the ID
//! authentication information (4096 bytes): the block's signature by the ID key, the ID key, and, where there is an
//! author key, its signature over the ID key. Firmware checks both and puts the keys' digests into each report. Keys
//! and signatures are public; nothing here takes a private one.

use claims::Measurement;
use claims::snp::GuestPolicy;

use crate::little_endian::{array_at, put, u32_at, u64_at};
use crate::public_key::reversed;
use crate::{PublicKeyError, SnpPublicKey};

/// What a launch must be to count as the author's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdBlock {
    /// LD: the launch measurement.
    pub measurement: Measurement,
    /// FAMILY_ID: 16 bytes of the author's choice.
    pub family_id: [u8; 16],
    /// IMAGE_ID: 16 bytes of the author's choice.
    pub image_id: [u8; 16],
    /// GUEST_SVN: the image's security version.
    pub guest_svn: u32,
    /// POLICY: the guest policy that the launch must ask for, exactly.
    pub policy: GuestPolicy,
}

/// Who signed an ID block.
#[derive(Clone, Debug)]
pub struct IdAuth {
    id_key: SnpPublicKey,
    id_block_signature: [u8; 96],
    author: Option<(SnpPublicKey, [u8; 96])>,
}

/// An ID block, or its authentication, that firmware would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdBlockError {
    /// Not its number of bytes.
    #[error("wrong length of the {what}: expected {expected} bytes, got {got}")]
    Length {
        /// ID block or ID authentication.
        what: &'static str,
        /// Bytes that it has.
        expected: usize,
        /// Bytes given.
        got: usize,
    },
    /// A version that firmware does not know.
    #[error("version of the ID block not known: expected 1, got {got}")]
    Version {
        /// The version found.
        got: u32,
    },
    /// An algorithm that firmware does not know.
    #[error("algorithm of the {key} not known: expected 1 (ECDSA P-384 with SHA-384), got {got}")]
    Algorithm {
        /// ID key or author key.
        key: &'static str,
        /// The code found.
        got: u32,
    },
    /// A key that is none.
    #[error("the {key}: {source}")]
    Key {
        /// ID key or author key.
        key: &'static str,
        /// What is wrong with it.
        source: PublicKeyError,
    },
    /// Bytes that must be zero.
    #[error(
        "reserved bytes between {start:#x} and {end:#x} of the ID authentication are set: expected zeros"
    )]
    Reserved {
        /// First byte of the range.
        start: usize,
        /// First byte after it.
        end: usize,
    },
    /// A signature that is none of these bytes by this key.
    #[error("the {key} did not sign this {what}: it was altered, or belongs to another")]
    Signature {
        /// ID key or author key.
        key: &'static str,
        /// ID block or ID key.
        what: &'static str,
    },
}

impl IdBlock {
    /// Bytes of an ID block.
    pub const LEN: usize = 96;

    /// Reads an ID block.
    ///
    /// # Errors
    /// [`IdBlockError::Length`] or [`IdBlockError::Version`].
    pub fn parse(bytes: &[u8]) -> Result<Self, IdBlockError> {
        let what = "ID block";
        let length = IdBlockError::Length { what, expected: Self::LEN, got: bytes.len() };
        let bytes: &[u8; Self::LEN] = bytes.try_into().map_err(|_| length)?;
        let got = u32_at(bytes, 80).unwrap_or(0);
        if got != VERSION {
            return Err(IdBlockError::Version { got });
        }
        Ok(Self {
            measurement: Measurement(array_at(bytes, 0).unwrap_or([0; 48])),
            family_id: array_at(bytes, 48).unwrap_or([0; 16]),
            image_id: array_at(bytes, 64).unwrap_or([0; 16]),
            guest_svn: u32_at(bytes, 84).unwrap_or(0),
            policy: GuestPolicy(u64_at(bytes, 88).unwrap_or(0)),
        })
    }

    /// The block's bytes: what the ID key signs.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        put(&mut bytes, 0, &self.measurement.0);
        put(&mut bytes, 48, &self.family_id);
        put(&mut bytes, 64, &self.image_id);
        put(&mut bytes, 80, &VERSION.to_le_bytes());
        put(&mut bytes, 84, &self.guest_svn.to_le_bytes());
        put(&mut bytes, 88, &self.policy.0.to_le_bytes());
        bytes
    }

    /// SHA-384 of the block, for signers that take a digest.
    pub fn digest(&self) -> [u8; 48] {
        crypto::sha384(&[&self.encode()])
    }
}

impl IdAuth {
    /// Bytes of the ID authentication information.
    pub const LEN: usize = 4096;

    /// Reads it, and believes no signature yet.
    ///
    /// # Errors
    /// [`IdBlockError::Length`], [`IdBlockError::Algorithm`], [`IdBlockError::Key`] or [`IdBlockError::Reserved`].
    pub fn parse(bytes: &[u8]) -> Result<Self, IdBlockError> {
        let what = "ID authentication";
        let length = IdBlockError::Length { what, expected: Self::LEN, got: bytes.len() };
        let bytes: &[u8; Self::LEN] = bytes.try_into().map_err(|_| length)?;
        for (start, end) in [(0x008, 0x040), (0x644, 0x680), (0xc84, 0x1000)] {
            check_zero(bytes, start, end)?;
        }
        let algorithm = |key, at| match u32_at(bytes, at).unwrap_or(0) {
            1 => Ok(()),
            got => Err(IdBlockError::Algorithm { key, got }),
        };
        algorithm(ID_KEY, 0)?;
        let id_key = read_key(bytes, ID_KEY, 0x240)?;
        let id_block_signature = read_signature(bytes, 0x040)?;
        let author = if u32_at(bytes, 4) == Some(0) {
            check_zero(bytes, 0x680, 0xc84)?;
            None
        } else {
            algorithm(AUTHOR_KEY, 4)?;
            Some((read_key(bytes, AUTHOR_KEY, 0x880)?, read_signature(bytes, 0x680)?))
        };
        Ok(Self { id_key, id_block_signature, author })
    }

    /// Checks, as firmware does, that the ID key signed the block, and the author key, if any, the ID key.
    ///
    /// # Errors
    /// [`IdBlockError::Signature`].
    pub fn verify(&self, block: &IdBlock) -> Result<(), IdBlockError> {
        if !self.id_key.has_signed(&block.encode(), &self.id_block_signature) {
            return Err(IdBlockError::Signature { key: ID_KEY, what: "ID block" });
        }
        let author = self.author.as_ref();
        if author.is_some_and(|(key, signature)| !key.has_signed(self.id_key.encoded(), signature)) {
            return Err(IdBlockError::Signature { key: AUTHOR_KEY, what: ID_KEY });
        }
        Ok(())
    }

    /// The ID key; its digest is ID_KEY_DIGEST of the guest's reports.
    pub fn id_key(&self) -> &SnpPublicKey {
        &self.id_key
    }

    /// The author key; its digest is AUTHOR_KEY_DIGEST.
    pub fn author_key(&self) -> Option<&SnpPublicKey> {
        self.author.as_ref().map(|(key, _)| key)
    }
}

fn read_key(bytes: &[u8], key: &'static str, at: usize) -> Result<SnpPublicKey, IdBlockError> {
    let encoded = array_at(bytes, at).unwrap_or([0; SnpPublicKey::LEN]);
    SnpPublicKey::parse(&encoded).map_err(|source| IdBlockError::Key { key, source })
}

/// A signature of 512 bytes: R and S in 72 little-endian bytes each, of which the upper 24 are zero, and zeros.
fn read_signature(bytes: &[u8], at: usize) -> Result<[u8; 96], IdBlockError> {
    let place = |offset: usize| at.saturating_add(offset);
    for (start, end) in [(48, 72), (120, 512)] {
        check_zero(bytes, place(start), place(end))?;
    }
    let number = |offset| reversed(bytes.iter().skip(place(offset)).take(48));
    let mut signature = [0; 96];
    put(&mut signature, 0, &number(0));
    put(&mut signature, 48, &number(72));
    Ok(signature)
}

fn check_zero(bytes: &[u8], start: usize, end: usize) -> Result<(), IdBlockError> {
    let zero = bytes.get(start..end).is_some_and(|range| range.iter().all(|byte| *byte == 0));
    if zero { Ok(()) } else { Err(IdBlockError::Reserved { start, end }) }
}

const ID_KEY: &str = "ID key";
const AUTHOR_KEY: &str = "author key";
/// The only version of ID blocks.
const VERSION: u32 = 1;
