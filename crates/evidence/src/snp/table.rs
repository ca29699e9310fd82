//! The certificate table of an extended report (GHCB specification 2.0, SNP Extended Guest Request).
//!
//! Entries of 24 bytes (GUID in RFC 4122 byte order, offset and length as little-endian `u32`, counted from the
//! table's start) end with one of zeros; certificates lie behind it. The host writes all of it, so nothing here is
//! believed: every range is checked before it is used, and nothing in it can become a trust anchor.

use core::fmt;
use core::ops::Range;

/// The parsed table. Its certificates are bytes still, in DER unless the host sent something else.
#[derive(Debug, Default)]
pub struct CertificateTable {
    bytes: Box<[u8]>,
    entries: Vec<(Guid, Range<usize>)>,
}

/// What an entry is, as 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Guid(pub [u8; 16]);

/// A table that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The bytes end before the entry of zeros.
    #[error("certificate table ends without its last entry of zeros: got {got} bytes")]
    NoEnd {
        /// Bytes of the table.
        got: usize,
    },
    /// More entries than a table has.
    #[error("too many entries in the certificate table: expected at most {limit}")]
    TooMany {
        /// Most entries allowed.
        limit: usize,
    },
    /// Two entries say to be the same thing.
    #[error("certificate table names {guid} twice")]
    Duplicate {
        /// The GUID that stands there twice.
        guid: Guid,
    },
    /// An entry without bytes, or with more than a certificate has.
    #[error("wrong length of the certificate {guid}: expected 1 to {limit} bytes, got {got}")]
    Size {
        /// Whose length it is.
        guid: Guid,
        /// Most bytes allowed.
        limit: usize,
        /// The length stated.
        got: u32,
    },
    /// An entry points in front of the data, or beyond its end.
    #[error(
        "certificate {guid} lies outside the table: expected between {start} and {end}, got offset {offset}, \
         length {length}"
    )]
    Outside {
        /// Whose place it is.
        guid: Guid,
        /// First byte behind the entries.
        start: usize,
        /// Bytes of the table.
        end: usize,
        /// The offset stated.
        offset: u32,
        /// The length stated.
        length: u32,
    },
    /// Two entries share bytes.
    #[error("certificates {first} and {second} overlap in the certificate table")]
    Overlap {
        /// The entry that came first.
        first: Guid,
        /// The entry that lies over it.
        second: Guid,
    },
}

impl CertificateTable {
    /// Most entries that a table may have.
    pub const MAX_ENTRIES: usize = 16;
    /// Most bytes that one entry may have.
    pub const MAX_ENTRY_LEN: usize = 16 * 1024;

    /// Parses a table; bytes behind the last certificate are padding and are not looked at.
    ///
    /// # Errors
    /// Each variant of [`TableError`], for what its name says.
    pub fn parse(bytes: &[u8]) -> Result<Self, TableError> {
        let heads = parse_heads(bytes)?;
        let start = heads.len().saturating_add(1).saturating_mul(ENTRY_LEN);
        let mut entries: Vec<(Guid, Range<usize>)> = Vec::with_capacity(heads.len());
        for head in heads {
            let range = head.range(start, bytes.len())?;
            for (guid, other) in &entries {
                check_apart((*guid, other), (head.guid, &range))?;
            }
            entries.push((head.guid, range));
        }
        Ok(Self { bytes: bytes.into(), entries })
    }

    /// The bytes of an entry, or `None` if the table lacks it.
    pub fn find(&self, guid: Guid) -> Option<&[u8]> {
        self.iter().find(|(found, _)| *found == guid).map(|(_, bytes)| bytes)
    }

    /// Every entry, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = (Guid, &[u8])> {
        self.entries.iter().filter_map(|(guid, range)| Some((*guid, self.bytes.get(range.clone())?)))
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// An entry as it stands in the table.
struct Head {
    guid: Guid,
    offset: u32,
    length: u32,
}

impl Head {
    fn parse(bytes: &[u8; ENTRY_LEN]) -> Self {
        let [guid @ .., o0, o1, o2, o3, l0, l1, l2, l3] = *bytes;
        let (offset, length) = (u32::from_le_bytes([o0, o1, o2, o3]), u32::from_le_bytes([l0, l1, l2, l3]));
        Self { guid: Guid(guid), offset, length }
    }

