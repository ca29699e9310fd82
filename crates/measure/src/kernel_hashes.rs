//! The table of hashes that QEMU adds to a guest that it boots directly with `-kernel` (`kernel-hashes=on`).
//!
//! Layout of QEMU's `target/i386/sev.c`: a GUID and a length, then three entries of GUID, length and SHA-256 for
//! command line, initrd and kernel, padded with zeros to 16 bytes. Firmware of the package `AmdSev` compares them
//! with what it is handed before it starts the kernel.

use claims::Sha256Digest;

use crate::launch_digest::PAGE_LEN;
use crate::little_endian::{guid, put};

/// The hashes of what the hypervisor loads beside the firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelHashes {
    kernel: Sha256Digest,
    initrd: Sha256Digest,
    command_line: Sha256Digest,
}

impl KernelHashes {
    /// Bytes of the table, padding included.
    pub(crate) const LEN: u32 = 176;

    /// Takes the SHA-256 of the kernel file and of the initrd file (none: of no bytes), and the command line as
    /// given to `-append`, without its final NUL.
    pub fn new(kernel: Sha256Digest, initrd: Option<Sha256Digest>, command_line: &str) -> Self {
        let initrd = initrd.unwrap_or_else(|| Sha256Digest(crypto::sha256(&[])));
        let command_line = Sha256Digest(crypto::sha256(&[command_line.as_bytes(), &[0]]));
        Self { kernel, initrd, command_line }
    }

    /// The page that holds the table `offset` bytes from its start, and zeros else.
    pub(crate) fn page(&self, offset: usize) -> [u8; PAGE_LEN] {
        let mut page = [0; PAGE_LEN];
        put(&mut page, offset, &self.table());
        page
    }

    fn table(&self) -> Vec<u8> {
        let entry = |name: [u8; 16], hash: &Sha256Digest| [&name[..], &ENTRY_LEN, &hash.0].concat();
        [
            [&HEADER[..], &TABLE_LEN].concat(),
            entry(COMMAND_LINE, &self.command_line),
            entry(INITRD, &self.initrd),
            entry(KERNEL, &self.kernel),
        ]
        .concat()
    }
}

const HEADER: [u8; 16] = guid(0x9438d606_4f22_4cc9_b479_a793d411fd21);
const COMMAND_LINE: [u8; 16] = guid(0x97d02dd8_bd20_4c94_aa78_e7714d36ab2a);
const INITRD: [u8; 16] = guid(0x44baf731_3a2f_4bd7_9af1_41e29169781d);
const KERNEL: [u8; 16] = guid(0x4de79437_abd2_427f_b835_d5b172d2045b);
/// 16 bytes of GUID, 2 of length, 32 of hash.
const ENTRY_LEN: [u8; 2] = 50_u16.to_le_bytes();
/// 18 bytes of header, and three entries.
const TABLE_LEN: [u8; 2] = 168_u16.to_le_bytes();
