//! One X.509 certificate (RFC 5280), read out of hostile DER.
//!
//! Reading believes nothing: whose signature it bears, and with which algorithm, is asked for by itself.

use claims::UnixTime;
use crypto::RsaPublicKey;
use der::asn1::ObjectIdentifier;
use der::{Decode, Encode, Tag, Tagged};
use x509_cert::certificate::Version;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};
use x509_cert::name::Name;

use crate::signed::{BadExtension, SignedPart, check_extensions, other_algorithm};
use crate::{ChainError, Endorsements, Role};

/// Bytes that are no certificate which could stand in a chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// More bytes than a certificate has.
    #[error("certificate too large: expected at most {limit} bytes, got {got}")]
    TooLarge {
        /// Most bytes allowed.
        limit: usize,
        /// Bytes given.
        got: usize,
    },
    /// Not a certificate in DER.
    #[error("not a certificate in DER: {reason}")]
    Malformed {
        /// What the decoder says.
        reason: String,
    },
    /// An X.509 version that has no extensions.
    #[error("certificate version not supported: expected v3, got {got}")]
    Version {
        /// The version found.
        got: &'static str,
    },
    /// One extension stands there twice.
    #[error("certificate repeats the extension {oid}")]
    RepeatedExtension {
        /// Its object identifier.
        oid: String,
    },
    /// A critical extension that is not understood here.
    #[error("critical extension not understood: expected basicConstraints or keyUsage, got {oid}")]
    CriticalExtension {
        /// Its object identifier.
        oid: String,
    },
}

/// When a certificate is valid, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) not_before: UnixTime,
    pub(crate) not_after: UnixTime,
}

impl Window {
    pub(crate) fn contains(&self, now: UnixTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// Whether the certificate of this place in the chain is valid at `now`.
    pub(crate) fn check(&self, certificate: Role, now: UnixTime) -> Result<(), ChainError> {
        let Self { not_before, not_after } = *self;
        if now < not_before {
            return Err(ChainError::NotYetValid { certificate, not_before, now });
        }
        if now > not_after {
            return Err(ChainError::Expired { certificate, not_after, now });
        }
        Ok(())
    }
}

/// A certificate that is well-formed, and nothing more.
#[derive(Debug)]
pub(crate) struct Certificate {
    der: Vec<u8>,
    signed: SignedPart,
    parsed: x509_cert::Certificate,
}

impl Certificate {
    pub(crate) fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        let (limit, got) = (Endorsements::MAX_CERTIFICATE_LEN, der.len());
        if got > limit {
            return Err(CertificateError::TooLarge { limit, got });
        }
        let malformed = |e: der::Error| CertificateError::Malformed { reason: e.to_string() };
        let parsed = x509_cert::Certificate::from_der(der).map_err(malformed)?;
        let signed = SignedPart::of(der).map_err(malformed)?;
        let certificate = Self { der: der.to_vec(), signed, parsed };
        certificate.check_form()?;
        Ok(certificate)
    }

    /// Version 3, no extension twice, none critical that is not understood.
    fn check_form(&self) -> Result<(), CertificateError> {
        match self.parsed.tbs_certificate().version() {
            Version::V3 => (),
            Version::V1 => return Err(CertificateError::Version { got: "v1" }),
            Version::V2 => return Err(CertificateError::Version { got: "v2" }),
        }
        let extensions = self.parsed.tbs_certificate().extensions().map_or(&[][..], Vec::as_slice);
        check_extensions(extensions, &[BASIC_CONSTRAINTS, KEY_USAGE]).map_err(|bad| match bad {
            BadExtension::Repeated(oid) => CertificateError::RepeatedExtension { oid: oid.to_string() },
            BadExtension::Critical(oid) => CertificateError::CriticalExtension { oid: oid.to_string() },
        })
    }

    /// The certificate as it came.
    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    pub(crate) fn subject(&self) -> &Name {
        self.parsed.tbs_certificate().subject()
    }

