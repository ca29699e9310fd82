//! Certificates of endorsement keys (TCG EK Credential Profile 2.5): to a root that the operator named.
//!
//! 1. every certificate is X.509 v3 and valid now, no extension stands in it twice, and no critical one is unknown here
//!    (basicConstraints, keyUsage, subjectAltName, extendedKeyUsage are known; certificatePolicies, which most vendors mark
//!    as critical, asks nothing of who accepts any policy: RFC 5280, 6.1.1 (c) to (f));
//! 2. each is signed by the next, and the last by a root, with RSA PKCS #1 1.5 and SHA-256 or SHA-384, ECDSA P-256 and
//!    SHA-256, or ECDSA P-384 and SHA-384, over the bytes as they came; issuer and subject names agree;
//! 3. issuers are CAs that may sign certificates, with no more issuers below them than their path length allows; the first
//!    certificate is none;
//! 4. the first has the extended key usage 2.23.133.8.1 and names the TPM in its subjectAltName (a directoryName with
//!    manufacturer, model and version), which vendors mark as critical;
//! 5. none is on a list of its issuer's that the operator has, and each has such a list, valid and young enough, where the
//!    operator demands it. Lists never come with the certificates, whose sender would choose the ones that suit.

use std::sync::Arc;

use claims::UnixTime;
use crypto::{P256PublicKey, P384PublicKey, RsaPublicKey, RsaScheme};
use der::asn1::{ObjectIdentifier, UintRef};
use der::{Decode, Encode, Reader, SliceReader};
use x509_cert::certificate::Version;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName};

use super::ek_lists::{EkLists, Issuer};
use crate::error::hex;
use crate::revocation::RevocationError;

/// Roots that an operator named, each simulated or not, and with the lists that count below it.
#[derive(Debug, Default)]
pub struct EkRoots {
    roots: Vec<Root>,
}

#[derive(Debug)]
struct Root {
    certificate: Certificate,
    simulated: bool,
    lists: Arc<EkLists>,
}

/// An endorsement key whose certificate leads to a root.
#[derive(Debug)]
pub struct VerifiedEk {
    spki: Vec<u8>,
    simulated: bool,
    not_after: UnixTime,
}

/// Certificates that vouch for no endorsement key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EkError {
    /// No certificates, or more than a chain has.
    #[error("wrong number of endorsement certificates: expected 1 to {limit}, got {got}")]
    Count {
        /// Most certificates allowed.
        limit: usize,
        /// How many there are.
        got: usize,
    },
    /// Not a certificate that is read here.
    #[error("endorsement certificate {index} cannot be used: expected {expected}")]
    Certificate {
        /// Which one, from 0, the endorsement key's.
        index: usize,
        /// What it should be.
        expected: &'static str,
    },
    /// Outside its window.
    #[error(
        "endorsement certificate {index} is not valid at {now}: expected a time from {not_before} to {not_after}"
    )]
    Validity {
        /// Which one.
        index: usize,
        /// Its first second.
        not_before: UnixTime,
        /// Its last second.
        not_after: UnixTime,
        /// The time asked about.
        now: UnixTime,
    },
    /// The next one, or no root, signed it.
    #[error("endorsement certificate {index} is not signed by {}", if *.by_root { "a root of the operator's" } else { "the next one" })]
    Signature {
        /// Which one.
        index: usize,
        /// Whether a root should have signed.
        by_root: bool,
    },
    /// Its issuer lists it.
    #[error(
        "endorsement certificate {index} was revoked on {since}: `{issuer}` lists its serial number 0x{} in its list \
         of {listed}",
        hex(.serial)
    )]
    Revoked {
        /// Which one.
        index: usize,
        /// Its serial number, big-endian.
        serial: Vec<u8>,
        /// Since when.
        since: UnixTime,
        /// The common name of its issuer.
        issuer: String,
        /// When the list was issued.
        listed: UnixTime,
    },
    /// The operator demands a list, and its issuer has none that will do.
    #[error("endorsement certificate {index}: {source}")]
    Lists {
        /// Which one.
        index: usize,
        /// What is wrong with the list, or that there is none.
        source: RevocationError,
    },
    /// The certificate is of another key.
    #[error("the endorsement certificate is of another key than the tpm's")]
    OtherKey,
}

