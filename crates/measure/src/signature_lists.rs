//! Contents of a Secure Boot database: EFI_SIGNATURE_LISTs, one behind the other (UEFI 2.10, section 32.4.1).
//!
//! What firmware measures are the contents of the variable as they are: no attributes in front, no signature of an
//! update. Only the form is looked at here, so that a file of another kind is not taken for contents.

use crate::little_endian::{array_at, u32_at};

/// The contents of a database, whole lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureLists<'a> {
    bytes: &'a [u8],
    entries: u32,
}

/// A file that is no such contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureListError {
    /// A signed update, which firmware adds to what is there.
    #[error(
        "a signed update: firmware adds it to the contents that it has; give the whole contents as they will be, \
         EFI signature lists"
    )]
    Update,
    /// The file as Linux shows it.
    #[error("four bytes of attributes in front, as efivarfs has them: leave them out")]
    Attributes,
    /// Nothing.
    #[error("empty: expected EFI signature lists")]
    Empty,
    /// A list that does not add up.
    #[error("no EFI signature list at byte {at}: expected {expected}")]
    List {
        /// Where it starts.
        at: usize,
        /// What it should have.
        expected: &'static str,
    },
}

impl<'a> SignatureLists<'a> {
    /// Takes exactly these bytes.
    ///
    /// # Errors
    /// [`SignatureListError`], the most telling.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SignatureListError> {
        if bytes.is_empty() {
            return Err(SignatureListError::Empty);
        }
        match count(bytes) {
            Ok(entries) => Ok(Self { bytes, entries }),
            Err(_) if array_at(bytes, UPDATE_AT) == Some(UPDATE) => Err(SignatureListError::Update),
            Err(error) => {
                let rest = bytes.get(ATTRIBUTES..).filter(|rest| !rest.is_empty());
                let shifted = rest.is_some_and(|rest| count(rest).is_ok());
                Err(if shifted { SignatureListError::Attributes } else { error })
            }
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many entries there are in all lists.
    pub fn entries(&self) -> u32 {
        self.entries
    }
}

/// The entries of all lists.
fn count(bytes: &[u8]) -> Result<u32, SignatureListError> {
    let (mut rest, mut entries) = (bytes, 0_u32);
    while !rest.is_empty() {
        let at = bytes.len().saturating_sub(rest.len());
        let wrong = |expected| SignatureListError::List { at, expected };
        let field = |place| u32_at(rest, place).and_then(|len| usize::try_from(len).ok());
        let fields = (field(16), field(20), field(24));
        let (Some(list), Some(header), Some(entry)) = fields else { return Err(wrong("28 bytes of header")) };
        let body = list.checked_sub(LIST_HEADER).and_then(|body| body.checked_sub(header));
        let body = body.ok_or(wrong("a size with room for its headers"))?;
        if entry <= OWNER || !body.is_multiple_of(entry) {
            return Err(wrong("entries of one size, larger than their owner's GUID"));
        }
        let here = u32::try_from(body.checked_div(entry).unwrap_or(0)).unwrap_or(u32::MAX);
        entries = entries.saturating_add(here);
        rest = rest.get(list..).ok_or(wrong("as many bytes as it says"))?;
    }
    Ok(entries)
}

/// SignatureType, SignatureListSize, SignatureHeaderSize, SignatureSize.
const LIST_HEADER: usize = 28;
/// SignatureOwner.
const OWNER: usize = 16;
/// Bytes of attributes in front of a file of efivarfs.
const ATTRIBUTES: usize = 4;
/// wRevision 0x0200 and wCertificateType 0x0ef1 of EFI_VARIABLE_AUTHENTICATION_2, behind EFI_TIME and dwLength.
const UPDATE: [u8; 4] = [0x00, 0x02, 0xf1, 0x0e];
const UPDATE_AT: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A list of hashes.
    fn list(entries: usize) -> Vec<u8> {
        let size = u32::try_from(28 + 48 * entries).unwrap().to_le_bytes();
        [&[7; 16][..], &size, &[0; 4], &48_u32.to_le_bytes(), &vec![9; 48 * entries]].concat()
    }

    #[test]
    fn lists_are_taken_whole() {
        let bytes = [list(2), list(3)].concat();
        let lists = SignatureLists::parse(&bytes).unwrap();
        assert_eq!((lists.entries(), lists.as_bytes()), (5, bytes.as_slice()));
        let error = SignatureLists::parse(&bytes[..bytes.len() - 1]);
        let expected = "as many bytes as it says";
        assert_eq!(error, Err(SignatureListError::List { at: list(2).len(), expected }));
    }

    #[test]
    fn files_of_other_kinds_are_told_apart() {
        assert_eq!(SignatureLists::parse(&[]), Err(SignatureListError::Empty));
        let efivarfs = [&[0x27, 0, 0, 0][..], &list(1)].concat();
        assert_eq!(SignatureLists::parse(&efivarfs), Err(SignatureListError::Attributes));
        let time = [0xea, 7, 1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let update = [&time[..], &[0xff, 4, 0, 0], &UPDATE, &[1; 2000]].concat();
        assert_eq!(SignatureLists::parse(&update), Err(SignatureListError::Update));
        for (alter, expected) in [
            (16, "a size with room for its headers"),
            (24, "entries of one size, larger than their owner's GUID"),
        ] {
            let mut bytes = list(1);
            bytes[alter] = 16;
            assert_eq!(SignatureLists::parse(&bytes), Err(SignatureListError::List { at: 0, expected }));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_lists_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _any = SignatureLists::parse(&bytes);
        }
    }
}
