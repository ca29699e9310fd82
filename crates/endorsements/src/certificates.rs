//! Certificates out of a file's bytes: one in DER, or any number in PEM (RFC 7468).
//!
//! Strict where RFC 7468 lets parsers choose: a block's lines are base64 with padding and nothing else, labels
//! match, and there is no label but `CERTIFICATE`, and `X509 CRL` where revocation lists are looked for too. Text around
//! blocks is allowed, as section 2 says. What is in a certificate or list is not looked at, except that it is one DER
//! SEQUENCE and nothing after it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use der::asn1::AnyRef;
use der::{Decode, Tag, Tagged};

/// Most bytes of a certificate; AMD's are below 2 KiB.
pub const MAX_CERTIFICATE: usize = 16 * 1024;
/// Most bytes of a revocation list; AMD's are below 1 KiB.
pub const MAX_LIST: usize = 8 * MAX_CERTIFICATE;

/// Why bytes are no certificates. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificatesError {
    /// Neither a DER SEQUENCE nor text with a PEM block.
    #[error("neither a certificate in DER nor in PEM")]
    Neither,
    /// A certificate's DER is broken, or something follows it.
    #[error("certificate {index} is no DER: expected one SEQUENCE and nothing after it")]
    Der {
        /// Which, from 1.
        index: usize,
    },
    /// A certificate of too many bytes.
    #[error("certificate {index} too long: expected at most {limit} bytes, got {got}")]
    TooLong {
        /// Which, from 1.
        index: usize,
        /// Most bytes allowed.
        limit: usize,
        /// Bytes found.
        got: usize,
    },
    /// A PEM block of something else.
    #[error("line {line}: expected a block `{expected}`, got `{}`", got.escape_debug())]
    Label {
        /// The line that opens it.
        line: usize,
        /// The label that it should have, or one of them.
        expected: &'static str,
        /// The label, cut to 64 characters.
        got: String,
    },
    /// A PEM block that does not end, or ends as another.
    #[error("line {line}: the block is not closed by `-----END {label}-----`")]
    Unclosed {
        /// The line that opens it.
        line: usize,
        /// Its label.
        label: &'static str,
    },
    /// A PEM block's contents are no base64.
    #[error("line {line}: the block does not hold padded base64")]
    Base64 {
        /// The line that opens the block.
        line: usize,
    },
}

/// Reads the certificates in a file's bytes, in order, each as DER. There is at least one.
///
/// # Errors
/// [`CertificatesError`], for the first defect.
pub fn read_certificates(bytes: &[u8]) -> Result<Vec<Vec<u8>>, CertificatesError> {
    read(bytes, &[CERTIFICATE], MAX_CERTIFICATE)
}

/// As [`read_certificates`], with revocation lists among them, of at most [`MAX_LIST`] bytes each; which is which, their
/// contents say.
///
/// # Errors
/// [`CertificatesError`], for the first defect.
pub fn read_certificates_and_lists(bytes: &[u8]) -> Result<Vec<Vec<u8>>, CertificatesError> {
    read(bytes, &[CERTIFICATE, LIST], MAX_LIST)
}

