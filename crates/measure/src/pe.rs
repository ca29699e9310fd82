//! The headers of a PE image: what of a UEFI application is hashed, and where its sections are.
//!
//! Microsoft's "PE Format": DOS header, `PE\0\0`, COFF header, optional header with its data directories, section
//! table. Only what measuring needs is read. Ranges lie inside the file and sections lie apart from each other, in
//! the file and in memory, or the image is refused: firmware and stub could each see something else in it.

use core::ops::Range;
use std::io::{self, Read, Seek, SeekFrom};

use crate::little_endian::{array_at, u16_at, u32_at};

/// An image's headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeImage {
    /// Bytes of the file.
    pub(crate) len: u64,
    /// SizeOfHeaders.
    pub(crate) headers: u64,
    /// Where the checksum stands, 4 bytes.
    pub(crate) checksum: u64,
    /// Where the certificate table's directory entry stands, 8 bytes, if there is one.
    pub(crate) directory: Option<u64>,
    /// Bytes of the certificate table, which ends the file.
    pub(crate) certificates: u64,
    sections: Vec<PeSection>,
}

/// A section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeSection {
    /// Its name, up to 8 characters.
    pub name: String,
    /// Bytes in memory.
    pub virtual_len: u32,
    /// Where it lies in the file; as long as SizeOfRawData.
    pub file: Range<u64>,
    address: u32,
}

/// A file that is no PE image, or one that readers could understand differently.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeError {
    /// Something else.
    #[error("not a PE image: expected {expected}")]
    NotPe {
        /// What should have been found.
        expected: &'static str,
    },
    /// The headers go on behind what is read of the file, or behind what they say themselves.
    #[error("malformed headers: {what} lies outside them")]
    Headers {
        /// What.
        what: &'static str,
    },
    /// More sections than a loader takes.
    #[error("too many sections: expected at most {limit}, got {got}")]
    TooMany {
        /// Most sections allowed.
        limit: u16,
        /// The count stated.
        got: u16,
    },
    /// A name that is no text.
    #[error("malformed name of section {index}: expected up to 8 printable ASCII characters")]
    Name {
        /// Which section, from 0.
        index: usize,
    },
    /// A section that lies over the headers, or outside the file.
    #[error("section `{name}` lies outside the file: expected bytes between {start} and {end}")]
    Outside {
        /// Its name.
        name: String,
        /// First byte after the headers.
        start: u64,
        /// First byte after the sections' part of the file.
        end: u64,
    },
    /// Two sections share bytes.
    #[error("sections `{first}` and `{second}` overlap in {place}")]
    Overlap {
        /// The one that begins first.
        first: String,
        /// The other.
        second: String,
        /// The file, or memory.
        place: &'static str,
    },
    /// A certificate table that does not end the file.
    #[error(
        "the certificate table lies elsewhere: expected it to end the file at {end}, got {offset} and {len} bytes"
    )]
    Certificates {
        /// Bytes of the file.
        end: u64,
        /// Where it begins.
        offset: u32,
        /// Its bytes.
        len: u32,
    },
}

impl PeImage {
    /// Most bytes of a file in which the headers must lie.
    pub const MAX_HEAD: u64 = 64 * 1024;
    /// Most sections.
    pub const MAX_SECTIONS: u16 = 96;

    /// Reads the headers of a file.
    ///
    /// # Errors
    /// The reader's own; the inner error is that of [`Self::parse`].
    pub fn read<R: Read + Seek>(file: &mut R) -> io::Result<Result<Self, PeError>> {
        let len = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        let mut head = Vec::new();
        file.take(Self::MAX_HEAD).read_to_end(&mut head)?;
        Ok(Self::parse(&head, len))
    }

    /// Reads the headers from the start of a file of `len` bytes, [`Self::MAX_HEAD`] of them at most.
    ///
    /// # Errors
    /// Each variant of [`PeError`], for what its name says.
    pub fn parse(head: &[u8], len: u64) -> Result<Self, PeError> {
        let places = Places::find(head)?;
        let headers = u64::from(places.number(60, "SizeOfHeaders")?);
        places.number(64, "the checksum")?;
        let table = places.sections(head)?;
        if headers > len || to_u64(table.end) > headers {
            return Err(PeError::Headers { what: "the section table" });
        }
        let directory = places.certificate_entry(head)?;
        let certificates = directory.map_or(Ok(0), |at| certificate_len(head, at, len))?;
        let end = len.saturating_sub(certificates);
        let rows = head.get(table).unwrap_or_default().chunks_exact(SECTION_LEN);
        let sections = rows.enumerate().map(|(index, row)| PeSection::parse(index, row, headers..end));
        let sections = sections.collect::<Result<Vec<_>, _>>()?;
        check_apart(&sections, "the file", |section| section.file.clone())?;
        check_apart(&sections, "memory", PeSection::memory)?;
        let checksum = to_u64(places.optional.saturating_add(64));
        Ok(Self { len, headers, checksum, directory: directory.map(to_u64), certificates, sections })
    }

    /// The sections, in the order of their table.
    pub fn sections(&self) -> &[PeSection] {
        &self.sections
    }
}

