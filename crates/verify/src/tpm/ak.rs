//! Attestation keys: from a public area or a modulus to something that verifies.

use claims::tpm::{Digest, HashAlgorithm, ObjectName};
use crypto::{P256PublicKey, P384PublicKey, RsaPublicKey, RsaScheme};
use evidence::tpm::{Attributes, Curve, KeyFields, Public, Signature, SignatureScheme, SignatureValue};

use super::TpmVerifyError;
use crate::Check;
use crate::check::OnCheck;

/// The Name of an object: its nameAlg and the digest of its public area (TPM 2.0 Library, part 1, 16).
///
/// SHA-1 as nameAlg gives a Name with an empty digest, which every such key has; [`Enrolling`] and quotes refuse it.
///
/// [`Enrolling`]: super::credential::Enrolling
pub fn name_of(public: &Public) -> ObjectName {
    let algorithm = public.fields().name_algorithm;
    ObjectName { algorithm, digest: digest(algorithm, &[public.as_bytes()]) }
}

/// 9: the Name of a key for quotes, which tells it from every other key.
pub(super) fn telling_name(public: &Public) -> Result<ObjectName, TpmVerifyError> {
    match public.fields().name_algorithm {
        got @ HashAlgorithm::Sha1 => Err(TpmVerifyError::AkName { got }),
        _ => Ok(name_of(public)),
    }
}

/// The qualified Name of an object under a parent (part 1, 16.3): `parent` is the parent's qualified Name, or four bytes
/// of a hierarchy's handle, big-endian (0x4000000b is the endorsement hierarchy's).
pub fn qualified_name(parent: &[u8], name: &ObjectName) -> ObjectName {
    let digest = digest(name.algorithm, &[parent, &name.to_bytes()]);
    ObjectName { algorithm: name.algorithm, digest }
}

/// Digest of the concatenation of `parts`; empty for SHA-1, which is not computed here.
pub(super) fn digest(algorithm: HashAlgorithm, parts: &[&[u8]]) -> Digest {
    Digest(match algorithm {
        HashAlgorithm::Sha1 => Vec::new(),
        HashAlgorithm::Sha256 => crypto::sha256(parts).to_vec(),
        HashAlgorithm::Sha384 => crypto::sha384(parts).to_vec(),
        HashAlgorithm::Sha512 => crypto::sha512(parts).to_vec(),
    })
}

/// 3: what makes a key fit for quotes.
pub(super) fn check_attributes(
    attributes: Attributes,
    on_check: &mut OnCheck<'_>,
) -> Result<(), TpmVerifyError> {
    for (attribute, expected, got) in [
        ("restricted", true, attributes.restricted()),
        ("sign", true, attributes.sign()),
        ("fixedTPM", true, attributes.fixed_tpm()),
        ("fixedParent", true, attributes.fixed_parent()),
        ("sensitiveDataOrigin", true, attributes.sensitive_data_origin()),
        ("decrypt", false, attributes.decrypt()),
    ] {
        if got != expected {
            return Err(TpmVerifyError::AkAttribute { attribute, expected });
        }
    }
    let words = "restricted, sign, fixedTPM, fixedParent, sensitiveDataOrigin, not decrypt";
    on_check(Check::KeyAttributes, format_args!("{words}"));
    Ok(())
}

/// A key and the scheme that it is bound to.
pub(super) struct AttestationKey {
    scheme: SignatureScheme,
    pub(super) hash: HashAlgorithm,
    key: Key,
}

enum Key {
    Rsa(RsaPublicKey, RsaScheme),
    P256(P256PublicKey),
    P384(P384PublicKey),
}