    /// Where the certificate lies, which must be between `start` and `end`.
    fn range(&self, start: usize, end: usize) -> Result<Range<usize>, TableError> {
        let Self { guid, offset, length } = *self;
        let limit = CertificateTable::MAX_ENTRY_LEN;
        if length == 0 || usize::try_from(length).map_or(true, |len| len > limit) {
            return Err(TableError::Size { guid, limit, got: length });
        }
        let outside = TableError::Outside { guid, start, end, offset, length };
        let first = usize::try_from(offset).ok().filter(|first| *first >= start);
        let range = first.and_then(|first| Some(first..first.checked_add(usize::try_from(length).ok()?)?));
        range.filter(|range| range.end <= end).ok_or(outside)
    }
}

/// The entries in front of the one of zeros.
fn parse_heads(bytes: &[u8]) -> Result<Vec<Head>, TableError> {
    let mut heads = Vec::new();
    for chunk in bytes.as_chunks::<ENTRY_LEN>().0 {
        if chunk.iter().all(|byte| *byte == 0) {
            return Ok(heads);
        }
        if heads.len() == CertificateTable::MAX_ENTRIES {
            return Err(TableError::TooMany { limit: CertificateTable::MAX_ENTRIES });
        }
        heads.push(Head::parse(chunk));
    }
    Err(TableError::NoEnd { got: bytes.len() })
}

/// Whether two entries name different things in different places.
fn check_apart(first: (Guid, &Range<usize>), second: (Guid, &Range<usize>)) -> Result<(), TableError> {
    if first.0 == second.0 {
        return Err(TableError::Duplicate { guid: first.0 });
    }
    if first.1.start < second.1.end && second.1.start < first.1.end {
        return Err(TableError::Overlap { first: first.0, second: second.0 });
    }
    Ok(())
}

impl Guid {
    /// The certificate of the chip's key.
    pub const VCEK: Self = Self(0x63da758d_e664_4564_adc5_f4b93be8accd_u128.to_be_bytes());
    /// The certificate of a cloud provider's key.
    pub const VLEK: Self = Self(0xa8074bc2_a25a_483e_aae6_39c045a0b8a1_u128.to_be_bytes());
    /// AMD's intermediate: the ASK, or the ASVK under which a VLEK stands.
    pub const ASK: Self = Self(0x4ab7b379_bbac_4fe4_a02f_05aef327c782_u128.to_be_bytes());
    /// AMD's root, as the host claims it.
    pub const ARK: Self = Self(0xc0b406a4_a803_4952_9743_3fb6014cd0ae_u128.to_be_bytes());
    /// A certificate revocation list.
    pub const CRL: Self = Self(0x92f81bc3_5811_4d3d_97ff_d19f88dc67ea_u128.to_be_bytes());

    /// The field's name for it, or `None` for a GUID without a meaning here.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::VCEK => Some("VCEK"),
            Self::VLEK => Some("VLEK"),
            Self::ASK => Some("ASK"),
            Self::ARK => Some("ARK"),
            Self::CRL => Some("CRL"),
            _ => None,
        }
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            let dash = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

/// Bytes of one entry.
const ENTRY_LEN: usize = 24;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(entries: &[(Guid, u32, u32)], data: usize) -> Vec<u8> {
        let heads = entries.iter().flat_map(|(guid, offset, length)| {
            [&guid.0[..], &offset.to_le_bytes(), &length.to_le_bytes()].concat()
        });
        heads.chain([0; ENTRY_LEN]).chain((0..data).map(|i| i as u8)).collect()
    }

    fn refusal(entries: &[(Guid, u32, u32)], data: usize) -> TableError {
        CertificateTable::parse(&table(entries, data)).unwrap_err()
    }

