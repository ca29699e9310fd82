//! KDFa: the TPM's key derivation (TCG TPM 2.0 Library 1.59, part 1, 11.4.10.2; NIST SP 800-108 in counter mode).

use crate::HmacKey;

/// Fills `out` (at most 8160 bytes) with HMAC-SHA256 of counter, `label`, a NUL, both contexts and the length in bits.
pub fn kdfa_sha256(key: &[u8], label: &str, context_u: &[u8], context_v: &[u8], out: &mut [u8]) {
    let key = HmacKey::new(key);
    let bits = u32::try_from(out.len().saturating_mul(8)).unwrap_or(u32::MAX).to_be_bytes();
    for (counter, block) in (1_u32..).zip(out.chunks_mut(32)) {
        let parts = [&counter.to_be_bytes()[..], label.as_bytes(), &[0], context_u, context_v, &bits];
        block.iter_mut().zip(key.tag(&parts)).for_each(|(to, from)| *to = from);
    }
}

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
    }
}