impl AttestationKey {
    /// 2: the key of a public area, with the scheme that stands there.
    pub(super) fn of_public(public: &Public) -> Result<Self, TpmVerifyError> {
        let fields = public.fields();
        let unbound = || TpmVerifyError::AkScheme { got: "none".to_owned() };
        let (scheme, hash) = fields.scheme.ok_or_else(unbound)?;
        let unsupported = || TpmVerifyError::AkScheme { got: describe(scheme, hash, &fields.key) };
        let key = match &fields.key {
            KeyFields::Rsa { bits, exponent, modulus } => {
                let rsa = rsa_scheme(scheme, hash).ok_or_else(unsupported)?;
                let key = rsa_key(modulus, exponent.to_be_bytes().as_slice())?;
                if key.bits() != usize::from(*bits) {
                    return Err(TpmVerifyError::AkKey { expected: "a modulus of as many bits as stated" });
                }
                Key::Rsa(key, rsa)
            }
            KeyFields::Ecc { curve, x, y } => match (curve, scheme, hash) {
                (Curve::P256, SignatureScheme::Ecdsa, HashAlgorithm::Sha256) => {
                    let point: [u8; 65] = point::<32>(x, y).try_into().map_err(|_| NO_POINT)?;
                    Key::P256(P256PublicKey::from_sec1(&point).map_err(|_| NO_POINT)?)
                }
                (Curve::P384, SignatureScheme::Ecdsa, HashAlgorithm::Sha384) => {
                    Key::P384(P384PublicKey::from_sec1(&point::<48>(x, y)).map_err(|_| NO_POINT)?)
                }
                _ => return Err(unsupported()),
            },
        };
        Ok(Self { scheme, hash, key })
    }

    /// The key of Azure's vTPM, which is made for RSASSA with SHA-256 and nothing else.
    pub(super) fn of_azure(modulus: &[u8], exponent: &[u8]) -> Result<Self, TpmVerifyError> {
        let key = Key::Rsa(rsa_key(modulus, exponent)?, RsaScheme::Pkcs1Sha256);
        Ok(Self { scheme: SignatureScheme::RsaSsa, hash: HashAlgorithm::Sha256, key })
    }

    /// The SubjectPublicKeyInfo in DER of a key on RSA.
    pub(super) fn rsa_spki(&self) -> Option<&[u8]> {
        match &self.key {
            Key::Rsa(key, _) => Some(key.spki()),
            Key::P256(_) | Key::P384(_) => None,
        }
    }

    /// The scheme that the key is bound to, in words.
    pub(super) fn scheme(&self) -> String {
        format!("{} with {}", self.scheme.name(), self.hash)
    }

    /// 2: a signature of this key's scheme over these bytes.
    pub(super) fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), TpmVerifyError> {
        if (signature.scheme, signature.hash) != (self.scheme, self.hash) {
            let got = format!("{} with {}", signature.scheme.name(), signature.hash);
            return Err(TpmVerifyError::Scheme { expected: self.scheme(), got });
        }
        let verified = match (&self.key, &signature.value) {
            (Key::Rsa(key, scheme), SignatureValue::Rsa(value)) => {
                key.verify(*scheme, message, value).is_ok()
            }
            (Key::P256(key), SignatureValue::Ecdsa { r, s }) => {
                fixed::<64>(r, s).is_some_and(|value| key.verify_fixed(message, &value).is_ok())
            }
            (Key::P384(key), SignatureValue::Ecdsa { r, s }) => {
                fixed::<96>(r, s).is_some_and(|value| key.verify_fixed(message, &value).is_ok())
            }
            _ => false,
        };
        verified.then_some(()).ok_or(TpmVerifyError::Signature)
    }
}

fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Result<RsaPublicKey, TpmVerifyError> {
    let first = exponent.iter().position(|byte| *byte != 0).unwrap_or(exponent.len());
    let exponent = exponent.get(first..).unwrap_or_default();
    let key = RsaPublicKey::from_components(modulus, exponent);
    key.map_err(|_| TpmVerifyError::AkKey { expected: "an rsa key of 2048 bits or more" })
}

fn rsa_scheme(scheme: SignatureScheme, hash: HashAlgorithm) -> Option<RsaScheme> {
    match (scheme, hash) {
        (SignatureScheme::RsaSsa, HashAlgorithm::Sha256) => Some(RsaScheme::Pkcs1Sha256),
        (SignatureScheme::RsaSsa, HashAlgorithm::Sha384) => Some(RsaScheme::Pkcs1Sha384),
        (SignatureScheme::RsaSsa, HashAlgorithm::Sha512) => Some(RsaScheme::Pkcs1Sha512),
        (SignatureScheme::RsaPss, HashAlgorithm::Sha256) => Some(RsaScheme::PssSha256),
        (SignatureScheme::RsaPss, HashAlgorithm::Sha384) => Some(RsaScheme::PssSha384),
        (SignatureScheme::RsaPss, HashAlgorithm::Sha512) => Some(RsaScheme::PssSha512),
        _ => None,
    }
}

