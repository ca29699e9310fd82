//! The attestation report, written field by field (AMD SEV-SNP ABI 1.58, publication 56860, table 23).
//!
//! The offsets here are this crate's own: sharing them with the decoder would let a wrong one cancel out. A
//! [`ReportBuilder`] takes any value in any field, and any byte anywhere, *before* it is signed; [`flip_bit`] alters
//! what is signed already.

use core::ops::Range;

use claims::snp::{Product, Tcb};
use crypto::P384SigningKey;

use crate::SimError;

/// Bytes of a report.
pub const REPORT_LEN: usize = 1184;
/// Bytes of a report that its signature covers, from its start.
pub const SIGNED_LEN: usize = 0x2a0;

/// A field of `N` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<const N: usize> {
    offset: usize,
}

impl<const N: usize> Field<N> {
    const fn at(offset: usize) -> Self {
        assert!(offset.saturating_add(N) <= REPORT_LEN, "a field lies within the report");
        Self { offset }
    }

    /// Where the field lies, in bytes.
    pub fn range(self) -> Range<usize> {
        self.offset..self.offset.saturating_add(N)
    }

    /// The field's bytes in a report; zeros if the report is too short.
    pub fn read(self, report: &[u8]) -> [u8; N] {
        let bytes = report.get(self.range());
        bytes.and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
    }
}

/// The fields of a report. Integers are little-endian.
pub mod field {
    use super::Field;

    macro_rules! fields {
        ($($name:ident: $len:literal @ $offset:literal, $doc:literal;)*) => {$(
            #[doc = $doc]
            pub const $name: Field<$len> = Field::at($offset);
        )*};
    }

    fields! {
        VERSION: 4 @ 0x000, "VERSION, u32.";
        GUEST_SVN: 4 @ 0x004, "GUEST_SVN, u32.";
        POLICY: 8 @ 0x008, "POLICY, u64.";
        FAMILY_ID: 16 @ 0x010, "FAMILY_ID.";
        IMAGE_ID: 16 @ 0x020, "IMAGE_ID.";
        VMPL: 4 @ 0x030, "VMPL, u32.";
        SIGNATURE_ALGO: 4 @ 0x034, "SIGNATURE_ALGO, u32: 1 is ECDSA on P-384 with SHA-384.";
        CURRENT_TCB: 8 @ 0x038, "CURRENT_TCB.";
        PLATFORM_INFO: 8 @ 0x040, "PLATFORM_INFO, u64.";
        KEY_INFO: 4 @ 0x048, "KEY_INFO, u32: AUTHOR_KEY_EN, MASK_CHIP_KEY, SIGNING_KEY in bits 4 to 2.";
        REPORT_DATA: 64 @ 0x050, "REPORT_DATA.";
        MEASUREMENT: 48 @ 0x090, "MEASUREMENT.";
        HOST_DATA: 32 @ 0x0c0, "HOST_DATA.";
        ID_KEY_DIGEST: 48 @ 0x0e0, "ID_KEY_DIGEST.";
        AUTHOR_KEY_DIGEST: 48 @ 0x110, "AUTHOR_KEY_DIGEST.";
        REPORT_ID: 32 @ 0x140, "REPORT_ID.";
        REPORT_ID_MA: 32 @ 0x160, "REPORT_ID_MA: all ones where there is no migration agent.";
        REPORTED_TCB: 8 @ 0x180, "REPORTED_TCB.";
        CPUID: 3 @ 0x188, "Family, model, stepping; from version 3 on.";
        CHIP_ID: 64 @ 0x1a0, "CHIP_ID.";
        COMMITTED_TCB: 8 @ 0x1e0, "COMMITTED_TCB.";
        CURRENT_FIRMWARE: 3 @ 0x1e8, "Build, minor, major of the firmware that runs.";
        COMMITTED_FIRMWARE: 3 @ 0x1ec, "Build, minor, major of the committed firmware.";
        LAUNCH_TCB: 8 @ 0x1f0, "LAUNCH_TCB.";
        LAUNCH_MIT_VECTOR: 8 @ 0x1f8, "LAUNCH_MIT_VECTOR, u64; from version 5 on.";
        CURRENT_MIT_VECTOR: 8 @ 0x200, "CURRENT_MIT_VECTOR, u64; from version 5 on.";
        SIGNATURE_R: 72 @ 0x2a0, "R of the signature, little-endian; written when the report is signed.";
        SIGNATURE_S: 72 @ 0x2e8, "S of the signature, little-endian; written when the report is signed.";
    }
}

/// A report that is not signed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportBuilder {
    bytes: [u8; REPORT_LEN],
}

impl ReportBuilder {
    /// All zeros.
    pub fn blank() -> Self {
        Self { bytes: [0; REPORT_LEN] }
    }

    /// Writes one field.
    pub fn put<const N: usize>(&mut self, field: Field<N>, value: [u8; N]) -> &mut Self {
        if let Some(place) = self.bytes.get_mut(field.range()) {
            place.copy_from_slice(&value);
        }
        self
    }