impl EkRoots {
    /// Most certificates of a chain, without its root.
    pub const MAX_CHAIN: usize = 4;

    /// Adds a root in DER; whatever it vouches for is simulated if the operator says so.
    ///
    /// # Errors
    /// [`EkError::Certificate`] unless it is a certificate of a CA.
    pub fn with_root(self, der: &[u8], simulated: bool) -> Result<Self, EkError> {
        self.with_listed_root(der, simulated, Arc::default())
    }

    /// As [`Self::with_root`], with lists of this root's and of the issuers below it.
    ///
    /// # Errors
    /// As [`Self::with_root`].
    pub fn with_listed_root(
        mut self,
        der: &[u8],
        simulated: bool,
        lists: Arc<EkLists>,
    ) -> Result<Self, EkError> {
        let certificate = Certificate::parse(0, der)?;
        certificate.check_issuer(0)?;
        self.roots.push(Root { certificate, simulated, lists });
        Ok(self)
    }

    /// Verifies a chain: the endorsement key's certificate first, then its issuers, DER.
    ///
    /// # Errors
    /// [`EkError`], the first rule that a certificate breaks.
    pub fn verify(&self, certificates: &[Vec<u8>], now: UnixTime) -> Result<VerifiedEk, EkError> {
        let (limit, got) = (Self::MAX_CHAIN, certificates.len());
        if !(1..=limit).contains(&got) {
            return Err(EkError::Count { limit, got });
        }
        let parse = |(index, der): (usize, &Vec<u8>)| Certificate::parse(index, der);
        let chain = certificates.iter().enumerate().map(parse).collect::<Result<Vec<_>, _>>()?;
        let mut not_after = UnixTime(u64::MAX);
        for (index, certificate) in chain.iter().enumerate() {
            not_after = not_after.min(certificate.check_window(index, now)?);
            match index {
                0 => certificate.check_leaf()?,
                _ => certificate.check_issuer(index)?,
            }
            certificate.check_path_length(index)?;
        }
        let pairs = chain.iter().zip(chain.iter().skip(1)).enumerate();
        for (index, (certificate, issuer)) in pairs {
            if !certificate.is_signed_by(issuer) {
                return Err(EkError::Signature { index, by_root: false });
            }
        }
        let index = got.saturating_sub(1);
        let last = chain.last();
        let signed = |root: &&Root| last.is_some_and(|last| last.is_signed_by(&root.certificate));
        let Root { certificate: root, simulated, lists } =
            self.roots.iter().find(signed).ok_or(EkError::Signature { index, by_root: true })?;
        let not_after = not_after.min(root.check_window(got, now)?);
        root.check_path_length(got)?;
        let issuers = chain.iter().skip(1).chain([root]);
        for (index, (certificate, issuer)) in chain.iter().zip(issuers).enumerate() {
            lists.check((index, certificate.serial()), &issuer.as_issuer(), now)?; // 5
        }
        let spki = chain.first().map(|leaf| leaf.spki.clone()).unwrap_or_default();
        Ok(VerifiedEk { spki, simulated: *simulated, not_after })
    }
}

impl VerifiedEk {
    /// The endorsement key as a SubjectPublicKeyInfo in DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Whether its root is a simulated one.
    pub fn simulated(&self) -> bool {
        self.simulated
    }

    /// When the first certificate of the chain expires.
    pub fn not_after(&self) -> UnixTime {
        self.not_after
    }
}

/// A certificate that is well-formed, and nothing more.
#[derive(Debug)]
struct Certificate {
    parsed: x509_cert::Certificate,
    to_be_signed: Vec<u8>,
    spki: Vec<u8>,
}

