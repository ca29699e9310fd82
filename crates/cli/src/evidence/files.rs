//! Files that `keyfast evidence` reads, none beyond a bound.

use std::fs;
use std::path::Path;

use claims::EvidenceKind;
use evidence::azure::HclBlob;
use evidence::tpm::{EventLog, Public};
use evidence::{Evidence, EvidenceError, MAX_EVIDENCE, Tag, encode_sections};
use verify::{Endorsements, PemError, TrustAnchors, certificates_from_file};

use super::Failure;
use super::part::Format;
use crate::file::{self, FileError};
use crate::output::complain;

/// The bytes of a file that may be evidence, or a part of it.
///
/// # Errors
/// [`Failure`] for a file that cannot be read or is too large.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    Ok(file::read(path, bound(MAX_EVIDENCE))?)
}

/// The bytes of a file that may be anything known, with what they seem to be: an event log by itself may be longer than
/// evidence. A kind that is given is believed.
///
/// # Errors
/// [`Failure`] for a file that cannot be read, is too large, or seems to be nothing known.
pub fn read_known(path: &Path, kind: Option<EvidenceKind>) -> Result<(Format, Vec<u8>), Failure> {
    let bytes = file::read(path, bound(MAX_EVIDENCE.max(EventLog::MAX_LEN)))?;
    let format = kind.map(Format::Evidence).or_else(|| Format::of(&bytes));
    let format = format.ok_or_else(|| Failure::NotRecognised { path: path.to_owned() })?;
    Ok((format, bytes))
}

/// Reads a file as evidence, of the kind that its bytes seem to be if none is given. An HCL blob by itself is Azure's
/// evidence that lacks its quote.
///
/// # Errors
/// [`Failure`] for a file that cannot be read, or seems to be no evidence; within, why its bytes are none.
pub fn read_evidence(path: &Path, kind: Option<EvidenceKind>) -> Result<ReadEvidence, Failure> {
    let (format, mut bytes) = read_known(path, kind)?;
    if bytes.starts_with(HclBlob::MAGIC) && kind != Some(EvidenceKind::SevSnp) {
        bytes = encode_sections(&[(Tag::Hcl, &bytes)]);
    }
    let kind = match format {
        Format::Evidence(kind) => kind,
        Format::Hcl => EvidenceKind::AzureVtpm,
        format => return Err(Failure::Loose { path: path.to_owned(), format }),
    };
    let evidence = Evidence::parse(kind, &bytes);
    Ok(ReadEvidence { kind, bytes, evidence })
}

/// Bytes, and the evidence that they are or why they are none.
pub struct ReadEvidence {
    /// As which kind they were read.
    pub kind: EvidenceKind,
    /// The bytes; an HCL blob by itself stands in a section.
    pub bytes: Vec<u8>,
    /// What they are.
    pub evidence: Result<Evidence, EvidenceError>,
}

/// A public area: TPM2B_PUBLIC, as `tpm2-tools` write it, or TPMT_PUBLIC.
///
/// # Errors
/// [`Failure`] for a file that cannot be read, or holds something else.
pub fn read_public(path: &Path) -> Result<Public, Failure> {
    let bytes = read(path)?;
    let public = Public::parse_sized(&bytes).or_else(|_| Public::parse(&bytes));
    public.map_err(|error| Failure::Part {
        path: path.to_owned(),
        expected: "a key's TPM2B_PUBLIC, as tpm2_createak -u writes it",
        error: error.into(),
    })
}

/// The certificates of a directory's files. A file that holds none is passed over, and named if it seems to.
///
/// # Errors
/// [`Failure`] for what cannot be read, and for more than fits.
pub fn read_certificates(directory: &Path) -> Result<Endorsements, Failure> {
    let unreadable = FileError::read(directory);
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(&unreadable)? {
        let path = entry.map_err(&unreadable)?.path();
        if paths.len() == MAX_FILES {
            return Err(Failure::TooManyFiles { path: directory.to_owned(), limit: MAX_FILES });
        }
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        match certificates_from_file(&file::read(&path, MAX_CERTIFICATE_FILE)?) {
            Ok(certificates) => all.extend(certificates),
            Err(PemError::Neither) => (),
            Err(error) => complain!("keyfast: not used: `{}`: {error}", path.display()),
        }
    }
    Ok(Endorsements::from_certificates(all)?)
}

/// Adds the root in a file to `anchors`, as a simulated one.
///
/// # Errors
/// [`Failure::Root`] unless the file holds one certificate; [`Failure::Anchor`] if that is no root.
pub fn add_simulated_root(anchors: TrustAnchors, path: &Path) -> Result<TrustAnchors, Failure> {
    let wrong = |reason: String| Failure::Root { path: path.to_owned(), reason };
    let found = certificates_from_file(&file::read(path, MAX_CERTIFICATE_FILE)?);
    let found = found.map_err(|error| wrong(error.to_string()))?;
    let [root] = found.as_slice() else {
        return Err(wrong(format!("expected one certificate, got {}", found.len())));
    };
    Ok(anchors.with_simulated_unpinned(root)?)
}

/// A revocation list in DER.
///
/// # Errors
/// [`Failure`] for a file that cannot be read or is too large.
pub fn read_crl(path: &Path) -> Result<Vec<u8>, Failure> {
    Ok(file::read(path, bound(Endorsements::MAX_CRL_LEN))?)
}

fn bound(limit: usize) -> u64 {
    u64::try_from(limit).unwrap_or(u64::MAX)
}

/// Most files that are looked at in a directory of certificates.
const MAX_FILES: usize = 64;
/// Most bytes of a file in a directory of certificates.
const MAX_CERTIFICATE_FILE: u64 = 256 * 1024;
