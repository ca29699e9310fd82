//! The SEV-SNP attestation report (AMD SEV-SNP ABI 1.58, publication 56860, table 23): 1184 bytes, little-endian.
//!
//! The parse follows the table from top to bottom. The bytes are kept as they came, because they are what the
//! signature covers; fields and bytes cannot drift apart, as neither can be changed once parsed. TCB versions stay
//! raw: their layout depends on the product, which only an authenticated chain names.

use claims::snp::{CpuId, GuestPolicy, PlatformInfo};
use claims::{ChipId, Measurement, ReportData};

use super::KeyInfo;

/// A report, parsed and unverified.
#[derive(Debug)]
pub struct Report {
    raw: Box<[u8; Report::LEN]>,
    fields: ReportFields,
    signature: [u8; 96],
}

/// The fields of a report, in the order of the table. Plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportFields {
    /// VERSION: 2, 3, 4 or 5. Version 4 is read as version 3; whether it is believed is the operator's to say.
    pub version: u32,
    /// GUEST_SVN, from the ID block.
    pub guest_svn: u32,
    /// POLICY.
    pub policy: GuestPolicy,
    /// FAMILY_ID, from the ID block.
    pub family_id: [u8; 16],
    /// IMAGE_ID, from the ID block.
    pub image_id: [u8; 16],
    /// VMPL of the requester; 0xffffffff where the host asked for the report.
    pub vmpl: u32,
    /// SIGNATURE_ALGO: 1, ECDSA P-384 with SHA-384.
    pub signature_algorithm: u32,
    /// CURRENT_TCB, raw.
    pub current_tcb: [u8; 8],
    /// PLATFORM_INFO, unknown bits included.
    pub platform: PlatformInfo,
    /// KEY_INFO.
    pub key_info: KeyInfo,
    /// REPORT_DATA.
    pub report_data: ReportData,
    /// MEASUREMENT.
    pub measurement: Measurement,
    /// HOST_DATA.
    pub host_data: [u8; 32],
    /// ID_KEY_DIGEST; zero where the launch had no ID block.
    pub id_key_digest: [u8; 48],
    /// AUTHOR_KEY_DIGEST; means nothing unless KEY_INFO says that it does.
    pub author_key_digest: [u8; 48],
    /// REPORT_ID.
    pub report_id: [u8; 32],
    /// REPORT_ID_MA; all 0xff without a migration agent.
    pub report_id_ma: [u8; 32],
    /// REPORTED_TCB, raw.
    pub reported_tcb: [u8; 8],
    /// CPUID family, model and stepping; from version 3 on.
    pub cpuid: Option<CpuId>,
    /// CHIP_ID; zero where the host masks it.
    pub chip_id: ChipId,
    /// COMMITTED_TCB, raw.
    pub committed_tcb: [u8; 8],
    /// Firmware that runs: major, minor, build.
    pub current_firmware: (u8, u8, u8),
    /// Firmware that is committed: major, minor, build.
    pub committed_firmware: (u8, u8, u8),
    /// LAUNCH_TCB, raw.
    pub launch_tcb: [u8; 8],
    /// LAUNCH_MIT_VECTOR; from version 5 on.
    pub launch_mit_vector: Option<u64>,
    /// CURRENT_MIT_VECTOR; from version 5 on.
    pub current_mit_vector: Option<u64>,
}

/// Bytes that are no report of a version that is read here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// Not the length of a report.
    #[error("wrong length of the report: expected {expected} bytes, got {got}")]
    Length {
        /// Bytes of a report.
        expected: usize,
        /// Bytes given.
        got: usize,
    },
    /// A version whose layout is not known.
    #[error("report version not supported: expected 2, 3, 4 or 5, got {got}")]
    Version {
        /// The version found.
        got: u32,
    },
    /// A byte that must be zero is not.
    #[error("reserved byte {offset:#05x} ({field}) is set: expected 0x00, got {got:#04x}")]
    Reserved {
        /// Where in the report, in bytes.
        offset: usize,
        /// What the bytes belong to.
        field: &'static str,
        /// What stands there.
        got: u8,
    },
    /// POLICY has bit 17 clear, which must be one.
    #[error("bit 17 of the guest policy must be one: got policy {got:#x}")]
    PolicyBit17 {
        /// The policy found.
        got: u64,
    },
    /// POLICY has bits without a meaning.
    #[error("reserved bits of the guest policy are set: expected none of bits 63:26, got {got:#x}")]
    PolicyReserved {
        /// The reserved bits that are set.
        got: u64,
    },
    /// KEY_INFO has bits without a meaning.
    #[error("reserved bits of the key information are set: expected none of bits 31:5, got {got:#x}")]
    KeyInfoReserved {
        /// The reserved bits that are set.
        got: u32,
    },
    /// SIGNATURE_ALGO is not ECDSA P-384 with SHA-384.
    #[error("signature algorithm not supported: expected 1 (ECDSA P-384 with SHA-384), got {got}")]
    SignatureAlgorithm {
        /// The code found.
        got: u32,
    },
}

