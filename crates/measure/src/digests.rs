//! Digests of files and parts of files, in one pass, whatever their size.

use core::fmt;
use core::ops::Range;
use core::str::FromStr;
use std::io::{self, Read, Seek, SeekFrom};

use claims::Sha256Digest;

/// A bank of PCRs: which hash extends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bank {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-384, 48 bytes.
    Sha384,
}

impl Bank {
    /// The TCG's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
        }
    }
}

impl fmt::Display for Bank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Bank {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = [Self::Sha256, Self::Sha384].into_iter().find(|bank| bank.name() == text);
        found.ok_or("not a bank of PCRs; use sha256 or sha384")
    }
}

/// One thing's digests, one for each bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digests {
    /// SHA-256.
    pub sha256: [u8; 32],
    /// SHA-384.
    pub sha384: [u8; 48],
}

impl Digests {
    /// Of the concatenation of `parts`.
    pub fn of(parts: &[&[u8]]) -> Self {
        Self { sha256: crypto::sha256(parts), sha384: crypto::sha384(parts) }
    }

    /// The one of a bank, 32 or 48 bytes.
    pub fn of_bank(&self, bank: Bank) -> &[u8] {
        match bank {
            Bank::Sha256 => &self.sha256,
            Bank::Sha384 => &self.sha384,
        }
    }

    /// Of these ranges of a file, one behind the other, and then of `zeros` zero bytes.
    ///
    /// # Errors
    /// The reader's own, and [`io::ErrorKind::UnexpectedEof`] if the file ends within a range.
    pub(crate) fn of_ranges<R: Read + Seek>(
        file: &mut R,
        ranges: &[Range<u64>],
        zeros: u64,
    ) -> io::Result<Self> {
        let (mut sha256, mut sha384) = (crypto::Sha256::new(), crypto::Sha384::new());
        let mut update = |bytes: &[u8]| {
            sha256.update(bytes);
            sha384.update(bytes);
        };
        for range in ranges {
            file.seek(SeekFrom::Start(range.start))?;
            let len = range.end.saturating_sub(range.start);
            if pour(&mut file.take(len), &mut update)? != len {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        pour(&mut io::repeat(0).take(zeros), &mut update)?;
        Ok(Self { sha256: sha256.finish(), sha384: sha384.finish() })
    }
}

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
