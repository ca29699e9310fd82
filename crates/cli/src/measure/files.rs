//! Files to measure that are too large to be read whole: hashed as they pass, or read here and there.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use claims::Sha256Digest;
use measure::sha256_of;

use crate::file::{FileError, open};

/// SHA-256 and length of a file of at most [`MAX_STREAMED`] bytes.
pub fn sha256(path: &Path) -> Result<(Sha256Digest, u64), FileError> {
    let file = open(path)?.take(MAX_STREAMED.saturating_add(1));
    let (digest, len) = sha256_of(file).map_err(FileError::read(path))?;
    if len > MAX_STREAMED {
        return Err(FileError::TooLarge { path: path.to_owned(), limit: MAX_STREAMED });
    }
    Ok((digest, len))
}

/// Opens a file of at most [`MAX_STREAMED`] bytes, to be read here and there.
pub fn open_bounded(path: &Path) -> Result<File, FileError> {
    let file = open(path)?;
    let len = file.metadata().map_err(FileError::read(path))?.len();
    if len > MAX_STREAMED {
        return Err(FileError::TooLarge { path: path.to_owned(), limit: MAX_STREAMED });
    }
    Ok(file)
}

/// Most bytes of a file that is hashed as it passes; a hypervisor loads kernel and initrd below 4 GiB.
pub const MAX_STREAMED: u64 = 4 * 1024 * 1024 * 1024;