fn describe(scheme: SignatureScheme, hash: HashAlgorithm, key: &KeyFields) -> String {
    let key = match key {
        KeyFields::Rsa { .. } => "rsa",
        KeyFields::Ecc { curve: Curve::P256, .. } => "p-256",
        KeyFields::Ecc { curve: Curve::P384, .. } => "p-384",
    };
    format!("{} with {hash} on {key}", scheme.name())
}

/// An uncompressed point of two numbers, which are filled up to `N` bytes.
pub(super) fn point<const N: usize>(x: &[u8], y: &[u8]) -> Vec<u8> {
    let numbers = [x, y].map(padded::<N>);
    let [Some(x), Some(y)] = numbers else { return Vec::new() };
    [&[4][..], &x, &y].concat()
}

/// r and s behind one another, each filled up to half of `N` bytes.
fn fixed<const N: usize>(r: &[u8], s: &[u8]) -> Option<[u8; N]> {
    let both = match N {
        64 => [padded::<32>(r)?.to_vec(), padded::<32>(s)?.to_vec()],
        _ => [padded::<48>(r)?.to_vec(), padded::<48>(s)?.to_vec()],
    };
    both.concat().try_into().ok()
}

/// A number with zeros in front; `None` if it is longer.
fn padded<const N: usize>(number: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    let start = N.checked_sub(number.len())?;
    out.get_mut(start..)?.copy_from_slice(number);
    Some(out)
}

const NO_POINT: TpmVerifyError = TpmVerifyError::AkKey { expected: "a point on its curve" };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_filled_up_from_the_left() {
        assert_eq!(padded::<4>(&[1, 2]), Some([0, 0, 1, 2]));
        assert_eq!(padded::<2>(&[1, 2, 3]), None);
        assert_eq!(fixed::<64>(&[1], &[2]).map(|value| (value[31], value[63])), Some((1, 2)));
        assert_eq!(fixed::<96>(&[1; 49], &[2]), None);
    }

    #[test]
    fn a_key_verifies_signatures_of_its_own_scheme_and_no_others() {
        use HashAlgorithm::{Sha1, Sha256, Sha384, Sha512};
        use SignatureScheme::{Ecdsa, RsaPss, RsaSsa};
        let private = crypto::RsaPrivateKey::generate(2048).unwrap();
        let schemes = [
            (RsaSsa, Sha256, RsaScheme::Pkcs1Sha256),
            (RsaSsa, Sha384, RsaScheme::Pkcs1Sha384),
            (RsaSsa, Sha512, RsaScheme::Pkcs1Sha512),
            (RsaPss, Sha256, RsaScheme::PssSha256),
            (RsaPss, Sha384, RsaScheme::PssSha384),
            (RsaPss, Sha512, RsaScheme::PssSha512),
        ];
        for (scheme, hash, bound) in schemes {
            let rsa = rsa_scheme(scheme, hash).unwrap();
            let public = RsaPublicKey::from_spki(private.public().spki()).unwrap();
            let key = AttestationKey { scheme, hash, key: Key::Rsa(public, rsa) };
            for (_, _, made) in schemes {
                let value = SignatureValue::Rsa(private.sign(made, b"quote").unwrap());
                let verified = key.verify(b"quote", &Signature { scheme, hash, value });
                assert_eq!(verified.is_ok(), made == bound, "{bound:?}, {made:?}");
            }
        }
        for (scheme, hash) in [(RsaSsa, Sha1), (RsaPss, Sha1), (Ecdsa, Sha256)] {
            assert_eq!(rsa_scheme(scheme, hash), None);
        }
    }

    #[test]
    fn a_key_for_quotes_has_all_attributes_and_cannot_decrypt() {
        let check_attributes = |bits| check_attributes(Attributes(bits), &mut |_, _| ());
        assert_eq!(check_attributes(0x0005_0072), Ok(()));
        for (bit, attribute) in [
            (1, "fixedTPM"),
            (4, "fixedParent"),
            (5, "sensitiveDataOrigin"),
            (16, "restricted"),
            (18, "sign"),
        ] {
            let error = check_attributes(0x0005_0072 & !(1 << bit)).unwrap_err();
            assert_eq!(error, TpmVerifyError::AkAttribute { attribute, expected: true });
        }
        let error = check_attributes(0x0007_0072).unwrap_err();
        assert_eq!(error, TpmVerifyError::AkAttribute { attribute: "decrypt", expected: false });
        assert_eq!(error.to_string(), "the attestation key is `decrypt`: expected it not to be");
    }
}