/// Where the parts of the headers are.
struct Places<'a> {
    head: &'a [u8],
    /// The optional header's first byte.
    optional: usize,
    /// Its length, and so the way to the section table.
    optional_len: usize,
    count: u16,
}

impl<'a> Places<'a> {
    fn find(head: &'a [u8]) -> Result<Self, PeError> {
        if array_at(head, 0) != Some(*b"MZ") {
            return Err(PeError::NotPe { expected: "`MZ` at its start" });
        }
        let signature = u32_at(head, 0x3c).and_then(|at| usize::try_from(at).ok()).unwrap_or(usize::MAX);
        if array_at(head, signature) != Some(*b"PE\0\0") {
            return Err(PeError::NotPe { expected: "`PE` where the DOS header says" });
        }
        let coff = head.get(signature..).unwrap_or_default();
        let missing = PeError::Headers { what: "the COFF header" };
        let (count, optional_len) = u16_at(coff, 6).zip(u16_at(coff, 20)).ok_or(missing)?;
        let optional_len = usize::from(optional_len);
        Ok(Self { head, optional: signature.saturating_add(24), optional_len, count })
    }

    /// Four bytes of the optional header.
    fn number(&self, at: usize, what: &'static str) -> Result<u32, PeError> {
        let inside = at.saturating_add(4) <= self.optional_len;
        let found = u32_at(self.head, self.optional.saturating_add(at)).filter(|_| inside);
        found.ok_or(PeError::Headers { what })
    }

    fn sections(&self, head: &[u8]) -> Result<Range<usize>, PeError> {
        let (limit, got) = (PeImage::MAX_SECTIONS, self.count);
        if got > limit {
            return Err(PeError::TooMany { limit, got });
        }
        let start = self.optional.saturating_add(self.optional_len);
        let end = start.saturating_add(usize::from(got).saturating_mul(SECTION_LEN));
        if end > head.len() {
            return Err(PeError::Headers { what: "the section table" });
        }
        Ok(start..end)
    }

    /// Where the fifth data directory stands, if there are so many.
    fn certificate_entry(&self, head: &[u8]) -> Result<Option<usize>, PeError> {
        let (count, entry): (usize, usize) = match u16_at(head, self.optional) {
            Some(0x10b) => (92, 128),
            Some(0x20b) => (108, 144),
            _ => return Err(PeError::NotPe { expected: "an optional header of PE32 or PE32+" }),
        };
        if self.number(count, "the number of data directories")? < 5 {
            return Ok(None);
        }
        self.number(entry.saturating_add(4), "the certificate table's entry")?;
        Ok(Some(self.optional.saturating_add(entry)))
    }
}

fn certificate_len(head: &[u8], entry: usize, end: u64) -> Result<u64, PeError> {
    let offset = u32_at(head, entry).unwrap_or(0);
    let len = u32_at(head, entry.saturating_add(4)).unwrap_or(0);
    let ends = u64::from(offset).saturating_add(u64::from(len)) == end;
    if len > 0 && !ends {
        return Err(PeError::Certificates { end, offset, len });
    }
    Ok(u64::from(len))
}

impl PeSection {
    fn parse(index: usize, row: &[u8], inside: Range<u64>) -> Result<Self, PeError> {
        let number = |at| u32_at(row, at).unwrap_or(0);
        let name: [u8; 8] = array_at(row, 0).unwrap_or([0; 8]);
        let text: Vec<u8> = name.iter().take_while(|byte| **byte != 0).copied().collect();
        let padded = name.iter().skip(text.len()).all(|byte| *byte == 0);
        let name =
            String::from_utf8(text).ok().filter(|text| padded && text.bytes().all(|b| b.is_ascii_graphic()));
        let name = name.ok_or(PeError::Name { index })?;
        let (len, start) = (u64::from(number(16)), u64::from(number(20)));
        let end = start.saturating_add(len);
        if len > 0 && (start < inside.start || end > inside.end) {
            return Err(PeError::Outside { name, start: inside.start, end: inside.end });
        }
        Ok(Self { name, virtual_len: number(8), file: start..end, address: number(12) })
    }

    fn memory(&self) -> Range<u64> {
        let start = u64::from(self.address);
        start..start.saturating_add(u64::from(self.virtual_len))
    }
}

/// Checks that no two ranges share a byte.
fn check_apart(
    sections: &[PeSection],
    place: &'static str,
    range: impl Fn(&PeSection) -> Range<u64>,
) -> Result<(), PeError> {
    let mut sorted: Vec<(Range<u64>, &str)> = sections.iter().map(|s| (range(s), s.name.as_str())).collect();
    sorted.retain(|(range, _)| !range.is_empty());
    sorted.sort_by_key(|(range, _)| range.start);
    for ((first, first_name), (second, second_name)) in sorted.iter().zip(sorted.iter().skip(1)) {
        if second.start < first.end {
            let (first, second) = ((*first_name).to_owned(), (*second_name).to_owned());
            return Err(PeError::Overlap { first, second, place });
        }
    }
    Ok(())
}

fn to_u64(place: usize) -> u64 {
    u64::try_from(place).unwrap_or(u64::MAX)
}

/// Bytes of a row of the section table.
const SECTION_LEN: usize = 40;
