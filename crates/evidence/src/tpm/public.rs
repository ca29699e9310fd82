//! TPMT_PUBLIC of RSA and ECC keys (TCG TPM 2.0 Library 1.59, part 2, 12.2.4).
//!
//! The bytes are kept as they came: the key's Name is their digest.

use claims::tpm::HashAlgorithm;

use super::TpmError;
use super::reader::Reader;
use super::signature::{ECC_LIMIT, RSA_LIMIT, SignatureScheme};

/// A public area, parsed and unverified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Public {
    raw: Box<[u8]>,
    fields: PublicFields,
}

/// The fields of a public area. Plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicFields {
    /// nameAlg.
    pub name_algorithm: HashAlgorithm,
    /// objectAttributes.
    pub attributes: Attributes,
    /// authPolicy, at most 64 bytes; empty where there is none.
    pub auth_policy: Vec<u8>,
    /// The symmetric cipher of a storage key, or `None`.
    pub symmetric: Option<Symmetric>,
    /// The scheme and hash that a signing key is bound to, or `None`.
    pub scheme: Option<(SignatureScheme, HashAlgorithm)>,
    /// The key.
    pub key: KeyFields,
}

/// objectAttributes: 32 bits (part 2, 8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes(pub u32);

impl Attributes {
    /// Bit 1: the key cannot leave this TPM.
    pub fn fixed_tpm(self) -> bool {
        self.0 & (1 << 1) != 0
    }
    /// Bit 4: the key cannot move to another parent.
    pub fn fixed_parent(self) -> bool {
        self.0 & (1 << 4) != 0
    }
    /// Bit 5: the TPM made the private half.
    pub fn sensitive_data_origin(self) -> bool {
        self.0 & (1 << 5) != 0
    }
    /// Bit 16: the key signs, or unwraps, nothing that was made outside.
    pub fn restricted(self) -> bool {
        self.0 & (1 << 16) != 0
    }
    /// Bit 17: the key may decrypt.
    pub fn decrypt(self) -> bool {
        self.0 & (1 << 17) != 0
    }
    /// Bit 18: the key may sign.
    pub fn sign(self) -> bool {
        self.0 & (1 << 18) != 0
    }
}

/// TPMT_SYM_DEF_OBJECT of a storage key: AES in CFB mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symmetric {
    /// 128 or 256.
    pub key_bits: u16,
}

/// The public key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFields {
    /// RSA.
    Rsa {
        /// keyBits.
        bits: u16,
        /// The exponent; 65537 where the public area has 0.
        exponent: u32,
        /// The modulus, big-endian.
        modulus: Vec<u8>,
    },
    /// An elliptic curve's.
    Ecc {
        /// The curve.
        curve: Curve,
        /// x, big-endian; a TPM may leave leading zeros out.
        x: Vec<u8>,
        /// y, big-endian.
        y: Vec<u8>,
    },
}

/// A curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// TPM_ECC_NIST_P256.
    P256,
    /// TPM_ECC_NIST_P384.
    P384,
}

impl Public {
    /// Parses a TPM2B_PUBLIC: two bytes of length, then exactly a TPMT_PUBLIC of that length.
    ///
    /// # Errors
    /// [`TpmError`], the first in the order of the bytes.
    pub fn parse_sized(bytes: &[u8]) -> Result<Self, TpmError> {
        let mut reader = Reader::new("public area", bytes);
        let inner = reader.sized("public area", Self::MAX_LEN)?;
        reader.finish()?;
        Self::parse(inner)
    }