impl Certificate {
    /// 1: reads DER.
    fn parse(index: usize, der: &[u8]) -> Result<Self, EkError> {
        let wrong = |expected| EkError::Certificate { index, expected };
        if der.len() > crate::Endorsements::MAX_CERTIFICATE_LEN {
            return Err(wrong("at most 16 KiB"));
        }
        let parsed = x509_cert::Certificate::from_der(der).map_err(|_| wrong("a certificate in DER"))?;
        let to_be_signed = to_be_signed(der).map_err(|_| wrong("a certificate in DER"))?;
        let inner = parsed.tbs_certificate();
        if inner.version() != Version::V3 || inner.signature() != parsed.signature_algorithm() {
            return Err(wrong("x.509 v3 with one signature algorithm"));
        }
        let mut seen = Vec::new();
        for extension in inner.extensions().into_iter().flatten() {
            if seen.contains(&extension.extn_id)
                || (extension.critical && !KNOWN.contains(&extension.extn_id))
            {
                return Err(wrong("each extension once, and none that is critical and unknown"));
            }
            seen.push(extension.extn_id);
        }
        let spki = inner.subject_public_key_info().to_der().map_err(|_| wrong("a public key"))?;
        Ok(Self { to_be_signed, spki, parsed })
    }

    fn extension<'a, T: Decode<'a>>(&'a self, oid: ObjectIdentifier) -> Option<T> {
        let mut all = self.parsed.tbs_certificate().extensions()?.iter();
        let found = all.find(|extension| extension.extn_id == oid)?;
        T::from_der(found.extn_value.as_bytes()).ok()
    }

    /// 1: its window, whose end is given back.
    fn check_window(&self, index: usize, now: UnixTime) -> Result<UnixTime, EkError> {
        let validity = self.parsed.tbs_certificate().validity();
        let seconds = |time: x509_cert::time::Time| UnixTime(time.to_unix_duration().as_secs());
        let (not_before, not_after) = (seconds(validity.not_before), seconds(validity.not_after));
        if now < not_before || now > not_after {
            return Err(EkError::Validity { index, not_before, not_after, now });
        }
        Ok(not_after)
    }

    /// 3: a CA that signs certificates.
    fn check_issuer(&self, index: usize) -> Result<(), EkError> {
        let is_ca = self.extension::<BasicConstraints>(BASIC_CONSTRAINTS).is_some_and(|c| c.ca);
        let may_sign = self.extension::<KeyUsage>(KEY_USAGE).is_none_or(|usage| usage.key_cert_sign());
        let expected = "a CA that may sign certificates";
        (is_ca && may_sign).then_some(()).ok_or(EkError::Certificate { index, expected })
    }

    /// 3: below the certificate at `index` stand the endorsement key's own and `index - 1` issuers.
    fn check_path_length(&self, index: usize) -> Result<(), EkError> {
        let constraints: Option<BasicConstraints> = self.extension(BASIC_CONSTRAINTS);
        let below = index.saturating_sub(1);
        let fits = constraints
            .and_then(|constraints| constraints.path_len_constraint)
            .is_none_or(|most| below <= usize::from(most));
        let expected = "at most as many issuers below it as its path length allows";
        fits.then_some(()).ok_or(EkError::Certificate { index, expected })
    }

    /// 3, 4: an endorsement key's certificate.
    fn check_leaf(&self) -> Result<(), EkError> {
        let wrong = |expected| EkError::Certificate { index: 0, expected };
        if self.extension::<BasicConstraints>(BASIC_CONSTRAINTS).is_some_and(|c| c.ca) {
            return Err(wrong("no CA"));
        }
        let usage: Option<ExtendedKeyUsage> = self.extension(EXTENDED_KEY_USAGE);
        if !usage.is_some_and(|usage| usage.0.contains(&EK_CERTIFICATE)) {
            return Err(wrong("the extended key usage 2.23.133.8.1"));
        }
        let names: Option<SubjectAltName> = self.extension(SUBJECT_ALT_NAME);
        let names_tpm = |name: &GeneralName| match name {
            GeneralName::DirectoryName(name) => {
                TPM_ATTRIBUTES.iter().all(|oid| name.iter().any(|attribute| attribute.oid == *oid))
            }
            _ => false,
        };
        if !names.is_some_and(|names| names.0.iter().any(names_tpm)) {
            return Err(wrong("manufacturer, model and version of the tpm in its subjectAltName"));
        }
        Ok(())
    }

    /// The serial number, big-endian without leading zeros.
    fn serial(&self) -> &[u8] {
        self.parsed.tbs_certificate().serial_number().as_bytes()
    }

