//! [`SignatureEntry`]: what a Secure Boot database holds, in EFI_SIGNATURE_LISTs, one behind the other (UEFI 2.10,
//! section 32.4.1). Whether firmware went by it is not said here.

/// One certificate or digest of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureEntry<'a> {
    /// SignatureType: the GUID of what [`Self::data`] are, in the byte order of logs.
    pub kind: [u8; 16],
    /// SignatureOwner: the GUID of who put it there.
    pub owner: [u8; 16],
    /// The certificate in DER, the digest, or whatever the type says.
    pub data: &'a [u8],
}

impl<'a> SignatureEntry<'a> {
    /// EFI_CERT_X509_GUID, a5c059a1-94e4-4aa7-87b5-ab155c2bf072: a certificate in DER.
    pub const X509: [u8; 16] = 0xa159_c0a5_e494_a74a_87b5_ab15_5c2b_f072_u128.to_be_bytes();
    /// EFI_CERT_SHA256_GUID, c1c41626-504c-4092-aca9-41f936934328: a digest.
    pub const SHA256: [u8; 16] = 0x2616_c4c1_4c50_9240_aca9_41f9_3693_4328_u128.to_be_bytes();

    /// Most entries of a database; the longest that was published has some 430.
    pub const MAX: usize = 2048;

    /// The entries of whole lists, in their order; `None` if a list does not add up, or if there are more than
    /// [`Self::MAX`].
    pub fn parse_all(mut contents: &'a [u8]) -> Option<Vec<Self>> {
        let mut entries = Vec::new();
        while !contents.is_empty() {
            let (kind, rest) = contents.split_first_chunk::<16>()?;
            let (sizes, _) = rest.split_first_chunk::<12>()?;
            let size = |at: usize| {
                let bytes = sizes.get(at..)?.first_chunk::<4>()?;
                usize::try_from(u32::from_le_bytes(*bytes)).ok()
            };
            let (list, header, entry) = (size(0)?, size(4)?, size(8)?);
            let body = contents.get(LIST_HEADER.checked_add(header)?..list)?;
            if entry <= OWNER || !body.len().is_multiple_of(entry) {
                return None;
            }
            if body.len().checked_div(entry)?.saturating_add(entries.len()) > Self::MAX {
                return None;
            }
            for signature in body.chunks_exact(entry) {
                let (owner, data) = signature.split_first_chunk::<OWNER>()?;
                entries.push(Self { kind: *kind, owner: *owner, data });
            }
            contents = contents.get(list..)?;
        }
        Some(entries)
    }
}

/// SignatureType, SignatureListSize, SignatureHeaderSize, SignatureSize.
const LIST_HEADER: usize = 28;
/// Bytes of SignatureOwner.
const OWNER: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A list of entries of 4 bytes, under an owner of nines.
    fn list(entries: &[[u8; 4]]) -> Vec<u8> {
        let size = u32::try_from(entries.len()).unwrap().wrapping_mul(20).wrapping_add(30).to_le_bytes();
        let head = [&[7; 16][..], &size, &2_u32.to_le_bytes(), &20_u32.to_le_bytes(), b"hd"].concat();
        entries.iter().fold(head, |list, entry| [&list[..], &[9; 16], entry].concat())
    }

    #[test]
    fn entries_come_in_the_order_of_their_lists() {
        let bytes = [list(&[*b"one.", *b"two."]), list(&[]), list(&[*b"last"])].concat();
        let entries = SignatureEntry::parse_all(&bytes).unwrap();
        let data: Vec<&[u8]> = entries.iter().map(|entry| entry.data).collect();
        assert_eq!(data, [b"one.", b"two.", b"last"]);
        assert!(entries.iter().all(|entry| (entry.kind, entry.owner) == ([7; 16], [9; 16])));
        assert_eq!(SignatureEntry::parse_all(&[]), Some(Vec::new()));
    }

    #[test]
    fn a_list_that_does_not_add_up_is_none() {
        let whole = list(&[*b"one.", *b"two."]);
        for len in 1..whole.len() {
            assert_eq!(SignatureEntry::parse_all(&whole[..len]), None, "{len}");
        }
        // SignatureListSize, SignatureHeaderSize and SignatureSize: too small, too large, and none at all.
        for (at, value) in [(16, 27), (16, 71), (16, 0), (20, 3), (20, 70), (24, 0), (24, 16), (24, 19)] {
            let mut altered = whole.clone();
            altered[at] = value;
            assert_eq!(SignatureEntry::parse_all(&altered), None, "{value} at {at}");
        }
        let mut endless = whole;
        endless[16..28].fill(0xff);
        assert_eq!(SignatureEntry::parse_all(&endless), None);
    }

    #[test]
    fn as_many_entries_are_taken_as_any_database_has_and_no_more() {
        let most = [list(&[*b"data"; 2000]), list(&[*b"data"; 48])].concat();
        assert_eq!(SignatureEntry::parse_all(&most).unwrap().len(), 2048);
        assert_eq!(SignatureEntry::parse_all(&[most, list(&[*b"more"])].concat()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_entries_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(entries) = SignatureEntry::parse_all(&bytes) {
                prop_assert!(entries.len() <= bytes.len());
            }
        }
    }
}
