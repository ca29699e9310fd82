//! The certificate table of an extended report, as `/dev/sev-guest` and configfs-tsm give it (AMD, SEV-ES Guest-
//! Hypervisor Communication Block Standardization, publication 56421, SNP Extended Guest Request).
//!
//! Entries of 24 bytes (GUID in the byte order of RFC 4122, offset and length, little-endian u32, offsets from the
//! table's start), a zero entry, then the certificates.

/// GUID of the VCEK: 63da758d-e664-4564-adc5-f4b93be8accd.
pub const VCEK: [u8; 16] = 0x63da758d_e664_4564_adc5_f4b93be8accd_u128.to_be_bytes();
/// GUID of the VLEK: a8074bc2-a25a-483e-aae6-39c045a0b8a1.
pub const VLEK: [u8; 16] = 0xa8074bc2_a25a_483e_aae6_39c045a0b8a1_u128.to_be_bytes();
/// GUID of the ASK and of the ASVK: 4ab7b379-bbac-4fe4-a02f-05aef327c782.
pub const ASK: [u8; 16] = 0x4ab7b379_bbac_4fe4_a02f_05aef327c782_u128.to_be_bytes();
/// GUID of the ARK: c0b406a4-a803-4952-9743-3fb6014cd0ae.
pub const ARK: [u8; 16] = 0xc0b406a4_a803_4952_9743_3fb6014cd0ae_u128.to_be_bytes();

/// A table of certificates: GUID and contents, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateTable {
    /// The entries; nothing keeps a GUID from standing twice, or contents from being no certificate.
    pub entries: Vec<([u8; 16], Vec<u8>)>,
}

impl CertificateTable {
    /// The table's bytes, without padding at the end.
    pub fn encode(&self) -> Vec<u8> {
        let mut offset = ENTRY_LEN.saturating_mul(self.entries.len().saturating_add(1));
        let mut table = Vec::new();
        for (guid, contents) in &self.entries {
            table.extend(guid);
            table.extend(word(offset));
            table.extend(word(contents.len()));
            offset = offset.saturating_add(contents.len());
        }
        table.extend([0; ENTRY_LEN]);
        self.entries.iter().for_each(|(_, contents)| table.extend(contents));
        table
    }
}

fn word(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes()
}

const ENTRY_LEN: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_its_entries_then_zeros_then_its_contents() {
        let table = CertificateTable { entries: vec![(VCEK, vec![1; 3]), (ARK, vec![2; 2])] }.encode();
        assert_eq!(table[..16], *b"\x63\xda\x75\x8d\xe6\x64\x45\x64\xad\xc5\xf4\xb9\x3b\xe8\xac\xcd");
        assert_eq!(table[16..24], [72, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(table[24..40], ARK);
        assert_eq!(table[40..48], [75, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(table[48..72], [0; 24]);
        assert_eq!(table[72..], [1, 1, 1, 2, 2]);
    }
}
