//! The container of evidence that has several parts: sections of tag, length and bytes (`SPEC.md`, section 2).
//!
//! Tags rise strictly, so that one set of parts has one encoding; a part that the kind lacks, or does not know, is
//! refused. Nothing is copied, and no length is used before it was held against the bytes that are there.

use core::fmt;

use claims::EvidenceKind;

/// What a section holds. Codes and layouts are in `SPEC.md`, section 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Tag {
    /// An SEV-SNP report, 1184 bytes.
    Report = 1,
    /// An Azure HCL blob.
    Hcl = 2,
    /// A certificate table as an extended report has it.
    Certificates = 3,
    /// The manifest of a secure VM service.
    Manifest = 4,
    /// The attestation key's TPM2B_PUBLIC.
    Ak = 5,
    /// TPMS_ATTEST.
    Quote = 6,
    /// TPMT_SIGNATURE.
    Signature = 7,
    /// PCR values.
    Pcrs = 8,
    /// A TCG event log.
    EventLog = 9,
}

impl Tag {
    /// Every tag, in order of its code.
    pub const ALL: [Self; 9] = [
        Self::Report,
        Self::Hcl,
        Self::Certificates,
        Self::Manifest,
        Self::Ak,
        Self::Quote,
        Self::Signature,
        Self::Pcrs,
        Self::EventLog,
    ];

    /// The code.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The tag of a code, or `None`.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|tag| tag.code() == code)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Report => "report",
            Self::Hcl => "hcl blob",
            Self::Certificates => "certificates",
            Self::Manifest => "manifest",
            Self::Ak => "attestation key",
            Self::Quote => "quote",
            Self::Signature => "signature",
            Self::Pcrs => "pcr values",
            Self::EventLog => "event log",
        })
    }
}

/// Bytes that are no container, or not one of their kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SectionError {
    /// A section ends behind the bytes.
    #[error("a section ends too early: expected {needed} more bytes, got {got}")]
    Truncated {
        /// Bytes that the head or its length ask for.
        needed: u64,
        /// Bytes that are left.
        got: usize,
    },
    /// A tag without a meaning.
    #[error("section tag not known: expected 1 to 9, got {got}")]
    UnknownTag {
        /// The code found.
        got: u8,
    },
    /// A tag that does not rise.
    #[error("sections out of order: expected a tag above {previous} ({}), got {got} ({})", .previous.code(), .got.code())]
    Order {
        /// The section before.
        previous: Tag,
        /// The section found.
        got: Tag,
    },
    /// A part that this kind of evidence has not.
    #[error("evidence of kind {kind} has no section `{got}`")]
    Unexpected {
        /// The kind.
        kind: EvidenceKind,
        /// The section found.
        got: Tag,
    },
    /// A part that this kind of evidence must have.
    #[error("evidence of kind {kind} lacks the section `{missing}`")]
    Missing {
        /// The kind.
        kind: EvidenceKind,
        /// The section that is not there.
        missing: Tag,
    },
}

/// Puts sections together, in the order given; a reader takes them if their tags rise and fit their kind.
pub fn encode_sections(parts: &[(Tag, &[u8])]) -> Vec<u8> {
    let section = |(tag, part): &(Tag, &[u8])| {
        let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
        [&[tag.code()][..], &len.to_le_bytes(), part].concat()
    };
    parts.iter().flat_map(section).collect()
}

/// The kind of evidence whose sections these bytes are, by which of them are there.
pub(crate) fn kind_of(mut bytes: &[u8]) -> Option<EvidenceKind> {
    let mut tags = Vec::new();
    while !bytes.is_empty() {
        let (tag, _, rest) = split(bytes).ok()?;
        tags.push(tag);
        bytes = rest;
    }
    let kinds = [EvidenceKind::Tpm, EvidenceKind::AzureVtpm, EvidenceKind::Svsm];
    let fits = |kind: &EvidenceKind| tags.iter().all(|tag| may_have(*kind, *tag));
    kinds.into_iter().find(fits).filter(|_| tags.is_sorted() && !tags.is_empty())
}

/// The kind of evidence that begins with the first section of these bytes, if that is whole, whatever follows it.
pub(crate) fn kind_of_first(bytes: &[u8]) -> Option<EvidenceKind> {
    match split(bytes) {
        Ok((_, [], _)) | Err(_) => None,
        Ok((Tag::Report, ..)) => Some(EvidenceKind::Svsm),
        Ok((Tag::Hcl, ..)) => Some(EvidenceKind::AzureVtpm),
        Ok((Tag::Ak, ..)) => Some(EvidenceKind::Tpm),
        Ok(_) => None,
    }
}

