//! PCR values from the files that tools leave, named as evidence has them (`crates/evidence/SPEC.md`, 2.8).
//!
//! Where a file names its values, its names are kept, so that what was not quoted is refused later and never relabelled.
//! Only bare values are named by the quote's selection.

use claims::tpm::HashAlgorithm;
use evidence::tpm::{PcrSelection, PcrValues};

/// The values of a file, named: `tpm2-tools`' serialized file (`tpm2_quote -o`), what `tpm2_pcrread` prints, bare values
/// (`tpm2_pcrread -o`), or values that are named already. `None` for anything else.
pub fn named(bytes: &[u8], quoted: &[PcrSelection]) -> Option<Vec<u8>> {
    if !bytes.is_empty() && PcrValues::parse(bytes).is_ok() {
        return Some(bytes.to_vec());
    }
    serialized(bytes).or_else(|| bare(bytes, quoted)).or_else(|| printed(bytes, quoted))
}

fn name(bank: HashAlgorithm, index: u8, value: &[u8]) -> Option<Vec<u8>> {
    let fits = value.len() == bank.digest_len();
    fits.then(|| [&bank.id().to_be_bytes()[..], &[index], value].concat())
}

/// The values of a selection, in its order, out of an iterator of as many.
fn name_all<'a>(
    selection: &[PcrSelection],
    mut values: impl FnMut(HashAlgorithm) -> Option<&'a [u8]>,
) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    for PcrSelection { bank, bits } in selection.iter().copied() {
        for index in (PcrSelection { bank, bits }).indices() {
            all.extend(name(bank, index, values(bank)?)?);
        }
    }
    Some(all)
}

/// TPML_PCR_SELECTION and an array of TPML_DIGEST as the C structures lie in memory, little-endian.
fn serialized(bytes: &[u8]) -> Option<Vec<u8>> {
    let (head, lists) = bytes.split_at_checked(SELECTION_LEN)?;
    let (count, banks) = split_u32(head)?;
    let selections = banks.as_chunks::<8>().0.iter().take(usize::try_from(count).ok()?);
    let selection = selections.map(|[low, high, _, a, b, c, _, _]| {
        let bank = HashAlgorithm::from_id(u16::from_le_bytes([*low, *high]))?;
        Some(PcrSelection { bank, bits: u32::from_le_bytes([*a, *b, *c, 0]) })
    });
    let selection = selection.collect::<Option<Vec<_>>>()?;
    let (count, lists) = split_u32(lists)?;
    let mut values = Vec::new();
    for list in lists.chunks(LIST_LEN) {
        let (count, digests) = split_u32(list)?;
        for digest in digests.chunks(DIGEST_LEN).take(usize::try_from(count).ok()?) {
            let (len, value) = digest.split_first_chunk::<2>()?;
            values.push(value.get(..usize::from(u16::from_le_bytes(*len)))?);
        }
    }
    let whole = usize::try_from(count).ok()?.checked_mul(LIST_LEN) == Some(lists.len());
    let mut rest = values.into_iter();
    let all = name_all(&selection, |_| rest.next())?;
    (whole && rest.next().is_none()).then_some(all)
}

fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*head), rest))
}

/// Values behind one another, in the order of the quote's selection.
fn bare(bytes: &[u8], quoted: &[PcrSelection]) -> Option<Vec<u8>> {
    let mut rest = bytes;
    let all = name_all(quoted, |bank| {
        let (value, more) = rest.split_at_checked(bank.digest_len())?;
        rest = more;
        Some(value)
    });
    all.filter(|_| rest.is_empty())
}

/// Lines of `sha256:`, below each `7 : 0x...`; of these, what was quoted.
fn printed(bytes: &[u8], quoted: &[PcrSelection]) -> Option<Vec<u8>> {
    let mut bank: Option<HashAlgorithm> = None;
    let mut found: Vec<(HashAlgorithm, u8, Vec<u8>)> = Vec::new();
    for line in core::str::from_utf8(bytes).ok()?.lines() {
        let (left, right) = line.split_once(':')?;
        match (left.trim().parse::<u8>(), right.trim()) {
            (Ok(index), value) => found.push((bank?, index, hex::decode(value.strip_prefix("0x")?).ok()?)),
            (Err(_), "") => bank = Some(left.trim().parse().ok()?),
            _ => return None,
        }
    }
    let mut all = Vec::new();
    for PcrSelection { bank, bits } in quoted.iter().copied() {
        for index in (PcrSelection { bank, bits }).indices() {
            let value = found.iter().find(|(of, at, _)| (*of, *at) == (bank, index));
            all.extend(name(bank, index, &value?.2)?);
        }
    }
    Some(all)
}

/// sizeof(TPML_PCR_SELECTION): a count and 16 of 8 bytes.
const SELECTION_LEN: usize = 132;
/// sizeof(TPML_DIGEST): a count and 8 TPM2B_DIGEST.
const LIST_LEN: usize = 532;
/// sizeof(TPM2B_DIGEST).
const DIGEST_LEN: usize = 66;

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTED: [PcrSelection; 1] = [PcrSelection { bank: HashAlgorithm::Sha256, bits: 0b1001 }];

    fn expected() -> Vec<u8> {
        [&[0, 0x0b, 0][..], &[7; 32], &[0, 0x0b, 3], &[9; 32]].concat()
    }

    /// A file of one list, whose selection has these bits.
    fn file(bits: u8) -> Vec<u8> {
        let mut head = [&1_u32.to_le_bytes()[..], &[0x0b, 0, 3, bits, 0, 0, 0, 0]].concat();
        head.resize(SELECTION_LEN, 0);
        let digest = |byte: u8| [&[32, 0][..], &[byte; 32], &[0; 32]].concat();
        let mut list = [&2_u32.to_le_bytes()[..], &digest(7), &digest(9)].concat();
        list.resize(LIST_LEN, 0);
        [&head[..], &1_u32.to_le_bytes(), &list].concat()
    }

    #[test]
    fn values_are_read_from_every_form() {
        assert_eq!(named(&expected(), &QUOTED), Some(expected()));
        assert_eq!(named(&file(0b1001), &QUOTED), Some(expected()));
        assert_eq!(named(&[[7; 32], [9; 32]].concat(), &QUOTED), Some(expected()));
        let value = |byte: &str| format!("0x{}", byte.repeat(32));
        let text = format!(
            "  sha1:\n  sha256:\n    0 : {}\n    1 : {}\n    3 : {}\n",
            value("07"),
            value("05"),
            value("09")
        );
        assert_eq!(named(text.as_bytes(), &QUOTED), Some(expected()));
    }

    #[test]
    fn a_file_keeps_its_own_names_and_nothing_else_is_taken() {
        let relabelled = named(&file(0b10001), &QUOTED).unwrap();
        assert_eq!(PcrValues::parse(&relabelled).unwrap().selection()[0].bits, 0b10001);
        for wrong in
            [&file(0b1)[..], &file(0b111), &file(0b1001)[..600], &[], b"sha256:\n  0 : 0x07", &[1; 63]]
        {
            assert_eq!(named(wrong, &QUOTED), None);
        }
    }
}
