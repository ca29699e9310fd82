//! A directory of certificates, as an operator fills it.
//!
//! Files named `*.der`, `*.cer`, `*.crt` or `*.pem` are read, others passed over (notes and reports may lie beside
//! them); subdirectories are not entered. A bad file is an error with its name, and not passed over: an operator
//! who put it there means it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::{CertificatesError, read_certificates, read_certificates_and_lists};

/// Most entries of a directory, of whatever name.
pub const MAX_ENTRIES: usize = 65_536;
/// Most bytes of a file.
pub const MAX_FILE: usize = 1024 * 1024;
/// Most bytes of all files together.
pub const MAX_TOTAL: usize = 256 * 1024 * 1024;

/// Why a directory or file gave no certificates.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// It cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A name of a certificate file on something else: a directory, a socket, a device.
    #[error("`{}` is no regular file", path.display())]
    NoFile {
        /// What it is called.
        path: PathBuf,
    },
    /// More entries than are looked at.
    #[error("too many files in `{}`: expected at most {MAX_ENTRIES}", path.display())]
    TooMany {
        /// The directory.
        path: PathBuf,
    },
    /// A file of too many bytes.
    #[error("`{}` too long: expected at most {MAX_FILE} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// Too many bytes in all files together.
    #[error("too many bytes of certificates in `{}`: expected at most {MAX_TOTAL}", path.display())]
    TooMuch {
        /// The directory.
        path: PathBuf,
    },
    /// A file holds something else.
    #[error("`{}`: {source}", path.display())]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: CertificatesError,
    },
}

/// Reads every certificate in a directory, each as DER, in the order of the files' names.
///
/// # Errors
/// [`DirectoryError`], for the first file that is unreadable, too long or no certificate.
pub fn read_directory(path: &Path) -> Result<Vec<Vec<u8>>, DirectoryError> {
    let (mut found, mut total) = (Vec::new(), 0usize);
    for file in certificate_files(path)? {
        let certificates = read_file(&file)?;
        total = certificates.iter().fold(total, |sum, der| sum.saturating_add(der.len()));
        if total > MAX_TOTAL {
            return Err(DirectoryError::TooMuch { path: path.to_owned() });
        }
        found.extend(certificates);
    }
    Ok(found)
}

/// Reads the certificates in one file, whatever its name, each as DER.
///
/// # Errors
/// [`DirectoryError`]: unreadable, no regular file, too long, or no certificate.
pub fn read_file(path: &Path) -> Result<Vec<Vec<u8>>, DirectoryError> {
    let contents = |source| DirectoryError::Contents { path: path.to_owned(), source };
    read_certificates(&bytes_of(path)?).map_err(contents)
}

/// As [`read_file`], with revocation lists among them.
///
/// # Errors
/// As [`read_file`].
pub fn read_file_with_lists(path: &Path) -> Result<Vec<Vec<u8>>, DirectoryError> {
    let contents = |source| DirectoryError::Contents { path: path.to_owned(), source };
    read_certificates_and_lists(&bytes_of(path)?).map_err(contents)
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, DirectoryError> {
    let read = |source| DirectoryError::Read { path: path.to_owned(), source };
    // Looked at before it is opened, because opening a pipe waits for its writer.
    if !fs::metadata(path).map_err(read)?.is_file() {
        return Err(DirectoryError::NoFile { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    let limit = (MAX_FILE as u64).saturating_add(1);
    File::open(path).map_err(read)?.take(limit).read_to_end(&mut bytes).map_err(read)?;
    if bytes.len() > MAX_FILE {
        return Err(DirectoryError::TooLong { path: path.to_owned() });
    }
    Ok(bytes)
}

/// The files to read, sorted by name.
fn certificate_files(path: &Path) -> Result<Vec<PathBuf>, DirectoryError> {
    let read = |source| DirectoryError::Read { path: path.to_owned(), source };
    let mut files = Vec::new();
    for (seen, entry) in fs::read_dir(path).map_err(read)?.enumerate() {
        if seen >= MAX_ENTRIES {
            return Err(DirectoryError::TooMany { path: path.to_owned() });
        }
        let file = entry.map_err(read)?.path();
        if file.extension().and_then(OsStr::to_str).is_some_and(|name| EXTENSIONS.contains(&name)) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

const EXTENSIONS: [&str; 4] = ["der", "cer", "crt", "pem"];