    pub(crate) fn issuer(&self) -> &Name {
        self.parsed.tbs_certificate().issuer()
    }

    pub(crate) fn window(&self) -> Window {
        let validity = self.parsed.tbs_certificate().validity();
        let seconds = |time: x509_cert::time::Time| UnixTime(time.to_unix_duration().as_secs());
        Window { not_before: seconds(validity.not_before), not_after: seconds(validity.not_after) }
    }

    /// The contents of an extension, in DER.
    pub(crate) fn extension(&self, oid: ObjectIdentifier) -> Option<&[u8]> {
        let mut all = self.parsed.tbs_certificate().extensions()?.iter();
        all.find(|extension| extension.extn_id == oid).map(|found| found.extn_value.as_bytes())
    }

    /// Whether the certificate says to be a CA (basicConstraints).
    pub(crate) fn is_ca(&self) -> bool {
        let constraints = self.extension(BASIC_CONSTRAINTS).map(BasicConstraints::from_der);
        matches!(constraints, Some(Ok(BasicConstraints { ca: true, .. })))
    }

    /// Whether the key may sign certificates (keyUsage).
    pub(crate) fn may_sign_certificates(&self) -> bool {
        let usage = self.extension(KEY_USAGE).map(KeyUsage::from_der);
        matches!(usage, Some(Ok(usage)) if usage.key_cert_sign())
    }

    /// Whether the key may sign revocation lists (keyUsage).
    pub(crate) fn may_sign_crls(&self) -> bool {
        let usage = self.extension(KEY_USAGE).map(KeyUsage::from_der);
        matches!(usage, Some(Ok(usage)) if usage.crl_sign())
    }

    /// The serial number, big-endian without leading zeros; AMD gives every VCEK and VLEK the number 0.
    pub(crate) fn serial(&self) -> &[u8] {
        self.parsed.tbs_certificate().serial_number().as_bytes()
    }

    /// Whether the key is one of an elliptic curve: what tells leaves from issuers among unsorted certificates.
    pub(crate) fn has_ec_key(&self) -> bool {
        self.parsed.tbs_certificate().subject_public_key_info().algorithm.oid == EC_PUBLIC_KEY
    }

    /// The SEC 1 point of a P-384 key; else what curve or algorithm the key is of.
    pub(crate) fn p384_point(&self) -> Result<&[u8], String> {
        let spki = self.parsed.tbs_certificate().subject_public_key_info();
        let parameters = spki.algorithm.parameters.as_ref();
        let curve = parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
        match (spki.algorithm.oid, curve) {
            (EC_PUBLIC_KEY, Some(SECP384R1)) => Ok(spki.subject_public_key.raw_bytes()),
            (EC_PUBLIC_KEY, Some(curve)) => Err(curve.to_string()),
            (algorithm, _) => Err(algorithm.to_string()),
        }
    }

    /// The key, if it is RSA.
    pub(crate) fn rsa_key(&self) -> Option<RsaPublicKey> {
        let spki = self.parsed.tbs_certificate().subject_public_key_info().to_der().ok()?;
        RsaPublicKey::from_spki(&spki).ok()
    }

    /// `None` if the signature algorithm is the one that AMD uses, parameters included; else its name.
    pub(crate) fn other_algorithm(&self) -> Option<String> {
        other_algorithm(self.parsed.signature_algorithm(), self.parsed.tbs_certificate().signature())
    }

    /// Whether `key` signed this certificate. The algorithm is judged by [`Self::other_algorithm`].
    pub(crate) fn is_signed_by(&self, key: &RsaPublicKey) -> bool {
        self.signed.is_signed_by(&self.der, self.parsed.signature(), key)
    }
}

