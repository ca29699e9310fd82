//! TPMS_ATTEST of a quote (TCG TPM 2.0 Library 1.59, part 2, 10.12), strictly: one encoding, no bytes after it.
//!
//! The bytes are kept as they came: they are what is signed.

use claims::tpm::{Digest, HashAlgorithm, ObjectName};

use super::TpmError;
use super::reader::Reader;

/// A quote, parsed and unverified.
#[derive(Debug)]
pub struct Attest {
    raw: Box<[u8]>,
    fields: QuoteFields,
}

/// The fields of a quote. Plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuoteFields {
    /// qualifiedSigner: the key's Name, chained with those of its parents.
    pub qualified_signer: ObjectName,
    /// extraData: what the caller wanted signed, at most 66 bytes.
    pub extra_data: Vec<u8>,
    /// clockInfo.clock, milliseconds.
    pub clock_ms: u64,
    /// clockInfo.resetCount.
    pub reset_count: u32,
    /// clockInfo.restartCount.
    pub restart_count: u32,
    /// clockInfo.safe.
    pub safe: bool,
    /// firmwareVersion.
    pub firmware_version: u64,
    /// pcrSelect: each bank once.
    pub selection: Vec<PcrSelection>,
    /// pcrDigest.
    pub pcr_digest: Digest,
}

/// The selected PCRs of one bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcrSelection {
    /// The bank.
    pub bank: HashAlgorithm,
    /// PCR `i` is selected if bit `i` is set, 0 to 23.
    pub bits: u32,
}

impl PcrSelection {
    /// The selected indices, rising.
    pub fn indices(&self) -> impl Iterator<Item = u8> {
        let bits = self.bits;
        (0..PCR_COUNT).filter(move |index| bits.checked_shr(u32::from(*index)).unwrap_or(0) & 1 == 1)
    }
}

impl Attest {
    /// Most bytes of a quote.
    pub const MAX_LEN: usize = 1024;

    /// Parses exactly these bytes.
    ///
    /// # Errors
    /// Each variant of [`TpmError`], for what its name says; the first in the order of the bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, TpmError> {
        let (limit, got) = (Self::MAX_LEN, bytes.len());
        if got > limit {
            return Err(TpmError::TooLong { field: "quote", limit, got });
        }
        let mut reader = Reader::new("quote", bytes);
        let fields = parse_fields(&mut reader)?;
        reader.finish()?;
        Ok(Self { raw: bytes.into(), fields })
    }

    /// The fields.
    pub fn fields(&self) -> &QuoteFields {
        &self.fields
    }

    /// The bytes that are signed, as they came.
    pub fn as_bytes(&self) -> &[u8] {
        &self.raw
    }
}

fn parse_fields(reader: &mut Reader<'_>) -> Result<QuoteFields, TpmError> {
    match reader.u32()? {
        TPM_GENERATED => (),
        got => return Err(TpmError::Magic { got }),
    }
    match reader.u16()? {
        ST_ATTEST_QUOTE => (),
        got => return Err(TpmError::AttestType { got }),
    }
    Ok(QuoteFields {
        qualified_signer: reader.name("qualified signer")?,
        extra_data: reader.sized("extra data", EXTRA_DATA_LIMIT)?.to_vec(),
        clock_ms: reader.u64()?,
        reset_count: reader.u32()?,
        restart_count: reader.u32()?,
        safe: parse_safe(reader)?,
        firmware_version: reader.u64()?,
        selection: parse_selection(reader)?,
        pcr_digest: Digest(reader.sized("pcr digest", DIGEST_LIMIT)?.to_vec()),
    })
}

fn parse_safe(reader: &mut Reader<'_>) -> Result<bool, TpmError> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        got => Err(TpmError::Value { field: "safe", expected: "0 or 1", got: got.into() }),
    }
}

/// TPML_PCR_SELECTION, canonical: three bytes for each bank, no bank twice, none without PCRs.
fn parse_selection(reader: &mut Reader<'_>) -> Result<Vec<PcrSelection>, TpmError> {
    let count = reader.u32()?;
    if !(1..=MAX_BANKS).contains(&count) {
        return Err(TpmError::Value { field: "number of banks", expected: "1 to 4", got: count.into() });
    }
    let mut all: Vec<PcrSelection> = Vec::new();
    for _ in 0..count {
        let bank = reader.hash("bank")?;
        match reader.u8()? {
            SELECT_LEN => (),
            got => {
                let field = "size of a pcr selection";
                return Err(TpmError::Value { field, expected: "3", got: got.into() });
            }
        }
        let [low, middle, high] = reader.take()?;
        let selection = PcrSelection { bank, bits: u32::from_le_bytes([low, middle, high, 0]) };
        if selection.bits == 0 {
            return Err(TpmError::EmptyBank { bank });
        }
        if all.iter().any(|other| other.bank == bank) {
            return Err(TpmError::RepeatedBank { bank });
        }
        all.push(selection);
    }
    Ok(all)
}

