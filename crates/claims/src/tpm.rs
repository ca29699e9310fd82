//! What a TPM 2.0 quote and its event log say (TCG TPM 2.0 Library 1.59, parts 1 and 2; TCG PC Client Platform
//! Firmware Profile 1.06).

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeMap;

use crate::Sha256Digest;

/// A hash algorithm, as a TPM numbers them; also the name of the PCR bank that extends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HashAlgorithm {
    /// SHA-1: read in logs, believed nowhere.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl HashAlgorithm {
    /// Every algorithm, in the order of its number.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// TPM_ALG_ID (TCG Algorithm Registry, table 3).
    pub fn id(self) -> u16 {
        match self {
            Self::Sha1 => 0x0004,
            Self::Sha256 => 0x000b,
            Self::Sha384 => 0x000c,
            Self::Sha512 => 0x000d,
        }
    }

    /// The algorithm of a TPM_ALG_ID, or `None`.
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.id() == id)
    }

    /// Bytes of its digests: 20, 32, 48 or 64.
    pub fn digest_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The name that policies use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for HashAlgorithm {
    type Err = &'static str;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|algorithm| algorithm.name() == s);
        found.ok_or("not a hash algorithm; use sha1, sha256, sha384 or sha512")
    }
}

/// A digest of one of the [`HashAlgorithm`]s: 20, 32, 48 or 64 bytes. Prints as lower-case hexadecimal.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub Vec<u8>);

impl Digest {
    /// Whether every byte is zero: a PCR that nothing was measured into, or of a bank that is switched off.
    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = &'static str;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let error = "not a digest; use 40, 64, 96 or 128 lower-case hexadecimal digits";
        if !matches!(s.len(), 40 | 64 | 96 | 128) {
            return Err(error);
        }
        let digit = |byte: u8| match byte {
            b'0'..=b'9' | b'a'..=b'f' => char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok()),
            _ => None,
        };
        let pairs = s.as_bytes().as_chunks::<2>().0.iter();
        let bytes = pairs.map(|[high, low]| Some((digit(*high)? << 4) | digit(*low)?));
        bytes.collect::<Option<Vec<u8>>>().map(Self).ok_or(error)
    }
}

/// The Name of a TPM object: the hash algorithm's number, then the digest of its public area (part 1, 16).
///
/// It covers the key *and* its attributes, so keys are told apart by it and never by the public key alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    /// nameAlg.
    pub algorithm: HashAlgorithm,
    /// Digest of the public area (TPMT_PUBLIC).
    pub digest: Digest,
}

impl ObjectName {
    /// The Name of these bytes, or `None`: an unknown algorithm, or a digest of another length than its own.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, digest) = bytes.split_first_chunk::<2>()?;
        let algorithm = HashAlgorithm::from_id(u16::from_be_bytes(*id))?;
        let fits = digest.len() == algorithm.digest_len();
        fits.then(|| Self { algorithm, digest: Digest(digest.to_vec()) })
    }

    /// The bytes as a TPM has them: two of the algorithm, big-endian, then the digest.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.algorithm.id().to_be_bytes()[..], &self.digest.0].concat()
    }
}

/// Lower-case hexadecimal of [`ObjectName::to_bytes`], as `tpm2-tools` print it.
impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}{}", self.algorithm.id(), self.digest)
    }
}

impl FromStr for ObjectName {
    type Err = &'static str;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let error = "not a name; use the algorithm's four hexadecimal digits and a digest of that algorithm";
        let (id, digest) = s.split_at_checked(4).ok_or(error)?;
        let id = u16::from_str_radix(id, 16).map_err(|_| error)?;
        let algorithm = HashAlgorithm::from_id(id).ok_or(error)?;
        let digest: Digest = digest.parse().map_err(|_| error)?;
        let fits = digest.0.len() == algorithm.digest_len();
        fits.then_some(Self { algorithm, digest }).ok_or(error)
    }
}

/// Why the attestation key is believed to be a TPM's, and which TPM's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AkBinding {
    /// An SNP report of VMPL 0 binds it, or the endorsement key that it was activated with. Worth as much as the
    /// measurement in that report: whether it is one of a paravisor or service module is for policies to say.
    InTee,
    /// Only what a guest wrote names it.
    GuestVouched,
    /// It was activated with an endorsement key whose certificate leads to a root of the operator's.
    EkCertificate,
    /// An operator enrolled it.
    Enrolled,
}

impl AkBinding {
    /// Every binding.
    pub const ALL: [Self; 4] = [Self::InTee, Self::GuestVouched, Self::EkCertificate, Self::Enrolled];

    /// The name that policies use.
    pub fn name(self) -> &'static str {
        match self {
            Self::InTee => "in-tee",
            Self::GuestVouched => "guest-vouched",
            Self::EkCertificate => "ek-certificate",
            Self::Enrolled => "enrolled",
        }
    }
}

impl FromStr for AkBinding {
    type Err = &'static str;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|binding| binding.name() == s);
        found.ok_or("not a binding; use in-tee, guest-vouched, ek-certificate or enrolled")
    }
}

