//! What an SEV-SNP attestation report says (AMD SEV-SNP ABI 1.58, publication 56860, tables 9, 23 and 24).

use core::fmt;
use core::str::FromStr;

use crate::{ChipId, Measurement, ReportData, UnixTime};

/// A processor family with its own root of trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Product {
    /// EPYC 7003.
    Milan,
    /// EPYC 9004, 97x4 (Bergamo) and 8004 (Siena).
    Genoa,
    /// EPYC 9005.
    Turin,
}

impl Product {
    /// AMD's name, as it stands in certificates and on the key distribution service.
    pub fn name(self) -> &'static str {
        match self {
            Self::Milan => "Milan",
            Self::Genoa => "Genoa",
            Self::Turin => "Turin",
        }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Product {
    type Err = &'static str;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let found = [Self::Milan, Self::Genoa, Self::Turin].into_iter().find(|p| p.name() == s);
        found.ok_or("not a product; use Milan, Genoa or Turin")
    }
}

/// The versions of the parts that a guest must trust, each by itself.
///
/// Compare components, never the raw integer: their order in it differs between products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tcb {
    /// Firmware of the FMC; Turin only.
    pub fmc: Option<u8>,
    /// AMD secure processor's bootloader.
    pub bootloader: u8,
    /// AMD secure processor's operating system.
    pub tee: u8,
    /// SNP firmware.
    pub snp: u8,
    /// Lowest microcode patch level of all cores, its low byte.
    pub microcode: u8,
}

impl Tcb {
    /// Reads a TCB version as it stands in a report, 8 bytes little-endian, in the product's layout.
    ///
    /// Milan and Genoa: bootloader, TEE, four reserved, SNP, microcode. Turin: FMC, bootloader, TEE, SNP, three
    /// reserved, microcode. Reserved bytes are not looked at.
    pub fn from_report_bytes(bytes: [u8; 8], product: Product) -> Self {
        match (product, bytes) {
            (Product::Turin, [fmc, bootloader, tee, snp, _, _, _, microcode]) => {
                Self { fmc: Some(fmc), bootloader, tee, snp, microcode }
            }
            (_, [bootloader, tee, _, _, _, _, snp, microcode]) => {
                Self { fmc: None, bootloader, tee, snp, microcode }
            }
        }
    }

    /// The bytes that [`Self::from_report_bytes`] reads, with zeros in the reserved places.
    pub fn to_report_bytes(self) -> [u8; 8] {
        match self.fmc {
            Some(fmc) => [fmc, self.bootloader, self.tee, self.snp, 0, 0, 0, self.microcode],
            None => [self.bootloader, self.tee, 0, 0, 0, 0, self.snp, self.microcode],
        }
    }

    /// Whether every component is at least the other's. A missing FMC counts as zero.
    pub fn at_least(&self, floor: &Self) -> bool {
        self.fmc.unwrap_or(0) >= floor.fmc.unwrap_or(0)
            && self.bootloader >= floor.bootloader
            && self.tee >= floor.tee
            && self.snp >= floor.snp
            && self.microcode >= floor.microcode
    }
}

impl fmt::Display for Tcb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(fmc) = self.fmc {
            write!(f, "fmc {fmc}, ")?;
        }
        let Self { bootloader, tee, snp, microcode, .. } = self;
        write!(f, "bootloader {bootloader}, tee {tee}, snp {snp}, microcode {microcode}")
    }
}

/// The guest policy that the launch asked for: 64 bits, POLICY of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GuestPolicy(pub u64);

impl GuestPolicy {
    /// Lowest ABI minor version that the firmware must have.
    pub fn abi_minor(self) -> u8 {
        self.0.to_le_bytes()[0]
    }
    /// Lowest ABI major version that the firmware must have.
    pub fn abi_major(self) -> u8 {
        self.0.to_le_bytes()[1]
    }
    /// Bit 16: simultaneous multithreading is allowed.
    pub fn smt_allowed(self) -> bool {
        self.bit(16)
    }
    /// Bit 18: association with a migration agent is allowed.
    pub fn migrate_ma_allowed(self) -> bool {
        self.bit(18)
    }
    /// Bit 19: the host may debug the guest, and so read it.
    pub fn debug_allowed(self) -> bool {
        self.bit(19)
    }
    /// Bit 20: the guest runs on one socket only.
    pub fn single_socket(self) -> bool {
        self.bit(20)
    }
    /// Bit 21: CXL devices are allowed.
    pub fn cxl_allowed(self) -> bool {
        self.bit(21)
    }
    /// Bit 22: AES-256-XTS memory encryption is required.
    pub fn mem_aes_256_xts(self) -> bool {
        self.bit(22)
    }
    /// Bit 23: running average power limit must be off.
    pub fn rapl_disabled(self) -> bool {
        self.bit(23)
    }
    /// Bit 24: ciphertext hiding is required.
    pub fn ciphertext_hiding(self) -> bool {
        self.bit(24)
    }
    /// Bit 25: guest page swap must be off.
    pub fn page_swap_disabled(self) -> bool {
        self.bit(25)
    }
    /// Whether this bit, 0 to 63, is set.
    pub fn bit(self, bit: u32) -> bool {
        self.0.checked_shr(bit).unwrap_or(0) & 1 == 1
    }
}