/// The text of the one attribute of this type in a name; `None` if there is none, several, or no text.
pub(crate) fn attribute(name: &Name, oid: ObjectIdentifier) -> Option<&str> {
    let mut found = name.iter().filter(|attribute| attribute.oid == oid);
    let (only, more) = (found.next()?, found.next());
    let is_text = matches!(only.value.tag(), Tag::Utf8String | Tag::PrintableString | Tag::Ia5String);
    let text = core::str::from_utf8(only.value.value()).ok();
    text.filter(|_| is_text && more.is_none())
}

pub(crate) const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
pub(crate) const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
pub(crate) const ORGANIZATIONAL_UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");

const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

#[cfg(test)]
mod tests {
    use super::*;

    const ARK: &[u8] = include_bytes!("../data/milan-ark.der");

    #[test]
    fn a_genuine_root_signed_itself() {
        let ark = Certificate::parse(ARK).unwrap();
        assert_eq!(ark.other_algorithm(), None);
        assert!(ark.is_ca() && ark.may_sign_certificates() && !ark.has_ec_key());
        assert!(ark.is_signed_by(&ark.rsa_key().unwrap()));
        assert_eq!(attribute(ark.subject(), COMMON_NAME), Some("ARK-Milan"));
    }

    /// A name of these attributes: the last arc of the type (2.5.4), the tag of the value, its bytes.
    fn name(attributes: &[(u8, u8, &[u8])]) -> Name {
        let element =
            |tag: u8, contents: &[u8]| [&[tag, u8::try_from(contents.len()).unwrap()][..], contents].concat();
        let attribute = |(arc, tag, value): &(u8, u8, &[u8])| {
            let pair = [&[6, 3, 0x55, 4, *arc][..], &element(*tag, value)].concat();
            element(0x31, &element(0x30, &pair))
        };
        let all: Vec<u8> = attributes.iter().flat_map(attribute).collect();
        Name::from_der(&element(0x30, &all)).unwrap()
    }

    #[test]
    fn an_attribute_is_the_only_one_of_its_type_and_text() {
        let common_name =
            |attributes: &[(u8, u8, &[u8])]| attribute(&name(attributes), COMMON_NAME).map(str::to_owned);
        for text in [0x0c, 0x13, 0x16] {
            assert_eq!(common_name(&[(10, 0x0c, b"AMD"), (3, text, b"ARK-Milan")]), Some("ARK-Milan".into()));
        }
        assert_eq!(common_name(&[(3, 0x0c, b"ARK-Milan"), (3, 0x0c, b"ARK-Genoa")]), None);
        assert_eq!(common_name(&[(3, 0x04, b"ARK-Milan")]), None, "an octet string");
        assert_eq!(common_name(&[(3, 0x0c, &[0xff])]), None, "no utf-8");
        assert_eq!(common_name(&[(10, 0x0c, b"ARK-Milan")]), None);
    }

    #[test]
    fn every_truncation_and_a_trailing_byte_are_refused() {
        for len in 0..ARK.len() {
            assert!(
                matches!(Certificate::parse(&ARK[..len]), Err(CertificateError::Malformed { .. })),
                "{len}"
            );
        }
        let longer = [ARK, &[0]].concat();
        assert!(matches!(Certificate::parse(&longer), Err(CertificateError::Malformed { .. })));
        let (limit, got) = (16 * 1024, 16 * 1024 + 1);
        assert_eq!(
            Certificate::parse(&vec![0x30; got]).err(),
            Some(CertificateError::TooLarge { limit, got })
        );
    }

    #[test]
    fn no_changed_byte_leaves_the_signature_intact() {
        let key = Certificate::parse(ARK).unwrap().rsa_key().unwrap();
        for at in 0..ARK.len() {
            let mut der = ARK.to_vec();
            der[at] ^= 1;
            let accepted =
                Certificate::parse(&der).is_ok_and(|c| c.other_algorithm().is_none() && c.is_signed_by(&key));
            assert!(!accepted, "byte {at}");
        }
    }
}
