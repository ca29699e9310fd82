//! The Authenticode hash of a PE image: what Secure Boot signs, and what firmware extends PCR 4 with.
//!
//! Microsoft's "Windows Authenticode Portable Executable Signature Format", calculating the PE image hash, as edk2
//! does it (`DxeTpm2MeasureBootLib`): the headers without checksum and certificate entry, the sections in the order
//! of the file, and what follows, without the certificates. A signature does not change it, but for the zeros by
//! which a signing tool makes the file a multiple of 8 bytes.

use core::ops::Range;
use std::io::{self, Read, Seek};

use crate::{Digests, PeImage};

impl PeImage {
    /// The image's hashes, in both banks. `file` is the one whose headers these are.
    ///
    /// # Errors
    /// The reader's own.
    pub fn authenticode<R: Read + Seek>(&self, file: &mut R) -> io::Result<Digests> {
        Digests::of_ranges(file, &self.authenticode_ranges(), 0)
    }

    /// Zeros that a signing tool adds to the file, 0 to 7: a certificate table begins at a multiple of 8 bytes. None
    /// where there is one.
    pub fn signing_adds(&self) -> u64 {
        self.len.next_multiple_of(ALIGNMENT).saturating_sub(self.len)
    }

    /// What is hashed, in this order.
    fn authenticode_ranges(&self) -> Vec<Range<u64>> {
        let after_checksum = self.checksum.saturating_add(4);
        let mut ranges = match self.directory {
            Some(entry) => {
                vec![0..self.checksum, after_checksum..entry, entry.saturating_add(8)..self.headers]
            }
            None => vec![0..self.checksum, after_checksum..self.headers],
        };
        let mut sections: Vec<Range<u64>> =
            self.sections().iter().map(|section| section.file.clone()).collect();
        sections.retain(|range| !range.is_empty());
        sections.sort_by_key(|range| range.start);
        let hashed = sections.iter().map(|range| range.end.saturating_sub(range.start));
        let hashed = hashed.fold(self.headers, u64::saturating_add);
        ranges.extend(sections);
        let rest = hashed..self.len.saturating_sub(self.certificates);
        ranges.extend(Some(rest).filter(|rest| !rest.is_empty()));
        ranges
    }
}

/// Bytes of whose multiples a certificate table begins at one ("PE Format", the attribute certificate table).
const ALIGNMENT: u64 = 8;