    /// 5: what lists need to know of it.
    fn as_issuer(&self) -> Issuer<'_, impl Fn(ObjectIdentifier, &[u8], &[u8]) -> bool> {
        let may_sign = self.extension::<KeyUsage>(KEY_USAGE).is_none_or(|usage| usage.crl_sign());
        let has_signed =
            |algorithm, bytes: &[u8], signature: &[u8]| self.has_signed(algorithm, bytes, signature);
        Issuer { name: self.parsed.tbs_certificate().subject(), may_sign, has_signed }
    }

    /// 2: the issuer's name and signature.
    fn is_signed_by(&self, issuer: &Self) -> bool {
        let (own, other) = (self.parsed.tbs_certificate(), issuer.parsed.tbs_certificate());
        let Some(signature) = self.parsed.signature().as_bytes() else { return false };
        let algorithm = self.parsed.signature_algorithm().oid;
        own.issuer() == other.subject() && issuer.has_signed(algorithm, &self.to_be_signed, signature)
    }

    /// 2: whether this one's key made a signature of these bytes.
    fn has_signed(&self, algorithm: ObjectIdentifier, bytes: &[u8], signature: &[u8]) -> bool {
        let rsa = |scheme| {
            let key = RsaPublicKey::from_spki(&self.spki);
            key.is_ok_and(|key| key.verify(scheme, bytes, signature).is_ok())
        };
        let point = self.parsed.tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes();
        match algorithm {
            SHA256_WITH_RSA => rsa(RsaScheme::Pkcs1Sha256),
            SHA384_WITH_RSA => rsa(RsaScheme::Pkcs1Sha384),
            ECDSA_SHA256 => {
                let key = point.try_into().ok().and_then(|point| P256PublicKey::from_sec1(point).ok());
                let signature = fixed_of_der(signature);
                let both = key.zip(signature);
                both.is_some_and(|(key, signature)| key.verify_fixed(bytes, &signature).is_ok())
            }
            ECDSA_SHA384 => {
                let digest = crypto::sha384(&[bytes]);
                let key = P384PublicKey::from_sec1(point);
                key.is_ok_and(|key| key.verify_der_digest(&digest, signature).is_ok())
            }
            _ => false,
        }
    }
}

/// The to-be-signed part as it came.
fn to_be_signed(der: &[u8]) -> der::Result<Vec<u8>> {
    let mut reader = SliceReader::new(der)?;
    der::Header::decode(&mut reader)?;
    reader.tlv_bytes().map(<[u8]>::to_vec)
}

/// r and s of a signature on P-256, each in 32 bytes, out of its DER (RFC 3279, 2.2.3).
fn fixed_of_der(signature: &[u8]) -> Option<[u8; 64]> {
    let numbers = Vec::<UintRef<'_>>::from_der(signature).ok()?;
    let [r, s] = numbers.as_slice() else { return None };
    let mut fixed = [0; 64];
    let (left, right) = fixed.split_at_mut(32);
    for (to, number) in [(left, r), (right, s)] {
        let start = to.len().checked_sub(number.as_bytes().len())?;
        to.get_mut(start..)?.copy_from_slice(number.as_bytes());
    }
    Some(fixed)
}

const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const CERTIFICATE_POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32");
const KNOWN: [ObjectIdentifier; 5] =
    [BASIC_CONSTRAINTS, KEY_USAGE, SUBJECT_ALT_NAME, EXTENDED_KEY_USAGE, CERTIFICATE_POLICIES];
/// tcg-kp-EKCertificate.
const EK_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.8.1");
/// tcg-at-tpmManufacturer, tcg-at-tpmModel, tcg-at-tpmVersion.
const TPM_ATTRIBUTES: [ObjectIdentifier; 3] = [
    ObjectIdentifier::new_unwrap("2.23.133.2.1"),
    ObjectIdentifier::new_unwrap("2.23.133.2.2"),
    ObjectIdentifier::new_unwrap("2.23.133.2.3"),
];
const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const SHA384_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
/// What certificates and lists may be signed with.
pub(super) const SCHEMES: [ObjectIdentifier; 4] =
    [SHA256_WITH_RSA, SHA384_WITH_RSA, ECDSA_SHA256, ECDSA_SHA384];
