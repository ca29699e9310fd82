//! KDFa and KDFe: the TPM's key derivations (TCG TPM 2.0 Library 1.59, part 1, 11.4.10.2 and 11.4.10.3; NIST SP 800-108
//! in counter mode, and SP 800-56A, 5.8.1, of one block).

use crate::{Hmac384Key, HmacKey, sha256, sha384};

/// Fills `out` (at most 8160 bytes) with HMAC-SHA256 of counter, `label`, a NUL, both contexts and the length in bits.
pub fn kdfa_sha256(key: &[u8], label: &str, context_u: &[u8], context_v: &[u8], out: &mut [u8]) {
    let key = HmacKey::new(key);
    kdfa(|parts| key.tag(parts), [label.as_bytes(), context_u, context_v], out);
}

/// As [`kdfa_sha256`], with HMAC-SHA384 and at most 12240 bytes.
pub fn kdfa_sha384(key: &[u8], label: &str, context_u: &[u8], context_v: &[u8], out: &mut [u8]) {
    let key = Hmac384Key::new(key);
    kdfa(|parts| key.tag(parts), [label.as_bytes(), context_u, context_v], out);
}

fn kdfa<const N: usize>(
    tag: impl Fn(&[&[u8]]) -> [u8; N],
    [label, context_u, context_v]: [&[u8]; 3],
    out: &mut [u8],
) {
    let bits = u32::try_from(out.len().saturating_mul(8)).unwrap_or(u32::MAX).to_be_bytes();
    for (counter, block) in (1_u32..).zip(out.chunks_mut(N)) {
        let parts = [&counter.to_be_bytes()[..], label, &[0], context_u, context_v, &bits];
        block.iter_mut().zip(tag(&parts)).for_each(|(to, from)| *to = from);
    }
}

/// A block of KDFe with SHA-256: of the counter, the shared secret, `label`, a NUL, and what both parties say of
/// themselves. For ECDH all three are x coordinates as long as the curve's field.
pub fn kdfe_sha256(shared: &[u8], label: &str, party_u: &[u8], party_v: &[u8]) -> [u8; 32] {
    sha256(&[&FIRST_BLOCK, shared, label.as_bytes(), &[0], party_u, party_v])
}

/// As [`kdfe_sha256`], with SHA-384.
pub fn kdfe_sha384(shared: &[u8], label: &str, party_u: &[u8], party_v: &[u8]) -> [u8; 48] {
    sha384(&[&FIRST_BLOCK, shared, label.as_bytes(), &[0], party_u, party_v])
}

const FIRST_BLOCK: [u8; 4] = 1_u32.to_be_bytes();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_counted_and_cut() {
        let mut long = [0; 40];
        kdfa_sha256(b"key", "STORAGE", b"u", b"v", &mut long);
        let tag = |counter: u8| {
            let bits = 320_u32.to_be_bytes();
            HmacKey::new(b"key").tag(&[&[0, 0, 0, counter], b"STORAGE\0", b"uv", &bits])
        };
        assert_eq!((long[..32].to_vec(), long[32..].to_vec()), (tag(1).to_vec(), tag(2)[..8].to_vec()));

        let mut long = [0; 50];
        kdfa_sha384(b"key", "STORAGE", b"u", b"v", &mut long);
        let tag = |counter: u8| {
            let bits = 400_u32.to_be_bytes();
            Hmac384Key::new(b"key").tag(&[&[0, 0, 0, counter], b"STORAGE\0", b"uv", &bits])
        };
        assert_eq!((long[..48].to_vec(), long[48..].to_vec()), (tag(1).to_vec(), tag(2)[..2].to_vec()));
    }

    #[test]
    fn both_parties_follow_the_label() {
        let message = b"\0\0\0\x01zIDENTITY\0uv";
        assert_eq!(kdfe_sha256(b"z", "IDENTITY", b"u", b"v"), sha256(&[message]));
        assert_eq!(kdfe_sha384(b"z", "IDENTITY", b"u", b"v"), sha384(&[message]));
    }
}
