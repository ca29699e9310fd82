//! A simulated guest: what it was launched as ([`GuestSpec`]), and what it attests ([`Guest`]).

use core::fmt;

use attester::{AttestError, Attester};
use claims::snp::{CpuId, GuestPolicy, PlatformInfo, Product, Tcb};
use claims::{ChipId, EvidenceKind, Measurement, ReportData, Transcript};
use crypto::P384SigningKey;

use crate::SimError;
use crate::chain::Chain;
use crate::report::{REPORT_LEN, ReportBuilder, field, tcb_bytes};

/// What a guest is launched as, and on which firmware. Every value is possible, sensible or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestSpec {
    /// VERSION of the report: CPUID stands in it from 3 on, the mitigation vectors from 5 on.
    pub version: u32,
    /// GUEST_SVN.
    pub guest_svn: u32,
    /// POLICY.
    pub policy: GuestPolicy,
    /// FAMILY_ID.
    pub family_id: [u8; 16],
    /// IMAGE_ID.
    pub image_id: [u8; 16],
    /// VMPL.
    pub vmpl: u32,
    /// PLATFORM_INFO.
    pub platform: PlatformInfo,
    /// MEASUREMENT.
    pub measurement: Measurement,
    /// HOST_DATA.
    pub host_data: [u8; 32],
    /// ID_KEY_DIGEST; zeros where the launch had no ID block.
    pub id_key_digest: [u8; 48],
    /// AUTHOR_KEY_DIGEST; `Some` also sets AUTHOR_KEY_EN.
    pub author_key_digest: Option<[u8; 48]>,
    /// REPORT_ID.
    pub report_id: [u8; 32],
    /// REPORTED_TCB: the VCEK is derived for it.
    pub reported_tcb: Tcb,
    /// COMMITTED_TCB.
    pub committed_tcb: Tcb,
    /// CURRENT_TCB.
    pub current_tcb: Tcb,
    /// LAUNCH_TCB.
    pub launch_tcb: Tcb,
    /// Family, model, stepping.
    pub cpuid: CpuId,
    /// The CSP_ID of the cloud provider whose VLEK signs; a VCEK does where there is none. See
    /// [`Self::at_provider`].
    pub csp_id: Option<String>,
    /// Whether the host masks CHIP_ID (zeros in the report, not in the certificate).
    pub mask_chip_id: bool,
    /// Current firmware: major, minor, build.
    pub current_firmware: (u8, u8, u8),
    /// Committed firmware: major, minor, build.
    pub committed_firmware: (u8, u8, u8),
    /// LAUNCH_MIT_VECTOR.
    pub launch_mit_vector: u64,
    /// CURRENT_MIT_VECTOR.
    pub current_mit_vector: u64,
}

impl GuestSpec {
    /// An up-to-date guest that a policy has no reason to refuse: report version 5, VMPL 0, SMT allowed and nothing
    /// else, [`Self::default_measurement`], HOST_DATA = SHA-256 of `name`, no ID block, [`Self::default_tcb`].
    pub fn new(product: Product, name: &str) -> Self {
        let tcb = Self::default_tcb(product);
        Self {
            version: 5,
            guest_svn: 0,
            policy: GuestPolicy(POLICY_RESERVED_ONE | POLICY_SMT),
            family_id: [0; 16],
            image_id: [0; 16],
            vmpl: 0,
            platform: PlatformInfo(PLATFORM_SMT | PLATFORM_ECC | PLATFORM_ALIAS_CHECK_COMPLETE),
            measurement: Self::default_measurement(),
            host_data: crypto::sha256(&[name.as_bytes()]),
            id_key_digest: [0; 48],
            author_key_digest: None,
            report_id: crypto::sha256(&[b"keyfast simulated report id ", name.as_bytes()]),
            reported_tcb: tcb,
            committed_tcb: tcb,
            current_tcb: tcb,
            launch_tcb: tcb,
            cpuid: default_cpuid(product),
            csp_id: None,
            mask_chip_id: false,
            current_firmware: (1, 58, 3),
            committed_firmware: (1, 58, 3),
            launch_mit_vector: 0x3f,
            current_mit_vector: 0x3f,
        }
    }

    /// The measurement of the image that simulated guests run unless told otherwise: SHA-384 of
    /// `keyfast simulated guest image 1`.
    pub fn default_measurement() -> Measurement {
        Measurement(crypto::sha384(&[b"keyfast simulated guest image 1"]))
    }

