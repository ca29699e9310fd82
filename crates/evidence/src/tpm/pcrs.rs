//! PCR values, each with its bank and index (`SPEC.md`, section 2.8).
//!
//! Values name themselves, so that none can be taken for another by its place; `verify` holds the names against the
//! selection that is signed.

use claims::tpm::{Digest, HashAlgorithm};

use super::TpmError;
use super::attest::{PCR_COUNT, PcrSelection};
use super::reader::Reader;

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PcrValue {
    /// The bank.
    pub bank: HashAlgorithm,
    /// The index, 0 to 23.
    pub index: u8,
    /// The value, as long as the bank's digests.
    pub value: Digest,
}

/// Values in the order in which a quote digests them: bank by bank, indices rising.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PcrValues {
    values: Vec<PcrValue>,
}

impl PcrValues {
    /// Parses exactly these bytes: for each value the bank (TPM_ALG_ID, two bytes, big-endian), the index, the value.
    ///
    /// # Errors
    /// [`TpmError`], the first in the order of the bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, TpmError> {
        let mut reader = Reader::new("pcr values", bytes);
        let mut values: Vec<PcrValue> = Vec::new();
        while !reader.is_empty() {
            let bank = reader.hash("bank")?;
            let index = parse_index(&mut reader)?;
            check_order(&values, bank, index)?;
            values.push(PcrValue { bank, index, value: reader.digest(bank)? });
        }
        Ok(Self { values })
    }

    /// The values, in order.
    pub fn values(&self) -> &[PcrValue] {
        &self.values
    }

    /// The selection that these values would answer.
    pub fn selection(&self) -> Vec<PcrSelection> {
        let mut all: Vec<PcrSelection> = Vec::new();
        for PcrValue { bank, index, .. } in &self.values {
            let bit = 1_u32.checked_shl(u32::from(*index)).unwrap_or(0);
            match all.last_mut() {
                Some(last) if last.bank == *bank => last.bits |= bit,
                _ => all.push(PcrSelection { bank: *bank, bits: bit }),
            }
        }
        all
    }
}

fn parse_index(reader: &mut Reader<'_>) -> Result<u8, TpmError> {
    match reader.u8()? {
        index if index < PCR_COUNT => Ok(index),
        got => Err(TpmError::Value { field: "pcr index", expected: "0 to 23", got: got.into() }),
    }
}

/// The bank goes on with a higher index, or a new bank begins.
fn check_order(values: &[PcrValue], bank: HashAlgorithm, index: u8) -> Result<(), TpmError> {
    match values.last() {
        Some(last) if last.bank == bank && last.index >= index => {
            Err(TpmError::PcrOrder { bank, previous: last.index, got: index })
        }
        Some(last) if last.bank != bank && values.iter().any(|value| value.bank == bank) => {
            Err(TpmError::RepeatedBank { bank })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(bank: HashAlgorithm, index: u8) -> Vec<u8> {
        [&bank.id().to_be_bytes()[..], &[index], &vec![index; bank.digest_len()]].concat()
    }

    const SHA256: HashAlgorithm = HashAlgorithm::Sha256;
    const SHA384: HashAlgorithm = HashAlgorithm::Sha384;

    #[test]
    fn values_know_the_selection_that_they_answer() {
        let bytes = [value(SHA384, 7), value(SHA256, 0), value(SHA256, 16)].concat();
        let parsed = PcrValues::parse(&bytes).unwrap();
        let bits = [(SHA384, 1 << 7), (SHA256, 1 | 1 << 16)];
        assert_eq!(parsed.selection(), bits.map(|(bank, bits)| PcrSelection { bank, bits }));
        assert_eq!(parsed.values()[2].value, Digest(vec![16; 32]));
    }

    #[test]
    fn one_set_of_values_has_one_encoding() {
        let refusal = |parts: &[Vec<u8>]| PcrValues::parse(&parts.concat()).unwrap_err();
        let twice = [value(SHA256, 3), value(SHA256, 3)];
        assert_eq!(refusal(&twice), TpmError::PcrOrder { bank: SHA256, previous: 3, got: 3 });
        let again = [value(SHA256, 3), value(SHA384, 3), value(SHA256, 4)];
        assert_eq!(refusal(&again), TpmError::RepeatedBank { bank: SHA256 });
        let high = TpmError::Value { field: "pcr index", expected: "0 to 23", got: 24 };
        assert_eq!(refusal(&[value(SHA256, 24)]), high);
        let short = TpmError::Truncated { structure: "pcr values", needed: 32, got: 31 };
        assert_eq!(refusal(&[value(SHA256, 1)[..34].to_vec()]), short);
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = PcrValues::parse(&bytes);
        }
    }
}