impl Report {
    /// Bytes of a report.
    pub const LEN: usize = 1184;
    /// How many of them, from the first, the signature covers.
    pub const SIGNED_LEN: usize = 0x2a0;
    /// VMPL of a report that the host asked for.
    pub const HOST_VMPL: u32 = u32::MAX;

    /// Parses exactly [`Self::LEN`] bytes of a report of version 2, 3, 4 or 5.
    ///
    /// # Errors
    /// Each variant of [`ReportError`], for what its name says; the first in the order of the bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReportError> {
        let raw: Box<[u8; Self::LEN]> = Box::new(*exact(bytes)?);
        let mut cursor = Cursor { rest: raw.as_slice() };
        let fields = parse_signed(&mut cursor)?;
        let signature = parse_signature(&mut cursor)?;
        Ok(Self { raw, fields, signature })
    }

    /// Whether bytes seem to be a report, perhaps cut short, altered, or with something behind it: they have its length,
    /// or a small version, and policy or signature algorithm as a report has them.
    pub(crate) fn seems(bytes: &[u8]) -> bool {
        let mut head = Cursor { rest: bytes };
        let fits = |cursor: &mut Cursor<'_>| {
            let small = (1..=0xff).contains(&cursor.u32()?);
            let _guest_svn = cursor.u32()?;
            let policy = parse_policy(cursor).is_ok();
            let _ids_and_vmpl: [u8; 36] = cursor.take()?;
            Ok::<_, ReportError>(small && (policy || parse_algorithm(cursor).is_ok()))
        };
        bytes.len() == Self::LEN || fits(&mut head).unwrap_or(false)
    }

    /// The version, of bytes of which no more is asked than that and their length.
    ///
    /// # Errors
    /// [`ReportError::Length`] and [`ReportError::Version`].
    pub(crate) fn version_of(bytes: &[u8]) -> Result<u32, ReportError> {
        parse_version(&mut Cursor { rest: exact(bytes)? })
    }

    /// The fields.
    pub fn fields(&self) -> &ReportFields {
        &self.fields
    }

    /// All 1184 bytes as they came.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.raw
    }

    /// The 0x2a0 bytes that the signature covers, as they came.
    pub fn signed_bytes(&self) -> &[u8] {
        self.raw.split_at(Self::SIGNED_LEN).0
    }

    /// The signature: r then s, 48 bytes each, big-endian.
    pub fn signature_be(&self) -> [u8; 96] {
        self.signature
    }
}

/// As many bytes as a report has.
fn exact(bytes: &[u8]) -> Result<&[u8; Report::LEN], ReportError> {
    let wrong = ReportError::Length { expected: Report::LEN, got: bytes.len() };
    bytes.try_into().map_err(|_| wrong)
}

fn parse_version(cursor: &mut Cursor<'_>) -> Result<u32, ReportError> {
    match cursor.u32()? {
        version @ 2..=5 => Ok(version),
        got => Err(ReportError::Version { got }),
    }
}

/// Offsets 0x000 to 0x29f.
fn parse_signed(cursor: &mut Cursor<'_>) -> Result<ReportFields, ReportError> {
    let version = parse_version(cursor)?;
    let fields = ReportFields {
        version,
        guest_svn: cursor.u32()?,
        policy: parse_policy(cursor)?,
        family_id: cursor.take()?,
        image_id: cursor.take()?,
        vmpl: cursor.u32()?,
        signature_algorithm: parse_algorithm(cursor)?,
        current_tcb: cursor.take()?,
        platform: PlatformInfo(cursor.u64()?),
        key_info: parse_key_info(cursor)?,
        report_data: ReportData(cursor.take()?),
        measurement: Measurement(cursor.take()?),
        host_data: cursor.take()?,
        id_key_digest: cursor.take()?,
        author_key_digest: cursor.take()?,
        report_id: cursor.take()?,
        report_id_ma: cursor.take()?,
        reported_tcb: cursor.take()?,
        cpuid: parse_cpuid(cursor, version)?,
        chip_id: ChipId(cursor.take()?),
        committed_tcb: cursor.take()?,
        current_firmware: parse_firmware(cursor, "after the current firmware version")?,
        committed_firmware: parse_firmware(cursor, "after the committed firmware version")?,
        launch_tcb: cursor.take()?,
        launch_mit_vector: parse_mit_vector(cursor, version)?,
        current_mit_vector: parse_mit_vector(cursor, version)?,
    };
    cursor.reserved::<0x98>("end of the signed part").map(|()| fields)
}

