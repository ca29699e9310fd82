//! How the nouns of `claims` stand in CBOR: modules for `#[cbor(with = …)]`.
//!
//! A decoder that refuses a value says so as a [`FieldError`] inside minicbor's error, from where
//! [`crate::decode`] takes it out again.

use claims::{
    BrokerId, ConfigDigest, EvidenceKind, Nonce, Operation, PolicyDigest, RequestId, Sha256Digest, Suite,
    UnwrapAlgorithm,
};
use minicbor::decode::Error as Refused;
use minicbor::encode::{Error as Failed, Write};
use minicbor::{Decoder, Encoder};

use crate::FieldError;

fn refuse<T>(error: FieldError) -> Result<T, Refused> {
    Err(Refused::custom(error))
}

/// Byte strings of one length.
pub(crate) trait Fixed: Sized {
    /// What errors call it.
    const NAME: &'static str;
    /// Its length in bytes.
    const LEN: usize;
    fn from_slice(bytes: &[u8]) -> Option<Self>;
    fn as_slice(&self) -> &[u8];
}

macro_rules! fixed {
    ($($noun:ident, $name:literal;)*) => {$(
        impl Fixed for $noun {
            const NAME: &'static str = $name;
            const LEN: usize = $noun::LEN;
            fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
            fn as_slice(&self) -> &[u8] {
                &self.0
            }
        }
    )*};
}

fixed! {
    BrokerId, "broker identity";
    ConfigDigest, "configuration digest";
    Nonce, "nonce";
    PolicyDigest, "policy digest";
    RequestId, "request id";
    Sha256Digest, "hash";
}

impl<const N: usize> Fixed for [u8; N] {
    const NAME: &'static str = "byte string";
    const LEN: usize = N;
    fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok()
    }
    fn as_slice(&self) -> &[u8] {
        self
    }
}

/// A [`Fixed`] as a byte string.
pub(crate) mod fixed {
    use super::*;

    pub(crate) fn encode<C, T: Fixed, W: Write>(
        value: &T,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), Failed<W::Error>> {
        e.bytes(value.as_slice()).map(drop)
    }

    pub(crate) fn decode<C, T: Fixed>(d: &mut Decoder<'_>, _: &mut C) -> Result<T, Refused> {
        let bytes = d.bytes()?;
        let wrong = FieldError::Length { field: T::NAME, min: T::LEN, max: T::LEN, got: bytes.len() };
        T::from_slice(bytes).map_or_else(|| refuse(wrong), Ok)
    }
}

/// A list of [`Fixed`].
pub(crate) mod fixed_list {
    use super::*;

    pub(crate) fn encode<C, T: Fixed, W: Write>(
        list: &[T],
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), Failed<W::Error>> {
        e.array(list.len() as u64)?;
        list.iter().try_for_each(|value| fixed::encode(value, e, ctx))
    }

    pub(crate) fn decode<C, T: Fixed>(d: &mut Decoder<'_>, ctx: &mut C) -> Result<Vec<T>, Refused> {
        let items = d.array()?.unwrap_or(0);
        (0..items).map(|_| fixed::decode(d, ctx)).collect()
    }
}

/// A list of byte strings.
pub(crate) mod byte_strings {
    use super::*;

    pub(crate) fn encode<C, W: Write>(
        list: &[Vec<u8>],
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), Failed<W::Error>> {
        e.array(list.len() as u64)?;
        list.iter().try_for_each(|bytes| e.bytes(bytes).map(drop))
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Vec<Vec<u8>>, Refused> {
        let items = d.array()?.unwrap_or(0);
        (0..items).map(|_| Ok(d.bytes()?.to_vec())).collect()
    }
}

/// Values that stand for a small number.
pub(crate) trait Coded: Sized {
    /// What errors call it.
    const NAME: &'static str;
    fn code(&self) -> u8;
    fn from_code(code: u8) -> Option<Self>;
}

macro_rules! coded {
    ($($noun:ident, $name:literal;)*) => {$(
        impl Coded for $noun {
            const NAME: &'static str = $name;
            fn code(&self) -> u8 {
                $noun::code(*self)
            }
            fn from_code(code: u8) -> Option<Self> {
                $noun::from_code(code)
            }
        }
    )*};
}

coded! {
    EvidenceKind, "evidence kind";
    Operation, "operation";
    Suite, "suite";
    UnwrapAlgorithm, "wrapping algorithm";
}

/// A [`Coded`] as an unsigned integer.
pub(crate) mod code {
    use super::*;