    /// Parses exactly a TPMT_PUBLIC.
    ///
    /// # Errors
    /// [`TpmError`], the first in the order of the bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, TpmError> {
        let (limit, got) = (Self::MAX_LEN, bytes.len());
        if got > limit {
            return Err(TpmError::TooLong { field: "public area", limit, got });
        }
        let mut reader = Reader::new("public area", bytes);
        let fields = parse_fields(&mut reader)?;
        reader.finish()?;
        Ok(Self { raw: bytes.into(), fields })
    }

    /// Most bytes of a TPMT_PUBLIC.
    pub const MAX_LEN: usize = 1024;

    /// The fields.
    pub fn fields(&self) -> &PublicFields {
        &self.fields
    }

    /// The TPMT_PUBLIC as it came.
    pub fn as_bytes(&self) -> &[u8] {
        &self.raw
    }
}

fn parse_fields(reader: &mut Reader<'_>) -> Result<PublicFields, TpmError> {
    let kind = reader.u16()?;
    let name_algorithm = reader.hash("name algorithm")?;
    let attributes = Attributes(reader.u32()?);
    let auth_policy = reader.sized("policy", POLICY_LIMIT)?.to_vec();
    let symmetric = parse_symmetric(reader)?;
    let scheme = parse_scheme(reader)?;
    let key = match kind {
        ALG_RSA => parse_rsa(reader)?,
        ALG_ECC => parse_ecc(reader)?,
        got => return Err(TpmError::Algorithm { field: "type of the key", expected: "rsa or ecc", got }),
    };
    Ok(PublicFields { name_algorithm, attributes, auth_policy, symmetric, scheme, key })
}

fn parse_symmetric(reader: &mut Reader<'_>) -> Result<Option<Symmetric>, TpmError> {
    match reader.u16()? {
        ALG_NULL => return Ok(None),
        ALG_AES => (),
        got => {
            return Err(TpmError::Algorithm { field: "symmetric algorithm", expected: "aes or null", got });
        }
    }
    let key_bits = match reader.u16()? {
        key_bits @ (128 | 256) => key_bits,
        got => {
            let field = "bits of the symmetric key";
            return Err(TpmError::Value { field, expected: "128 or 256", got: got.into() });
        }
    };
    match reader.u16()? {
        ALG_CFB => Ok(Some(Symmetric { key_bits })),
        got => Err(TpmError::Algorithm { field: "symmetric mode", expected: "cfb", got }),
    }
}

fn parse_scheme(reader: &mut Reader<'_>) -> Result<Option<(SignatureScheme, HashAlgorithm)>, TpmError> {
    let got = reader.u16()?;
    if got == ALG_NULL {
        return Ok(None);
    }
    let (field, expected) = ("scheme", "rsassa, rsapss, ecdsa or null");
    let scheme = SignatureScheme::from_id(got).ok_or(TpmError::Algorithm { field, expected, got })?;
    Ok(Some((scheme, reader.hash("hash of the scheme")?)))
}

fn parse_rsa(reader: &mut Reader<'_>) -> Result<KeyFields, TpmError> {
    let bits = reader.u16()?;
    let exponent = match reader.u32()? {
        0 => DEFAULT_EXPONENT,
        exponent => exponent,
    };
    let modulus = reader.sized("modulus", RSA_LIMIT)?.to_vec();
    Ok(KeyFields::Rsa { bits, exponent, modulus })
}

fn parse_ecc(reader: &mut Reader<'_>) -> Result<KeyFields, TpmError> {
    let curve = match reader.u16()? {
        0x0003 => Curve::P256,
        0x0004 => Curve::P384,
        got => return Err(TpmError::Algorithm { field: "curve", expected: "p-256 or p-384", got }),
    };
    match reader.u16()? {
        ALG_NULL => (),
        got => return Err(TpmError::Algorithm { field: "key derivation", expected: "null", got }),
    }
    let x = reader.sized("x of the key", ECC_LIMIT)?.to_vec();
    let y = reader.sized("y of the key", ECC_LIMIT)?.to_vec();
    Ok(KeyFields::Ecc { curve, x, y })
}