fn parse_policy(cursor: &mut Cursor<'_>) -> Result<GuestPolicy, ReportError> {
    let policy = GuestPolicy(cursor.u64()?);
    if !policy.bit(17) {
        return Err(ReportError::PolicyBit17 { got: policy.0 });
    }
    match policy.0 & POLICY_RESERVED {
        0 => Ok(policy),
        got => Err(ReportError::PolicyReserved { got }),
    }
}

fn parse_algorithm(cursor: &mut Cursor<'_>) -> Result<u32, ReportError> {
    match cursor.u32()? {
        ECDSA_P384_SHA384 => Ok(ECDSA_P384_SHA384),
        got => Err(ReportError::SignatureAlgorithm { got }),
    }
}

fn parse_key_info(cursor: &mut Cursor<'_>) -> Result<KeyInfo, ReportError> {
    let key_info = KeyInfo(cursor.u32()?);
    match key_info.reserved_bits() {
        0 => cursor.reserved::<4>("after the key information").map(|()| key_info),
        got => Err(ReportError::KeyInfoReserved { got }),
    }
}

/// 24 bytes: from version 3 on family, model and stepping come first.
fn parse_cpuid(cursor: &mut Cursor<'_>, version: u32) -> Result<Option<CpuId>, ReportError> {
    if version < 3 {
        return cursor.reserved::<24>("after the reported tcb").map(|()| None);
    }
    let [family, model, stepping] = cursor.take()?;
    cursor.reserved::<21>("after the cpuid").map(|()| Some(CpuId { family, model, stepping }))
}

fn parse_firmware(cursor: &mut Cursor<'_>, after: &'static str) -> Result<(u8, u8, u8), ReportError> {
    let [build, minor, major] = cursor.take()?;
    cursor.reserved::<1>(after).map(|()| (major, minor, build))
}

fn parse_mit_vector(cursor: &mut Cursor<'_>, version: u32) -> Result<Option<u64>, ReportError> {
    if version < 5 {
        cursor.reserved::<8>("after the launch tcb").map(|()| None)
    } else {
        cursor.u64().map(Some)
    }
}

/// Offsets 0x2a0 to 0x49f: r and s, 72 bytes each, little-endian; the rest is not signed and must be zero.
fn parse_signature(cursor: &mut Cursor<'_>) -> Result<[u8; 96], ReportError> {
    let mut signature = [0; 96];
    let (r, s) = signature.split_at_mut(48);
    for (half, padding) in [(r, "padding of r"), (s, "padding of s")] {
        let little_endian: [u8; 48] = cursor.take()?;
        half.iter_mut().zip(little_endian.iter().rev()).for_each(|(to, from)| *to = *from);
        cursor.reserved::<24>(padding)?;
    }
    cursor.reserved::<0x170>("end of the signature").map(|()| signature)
}

/// What of a report is still to be read.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], ReportError> {
        let got = self.offset();
        let too_short = ReportError::Length { expected: Report::LEN, got };
        let (head, rest) = self.rest.split_first_chunk().ok_or(too_short)?;
        self.rest = rest;
        Ok(*head)
    }

    fn u32(&mut self) -> Result<u32, ReportError> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, ReportError> {
        self.take().map(u64::from_le_bytes)
    }

    fn reserved<const N: usize>(&mut self, field: &'static str) -> Result<(), ReportError> {
        let start = self.offset();
        let bytes: [u8; N] = self.take()?;
        match bytes.iter().enumerate().find(|(_, byte)| **byte != 0) {
            None => Ok(()),
            Some((i, got)) => {
                Err(ReportError::Reserved { offset: start.saturating_add(i), field, got: *got })
            }
        }
    }

    fn offset(&self) -> usize {
        Report::LEN.saturating_sub(self.rest.len())
    }
}

/// SIGNATURE_ALGO of ECDSA P-384 with SHA-384.
const ECDSA_P384_SHA384: u32 = 1;
/// Bits 63:26 of POLICY.
const POLICY_RESERVED: u64 = !0x03ff_ffff;

#[cfg(test)]
mod tests;