fn read(bytes: &[u8], labels: &[&'static str], limit: usize) -> Result<Vec<Vec<u8>>, CertificatesError> {
    if bytes.first() == Some(&DER_SEQUENCE) {
        return Ok(vec![whole(bytes, 1, limit)?]);
    }
    let text = core::str::from_utf8(bytes).map_err(|_| CertificatesError::Neither)?;
    let mut lines = (1..).zip(text.lines().map(str::trim_end));
    let mut found = Vec::new();
    while let Some((line, text)) = lines.next() {
        let Some(label) = text.strip_prefix("-----BEGIN ").and_then(|l| l.strip_suffix("-----")) else {
            continue;
        };
        let Some(label) = labels.iter().copied().find(|known| *known == label) else {
            let got = label.chars().take(64).collect();
            return Err(CertificatesError::Label { line, expected: CERTIFICATE, got });
        };
        let der = block(line, label, lines.by_ref().map(|(_, text)| text))?;
        found.push(whole(&der, found.len().saturating_add(1), limit)?);
    }
    if found.is_empty() { Err(CertificatesError::Neither) } else { Ok(found) }
}

/// Certificates in DER as a PEM file.
pub fn to_pem(certificates: &[Vec<u8>]) -> String {
    let mut text = String::new();
    for der in certificates {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in STANDARD.encode(der).as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

/// The contents of the block of this label that line `opened` opens, up to its end line.
fn block<'a>(
    opened: usize,
    label: &'static str,
    lines: impl Iterator<Item = &'a str>,
) -> Result<Vec<u8>, CertificatesError> {
    let mut base64 = String::new();
    for line in lines {
        if let Some(end) = line.strip_prefix("-----END ").and_then(|l| l.strip_suffix("-----")) {
            if end != label {
                break;
            }
            return STANDARD.decode(base64).map_err(|_| CertificatesError::Base64 { line: opened });
        }
        if line.starts_with("-----") {
            break;
        }
        base64.push_str(line);
    }
    Err(CertificatesError::Unclosed { line: opened, label })
}

/// `bytes` if they are one DER SEQUENCE.
fn whole(bytes: &[u8], index: usize, limit: usize) -> Result<Vec<u8>, CertificatesError> {
    if bytes.len() > limit {
        return Err(CertificatesError::TooLong { index, limit, got: bytes.len() });
    }
    match AnyRef::from_der(bytes) {
        Ok(any) if any.tag() == Tag::Sequence => Ok(bytes.to_vec()),
        _ => Err(CertificatesError::Der { index }),
    }
}

const CERTIFICATE: &str = "CERTIFICATE";
const LIST: &str = "X509 CRL";
const DER_SEQUENCE: u8 = 0x30;

#[cfg(test)]
mod tests {
    use super::*;

    /// SEQUENCE { INTEGER n }, which is a certificate as far as this crate looks.
    fn der(n: u8) -> Vec<u8> {
        vec![0x30, 3, 2, 1, n]
    }

    fn pem(n: u8) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der(n)))
    }

    #[test]
    fn reads_der_and_bundles() {
        assert_eq!(read_certificates(&der(1)), Ok(vec![der(1)]));
        let bundle =
            format!("Subject: ASK\r\n{}\n# and its issuer\n{}", pem(1).replace('\n', "\r\n"), pem(2));
        assert_eq!(read_certificates(bundle.as_bytes()), Ok(vec![der(1), der(2)]));
        let wrapped = "-----BEGIN CERTIFICATE-----\nMAMC\nAQE=\n-----END CERTIFICATE-----";
        assert_eq!(read_certificates(wrapped.as_bytes()), Ok(vec![der(1)]));
        let long = [&[0x30, 0x81, 200, 4, 0x81, 197][..], &[7; 197]].concat();
        assert_eq!(read_certificates(to_pem(&[long.clone(), der(2)]).as_bytes()), Ok(vec![long, der(2)]));
    }

    #[test]
    fn names_each_defect() {
        use CertificatesError::*;
        let begin = "-----BEGIN CERTIFICATE-----\n";
        let end = "-----END CERTIFICATE-----\n";
        let key = "text\n-----BEGIN PRIVATE KEY-----\nMAMCAQE=\n-----END PRIVATE KEY-----\n";
        for (text, error) in [
            (String::new(), Neither),
            ("plain text".to_owned(), Neither),
            (key.to_owned(), Label { line: 2, expected: "CERTIFICATE", got: "PRIVATE KEY".to_owned() }),
            (
                format!("{}{key}", pem(1)),
                Label { line: 5, expected: "CERTIFICATE", got: "PRIVATE KEY".to_owned() },
            ),
            (format!("{begin}MAMCAQE=\n"), Unclosed { line: 1, label: "CERTIFICATE" }),
            (
                format!("{begin}MAMCAQE=\n-----END PRIVATE KEY-----\n"),
                Unclosed { line: 1, label: "CERTIFICATE" },
            ),
            (format!("{begin}{}", pem(1)), Unclosed { line: 1, label: "CERTIFICATE" }),
            (format!("{begin}MAMCAQE\n{end}"), Base64 { line: 1 }),
            (format!("{begin}MAMC AQE=\n{end}"), Base64 { line: 1 }),
            (format!("{begin}Proc-Type: 4,ENCRYPTED\n\nMAMCAQE=\n{end}"), Base64 { line: 1 }),
            (format!("{begin}{end}"), Der { index: 1 }),
            (format!("{}{begin}MAMCAQEA\n{end}", pem(1)), Der { index: 2 }),
            (format!("{begin}AgEB\n{end}"), Der { index: 1 }),
        ] {
            assert_eq!(read_certificates(text.as_bytes()), Err(error), "{text}");
        }
        let trailing = [der(1), vec![0]].concat();
        assert_eq!(read_certificates(&trailing), Err(Der { index: 1 }));
        assert_eq!(read_certificates(&[0x30, 0x80, 0, 0]), Err(Der { index: 1 }));
        assert_eq!(read_certificates(&[0xff, 0xfe]), Err(Neither));
        assert_eq!(
            read_certificates(&vec![0x30; 16_385]),
            Err(TooLong { index: 1, limit: 16_384, got: 16_385 })
        );
    }

    #[test]
    fn lists_are_read_where_they_are_looked_for() {
        use CertificatesError::*;
        let list = pem(2).replace("CERTIFICATE", "X509 CRL");
        let both = format!("{}{list}", pem(1));
        assert_eq!(read_certificates_and_lists(both.as_bytes()), Ok(vec![der(1), der(2)]));
        assert_eq!(read_certificates_and_lists(&der(3)), Ok(vec![der(3)]));
        let label = Label { line: 4, expected: "CERTIFICATE", got: "X509 CRL".to_owned() };
        assert_eq!(read_certificates(both.as_bytes()), Err(label));
        let mixed = "-----BEGIN X509 CRL-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
        let unclosed = Unclosed { line: 1, label: "X509 CRL" };
        assert_eq!(read_certificates_and_lists(mixed.as_bytes()), Err(unclosed));
        let long = read_certificates_and_lists(&vec![0x30; MAX_LIST + 1]);
        assert_eq!(long, Err(TooLong { index: 1, limit: MAX_LIST, got: MAX_LIST + 1 }));
    }
}
