//! Certificates out of a file, in DER or PEM (RFC 7468), for shells that read directories.

use der::pem;

use crate::Endorsements;

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END: &[u8] = b"-----END CERTIFICATE-----";

/// A file that holds no certificates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// Neither DER nor PEM.
    #[error("neither a certificate in DER nor one in PEM: expected 0x30 or `-----BEGIN CERTIFICATE-----`")]
    Neither,
    /// A block that starts and does not end, or is not base64.
    #[error("malformed PEM in certificate {index}: {reason}")]
    Block {
        /// Which certificate of the file, from 0.
        index: usize,
        /// What is wrong.
        reason: String,
    },
    /// More certificates than a chain has.
    #[error("too many certificates in one file: expected at most {limit}")]
    TooMany {
        /// Most certificates allowed.
        limit: usize,
    },
}

/// The DER of each certificate of a file: the file itself if it starts with 0x30, else each of its PEM blocks.
///
/// What stands between blocks is not looked at, nor what the DER holds.
///
/// # Errors
/// [`PemError`], for what its variants say.
pub fn certificates_from_file(bytes: &[u8]) -> Result<Vec<Vec<u8>>, PemError> {
    if bytes.first() == Some(&0x30) {
        return Ok(vec![bytes.to_vec()]);
    }
    let mut certificates = Vec::new();
    let mut rest = bytes;
    while let Some(start) = find(rest, BEGIN) {
        let index = certificates.len();
        if index == Endorsements::MAX_CERTIFICATES {
            return Err(PemError::TooMany { limit: index });
        }
        let block = rest.get(start..).unwrap_or_default();
        let end = find(block, END).map(|end| end.saturating_add(END.len()));
        let end = end.ok_or_else(|| PemError::Block { index, reason: "it does not end".to_owned() })?;
        let (block, after) = block.split_at_checked(end).unwrap_or((block, &[]));
        let decoded = pem::decode_vec(block);
        certificates.push(decoded.map_err(|e| PemError::Block { index, reason: e.to_string() })?.1);
        rest = after;
    }
    if certificates.is_empty() { Err(PemError::Neither) } else { Ok(certificates) }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_block_and_skips_what_stands_between() {
        let block = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        let file = format!("subject: x\n{block}note\n{block}");
        assert_eq!(certificates_from_file(file.as_bytes()).unwrap(), vec![vec![0x30, 0]; 2]);
        assert_eq!(certificates_from_file(&[0x30, 0]).unwrap(), vec![vec![0x30, 0]]);
    }

    #[test]
    fn names_what_is_wrong_with_a_file() {
        assert_eq!(certificates_from_file(b""), Err(PemError::Neither));
        let open = b"-----BEGIN CERTIFICATE-----\nMAA=\n";
        let reason = "it does not end".to_owned();
        assert_eq!(certificates_from_file(open), Err(PemError::Block { index: 0, reason }));
        let bad = b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
        assert!(matches!(certificates_from_file(bad), Err(PemError::Block { index: 0, .. })));
        let many = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n".repeat(17);
        assert_eq!(certificates_from_file(many.as_bytes()), Err(PemError::TooMany { limit: 16 }));
    }
}
