//! What certificates and revocation lists have in common: SEQUENCE { to be signed, algorithm, signature } in DER
//! (RFC 5280, 4.1.1 and 5.1.1).
//!
//! The signature is checked over the bytes of the to-be-signed part as they came, never over a re-encoding. The only
//! algorithm is the one that AMD uses: RSASSA-PSS with SHA-384, MGF1-SHA-384 and a 48-byte salt.

use crypto::RsaPublicKey;
use der::asn1::{BitString, ObjectIdentifier};
use der::{Decode, Encode, Reader, SliceReader};
use x509_cert::AlgorithmIdentifier;
use x509_cert::ext::Extension;

/// Where the to-be-signed part lies in the bytes that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SignedPart {
    start: usize,
    len: usize,
}

impl SignedPart {
    /// Finds it: the first element within the outermost SEQUENCE, its header included.
    pub(crate) fn of(der: &[u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(der)?;
        der::Header::decode(&mut reader)?;
        let start = usize::try_from(u32::from(reader.position())).unwrap_or(usize::MAX);
        reader.tlv_bytes().map(|part| Self { start, len: part.len() })
    }

    /// The part, out of the bytes that it was found in.
    pub(crate) fn bytes(self, der: &[u8]) -> Option<&[u8]> {
        der.get(self.start..).and_then(|rest| rest.get(..self.len))
    }

    /// Whether `key` made this signature of the part. The algorithm is judged by [`other_algorithm`].
    pub(crate) fn is_signed_by(self, der: &[u8], signature: &BitString, key: &RsaPublicKey) -> bool {
        let (Some(part), Some(signature)) = (self.bytes(der), signature.as_bytes()) else { return false };
        key.verify_pss_sha384(part, signature).is_ok()
    }
}

/// `None` if the algorithm beside the signature is the one that AMD uses, parameters included, and the one within
/// the signed part is the same; else its name.
pub(crate) fn other_algorithm(outer: &AlgorithmIdentifier, inner: &AlgorithmIdentifier) -> Option<String> {
    let exact = |der: &[u8]| der == PSS_SHA384 || der == PSS_SHA384_EXPLICIT_TRAILER;
    if outer.to_der().is_ok_and(|der| exact(&der)) && outer == inner {
        return None;
    }
    Some(if outer.oid == RSASSA_PSS {
        format!("{} with other parameters", outer.oid)
    } else {
        outer.oid.to_string()
    })
}

/// What is wrong with a list of extensions.
pub(crate) enum BadExtension {
    /// This one stands there twice.
    Repeated(ObjectIdentifier),
    /// This one is critical and not among those that are understood.
    Critical(ObjectIdentifier),
}

/// Whether no extension stands there twice, and none is critical but these.
pub(crate) fn check_extensions(
    extensions: &[Extension],
    understood: &[ObjectIdentifier],
) -> Result<(), BadExtension> {
    let mut seen = Vec::new();
    for Extension { extn_id, critical, .. } in extensions {
        if seen.contains(extn_id) {
            return Err(BadExtension::Repeated(*extn_id));
        }
        if *critical && !understood.contains(extn_id) {
            return Err(BadExtension::Critical(*extn_id));
        }
        seen.push(*extn_id);
    }
    Ok(())
}

const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");

/// AlgorithmIdentifier of RSASSA-PSS with SHA-384, MGF1-SHA-384, salt 48 (RFC 4055, 3.1), as in Turin's VCEKs.
const PSS_SHA384: &[u8] = b"\x30\x41\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x34\
    \xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\
    \xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\x30\x0d\
    \x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\
    \xa2\x03\x02\x01\x30";
/// The same with the trailer field spelt out, which DER forbids and AMD does.
const PSS_SHA384_EXPLICIT_TRAILER: &[u8] = b"\x30\x46\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x39\
    \xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\
    \xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\x30\x0d\
    \x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\
    \xa2\x03\x02\x01\x30\xa3\x03\x02\x01\x01";