    pub(crate) fn encode<C, T: Coded, W: Write>(
        value: &T,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), Failed<W::Error>> {
        e.u8(value.code()).map(drop)
    }

    pub(crate) fn decode<C, T: Coded>(d: &mut Decoder<'_>, _: &mut C) -> Result<T, Refused> {
        let got = d.u64()?;
        let known = u8::try_from(got).ok().and_then(T::from_code);
        known.map_or_else(|| refuse(FieldError::Code { field: T::NAME, got }), Ok)
    }
}

/// A key's name as text.
pub(crate) mod key_id {
    use super::*;
    use claims::KeyId;

    pub(crate) fn encode<C, W: Write>(
        id: &KeyId,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), Failed<W::Error>> {
        e.str(id.as_str()).map(drop)
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<KeyId, Refused> {
        let expected = "1 to 64 of a-z, 0-9, `-`, `_`, `.`, starting with a letter or digit";
        d.str()?.parse().or_else(|_| refuse(FieldError::Text { field: "key name", expected }))
    }
}

/// Which version is asked for; 0 is the latest.
pub(crate) mod selector {
    use super::*;
    use claims::{KeyVersion, VersionSelector};

    pub(crate) fn encode<C, W: Write>(
        version: &VersionSelector,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), Failed<W::Error>> {
        let number = match version {
            VersionSelector::Latest => 0,
            VersionSelector::Exact(KeyVersion(number)) => *number,
        };
        e.u32(number).map(drop)
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<VersionSelector, Refused> {
        Ok(match d.u32()? {
            0 => VersionSelector::Latest,
            number => VersionSelector::Exact(KeyVersion(number)),
        })
    }
}

/// A key's version; 0 is none.
pub(crate) mod version {
    use super::*;
    use claims::KeyVersion;

    pub(crate) fn encode<C, W: Write>(
        version: &KeyVersion,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), Failed<W::Error>> {
        e.u32(version.0).map(drop)
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<KeyVersion, Refused> {
        Ok(KeyVersion(d.u32()?))
    }
}

/// A time as seconds since 1970.
pub(crate) mod time {
    use super::*;
    use claims::UnixTime;

    pub(crate) fn encode<C, W: Write>(
        time: &UnixTime,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), Failed<W::Error>> {
        e.u64(time.0).map(drop)
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<UnixTime, Refused> {
        d.u64().map(UnixTime)
    }
}

/// A bank of PCRs as its TPM_ALG_ID; SHA-1 is none.
pub(crate) mod bank {
    use super::*;
    use claims::tpm::HashAlgorithm;

    pub(crate) fn encode<C, W: Write>(
        bank: &HashAlgorithm,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), Failed<W::Error>> {
        e.u16(bank.id()).map(drop)
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<HashAlgorithm, Refused> {
        let got = d.u64()?;
        let known = u16::try_from(got).ok().and_then(HashAlgorithm::from_id);
        let known = known.filter(|bank| *bank != HashAlgorithm::Sha1);
        known.map_or_else(|| refuse(FieldError::Code { field: "bank", got }), Ok)
    }
}

/// A digest of a TPM's bank as a byte string.
pub(crate) mod digest {
    use super::*;
    use claims::tpm::Digest;

    pub(crate) fn encode<C, W: Write>(
        digest: &Digest,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), Failed<W::Error>> {
        e.bytes(&digest.0).map(drop)
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Digest, Refused> {
        Ok(Digest(d.bytes()?.to_vec()))
    }
}

/// As [`digest`], or absent.
pub(crate) mod optional_digest {
    use super::*;
    use claims::tpm::Digest;

    pub(crate) fn encode<C, W: Write>(
        digest: &Option<Digest>,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), Failed<W::Error>> {
        digest.as_ref().map_or(Ok(()), |digest| super::digest::encode(digest, e, ctx))
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, ctx: &mut C) -> Result<Option<Digest>, Refused> {
        super::digest::decode(d, ctx).map(Some)
    }

    pub(crate) fn nil() -> Option<Option<Digest>> {
        Some(None)
    }

    pub(crate) fn is_nil(digest: &Option<Digest>) -> bool {
        digest.is_none()
    }
}