/// The sections of one piece of evidence.
#[derive(Debug)]
pub(crate) struct Sections<'a> {
    kind: EvidenceKind,
    parts: Vec<(Tag, &'a [u8])>,
}

impl<'a> Sections<'a> {
    /// Splits bytes into sections, all of which must be of `kind`.
    pub(crate) fn parse(kind: EvidenceKind, mut bytes: &'a [u8]) -> Result<Self, SectionError> {
        let mut parts: Vec<(Tag, &[u8])> = Vec::new();
        while !bytes.is_empty() {
            let (tag, part, rest) = split(bytes)?;
            match parts.last() {
                Some((previous, _)) if *previous >= tag => {
                    return Err(SectionError::Order { previous: *previous, got: tag });
                }
                _ => (),
            }
            if !may_have(kind, tag) {
                return Err(SectionError::Unexpected { kind, got: tag });
            }
            parts.push((tag, part));
            bytes = rest;
        }
        Ok(Self { kind, parts })
    }

    /// The bytes of a section that must be there.
    pub(crate) fn required(&self, tag: Tag) -> Result<&'a [u8], SectionError> {
        self.optional(tag).ok_or(SectionError::Missing { kind: self.kind, missing: tag })
    }

    /// The bytes of a section that may be there.
    pub(crate) fn optional(&self, tag: Tag) -> Option<&'a [u8]> {
        self.parts.iter().find(|(found, _)| *found == tag).map(|(_, part)| *part)
    }
}

/// One section, and what follows it.
fn split(bytes: &[u8]) -> Result<(Tag, &[u8], &[u8]), SectionError> {
    let short = |needed: u64, got: &[u8]| SectionError::Truncated { needed, got: got.len() };
    let (head, rest) = bytes.split_first_chunk::<HEAD_LEN>().ok_or_else(|| short(5, bytes))?;
    let [code, length @ ..] = *head;
    let tag = Tag::from_code(code).ok_or(SectionError::UnknownTag { got: code })?;
    let length = u32::from_le_bytes(length);
    let parts = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
    let (part, rest) = parts.ok_or_else(|| short(length.into(), rest))?;
    Ok((tag, part, rest))
}

/// Which sections a kind has, required or not.
fn may_have(kind: EvidenceKind, tag: Tag) -> bool {
    let quote = matches!(tag, Tag::Quote | Tag::Signature | Tag::Pcrs | Tag::EventLog);
    match kind {
        EvidenceKind::SevSnp => false,
        EvidenceKind::Tpm => quote || tag == Tag::Ak,
        EvidenceKind::AzureVtpm => quote || matches!(tag, Tag::Hcl | Tag::Certificates),
        EvidenceKind::Svsm => {
            quote || matches!(tag, Tag::Report | Tag::Certificates | Tag::Manifest | Tag::Ak)
        }
    }
}