    #[test]
    fn finds_what_it_holds() {
        let bytes = table(&[(Guid::ASK, 74, 3), (Guid::VCEK, 72, 2), (Guid([9; 16]), 77, 1)], 10);
        let bytes = [&bytes[..], &[0xff; 100]].concat();
        assert!(
            CertificateTable::parse(&bytes).is_err(),
            "offset 72 lies in front of the data of three entries"
        );

        // Neighbours share no byte, whichever comes first.
        assert!(CertificateTable::parse(&table(&[(Guid::VCEK, 72, 2), (Guid::ASK, 74, 3)], 10)).is_ok());
        let bytes = table(&[(Guid::ASK, 74, 3), (Guid::VCEK, 72, 2)], 10);
        let parsed = CertificateTable::parse(&bytes).unwrap();
        assert_eq!(parsed.find(Guid::VCEK), Some(&[0, 1][..]));
        assert_eq!(parsed.find(Guid::ASK), Some(&[2, 3, 4][..]));
        assert_eq!((parsed.find(Guid::ARK), parsed.iter().count()), (None, 2));
        assert!(!parsed.is_empty());
        assert!(CertificateTable::parse(&[0; 24]).unwrap().is_empty());
    }

    #[test]
    fn refuses_a_table_without_an_end() {
        for got in [1, 23] {
            assert_eq!(CertificateTable::parse(&vec![0; got]).unwrap_err(), TableError::NoEnd { got });
        }
        assert_eq!(CertificateTable::parse(&[1; 48]).unwrap_err(), TableError::NoEnd { got: 48 });
    }

    #[test]
    fn refuses_ranges_that_wrap_or_leave_the_table() {
        for (offset, length) in [(u32::MAX, 1), (0, 4), (47, 4), (48, 5), (53, 1), (u32::MAX - 1, 4)] {
            let (guid, start, end) = (Guid::VCEK, 48, 52);
            let expected = TableError::Outside { guid, start, end, offset, length };
            assert_eq!(refusal(&[(guid, offset, length)], 4), expected);
        }
    }

    #[test]
    fn refuses_empty_and_oversized_certificates() {
        let (guid, limit) = (Guid::VCEK, CertificateTable::MAX_ENTRY_LEN);
        for got in [0, 16 * 1024 + 1, u32::MAX] {
            assert_eq!(refusal(&[(guid, 48, got)], 20_000), TableError::Size { guid, limit, got });
        }
        let largest = CertificateTable::parse(&table(&[(guid, 48, 16 * 1024)], 20_000)).unwrap();
        assert_eq!(largest.find(guid).unwrap().len(), 16 * 1024);
    }

    #[test]
    fn refuses_repeated_and_overlapping_entries() {
        let duplicate = refusal(&[(Guid::VCEK, 72, 1), (Guid::VCEK, 73, 1)], 4);
        assert_eq!(duplicate, TableError::Duplicate { guid: Guid::VCEK });
        let overlap = refusal(&[(Guid::VCEK, 73, 2), (Guid::ASK, 72, 2)], 4);
        assert_eq!(overlap, TableError::Overlap { first: Guid::VCEK, second: Guid::ASK });
    }

    #[test]
    fn refuses_more_entries_than_the_limit() {
        let entries: Vec<_> = (1..=17).map(|i| (Guid([i; 16]), 0, 0)).collect();
        assert_eq!(refusal(&entries, 4), TableError::TooMany { limit: 16 });
    }

    #[test]
    fn prints_a_guid_as_everybody_does() {
        assert_eq!(Guid::VCEK.to_string(), "63da758d-e664-4564-adc5-f4b93be8accd");
        assert_eq!(format!("{:?}", Guid([0xab; 16])), "Guid(abababab-abab-abab-abab-abababababab)");
        let named = [Guid::VCEK, Guid::VLEK, Guid::ASK, Guid::ARK, Guid::CRL, Guid([0; 16])].map(Guid::name);
        assert_eq!(named, [Some("VCEK"), Some("VLEK"), Some("ASK"), Some("ARK"), Some("CRL"), None]);
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
            let _ = CertificateTable::parse(&bytes);
        }

        #[test]
        fn what_parses_lies_inside(
            entries in proptest::collection::vec((1_u8..9, 0_u32..600, 0_u32..300), 0..6),
            data in 0_usize..600,
        ) {
            let entries: Vec<_> = entries.into_iter().map(|(g, o, l)| (Guid([g; 16]), o, l)).collect();
            let bytes = table(&entries, data);
            if let Ok(parsed) = CertificateTable::parse(&bytes) {
                prop_assert_eq!(parsed.iter().count(), entries.len());
                for ((guid, found), (_, offset, length)) in parsed.iter().zip(&entries) {
                    prop_assert_eq!(found, &bytes[*offset as usize..][..*length as usize]);
                    prop_assert_eq!(parsed.find(guid), Some(found));
                }
            }
        }
    }
}
