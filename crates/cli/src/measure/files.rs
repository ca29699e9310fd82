//! Files to measure: small ones whole, large ones as they pass, none without a bound.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use claims::Sha256Digest;
use verify::measure::sha256_of;

use super::MeasureFailure;

/// A whole file of at most `limit` bytes.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, MeasureFailure> {
    let mut bytes = Vec::new();
    let mut file = open(path)?.take(limit.saturating_add(1));
    file.read_to_end(&mut bytes).map_err(|source| unreadable(path, source))?;
    if bytes.len() as u64 > limit {
        return Err(MeasureFailure::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

/// SHA-256 and length of a file of at most [`MAX_STREAMED`] bytes.
pub fn sha256(path: &Path) -> Result<(Sha256Digest, u64), MeasureFailure> {
    let file = open(path)?.take(MAX_STREAMED.saturating_add(1));
    let (digest, len) = sha256_of(file).map_err(|source| unreadable(path, source))?;
    if len > MAX_STREAMED {
        return Err(MeasureFailure::TooLarge { path: path.to_owned(), limit: MAX_STREAMED });
    }
    Ok((digest, len))
}

/// Opens a file of at most [`MAX_STREAMED`] bytes, to be read here and there.
pub fn open_bounded(path: &Path) -> Result<File, MeasureFailure> {
    let file = open(path)?;
    let len = file.metadata().map_err(|source| unreadable(path, source))?.len();
    if len > MAX_STREAMED {
        return Err(MeasureFailure::TooLarge { path: path.to_owned(), limit: MAX_STREAMED });
    }
    Ok(file)
}

fn open(path: &Path) -> Result<File, MeasureFailure> {
    File::open(path).map_err(|source| unreadable(path, source))
}

fn unreadable(path: &Path, source: io::Error) -> MeasureFailure {
    MeasureFailure::Read { path: path.to_owned(), source }
}

/// Most bytes of a file that is hashed as it passes; a hypervisor loads kernel and initrd below 4 GiB.
pub const MAX_STREAMED: u64 = 4 * 1024 * 1024 * 1024;
