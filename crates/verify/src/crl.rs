//! One certificate revocation list (RFC 5280, 5), read out of DER: what AMD publishes for each root (AMD publication
//! 57230, `/vcek/v1/{product}/crl` and `/vlek/v1/{product}/crl`), and vendors of TPMs for their authorities.
//!
//! Only complete lists of the issuer's own certificates are read: a list with a critical extension (of one scope
//! only, of changes only, of somebody else's certificates) is refused as a whole. A list comes from the operator,
//! never from the evidence, whose sender would choose the one that suits.

use claims::UnixTime;
use crypto::RsaPublicKey;
use der::Decode;
use der::asn1::{BitString, ObjectIdentifier};
use x509_cert::AlgorithmIdentifier;
use x509_cert::certificate::Version;
use x509_cert::crl::{CertificateList, RevokedCert};
use x509_cert::name::Name;
use x509_cert::time::Time;

use crate::chain::common_name;
use crate::signed::{BadExtension, SignedPart, check_extensions, other_algorithm};

/// Bytes that are no revocation list which could be relied on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrlError {
    /// More bytes than a list of AMD's has.
    #[error("revocation list too large: expected at most {limit} bytes, got {got}")]
    TooLarge {
        /// Most bytes allowed.
        limit: usize,
        /// Bytes given.
        got: usize,
    },
    /// Not a list in DER.
    #[error("not a revocation list in DER: {reason}")]
    Malformed {
        /// What the decoder says.
        reason: String,
    },
    /// A list of another version, which knows no extensions.
    #[error("version of the revocation list of `{issuer}` not supported: expected v2")]
    Version {
        /// The issuer's common name.
        issuer: String,
    },
    /// A signature algorithm that AMD, or no vendor of TPMs, uses.
    #[error(
        "signature algorithm of the revocation list of `{issuer}` not supported: expected {expected}, got {got}"
    )]
    SignatureAlgorithm {
        /// The issuer's common name.
        issuer: String,
        /// What there should be.
        expected: &'static str,
        /// The algorithm found.
        got: String,
    },
    /// A list that does not say when it ends.
    #[error("the revocation list of `{issuer}` has no end: expected a nextUpdate")]
    NoNextUpdate {
        /// The issuer's common name.
        issuer: String,
    },
    /// An extension that stands there twice.
    #[error("the revocation list of `{issuer}` repeats the extension {oid}")]
    RepeatedExtension {
        /// The issuer's common name.
        issuer: String,
        /// Its object identifier.
        oid: String,
    },
    /// A critical extension, of the list or of an entry: there is none that is understood here.
    #[error(
        "critical extension in the revocation list of `{issuer}` not understood: expected none, got {oid}"
    )]
    CriticalExtension {
        /// The issuer's common name.
        issuer: String,
        /// Its object identifier.
        oid: String,
    },
}

/// A list that is well-formed, and nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Crl {
    der: Vec<u8>,
    signed: SignedPart,
    algorithm: ObjectIdentifier,
    signature: BitString,
    issuer: Name,
    pub(crate) this_update: UnixTime,
    pub(crate) next_update: UnixTime,
    revoked: Vec<Entry>,
}

/// A certificate that is listed, by its serial number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    serial: Box<[u8]>,
    /// When it was revoked.
    pub(crate) since: UnixTime,
}

impl Crl {
    /// Most bytes of a list: AMD's are below 1 KiB.
    pub(crate) const MAX_LEN: usize = 64 * 1024;

    pub(crate) fn parse(der: &[u8]) -> Result<Self, CrlError> {
        let expected = "RSASSA-PSS with SHA-384, MGF1-SHA-384 and a 48-byte salt";
        Self::parse_with(der, Self::MAX_LEN, expected, other_algorithm)
    }

    /// As [`Self::parse`], with another limit of bytes and other algorithms: `other` names one that is none of those
    /// `expected`, given those beside the signature and within the signed part.
    pub(crate) fn parse_with(
        der: &[u8],
        limit: usize,
        expected: &'static str,
        other: impl FnOnce(&AlgorithmIdentifier, &AlgorithmIdentifier) -> Option<String>,
    ) -> Result<Self, CrlError> {
        let got = der.len();
        if got > limit {
            return Err(CrlError::TooLarge { limit, got });
        }
        let malformed = |e: der::Error| CrlError::Malformed { reason: e.to_string() };
        let CertificateList::<x509_cert::certificate::Rfc5280> {
            tbs_cert_list: list,
            signature_algorithm,
            signature,
        } = CertificateList::from_der(der).map_err(malformed)?;
        let signed = SignedPart::of(der).map_err(malformed)?;
        let issuer = || common_name(&list.issuer);
        if list.version != Version::V2 {
            return Err(CrlError::Version { issuer: issuer() });
        }
        if let Some(got) = other(&signature_algorithm, &list.signature) {
            return Err(CrlError::SignatureAlgorithm { issuer: issuer(), expected, got });
        }
        let algorithm = signature_algorithm.oid;
        let next_update = list.next_update.ok_or_else(|| CrlError::NoNextUpdate { issuer: issuer() })?;
        let entries = list.revoked_certificates.as_deref().unwrap_or_default();
        let extensions = entries.iter().map(|entry| entry.crl_entry_extensions.as_ref());
        for extensions in extensions.chain([list.crl_extensions.as_ref()]).flatten() {
            check_extensions(extensions, &[]).map_err(|bad| match bad {
                BadExtension::Repeated(oid) => {
                    CrlError::RepeatedExtension { issuer: issuer(), oid: oid.to_string() }
                }
                BadExtension::Critical(oid) => {
                    CrlError::CriticalExtension { issuer: issuer(), oid: oid.to_string() }
                }
            })?;
        }
        let revoked = entries.iter().map(Entry::of).collect();
        let (this_update, next_update) = (seconds(list.this_update), seconds(next_update));
        let der = der.to_vec();
        Ok(Self { der, signed, algorithm, signature, issuer: list.issuer, this_update, next_update, revoked })
    }