/// PCRs of a PC client's TPM.
pub(super) const PCR_COUNT: u8 = 24;
const TPM_GENERATED: u32 = 0xff54_4347;
const ST_ATTEST_QUOTE: u16 = 0x8018;
/// Bytes of the longest TPM2B_DATA: a TPMT_HA with SHA-512.
const EXTRA_DATA_LIMIT: usize = 66;
const DIGEST_LIMIT: usize = 64;
const MAX_BANKS: u32 = 4;
/// Bytes that 24 PCRs take.
const SELECT_LEN: u8 = 3;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A quote over one bank, with what `alter` makes of its parts: selection, then everything.
    fn quote(selection: &[u8]) -> Vec<u8> {
        let head = [0xff, 0x54, 0x43, 0x47, 0x80, 0x18, 0, 34, 0, 0x0b];
        let clock = [0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 3, 0, 0, 0, 1, 1];
        let firmware = 0x2022_0101_u64.to_be_bytes();
        let digest = [&[0, 32][..], &[8; 32]].concat();
        let extra = [&[0, 4][..], b"data"].concat();
        [&head[..], &[7; 32], &extra, &clock, &firmware, selection, &digest].concat()
    }

    const SHA256_0_TO_7: [u8; 10] = [0, 0, 0, 1, 0, 0x0b, 3, 0xff, 0, 0];

    fn refusal(bytes: &[u8]) -> TpmError {
        Attest::parse(bytes).unwrap_err()
    }

    #[test]
    fn reads_every_field() {
        let bytes = quote(&SHA256_0_TO_7);
        let attest = Attest::parse(&bytes).unwrap();
        let fields = attest.fields();
        assert_eq!(fields.qualified_signer.to_string(), format!("000b{}", "07".repeat(32)));
        assert_eq!((fields.extra_data.as_slice(), fields.clock_ms), (&b"data"[..], 9));
        assert_eq!((fields.reset_count, fields.restart_count, fields.safe), (3, 1, true));
        assert_eq!(fields.firmware_version, 0x2022_0101);
        assert_eq!(fields.selection, [PcrSelection { bank: HashAlgorithm::Sha256, bits: 0xff }]);
        assert_eq!(fields.selection[0].indices().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(fields.pcr_digest, Digest(vec![8; 32]));
        assert_eq!(attest.as_bytes(), bytes);
    }

    #[test]
    fn what_no_tpm_made_is_refused_by_its_magic_and_type() {
        let mut bytes = quote(&SHA256_0_TO_7);
        bytes[3] = 0x48;
        assert_eq!(refusal(&bytes), TpmError::Magic { got: 0xff54_4348 });
        let mut bytes = quote(&SHA256_0_TO_7);
        bytes[5] = 0x17;
        assert_eq!(refusal(&bytes), TpmError::AttestType { got: 0x8017 });
    }

    #[test]
    fn every_truncation_and_a_trailing_byte_are_refused() {
        let bytes = quote(&SHA256_0_TO_7);
        for len in 0..bytes.len() {
            assert!(matches!(refusal(&bytes[..len]), TpmError::Truncated { .. }), "{len}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(refusal(&longer), TpmError::Trailing { structure: "quote", got: 1 });
        let error = TpmError::TooLong { field: "quote", limit: 1024, got: 1025 };
        assert_eq!(refusal(&[0; 1025]), error);
        assert!(!matches!(refusal(&[0; 1024]), TpmError::TooLong { .. }));
    }

    #[test]
    fn a_selection_has_one_encoding() {
        let wrong = |field, expected, got| TpmError::Value { field, expected, got };
        let none = [0, 0, 0, 0];
        assert_eq!(refusal(&quote(&none)), wrong("number of banks", "1 to 4", 0));
        let many = [0xff; 4];
        assert_eq!(refusal(&quote(&many)), wrong("number of banks", "1 to 4", u32::MAX.into()));
        let short = [0, 0, 0, 1, 0, 0x0b, 2, 0xff, 0];
        assert_eq!(refusal(&quote(&short)), wrong("size of a pcr selection", "3", 2));
        let twice = [0, 0, 0, 2, 0, 0x0b, 3, 1, 0, 0, 0, 0x0b, 3, 2, 0, 0];
        assert_eq!(refusal(&quote(&twice)), TpmError::RepeatedBank { bank: HashAlgorithm::Sha256 });
        let empty = [0, 0, 0, 1, 0, 0x0c, 3, 0, 0, 0];
        assert_eq!(refusal(&quote(&empty)), TpmError::EmptyBank { bank: HashAlgorithm::Sha384 });
        let other = [0, 0, 0, 1, 0, 0x12, 3, 1, 0, 0];
        assert!(matches!(refusal(&quote(&other)), TpmError::Algorithm { field: "bank", got: 0x12, .. }));
    }

    #[test]
    fn a_signer_that_is_a_handle_and_an_unclear_safe_are_refused() {
        let bytes = quote(&SHA256_0_TO_7);
        let handle = [&bytes[..6], &[0, 4, 0x81, 0, 0, 1], &bytes[42..]].concat();
        assert!(matches!(refusal(&handle), TpmError::Algorithm { field: "qualified signer", .. }));
        let mut unclear = bytes;
        unclear[64] = 2;
        assert_eq!(refusal(&unclear), TpmError::Value { field: "safe", expected: "0 or 1", got: 2 });
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Attest::parse(&[&[0xff, 0x54, 0x43, 0x47, 0x80, 0x18][..], &bytes].concat());
        }
    }
}