const ALG_RSA: u16 = 0x0001;
const ALG_AES: u16 = 0x0006;
const ALG_NULL: u16 = 0x0010;
const ALG_ECC: u16 = 0x0023;
const ALG_CFB: u16 = 0x0043;
const POLICY_LIMIT: usize = 64;
/// What an exponent of 0 stands for (part 2, 12.2.3.5).
const DEFAULT_EXPONENT: u32 = 65537;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RSA_AK: &[u8] =
        &[0, 1, 0, 0x0b, 0, 5, 0, 0x72, 0, 0, 0, 0x10, 0, 0x14, 0, 0x0b, 8, 0, 0, 0, 0, 0, 0, 2, 0xc0, 0xde];

    #[test]
    fn reads_a_restricted_signing_key() {
        let public = Public::parse(RSA_AK).unwrap();
        let fields = public.fields();
        let attributes = fields.attributes;
        assert!(attributes.fixed_tpm() && attributes.fixed_parent() && attributes.sensitive_data_origin());
        assert!(attributes.restricted() && attributes.sign() && !attributes.decrypt());
        assert_eq!(fields.scheme, Some((SignatureScheme::RsaSsa, HashAlgorithm::Sha256)));
        let key = KeyFields::Rsa { bits: 2048, exponent: 65537, modulus: vec![0xc0, 0xde] };
        assert_eq!((&fields.key, fields.symmetric), (&key, None));
        assert_eq!(public.as_bytes(), RSA_AK);
        let sized = [&[0, RSA_AK.len() as u8], RSA_AK].concat();
        assert_eq!(Public::parse_sized(&sized), Ok(public));
    }

    #[test]
    fn a_public_area_has_a_limit() {
        let refusal = |len| Public::parse(&vec![0; len]).unwrap_err();
        assert_eq!(refusal(1025), TpmError::TooLong { field: "public area", limit: 1024, got: 1025 });
        assert!(!matches!(refusal(1024), TpmError::TooLong { .. }));
    }

    #[test]
    fn each_attribute_is_one_bit() {
        let read = |bits: u32| {
            let attributes = Attributes(bits);
            [
                attributes.fixed_tpm(),
                attributes.fixed_parent(),
                attributes.sensitive_data_origin(),
                attributes.restricted(),
                attributes.decrypt(),
                attributes.sign(),
            ]
        };
        for bit in 0..32 {
            assert_eq!(read(1 << bit), [1, 4, 5, 16, 17, 18].map(|of| of == bit), "bit {bit}");
        }
        assert_eq!(read(u32::MAX), [true; 6]);
    }

    #[test]
    fn every_truncation_and_a_trailing_byte_are_refused() {
        for len in 0..RSA_AK.len() {
            assert!(matches!(Public::parse(&RSA_AK[..len]), Err(TpmError::Truncated { .. })), "{len}");
        }
        let trailing = TpmError::Trailing { structure: "public area", got: 1 };
        assert_eq!(Public::parse(&[RSA_AK, &[0]].concat()), Err(trailing.clone()));
        let sized = [&[0, RSA_AK.len() as u8], RSA_AK, &[0]].concat();
        assert_eq!(Public::parse_sized(&sized), Err(trailing));
    }

    #[test]
    fn keys_of_other_kinds_are_refused() {
        let altered = |at: usize, byte: u8| {
            let mut bytes = RSA_AK.to_vec();
            bytes[at] = byte;
            match Public::parse(&bytes).unwrap_err() {
                TpmError::Algorithm { field, .. } => field,
                other => panic!("{other}"),
            }
        };
        assert_eq!(altered(1, 8), "type of the key");
        assert_eq!(altered(3, 0x10), "name algorithm");
        assert_eq!(altered(11, 0x13), "symmetric algorithm");
        assert_eq!(altered(13, 0x1a), "scheme");
        assert_eq!(altered(15, 0x27), "hash of the scheme");
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = Public::parse(&bytes);
            let _ = Public::parse(&[&RSA_AK[..8], &bytes].concat());
            let _ = Public::parse_sized(&bytes);
        }
    }
}
