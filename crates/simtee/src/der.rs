//! Writes the DER that certificates need (X.690, 10), bottom up: each function gives one whole element.
//!
//! Nothing here reads DER, so that no parser of the project can agree with a mistake of this writer.

use claims::UnixTime;

/// SEQUENCE of elements that are already encoded.
pub(crate) fn sequence(elements: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &elements.concat())
}

/// SET of one element, as a relative distinguished name needs it.
pub(crate) fn set_of(only: &[u8]) -> Vec<u8> {
    element(0x31, only)
}

/// Explicitly tagged element, context class, `[number]` with number 0 to 30.
pub(crate) fn explicit(number: u8, inner: &[u8]) -> Vec<u8> {
    element(0xa0 | number, inner)
}

/// Non-negative INTEGER.
pub(crate) fn integer(value: u64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(7);
    let digits = bytes.get(first..).unwrap_or_default();
    let sign: &[u8] = if digits.first().is_some_and(|byte| *byte >= 0x80) { &[0] } else { &[] };
    element(0x02, &[sign, digits].concat())
}

/// BOOLEAN TRUE.
pub(crate) fn boolean_true() -> Vec<u8> {
    element(0x01, &[0xff])
}

/// NULL.
pub(crate) fn null() -> Vec<u8> {
    element(0x05, &[])
}

/// OBJECT IDENTIFIER from its arcs, at least two.
pub(crate) fn oid(arcs: &[u32]) -> Vec<u8> {
    let (first, rest) = match arcs {
        [a, b, rest @ ..] => (a.saturating_mul(40).saturating_add(*b), rest),
        _ => (0, arcs),
    };
    let bytes: Vec<u8> = std::iter::once(first).chain(rest.iter().copied()).flat_map(base_128).collect();
    element(0x06, &bytes)
}

/// UTF8String.
pub(crate) fn utf8(text: &str) -> Vec<u8> {
    element(0x0c, text.as_bytes())
}

/// PrintableString; the caller keeps to its alphabet.
pub(crate) fn printable(text: &str) -> Vec<u8> {
    element(0x13, text.as_bytes())
}

/// IA5String; the caller keeps to ASCII.
pub(crate) fn ia5(text: &str) -> Vec<u8> {
    element(0x16, text.as_bytes())
}

/// OCTET STRING.
pub(crate) fn octets(bytes: &[u8]) -> Vec<u8> {
    element(0x04, bytes)
}

/// BIT STRING with this many unused bits at its end, 0 to 7.
pub(crate) fn bits(bytes: &[u8], unused: u8) -> Vec<u8> {
    element(0x03, &[&[unused], bytes].concat())
}

/// UTCTime until 2049, GeneralizedTime from 2050 on (RFC 5280, 4.1.2.5).
pub(crate) fn time(at: UnixTime) -> Vec<u8> {
    let digits: String = at.to_string().chars().filter(char::is_ascii_digit).collect();
    let (century, rest) = digits.split_at_checked(2).unwrap_or_default();
    if digits.as_str() < "2050" {
        element(0x17, format!("{rest}Z").as_bytes())
    } else {
        element(0x18, format!("{century}{rest}Z").as_bytes())
    }
}

/// One element of any tag.
pub(crate) fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let len = u64::try_from(contents.len()).unwrap_or(u64::MAX);
    let len_bytes = len.to_be_bytes();
    let first = len_bytes.iter().position(|byte| *byte != 0).unwrap_or(7);
    let digits = len_bytes.get(first..).unwrap_or_default();
    let long: &[u8] = match digits.len() {
        1 if len < 0x80 => &[],
        1 => &[0x81],
        2 => &[0x82],
        _ => &[0x83],
    };
    [&[tag], long, digits, contents].concat()
}

/// An arc in base 128, most significant digit first, all but the last marked.
fn base_128(arc: u32) -> Vec<u8> {
    let digits = [28, 21, 14, 7, 0].map(|shift| (arc >> shift).to_le_bytes()[0] & 0x7f);
    let first = digits.iter().position(|digit| *digit != 0).unwrap_or(4);
    let marked = digits.iter().enumerate().skip(first);
    marked.map(|(i, digit)| if i < 4 { digit | 0x80 } else { *digit }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_as_short_as_der_asks() {
        assert_eq!(integer(0), [2, 1, 0]);
        assert_eq!(integer(0x7f), [2, 1, 0x7f]);
        assert_eq!(integer(0x80), [2, 2, 0, 0x80]);
        assert_eq!(integer(0x30001), [2, 3, 3, 0, 1]);
    }

    #[test]
    fn lengths_are_as_short_as_der_asks() {
        assert_eq!(element(4, &[0; 0x7f])[..2], [4, 0x7f]);
        assert_eq!(element(4, &[0; 0x80])[..3], [4, 0x81, 0x80]);
        assert_eq!(element(4, &[0; 0x100])[..4], [4, 0x82, 1, 0]);
        assert_eq!(element(4, &[0; 0x1_0000])[..5], [4, 0x83, 1, 0, 0]);
    }

    #[test]
    fn object_identifiers_have_their_published_bytes() {
        assert_eq!(oid(&[1, 2, 840, 113_549, 1, 1, 10]), *b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a");
        let amd = *b"\x06\x0a\x2b\x06\x01\x04\x01\x9c\x78\x01\x03\x08";
        assert_eq!(oid(&[1, 3, 6, 1, 4, 1, 3704, 1, 3, 8]), amd);
        assert_eq!(oid(&[2, 5, 29, 19]), [6, 3, 0x55, 0x1d, 0x13]);
    }

    #[test]
    fn times_change_their_form_in_2050() {
        let at = |text| time(UnixTime::parse(text).unwrap());
        assert_eq!(at("2049-12-31T23:59:59Z"), *b"\x17\x0d491231235959Z");
        assert_eq!(at("2050-01-01T00:00:00Z"), *b"\x18\x0f20500101000000Z");
        assert_eq!(at("1999-01-01T00:00:00Z"), *b"\x17\x0d990101000000Z");
    }
}
