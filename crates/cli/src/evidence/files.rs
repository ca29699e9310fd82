//! Files that `keyfast evidence` reads, none beyond a bound.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use claims::EvidenceKind;
use evidence::{Evidence, EvidenceError, MAX_EVIDENCE};
use verify::{Endorsements, PemError, TrustAnchors, certificates_from_file};

use super::Failure;

/// Reads a file as evidence. An HCL report says what it is by its first four bytes.
///
/// # Errors
/// [`Failure`] for a file that cannot be read; within, why its bytes are no evidence.
pub fn read_evidence(path: &Path, kind: EvidenceKind) -> Result<Result<Evidence, EvidenceError>, Failure> {
    let bytes = read_bounded(path, MAX_EVIDENCE)?;
    let kind = if bytes.starts_with(b"HCLA") { EvidenceKind::AzureVtpm } else { kind };
    Ok(Evidence::parse(kind, &bytes))
}

/// The certificates of a directory's files. A file that holds none is passed over, and named if it seems to.
///
/// # Errors
/// [`Failure`] for what cannot be read, and for more than fits.
pub fn read_certificates(directory: &Path) -> Result<Endorsements, Failure> {
    let unreadable = |source| Failure::Read { path: directory.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
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
        match certificates_from_file(&read_bounded(&path, MAX_CERTIFICATE_FILE)?) {
            Ok(certificates) => all.extend(certificates),
            Err(PemError::Neither) => (),
            Err(error) => eprintln!("keyfast: not used: `{}`: {error}", path.display()),
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
    let found = certificates_from_file(&read_bounded(path, MAX_CERTIFICATE_FILE)?);
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
    read_bounded(path, Endorsements::MAX_CRL_LEN)
}

fn read_bounded(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let unreadable = |source| Failure::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > limit {
        return Err(Failure::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

/// Most files that are looked at in a directory of certificates.
const MAX_FILES: usize = 64;
/// Most bytes of a file in a directory of certificates.
const MAX_CERTIFICATE_FILE: usize = 256 * 1024;
