//! Digests of files and parts of files, in one pass, whatever their size.

use std::io::{self, Read};

use claims::Sha256Digest;

/// SHA-256 of all that a reader gives, and how many bytes that was.
///
/// # Errors
/// The reader's own.
pub fn sha256_of(mut reader: impl Read) -> io::Result<(Sha256Digest, u64)> {
    let mut sha256 = crypto::Sha256::new();
    let len = pour(&mut reader, &mut |bytes| sha256.update(bytes))?;
    Ok((Sha256Digest(sha256.finish()), len))
}

/// Reads to the end, in pieces; the number of bytes.
fn pour(reader: &mut dyn Read, into: &mut dyn FnMut(&[u8])) -> io::Result<u64> {
    let mut buffer = vec![0; PIECE];
    let mut total: u64 = 0;
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        into(buffer.get(..read).unwrap_or_default());
        total = total.saturating_add(u64::try_from(read).unwrap_or(0));
    }
}

/// Bytes read at a time.
const PIECE: usize = 256 * 1024;
