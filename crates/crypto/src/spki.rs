//! SubjectPublicKeyInfo of RSA keys (RFC 8017, A.1.1; RFC 5280, 4.1): from modulus and exponent, and back.
//!
//! TPMs and JSON web keys give numbers, libraries take DER. Written and read here, so that no key has two encodings.

/// The DER of a key, or `None` unless both numbers are without leading zeros and the modulus has at most 1024 bytes.
pub(crate) fn of_components(modulus: &[u8], exponent: &[u8]) -> Option<Vec<u8>> {
    let proper = |number: &[u8]| number.first().is_some_and(|first| *first != 0);
    if !proper(modulus) || !proper(exponent) || modulus.len() > 1024 || exponent.len() > 8 {
        return None;
    }
    let key = element(0x30, &[integer(modulus), integer(exponent)].concat());
    let bits = element(0x03, &[&[0], key.as_slice()].concat());
    Some(element(0x30, &[RSA_ENCRYPTION, &bits].concat()))
}

/// Modulus and exponent, big-endian without leading zeros, of a key in DER.
pub(crate) fn components(spki: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (outer, rest) = take(0x30, spki)?;
    let bits = outer.strip_prefix(RSA_ENCRYPTION).filter(|_| rest.is_empty())?;
    let (bits, rest) = take(0x03, bits)?;
    let key = bits.strip_prefix(&[0]).filter(|_| rest.is_empty())?;
    let (key, rest) = take(0x30, key)?;
    let (modulus, exponent) = take(0x02, key).filter(|_| rest.is_empty())?;
    let (exponent, rest) = take(0x02, exponent)?;
    let unsigned = |number: &[u8]| number.strip_prefix(&[0]).unwrap_or(number).to_vec();
    rest.is_empty().then(|| (unsigned(modulus), unsigned(exponent)))
}

fn integer(number: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if number.first().is_some_and(|first| *first >= 0x80) { &[0] } else { &[] };
    element(0x02, &[sign, number].concat())
}

/// One element of less than 64 KiB.
fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(contents.len()).unwrap_or(u16::MAX).to_be_bytes();
    let head: &[u8] = match (high, low) {
        (0, 0..=0x7f) => &[tag, low],
        (0, _) => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    [head, contents].concat()
}

/// The contents of an element of this tag, and what follows it.
fn take(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = match bytes {
        [found, 0x81, low, rest @ ..] if *found == tag => (usize::from(*low), rest),
        [found, 0x82, high, low, rest @ ..] if *found == tag => {
            (usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        [found, len @ 0..=0x7f, rest @ ..] if *found == tag => (usize::from(*len), rest),
        _ => return None,
    };
    rest.split_at_checked(len)
}

/// AlgorithmIdentifier of rsaEncryption with NULL parameters.
const RSA_ENCRYPTION: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_come_back() {
        for len in [1, 100, 127, 128, 256, 512] {
            for first in [0x7f, 0x80] {
                let modulus = [vec![first], vec![5; len - 1]].concat();
                let der = of_components(&modulus, &[1, 0, 1]).unwrap();
                assert_eq!(components(&der), Some((modulus, vec![1, 0, 1])));
                assert!((0..der.len()).all(|len| components(&der[..len]).is_none()));
                assert_eq!(components(&[&der[..], &[0]].concat()), None);
            }
        }
    }

    #[test]
    fn numbers_with_leading_zeros_are_no_key() {
        assert_eq!(of_components(&[0, 1], &[3]), None);
        assert_eq!(of_components(&[1], &[0]), None);
        assert_eq!(of_components(&[], &[3]), None);
        assert_eq!(of_components(&[1; 1025], &[3]), None);
    }
}
