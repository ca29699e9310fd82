//! From the DER form of an ECDSA signature to its fixed one.

/// Turns `SEQUENCE { INTEGER r, INTEGER s }` into r then s, 48 bytes each, big-endian.
///
/// For signatures that this crate has just made; `None` for anything else. Lengths of P-384 signatures fit one
/// byte each, so the long form does not occur.
pub(crate) fn to_fixed(der: &[u8]) -> Option<[u8; 96]> {
    let (body, rest) = take(der, 0x30)?;
    let (r, s) = take(body, 0x02)?;
    let (s, end) = take(s, 0x02)?;
    let mut out = [0; 96];
    let (left, right) = out.split_at_mut(48);
    right_align(r, left)?;
    right_align(s, right)?;
    (rest.is_empty() && end.is_empty()).then_some(out)
}

/// The contents of the first element, which must have this tag, and what follows it.
fn take(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let [found, len, rest @ ..] = der else { return None };
    (*found == tag && *len < 0x80).then(|| rest.split_at_checked(usize::from(*len)))?
}

fn right_align(integer: &[u8], out: &mut [u8]) -> Option<()> {
    let digits = match integer {
        [0, digits @ ..] => digits,
        digits => digits,
    };
    let start = out.len().checked_sub(digits.len())?;
    out.get_mut(start..)?.copy_from_slice(digits);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
        let integer = |digits: &[u8]| [&[0x02, digits.len() as u8], digits].concat();
        let body = [integer(r), integer(s)].concat();
        [&[0x30, body.len() as u8][..], &body].concat()
    }

    #[test]
    fn short_and_padded_integers_are_aligned_to_the_right() {
        let longest = [&[0][..], &[0xFF; 48]].concat();
        let mut expected = [0xFF; 96];
        assert_eq!(to_fixed(&der(&longest, &longest)), Some(expected));
        expected[..48].fill(0);
        expected[47] = 5;
        assert_eq!(to_fixed(&der(&[5], &longest)), Some(expected));
    }

    #[test]
    fn what_is_no_signature_of_this_curve_is_refused() {
        let good = der(&[1; 48], &[2; 48]);
        assert!(to_fixed(&good).is_some());
        assert!((0..good.len()).all(|len| to_fixed(&good[..len]).is_none()));
        assert_eq!(to_fixed(&[&good[..], b"\0"].concat()), None);
        assert_eq!(to_fixed(&der(&[1; 49], &[2; 48])), None);
        assert_eq!(to_fixed(&[&[0x31], &good[1..]].concat()), None);
    }
}