/// What a verified quote says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TpmClaims {
    /// Why the attestation key is believed.
    pub ak_binding: AkBinding,
    /// Name of the attestation key; `None` on Azure, whose runtime data give the key and not its attributes.
    pub ak_name: Option<ObjectName>,
    /// The bank that [`Self::pcrs`] are of: SHA-256 where it was quoted, else SHA-384. Never SHA-1.
    pub bank: HashAlgorithm,
    /// PCR values by index, 0 to 15, as the signed selection addresses them. PCRs 16 to 23 are left out, since
    /// software can reset them, and so are values of zeros, which say that nothing was measured.
    pub pcrs: BTreeMap<u8, Digest>,
    /// TPMS_CLOCK_INFO.clock: milliseconds that the TPM has been powered.
    pub clock_ms: u64,
    /// TPMS_CLOCK_INFO.resetCount: starts of the TPM with cleared PCRs.
    pub reset_count: u32,
    /// TPMS_CLOCK_INFO.restartCount: resumptions since the last reset.
    pub restart_count: u32,
    /// TPMS_CLOCK_INFO.safe: the clock has not gone back since it was last set.
    pub safe: bool,
    /// TPMS_ATTEST.firmwareVersion, as the vendor numbers it.
    pub firmware_version: u64,
    /// What the event log proves; `None` where none came.
    pub boot: Option<BootClaims>,
    /// What Azure's paravisor says; `None` on other platforms.
    pub paravisor: Option<ParavisorClaims>,
}

/// What an event log proves: each fact by a digest that was replayed into a quoted PCR.
///
/// A fact is `None` or empty where its PCR was not quoted, or no event of the kind was there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootClaims {
    /// PCR 7: SecureBoot is 1 and PK, KEK and db hold something.
    pub secure_boot: Option<bool>,
    /// PCR 7: SHA-256 of the contents of PK.
    pub pk: Option<Sha256Digest>,
    /// PCR 7: SHA-256 of the contents of KEK.
    pub kek: Option<Sha256Digest>,
    /// PCR 7: SHA-256 of the contents of db: who may sign boot applications.
    pub db: Option<Sha256Digest>,
    /// PCR 7: SHA-256 of the contents of dbx: what may not be booted.
    pub dbx: Option<Sha256Digest>,
    /// PCR 7: what [`Self::db`] is of, entry by entry.
    pub db_entries: Option<DatabaseEntries>,
    /// PCR 7: what [`Self::dbx`] is of, entry by entry.
    pub dbx_entries: Option<DatabaseEntries>,
    /// PCR 4: Authenticode digests of the boot applications in the order of their start, in the claimed bank.
    pub applications: Vec<Digest>,
    /// PCR 11: sections of a unified kernel image in the order in which its stub measured them: name, and digest of
    /// the contents in the claimed bank.
    pub sections: Vec<(String, Digest)>,
    /// PCR 11: how far the boot has come, as systemd measures its phases behind the log's events; empty before the
    /// first.
    pub phases: Vec<String>,
    /// PCR 9: digest of the kernel's command line as the loader passed it: UTF-16, little-endian, with its NUL.
    pub command_line: Option<Digest>,
    /// PCR 9: digest of the initial ramdisks.
    pub initrd: Option<Digest>,
    /// PCR 5: the firmware's boot services were left, successfully.
    pub boot_services_exited: Option<bool>,
}

/// What a Secure Boot database holds, in order and each once. Entries of other types than these two are left out, so this
/// says what there is, and never that nothing else is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseEntries {
    /// SHA-256 of each X.509 certificate in DER.
    pub certificates: Vec<Sha256Digest>,
    /// Each SHA-256 digest of an image, as Authenticode hashes it.
    pub hashes: Vec<Sha256Digest>,
}

/// What systemd measures into PCR 11 as the boot goes on (systemd-pcrphase.service), in its order.
pub const BOOT_PHASES: [&str; 6] = ["enter-initrd", "leave-initrd", "sysinit", "ready", "shutdown", "final"];

/// What Azure's runtime data say, which the SNP report binds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParavisorClaims {
    /// vmUniqueId: lower-case, with its dashes.
    pub vm_id: String,
    /// secure-boot: the vTPM's machine was configured with Secure Boot.
    pub secure_boot: bool,
    /// console-enabled: the host has a console into the guest.
    pub console_enabled: bool,
    /// tpm-persisted: the vTPM's state outlives the guest; `None` where older runtime data do not say.
    pub tpm_persisted: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_print_what_they_parse() {
        let text = format!("000b{}", "5a".repeat(32));
        let name: ObjectName = text.parse().unwrap();
        assert_eq!(ObjectName::from_bytes(&name.to_bytes()), Some(name.clone()));
        assert_eq!(ObjectName::from_bytes(&name.to_bytes()[..33]), None);
        assert_eq!((name.to_string(), name.to_bytes().len()), (text, 34));
        for wrong in ["", "000b", "0004", "000bxx", &format!("000c{}", "5a".repeat(32)), "é00b00"] {
            assert!(wrong.parse::<ObjectName>().is_err(), "{wrong}");
        }
        assert!("5A".repeat(32).parse::<Digest>().is_err());
    }
}