/// Bytes of tag and length.
const HEAD_LEN: usize = 5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn section(tag: u8, bytes: &[u8]) -> Vec<u8> {
        [&[tag][..], &(bytes.len() as u32).to_le_bytes(), bytes].concat()
    }

    fn refusal(kind: EvidenceKind, bytes: &[u8]) -> SectionError {
        Sections::parse(kind, bytes).unwrap_err()
    }

    #[test]
    fn sections_are_found_by_their_tags() {
        let bytes = [section(5, b"key"), section(6, b""), section(9, b"log")].concat();
        let sections = Sections::parse(EvidenceKind::Tpm, &bytes).unwrap();
        assert_eq!(sections.required(Tag::Ak), Ok(&b"key"[..]));
        assert_eq!(sections.required(Tag::Quote), Ok(&b""[..]));
        assert_eq!(sections.optional(Tag::EventLog), Some(&b"log"[..]));
        let missing = SectionError::Missing { kind: EvidenceKind::Tpm, missing: Tag::Signature };
        assert_eq!(sections.required(Tag::Signature), Err(missing));
    }

    #[test]
    fn one_set_of_parts_has_one_encoding() {
        let kind = EvidenceKind::Tpm;
        let twice = [section(6, b"a"), section(6, b"b")].concat();
        assert_eq!(refusal(kind, &twice), SectionError::Order { previous: Tag::Quote, got: Tag::Quote });
        let backwards = [section(6, b"a"), section(5, b"b")].concat();
        assert_eq!(refusal(kind, &backwards), SectionError::Order { previous: Tag::Quote, got: Tag::Ak });
        for got in [0, 10, 255] {
            assert_eq!(refusal(kind, &section(got, b"")), SectionError::UnknownTag { got });
        }
    }

    #[test]
    fn each_kind_has_its_parts_and_no_others() {
        for (kind, parts) in [
            (EvidenceKind::SevSnp, &[][..]),
            (EvidenceKind::Tpm, &[5, 6, 7, 8, 9]),
            (EvidenceKind::AzureVtpm, &[2, 3, 6, 7, 8, 9]),
            (EvidenceKind::Svsm, &[1, 3, 4, 5, 6, 7, 8, 9]),
        ] {
            for tag in Tag::ALL {
                let one = section(tag.code(), b"");
                let parsed = Sections::parse(kind, &one);
                assert_eq!(parsed.is_ok(), parts.contains(&tag.code()), "{kind}: {tag}");
            }
        }
    }

    #[test]
    fn parts_are_told_by_their_names() {
        let missing = SectionError::Missing { kind: EvidenceKind::Tpm, missing: Tag::EventLog };
        assert!(missing.to_string().contains("event log"), "{missing}");
    }

    #[test]
    fn a_part_of_another_kind_is_refused() {
        let unexpected = |kind, got: Tag| {
            let error = refusal(kind, &section(got.code(), b""));
            assert_eq!(error, SectionError::Unexpected { kind, got });
        };
        unexpected(EvidenceKind::Tpm, Tag::Report);
        unexpected(EvidenceKind::Tpm, Tag::Hcl);
        unexpected(EvidenceKind::AzureVtpm, Tag::Ak);
        unexpected(EvidenceKind::AzureVtpm, Tag::Report);
        unexpected(EvidenceKind::Svsm, Tag::Hcl);
        unexpected(EvidenceKind::SevSnp, Tag::Quote);
    }

    #[test]
    fn lengths_that_no_bytes_back_are_refused() {
        let long = [&[6][..], &u32::MAX.to_le_bytes(), b"short"].concat();
        let truncated = |needed, got| SectionError::Truncated { needed, got };
        assert_eq!(refusal(EvidenceKind::Tpm, &long), truncated(u32::MAX.into(), 5));
        for got in 1..5 {
            assert_eq!(refusal(EvidenceKind::Tpm, &section(6, b"")[..got]), truncated(5, got));
        }
    }

    #[test]
    fn a_kind_is_told_by_its_sections() {
        let container = |tags: &[u8]| tags.iter().flat_map(|tag| section(*tag, b"part")).collect::<Vec<_>>();
        assert_eq!(kind_of(&container(&[5, 6, 7, 8])), Some(EvidenceKind::Tpm));
        assert_eq!(kind_of(&container(&[2, 6, 7, 8, 9])), Some(EvidenceKind::AzureVtpm));
        assert_eq!(kind_of(&container(&[1, 3, 4, 5, 6, 7, 8])), Some(EvidenceKind::Svsm));
        for none in [&[1, 2][..], &[6, 5], &[10], &[]] {
            assert_eq!(kind_of(&container(none)), None);
        }
        assert_eq!(kind_of(&[5, 0, 0, 0]), None);
        for (tag, kind) in [
            (1, Some(EvidenceKind::Svsm)),
            (2, Some(EvidenceKind::AzureVtpm)),
            (5, Some(EvidenceKind::Tpm)),
            (6, None),
        ] {
            assert_eq!(kind_of_first(&[container(&[tag]), vec![99]].concat()), kind);
            assert_eq!(kind_of_first(&section(tag, b"")), None);
            assert_eq!(kind_of_first(&section(tag, b"part")[..8]), None);
        }
        let parts = [(Tag::Ak, &b"key"[..]), (Tag::Quote, b"")];
        assert_eq!(encode_sections(&parts), [section(5, b"key"), section(6, b"")].concat());
    }

    proptest! {
        #[test]
        fn any_bytes_are_split_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Sections::parse(EvidenceKind::Svsm, &bytes);
            let _ = kind_of(&bytes);
        }
    }
}