    /// The list as it came.
    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    /// How many certificates it names.
    pub(crate) fn len(&self) -> usize {
        self.revoked.len()
    }

    /// Who says to have issued it.
    pub(crate) fn issuer(&self) -> &Name {
        &self.issuer
    }

    /// Whether `key` signed the list.
    pub(crate) fn is_signed_by(&self, key: &RsaPublicKey) -> bool {
        self.signed.is_signed_by(&self.der, &self.signature, key)
    }

    /// Which algorithm the signature is of.
    pub(crate) fn algorithm(&self) -> ObjectIdentifier {
        self.algorithm
    }

    /// What was signed, as it came, and the signature; empty where there is none.
    pub(crate) fn signed_parts(&self) -> (&[u8], &[u8]) {
        (self.signed.bytes(&self.der).unwrap_or_default(), self.signature.as_bytes().unwrap_or_default())
    }

    /// The entry of a serial number, big-endian without leading zeros.
    pub(crate) fn find(&self, serial: &[u8]) -> Option<&Entry> {
        self.revoked.iter().find(|entry| *entry.serial == *serial)
    }
}

impl Entry {
    fn of(entry: &RevokedCert) -> Self {
        Self { serial: entry.serial_number.as_bytes().into(), since: seconds(entry.revocation_date) }
    }
}

fn seconds(time: Time) -> UnixTime {
    UnixTime(time.to_unix_duration().as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::Certificate;
    use std::path::PathBuf;

    const GENOA_ARK: &[u8] = include_bytes!("../data/genoa-ark.der");

    /// A file of AMD's, or `None` where the vectors are not there.
    fn genuine(name: &str) -> Option<Vec<u8>> {
        let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors"));
        let root = std::env::var_os("KEYFAST_VECTORS").map_or_else(beside, PathBuf::from);
        let found = std::fs::read(root.join("snp/crl").join(name)).ok();
        if found.is_none() {
            eprintln!("1 vector missing: no {name} below {}", root.display());
        }
        found
    }

    #[test]
    fn amds_revoked_ask_is_on_amds_list_and_the_one_in_use_is_not() {
        let key = Certificate::parse(GENOA_ARK).unwrap().rsa_key().unwrap();
        let certificate = |name| {
            let der = crate::certificates_from_file(&genuine(name)?).unwrap().remove(0);
            Some(Certificate::parse(&der).unwrap())
        };
        for (name, since) in
            [("genoa-2022.crl.der", "2022-10-31T13:34:46Z"), ("genoa-2024.crl.der", "2022-10-31T12:00:00Z")]
        {
            let Some(list) = genuine(name).map(|der| Crl::parse(&der).unwrap()) else { return };
            assert!(list.is_signed_by(&key));
            let revoked = certificate("genoa-ask-0x20001-REVOKED.pem").unwrap();
            assert_eq!(list.find(revoked.serial()).unwrap().since, UnixTime::parse(since).unwrap());
            for in_use in ["SEV-Genoa.pem", "SEV-VLEK-Genoa.pem", "ARK-Genoa.pem"] {
                assert_eq!(list.find(certificate(in_use).unwrap().serial()), None, "{in_use}");
            }
            // Every endorsement key of AMD's has the serial number 0.
            assert_eq!(list.find(&[0]), None);
        }
    }

    #[test]
    fn a_list_of_amds_may_be_empty_and_is_of_its_own_root_only() {
        let key = Certificate::parse(GENOA_ARK).unwrap().rsa_key().unwrap();
        for name in ["milan-2022.crl.der", "milan-2025.crl.der"] {
            let Some(list) = genuine(name).map(|der| Crl::parse(&der).unwrap()) else { return };
            assert_eq!((common_name(list.issuer()).as_str(), list.revoked.len()), ("ARK-Milan", 0));
            assert!(!list.is_signed_by(&key));
        }
    }
}
