//! TPMT_SIGNATURE (TCG TPM 2.0 Library 1.59, part 2, 11.3.4).
//!
//! What it says of its algorithm is believed by nobody: `verify` takes the scheme from the key and compares.

use claims::tpm::HashAlgorithm;

use super::TpmError;
use super::reader::Reader;

/// A signature, parsed and unverified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The scheme that it names.
    pub scheme: SignatureScheme,
    /// The hash that it names.
    pub hash: HashAlgorithm,
    /// RSA: the signature, at most 512 bytes. ECDSA: r, then s, as they came, at most 66 bytes each.
    pub value: SignatureValue,
}

/// A signature scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureScheme {
    /// TPM_ALG_RSASSA: RSASSA-PKCS1-v1_5.
    RsaSsa,
    /// TPM_ALG_RSAPSS: RSASSA-PSS.
    RsaPss,
    /// TPM_ALG_ECDSA.
    Ecdsa,
}

impl SignatureScheme {
    /// The scheme of a TPM_ALG_ID, or `None`.
    pub(super) fn from_id(id: u16) -> Option<Self> {
        match id {
            0x0014 => Some(Self::RsaSsa),
            0x0016 => Some(Self::RsaPss),
            0x0018 => Some(Self::Ecdsa),
            _ => None,
        }
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::RsaSsa => "rsassa",
            Self::RsaPss => "rsapss",
            Self::Ecdsa => "ecdsa",
        }
    }
}

/// The numbers of a signature, big-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureValue {
    /// As many bytes as the modulus.
    Rsa(Vec<u8>),
    /// r and s; a TPM may leave leading zeros out.
    Ecdsa {
        /// r.
        r: Vec<u8>,
        /// s.
        s: Vec<u8>,
    },
}

impl Signature {
    /// Parses exactly these bytes.
    ///
    /// # Errors
    /// [`TpmError`], the first in the order of the bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, TpmError> {
        let mut reader = Reader::new("signature", bytes);
        let got = reader.u16()?;
        let (field, expected) = ("signature algorithm", "rsassa, rsapss or ecdsa");
        let scheme = SignatureScheme::from_id(got).ok_or(TpmError::Algorithm { field, expected, got })?;
        let hash = reader.hash("hash of the signature")?;
        let value = match scheme {
            SignatureScheme::RsaSsa | SignatureScheme::RsaPss => {
                SignatureValue::Rsa(reader.sized("rsa signature", RSA_LIMIT)?.to_vec())
            }
            SignatureScheme::Ecdsa => SignatureValue::Ecdsa {
                r: reader.sized("r of the signature", ECC_LIMIT)?.to_vec(),
                s: reader.sized("s of the signature", ECC_LIMIT)?.to_vec(),
            },
        };
        reader.finish()?;
        Ok(Self { scheme, hash, value })
    }
}

/// Bytes of the largest RSA modulus read here: 4096 bits.
pub(super) const RSA_LIMIT: usize = 512;
/// Bytes of a number on the largest curve: P-521.
pub(super) const ECC_LIMIT: usize = 66;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_both_families() {
        let rsa = Signature::parse(&[0, 0x14, 0, 0x0b, 0, 2, 8, 9]).unwrap();
        let value = SignatureValue::Rsa(vec![8, 9]);
        assert_eq!(rsa, Signature { scheme: SignatureScheme::RsaSsa, hash: HashAlgorithm::Sha256, value });
        let ecdsa = Signature::parse(&[0, 0x18, 0, 0x0c, 0, 1, 5, 0, 2, 6, 7]).unwrap();
        let value = SignatureValue::Ecdsa { r: vec![5], s: vec![6, 7] };
        assert_eq!(ecdsa, Signature { scheme: SignatureScheme::Ecdsa, hash: HashAlgorithm::Sha384, value });
        let longest = Signature::parse(&[&[0, 0x16, 0, 0x0b, 2, 0][..], &[7; 512]].concat()).unwrap();
        let value = SignatureValue::Rsa(vec![7; 512]);
        assert_eq!(
            longest,
            Signature { scheme: SignatureScheme::RsaPss, hash: HashAlgorithm::Sha256, value }
        );
        let schemes = [SignatureScheme::RsaSsa, SignatureScheme::RsaPss, SignatureScheme::Ecdsa];
        assert_eq!(schemes.map(SignatureScheme::name), ["rsassa", "rsapss", "ecdsa"]);
    }

    #[test]
    fn other_algorithms_lengths_and_rests_are_refused() {
        let refusal = |bytes: &[u8]| Signature::parse(bytes).unwrap_err();
        let hmac = [0, 0x05, 0, 0x0b, 0, 0];
        assert!(matches!(refusal(&hmac), TpmError::Algorithm { field: "signature algorithm", got: 5, .. }));
        let null = [0, 0x14, 0, 0x10, 0, 0];
        assert!(matches!(refusal(&null), TpmError::Algorithm { field: "hash of the signature", .. }));
        let long = [0, 0x14, 0, 0x0b, 2, 1];
        let error = TpmError::TooLong { field: "rsa signature", limit: 512, got: 513 };
        assert_eq!(refusal(&long), error);
        let more = [0, 0x14, 0, 0x0b, 0, 1, 8, 9];
        assert_eq!(refusal(&more), TpmError::Trailing { structure: "signature", got: 1 });
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Signature::parse(&bytes);
            let _ = Signature::parse(&[&[0, 0x18, 0, 0x0b][..], &bytes].concat());
        }
    }
}