    /// The raw bytes, for what no field reaches: reserved places, and the signature's own.
    pub fn bytes_mut(&mut self) -> &mut [u8; REPORT_LEN] {
        &mut self.bytes
    }

    /// Signs the first [`SIGNED_LEN`] bytes and writes R and S, little-endian, into their places. Everything else
    /// stays as it was put.
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn signed_by(mut self, key: &P384SigningKey) -> Result<[u8; REPORT_LEN], SimError> {
        let signature = key.sign_fixed(self.bytes.get(..SIGNED_LEN).unwrap_or_default())?;
        let (r, s) = signature.split_at(48);
        self.put(field::SIGNATURE_R, little_endian(r)).put(field::SIGNATURE_S, little_endian(s));
        Ok(self.bytes)
    }
}

/// Flips one bit of what is signed already. Bit 0 is the lowest of the first byte, bit 8 the lowest of the second.
///
/// # Errors
/// [`SimError::NoSuchBit`] beyond the end.
pub fn flip_bit(bytes: &mut [u8], bit: usize) -> Result<(), SimError> {
    let bits = bytes.len().saturating_mul(8);
    let byte = bytes.get_mut(bit / 8).ok_or(SimError::NoSuchBit { bit, bits })?;
    *byte ^= 1 << (bit % 8);
    Ok(())
}

/// A TCB version as it stands in a report of this product, 8 bytes.
///
/// Milan and Genoa: bootloader, TEE, four zeros, SNP, microcode. Turin: FMC, bootloader, TEE, SNP, three zeros,
/// microcode.
///
/// # Errors
/// [`SimError::TcbLayout`] if there is an FMC and the product has none, or the other way round.
pub fn tcb_bytes(tcb: Tcb, product: Product) -> Result<[u8; 8], SimError> {
    let mut bytes = [0; 8];
    let [b0, b1, b2, b3, .., b6, b7] = &mut bytes;
    *b7 = tcb.microcode;
    match (product, tcb.fmc) {
        (Product::Turin, Some(fmc)) => (*b0, *b1, *b2, *b3) = (fmc, tcb.bootloader, tcb.tee, tcb.snp),
        (Product::Milan | Product::Genoa, None) => (*b0, *b1, *b6) = (tcb.bootloader, tcb.tee, tcb.snp),
        _ => return Err(SimError::TcbLayout { product }),
    }
    Ok(bytes)
}

/// A big-endian number of at most 72 bytes as R and S stand in a report.
fn little_endian(big_endian: &[u8]) -> [u8; 72] {
    let mut out = [0; 72];
    out.iter_mut().zip(big_endian.iter().rev()).for_each(|(to, from)| *to = *from);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::P384PublicKey;

    #[test]
    fn a_signature_covers_the_signed_range_and_nothing_else() {
        let key = P384SigningKey::generate().unwrap();
        let public = P384PublicKey::from_sec1(&key.public_sec1()).unwrap();
        let mut builder = ReportBuilder::blank();
        builder.bytes_mut()[0x330..].fill(0xee);
        let report = builder.signed_by(&key).unwrap();
        let mut signature = [0; 96];
        signature[..48].copy_from_slice(&report[0x2a0..0x2d0]);
        signature[48..].copy_from_slice(&report[0x2e8..0x318]);
        signature[..48].reverse();
        signature[48..].reverse();
        assert_eq!(public.verify_fixed(&report[..0x2a0], &signature), Ok(()));
        assert_eq!(report[0x2d0..0x2e8], [0; 24]);
        assert_eq!(report[0x318..0x330], [0; 24]);
        assert_eq!(report[0x330..], [0xee; 0x170]);
    }

    #[test]
    fn a_tcb_has_the_layout_of_its_product() {
        let tcb = Tcb { fmc: None, bootloader: 1, tee: 2, snp: 3, microcode: 4 };
        let turin = Tcb { fmc: Some(9), ..tcb };
        assert_eq!(tcb_bytes(tcb, Product::Milan).unwrap(), [1, 2, 0, 0, 0, 0, 3, 4]);
        assert_eq!(tcb_bytes(tcb, Product::Genoa).unwrap(), [1, 2, 0, 0, 0, 0, 3, 4]);
        assert_eq!(tcb_bytes(turin, Product::Turin).unwrap(), [9, 1, 2, 3, 0, 0, 0, 4]);
        assert!(matches!(tcb_bytes(turin, Product::Genoa), Err(SimError::TcbLayout { .. })));
        assert!(matches!(tcb_bytes(tcb, Product::Turin), Err(SimError::TcbLayout { .. })));
    }

    #[test]
    fn flipping_alters_one_bit_only() {
        let mut bytes = [0; 4];
        flip_bit(&mut bytes, 17).unwrap();
        assert_eq!(bytes, [0, 0, 2, 0]);
        assert!(matches!(flip_bit(&mut bytes, 32), Err(SimError::NoSuchBit { bit: 32, bits: 32 })));
    }
}
