//! OVMF: the footer table at the end of a firmware image, and the SEV metadata that it points to.
//!
//! Formats of edk2: `OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm` (the table: entries of data, u16 length and
//! GUID, read from the end; the last 50 bytes before the final 32 name the table) and
//! `OvmfPkg/ResetVector/X64/OvmfSevMetadata.asm` (`ASEV`, length, version, count, then sections of address, length
//! and type). The image comes from a vendor or a stranger: nothing in it is believed to be inside it, or to be small.

use crate::launch_digest::PAGE_LEN;
use crate::little_endian::{array_at, guid, u16_at, u32_at};

/// A firmware image that can start an SEV-SNP guest.
#[derive(Debug)]
pub struct Ovmf<'a> {
    image: &'a [u8],
    base: u64,
    reset_eip: Option<u32>,
    hash_table: Option<u32>,
    sections: Vec<Section>,
}

/// A part of guest memory that the hypervisor prepares before launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// Guest physical address, a multiple of 4096.
    pub gpa: u32,
    /// Bytes, a multiple of 4096.
    pub len: u32,
    /// What it is for.
    pub kind: SectionKind,
}

/// What a section of the SEV metadata is for (`OVMF_SECTION_TYPE_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionKind {
    /// 1: memory that is zero and accepted at launch.
    Memory,
    /// 2: the secrets page.
    Secrets,
    /// 3: the page of CPUID values.
    Cpuid,
    /// 4: the calling area of an SVSM.
    CallingArea,
    /// 0x10: the page with the hashes of kernel, initrd and command line.
    KernelHashes,
}

/// An image that is no firmware for SEV-SNP guests.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OvmfError {
    /// Not a whole number of pages, or too many.
    #[error("wrong size of the firmware: expected a multiple of 4096 up to {limit} bytes, got {got}")]
    Size {
        /// Most bytes allowed.
        limit: usize,
        /// Bytes given.
        got: usize,
    },
    /// No table at the end.
    #[error(
        "no OVMF table at the end of the firmware: expected an edk2 image with its reset vector; of a split build \
         give the CODE file, or the whole"
    )]
    NoTable,
    /// The table does not fit, or an entry is shorter than its own header.
    #[error("malformed OVMF table, {left} bytes before its end: expected entries of 18 bytes or more")]
    Table {
        /// Bytes of the table that were not read yet.
        left: usize,
    },
    /// An entry that is needed is missing or too short.
    #[error("the firmware names no {what}: expected a build for SEV-SNP, such as edk2's OvmfPkg/AmdSev")]
    Missing {
        /// What.
        what: &'static str,
    },
    /// The metadata lies outside the image or has another version.
    #[error("malformed SEV metadata in the firmware: expected `ASEV`, version 1, within the image")]
    Metadata,
    /// More sections than firmware has.
    #[error("too many sections in the SEV metadata: expected at most {limit}, got {got}")]
    TooMany {
        /// Most sections allowed.
        limit: u32,
        /// The count stated.
        got: u32,
    },
    /// A type without a meaning here.
    #[error("type {got:#x} of section {index} is not known: expected 1 to 4 or 0x10")]
    Kind {
        /// Which section, from 0.
        index: usize,
        /// The type found.
        got: u32,
    },
    /// A section that is empty, not made of pages, or not of one page where it must be.
    #[error("wrong size of section {index}, {kind:?}: expected {expected}, got {got:#x} bytes at {gpa:#x}")]
    SectionSize {
        /// Which section, from 0.
        index: usize,
        /// What it is for.
        kind: SectionKind,
        /// What fits.
        expected: &'static str,
        /// Its length.
        got: u32,
        /// Its address.
        gpa: u32,
    },
    /// The sections take more memory than firmware needs before it starts.
    #[error("the sections are too large together: expected at most {limit} bytes")]
    TooLarge {
        /// Most bytes allowed.
        limit: u64,
    },
    /// Two sections share a page, or one lies over the image.
    #[error("section {index} at {gpa:#x} lies over another one or over the firmware")]
    Overlap {
        /// Which section, from 0.
        index: usize,
        /// Its address.
        gpa: u32,
    },
}