/// What the platform has switched on: 64 bits, PLATFORM_INFO of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlatformInfo(pub u64);

impl PlatformInfo {
    /// Bit 0: simultaneous multithreading is on.
    pub fn smt(self) -> bool {
        self.bit(0)
    }
    /// Bit 1: transparent memory encryption is on.
    pub fn tsme(self) -> bool {
        self.bit(1)
    }
    /// Bit 2: memory has error correction.
    pub fn ecc(self) -> bool {
        self.bit(2)
    }
    /// Bit 3: running average power limit is off.
    pub fn rapl_disabled(self) -> bool {
        self.bit(3)
    }
    /// Bit 4: ciphertext hiding is on.
    pub fn ciphertext_hiding(self) -> bool {
        self.bit(4)
    }
    /// Bit 5: the check for aliased memory has completed since the last reset.
    pub fn alias_check_complete(self) -> bool {
        self.bit(5)
    }
    /// Bit 6: IOMMU writes are safe (name from third parties; AMD's document was not at hand).
    pub fn iommu_write_safe(self) -> bool {
        self.bit(6)
    }
    /// Bit 7: trusted I/O is on.
    pub fn tio(self) -> bool {
        self.bit(7)
    }
    /// Bits 8 to 63, which have no name here: for policy to judge.
    pub fn unknown_bits(self) -> u64 {
        self.0 & !0xff
    }
    /// Whether this bit, 0 to 63, is set.
    pub fn bit(self, bit: u32) -> bool {
        self.0.checked_shr(bit).unwrap_or(0) & 1 == 1
    }
}

/// Which key signed a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SigningKey {
    /// The chip's own key (versioned chip endorsement key).
    Vcek,
    /// A cloud provider's key (versioned loaded endorsement key).
    Vlek,
}

impl SigningKey {
    /// The name that policies use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vcek => "vcek",
            Self::Vlek => "vlek",
        }
    }
}

/// A processor model as CPUID names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CpuId {
    /// Combined extended family and family.
    pub family: u8,
    /// Combined extended model and model.
    pub model: u8,
    /// Stepping.
    pub stepping: u8,
}

/// What a verified report says, in the units of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnpClaims {
    /// VERSION of the report: 2, 3, 5, or 4 where the operator believes it.
    pub version: u32,
    /// The product whose root vouches for the report.
    pub product: Product,
    /// Family, model and stepping; from version 3 on.
    pub cpuid: Option<CpuId>,
    /// MEASUREMENT.
    pub measurement: Measurement,
    /// REPORT_DATA.
    pub report_data: ReportData,
    /// HOST_DATA: 32 bytes that the host set at launch.
    pub host_data: [u8; 32],
    /// ID_KEY_DIGEST, SHA-384; `None` where the launch had no ID block.
    pub id_key_digest: Option<[u8; 48]>,
    /// AUTHOR_KEY_DIGEST, SHA-384; `None` unless AUTHOR_KEY_EN is set.
    pub author_key_digest: Option<[u8; 48]>,
    /// FAMILY_ID, 16 bytes of the ID block.
    pub family_id: [u8; 16],
    /// IMAGE_ID, 16 bytes of the ID block.
    pub image_id: [u8; 16],
    /// GUEST_SVN, from the ID block.
    pub guest_svn: u32,
    /// VMPL of the requester, 0 to 3.
    pub vmpl: u32,
    /// POLICY.
    pub policy: GuestPolicy,
    /// PLATFORM_INFO.
    pub platform: PlatformInfo,
    /// REPORTED_TCB: what the signing key was derived for.
    pub reported_tcb: Tcb,
    /// COMMITTED_TCB: below which the firmware will not go.
    pub committed_tcb: Tcb,
    /// CURRENT_TCB: what runs.
    pub current_tcb: Tcb,
    /// LAUNCH_TCB: what ran when the guest was launched.
    pub launch_tcb: Tcb,
    /// Current firmware: major, minor, build.
    pub current_firmware: (u8, u8, u8),
    /// Committed firmware: major, minor, build.
    pub committed_firmware: (u8, u8, u8),
    /// LAUNCH_MIT_VECTOR; from version 5 on.
    pub launch_mit_vector: Option<u64>,
    /// CURRENT_MIT_VECTOR; from version 5 on.
    pub current_mit_vector: Option<u64>,
    /// Which key signed.
    pub signing_key: SigningKey,
    /// CHIP_ID; `None` where the host masks it, as it does under a VLEK.
    pub chip_id: Option<ChipId>,
    /// CSP_ID of the VLEK's certificate: the cloud provider that holds the key, in AMD's words, 1 to 128 printable
    /// ASCII characters; `None` under a VCEK.
    pub csp_id: Option<String>,
    /// When AMD issued the revocation list that the certificates were checked against; `None` where there was no
    /// valid one.
    pub crl_issued: Option<UnixTime>,
    /// REPORT_ID: 32 bytes, the same for all reports of one launch.
    pub report_id: [u8; 32],
}

impl SnpClaims {
    /// Whether the platform runs firmware that it has not committed to: it may still go back to an older one.
    pub fn is_provisional(&self) -> bool {
        self.committed_tcb != self.current_tcb || self.committed_firmware != self.current_firmware
    }
}