    /// The measurement of the paravisor that simulated Azure guests run under unless told otherwise: SHA-384 of
    /// `keyfast simulated paravisor 1`.
    pub fn default_paravisor() -> Measurement {
        Measurement(crypto::sha384(&[b"keyfast simulated paravisor 1"]))
    }

    /// The measurement of the service module that simulated guests of kind `svsm` run under unless told otherwise:
    /// SHA-384 of `keyfast simulated service module 1`.
    pub fn default_service_module() -> Measurement {
        Measurement(crypto::sha384(&[b"keyfast simulated service module 1"]))
    }

    /// A TCB of each product that has the fixes known in 2026.
    pub fn default_tcb(product: Product) -> Tcb {
        match product {
            Product::Milan => Tcb { fmc: None, bootloader: 4, tee: 0, snp: 0x1d, microcode: 0xde },
            Product::Genoa => Tcb { fmc: None, bootloader: 10, tee: 0, snp: 0x1b, microcode: 0x58 },
            Product::Turin => Tcb { fmc: Some(1), bootloader: 1, tee: 1, snp: 4, microcode: 0x52 },
        }
    }

    /// The same guest with DEBUG allowed or not.
    #[must_use]
    pub fn debug(mut self, allowed: bool) -> Self {
        self.policy.0 = if allowed { self.policy.0 | POLICY_DEBUG } else { self.policy.0 & !POLICY_DEBUG };
        self
    }

    /// The same guest with MIGRATE_MA allowed or not.
    #[must_use]
    pub fn migration_agent(mut self, allowed: bool) -> Self {
        let rest = self.policy.0 & !POLICY_MIGRATE_MA;
        self.policy.0 = if allowed { rest | POLICY_MIGRATE_MA } else { rest };
        self
    }

    /// The same guest on firmware of this TCB: reported, committed, current and at launch.
    #[must_use]
    pub fn tcb(self, tcb: Tcb) -> Self {
        Self { reported_tcb: tcb, committed_tcb: tcb, current_tcb: tcb, launch_tcb: tcb, ..self }
    }

    /// The same guest at a cloud provider, whose VLEK signs: VMPL 1 and a masked CHIP_ID, as AWS has them.
    #[must_use]
    pub fn at_provider(self, csp_id: &str) -> Self {
        Self { csp_id: Some(csp_id.to_owned()), vmpl: 1, mask_chip_id: true, ..self }
    }

    /// The unsigned report of such a guest on this chip.
    ///
    /// # Errors
    /// [`SimError::TcbLayout`] if a TCB is of another product.
    pub(crate) fn report(&self, product: Product, chip: ChipId) -> Result<ReportBuilder, SimError> {
        let mut report = ReportBuilder::blank();
        report
            .put(field::VERSION, self.version.to_le_bytes())
            .put(field::GUEST_SVN, self.guest_svn.to_le_bytes())
            .put(field::POLICY, self.policy.0.to_le_bytes())
            .put(field::FAMILY_ID, self.family_id)
            .put(field::IMAGE_ID, self.image_id)
            .put(field::VMPL, self.vmpl.to_le_bytes())
            .put(field::SIGNATURE_ALGO, ECDSA_P384_SHA384.to_le_bytes())
            .put(field::CURRENT_TCB, tcb_bytes(self.current_tcb, product)?)
            .put(field::PLATFORM_INFO, self.platform.0.to_le_bytes())
            .put(field::KEY_INFO, self.key_info().to_le_bytes())
            .put(field::MEASUREMENT, self.measurement.0)
            .put(field::HOST_DATA, self.host_data)
            .put(field::ID_KEY_DIGEST, self.id_key_digest)
            .put(field::AUTHOR_KEY_DIGEST, self.author_key_digest.unwrap_or([0; 48]))
            .put(field::REPORT_ID, self.report_id)
            .put(field::REPORT_ID_MA, [0xff; 32])
            .put(field::REPORTED_TCB, tcb_bytes(self.reported_tcb, product)?)
            .put(field::CHIP_ID, if self.mask_chip_id { [0; 64] } else { chip.0 })
            .put(field::COMMITTED_TCB, tcb_bytes(self.committed_tcb, product)?)
            .put(field::CURRENT_FIRMWARE, firmware(self.current_firmware))
            .put(field::COMMITTED_FIRMWARE, firmware(self.committed_firmware))
            .put(field::LAUNCH_TCB, tcb_bytes(self.launch_tcb, product)?);
        if self.version >= 3 {
            report.put(field::CPUID, [self.cpuid.family, self.cpuid.model, self.cpuid.stepping]);
        }
        if self.version >= 5 {
            report.put(field::LAUNCH_MIT_VECTOR, self.launch_mit_vector.to_le_bytes());
            report.put(field::CURRENT_MIT_VECTOR, self.current_mit_vector.to_le_bytes());
        }
        Ok(report)
    }