impl<'a> Ovmf<'a> {
    /// Most bytes of an image; QEMU takes 8 MiB unless told otherwise.
    pub const MAX_LEN: usize = 64 * 1024 * 1024;
    /// Most sections of the metadata.
    pub const MAX_SECTIONS: u32 = 64;
    /// Most bytes of all sections together; edk2's are less than 1 MiB.
    pub const MAX_SECTION_BYTES: u64 = 256 * 1024 * 1024;

    /// Reads the table and the metadata. The image ends at 4 GiB in guest memory.
    ///
    /// # Errors
    /// Each variant of [`OvmfError`], for what its name says.
    pub fn parse(image: &'a [u8]) -> Result<Self, OvmfError> {
        let got = image.len();
        if got == 0 || got > Self::MAX_LEN || !got.is_multiple_of(PAGE_LEN) {
            return Err(OvmfError::Size { limit: Self::MAX_LEN, got });
        }
        let table = Table::find(image)?;
        let base = FOUR_GIB.saturating_sub(u64::try_from(got).unwrap_or(u64::MAX));
        let sections = match table.number(METADATA)? {
            Some(from_end) => read_sections(image, from_end, base)?,
            None => return Err(OvmfError::Missing { what: "SEV metadata" }),
        };
        let reset_eip = table.number(RESET_BLOCK)?.filter(|eip| *eip != 0);
        let hash_table = table.number(HASH_TABLE)?.filter(|gpa| *gpa != 0);
        Ok(Self { image, base, reset_eip, hash_table, sections })
    }

    /// The image.
    pub fn image(&self) -> &'a [u8] {
        self.image
    }

    /// Guest physical address of the image's first byte.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Where vCPUs other than the first one start; `None` if the image does not say.
    pub fn reset_eip(&self) -> Option<u32> {
        self.reset_eip
    }

    /// Where firmware expects the table of kernel hashes; `None` if it would not look at one.
    pub fn hash_table(&self) -> Option<u32> {
        self.hash_table
    }

    /// The sections, in the order in which the hypervisor adds them.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }
}

/// The footer table without its own entry.
struct Table<'a>(&'a [u8]);

impl<'a> Table<'a> {
    fn find(image: &'a [u8]) -> Result<Self, OvmfError> {
        let end = image.len().checked_sub(TAIL_LEN + ENTRY_HEAD).ok_or(OvmfError::NoTable)?;
        if array_at(image, end.saturating_add(2)) != Some(FOOTER) {
            return Err(OvmfError::NoTable);
        }
        let whole = usize::from(u16_at(image, end).unwrap_or(0));
        let entries = whole.checked_sub(ENTRY_HEAD).ok_or(OvmfError::Table { left: whole })?;
        let start = end.checked_sub(entries).ok_or(OvmfError::Table { left: entries })?;
        let table = Self(image.get(start..end).unwrap_or_default());
        table.check()?;
        Ok(table)
    }

    /// Walks all of it, so that an entry is either found or known to be absent.
    fn check(&self) -> Result<(), OvmfError> {
        self.entries().try_for_each(|entry| entry.map(drop))
    }

    /// Each entry's GUID and data, from the last to the first.
    fn entries(&self) -> impl Iterator<Item = Result<([u8; 16], &'a [u8]), OvmfError>> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let entry = last_entry(rest).ok_or(OvmfError::Table { left: rest.len() });
            rest = entry.as_ref().map_or(&[][..], |(before, ..)| before);
            Some(entry.map(|(_, name, data)| (name, data)))
        })
    }

    /// The first four bytes of an entry's data; the entry nearest the end counts.
    fn number(&self, name: [u8; 16]) -> Result<Option<u32>, OvmfError> {
        let found = self.entries().filter_map(Result::ok).find(|(found, _)| *found == name);
        let Some((_, data)) = found else {
            return Ok(None);
        };
        u32_at(data, 0).map(Some).ok_or(OvmfError::Table { left: data.len() })
    }
}

/// What stands before the last entry, its GUID, its data.
fn last_entry(table: &[u8]) -> Option<(&[u8], [u8; 16], &[u8])> {
    let (body, head) = table.split_at_checked(table.len().checked_sub(ENTRY_HEAD)?)?;
    let data = usize::from(u16_at(head, 0)?).checked_sub(ENTRY_HEAD)?;
    let (before, data) = body.split_at_checked(body.len().checked_sub(data)?)?;
    Some((before, array_at(head, 2)?, data))
}

fn read_sections(image: &[u8], from_end: u32, base: u64) -> Result<Vec<Section>, OvmfError> {
    let from_end = usize::try_from(from_end).map_err(|_| OvmfError::Metadata)?;
    let start = image.len().checked_sub(from_end).ok_or(OvmfError::Metadata)?;
    let metadata = image.get(start..).unwrap_or_default();
    let number = |at| u32_at(metadata, at).ok_or(OvmfError::Metadata);
    if array_at(metadata, 0) != Some(*b"ASEV") || number(8)? != 1 {
        return Err(OvmfError::Metadata);
    }
    let got = number(12)?;
    if got > Ovmf::MAX_SECTIONS {
        return Err(OvmfError::TooMany { limit: Ovmf::MAX_SECTIONS, got });
    }
    let count = usize::try_from(got).unwrap_or(0);
    let len = count.saturating_mul(SECTION_LEN).saturating_add(METADATA_HEAD);
    let stated = usize::try_from(number(4)?).unwrap_or(0);
    let items = metadata.get(METADATA_HEAD..len).filter(|_| stated >= len).ok_or(OvmfError::Metadata)?;
    let mut sections: Vec<Section> = Vec::with_capacity(count);
    for (index, item) in items.chunks_exact(SECTION_LEN).enumerate() {
        let section = read_section(index, item)?;
        let apart =
            sections.iter().all(|other| section.end() <= other.start() || other.end() <= section.start());
        if !apart || section.end() > base {
            return Err(OvmfError::Overlap { index, gpa: section.gpa });
        }
        sections.push(section);
    }
    let limit = Ovmf::MAX_SECTION_BYTES;
    let total: u64 = sections.iter().map(|section| u64::from(section.len)).sum();
    if total > limit { Err(OvmfError::TooLarge { limit }) } else { Ok(sections) }
}

fn read_section(index: usize, item: &[u8]) -> Result<Section, OvmfError> {
    let number = |at| u32_at(item, at).ok_or(OvmfError::Metadata);
    let (gpa, len, kind) = (number(0)?, number(4)?, number(8)?);
    let kind = SectionKind::of(kind).ok_or(OvmfError::Kind { index, got: kind })?;
    let pages = gpa.is_multiple_of(PAGE_BYTES) && len.is_multiple_of(PAGE_BYTES) && len > 0;
    let fits = if kind.is_one_page() { len == PAGE_BYTES } else { true };
    if !pages || !fits {
        let expected = if kind.is_one_page() { "one page" } else { "whole pages" };
        return Err(OvmfError::SectionSize { index, kind, expected, got: len, gpa });
    }
    Ok(Section { gpa, len, kind })
}

impl Section {
    fn start(&self) -> u64 {
        u64::from(self.gpa)
    }

    fn end(&self) -> u64 {
        self.start().saturating_add(u64::from(self.len))
    }
}

impl SectionKind {
    fn of(code: u32) -> Option<Self> {
        match code {
            1 => Some(Self::Memory),
            2 => Some(Self::Secrets),
            3 => Some(Self::Cpuid),
            4 => Some(Self::CallingArea),
            0x10 => Some(Self::KernelHashes),
            _ => None,
        }
    }

    fn is_one_page(self) -> bool {
        matches!(self, Self::Secrets | Self::Cpuid | Self::KernelHashes)
    }
}

const FOOTER: [u8; 16] = guid(0x96b582de_1fb2_45f7_baea_a366c55a082d);
const RESET_BLOCK: [u8; 16] = guid(0x00f771de_1a7e_4fcb_890e_68c77e2fb44e);
const HASH_TABLE: [u8; 16] = guid(0x7255371f_3a3b_4b04_927b_1da6efa8d454);
const METADATA: [u8; 16] = guid(0xdc886566_984a_4798_a75e_5585a7bf67cc);
/// Bytes behind the table: the reset vector.
const TAIL_LEN: usize = 32;
/// Bytes of an entry besides its data: length and GUID.
const ENTRY_HEAD: usize = 18;
/// Bytes of the metadata before its sections.
const METADATA_HEAD: usize = 16;
/// Bytes of a section.
const SECTION_LEN: usize = 12;
/// Where the image ends.
const FOUR_GIB: u64 = 1 << 32;
/// Bytes of a page, as sections count.
const PAGE_BYTES: u32 = 4096;