    /// AUTHOR_KEY_EN in bit 0, SIGNING_KEY in bits 4:2.
    fn key_info(&self) -> u32 {
        let signing_key = if self.csp_id.is_some() { SIGNING_KEY_VLEK } else { 0 };
        u32::from(self.author_key_digest.is_some()) | signing_key
    }
}

/// What a guest that sends this transcript has its evidence made over: SHA-512 of it (`crates/evidence/SPEC.md`,
/// section 3).
pub fn answer_to(transcript: &Transcript) -> ReportData {
    ReportData(crypto::sha512(&[&transcript.encode()]))
}

/// A launched guest: attesting costs one ECDSA signature.
pub struct Guest {
    report: ReportBuilder,
    vek: P384SigningKey,
    chain: Chain,
}

impl Guest {
    pub(crate) fn new(report: ReportBuilder, vek: P384SigningKey, chain: Chain) -> Self {
        Self { report, vek, chain }
    }

    /// The same guest, whose host hands out another chain.
    #[must_use]
    pub fn with_chain(self, chain: Chain) -> Self {
        Self { chain, ..self }
    }

    /// The chain that its host hands out.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Its report over this report data, to be altered before it is signed.
    pub fn report(&self, report_data: &ReportData) -> ReportBuilder {
        let mut report = self.report.clone();
        report.put(field::REPORT_DATA, report_data.0);
        report
    }

    /// Signs a report with the guest's VCEK or VLEK.
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn sign(&self, report: ReportBuilder) -> Result<[u8; REPORT_LEN], SimError> {
        report.signed_by(&self.vek)
    }

    /// Report and certificate table: evidence as `/dev/sev-guest` gives it with an extended report.
    pub fn evidence(&self, report: &[u8]) -> Vec<u8> {
        [report, &self.chain.table().encode()].concat()
    }

    /// Evidence over this report data.
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn attest(&self, report_data: &ReportData) -> Result<Vec<u8>, SimError> {
        Ok(self.evidence(&self.sign(self.report(report_data))?))
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guest(..)")
    }
}

impl Attester for Guest {
    fn kind(&self) -> EvidenceKind {
        EvidenceKind::SevSnp
    }

    fn attest(&mut self, report_data: &ReportData) -> Result<Vec<u8>, AttestError> {
        Guest::attest(self, report_data).map_err(|error| AttestError::Device(error.into()))
    }
}

impl Attester for &Guest {
    fn kind(&self) -> EvidenceKind {
        EvidenceKind::SevSnp
    }

    fn attest(&mut self, report_data: &ReportData) -> Result<Vec<u8>, AttestError> {
        Guest::attest(self, report_data).map_err(|error| AttestError::Device(error.into()))
    }
}

fn default_cpuid(product: Product) -> CpuId {
    match product {
        Product::Milan => CpuId { family: 0x19, model: 0x01, stepping: 1 },
        Product::Genoa => CpuId { family: 0x19, model: 0x11, stepping: 1 },
        Product::Turin => CpuId { family: 0x1a, model: 0x02, stepping: 1 },
    }
}

/// Build, minor, major.
fn firmware((major, minor, build): (u8, u8, u8)) -> [u8; 3] {
    [build, minor, major]
}

const ECDSA_P384_SHA384: u32 = 1;
const SIGNING_KEY_VLEK: u32 = 1 << 2;
/// Bit 17 of POLICY, which is always one.
const POLICY_RESERVED_ONE: u64 = 1 << 17;
const POLICY_SMT: u64 = 1 << 16;
const POLICY_MIGRATE_MA: u64 = 1 << 18;
const POLICY_DEBUG: u64 = 1 << 19;
const PLATFORM_SMT: u64 = 1;
const PLATFORM_ECC: u64 = 1 << 2;
const PLATFORM_ALIAS_CHECK_COMPLETE: u64 = 1 << 5;
