//! A guest with a vTPM, and what it attests by its kind.
//!
//! | kind | made at launch | made for each request |
//! |-|-|-|
//! | `tpm` | | a quote: a host's own vTPM, outside any confidential context |
//! | `azure-vtpm` | runtime data, and a report of VMPL 0 that binds them, as a paravisor asks for one | a quote |
//! | `svsm` | | a report over the manifest, as a service module asks for one, and a quote |

use core::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use attester::TpmKeys;
use claims::{EvidenceKind, ReportData};

use super::log::BootSpec;
use super::{QuoteSpec, VTpm, evidence, sized};
use crate::{Guest, GuestSpec, SimError, SimHost};

/// What a guest with a vTPM is launched as.
#[derive(Clone, Debug)]
pub struct VtpmSpec {
    /// Which platform the vTPM is on.
    pub platform: Platform,
    /// What boots.
    pub boot: BootSpec,
    /// PCRs, and what is extended into them after the boot without a trace in the log.
    pub extend: Vec<(u8, [u8; 32])>,
    /// Whether the event log goes with the quotes.
    pub with_log: bool,
    /// Whether certificates go with evidence and keys.
    pub with_certificates: bool,
    /// resetCount.
    pub resets: u32,
}

/// Where a vTPM is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// With the host: nothing binds it to a confidential guest.
    Host,
    /// In Azure's paravisor.
    Azure,
    /// In a secure VM service module.
    Svsm,
}

/// A launched guest with a vTPM.
pub struct VtpmGuest {
    platform: Platform,
    guest: Guest,
    vtpm: VTpm,
    /// Azure: the report and the blob around it.
    hcl: Option<(Vec<u8>, Vec<u8>)>,
    /// The table for evidence; empty where none goes with it.
    certificates: Vec<u8>,
    ek_certificates: Vec<Vec<u8>>,
    with_log: bool,
    resets: u32,
    quotes: AtomicU32,
}

impl Platform {
    /// The platform of a kind of evidence; `None` for one without a vTPM.
    pub fn of(kind: EvidenceKind) -> Option<Self> {
        match kind {
            EvidenceKind::SevSnp => None,
            EvidenceKind::Tpm => Some(Self::Host),
            EvidenceKind::AzureVtpm => Some(Self::Azure),
            EvidenceKind::Svsm => Some(Self::Svsm),
        }
    }

    /// The kind of its evidence.
    pub fn kind(self) -> EvidenceKind {
        match self {
            Self::Host => EvidenceKind::Tpm,
            Self::Azure => EvidenceKind::AzureVtpm,
            Self::Svsm => EvidenceKind::Svsm,
        }
    }
}

impl VtpmSpec {
    /// An image of this name under Secure Boot, with log and certificates, after one reset.
    pub fn new(platform: Platform, image: &str) -> Self {
        Self {
            platform,
            boot: BootSpec::new(image),
            extend: Vec::new(),
            with_log: true,
            with_certificates: true,
            resets: 1,
        }
    }
}

impl SimHost {
    /// Launches a guest beside this vTPM, boots it, and certifies the vTPM's endorsement key. `vm_id` is the id of an
    /// Azure machine.
    ///
    /// # Errors
    /// As [`SimHost::launch`].
    pub fn launch_with_vtpm(
        &self,
        spec: &GuestSpec,
        vm_id: &str,
        mut vtpm: VTpm,
        how: &VtpmSpec,
    ) -> Result<VtpmGuest, SimError> {
        vtpm.boot(&how.boot);
        how.extend.iter().for_each(|(pcr, digest)| vtpm.extend(*pcr, *digest));
        let guest = self.launch(spec)?;
        let hcl = match how.platform {
            Platform::Azure => {
                let secure_boot = how.boot.secure_boot == [1];
                let runtime = evidence::runtime_data_of(&vtpm.ak_numbers()?, vm_id, secure_boot);
                let report = guest.sign(guest.report(&evidence::runtime_report_data(&runtime)))?.to_vec();
                let blob = evidence::hcl(&report, &runtime);
                Some((report, blob))
            }
            Platform::Host | Platform::Svsm => None,
        };
        let certificate = self.certify_ek(&vtpm)?;
        Ok(VtpmGuest {
            platform: how.platform,
            certificates: if how.with_certificates { evidence::certificates(&guest) } else { Vec::new() },
            ek_certificates: if how.with_certificates { vec![certificate] } else { Vec::new() },
            guest,
            vtpm,
            hcl,
            with_log: how.with_log,
            resets: how.resets,
            quotes: AtomicU32::new(0),
        })
    }
}

impl VtpmGuest {
    /// Its vTPM.
    pub fn vtpm(&self) -> &VTpm {
        &self.vtpm
    }

    /// The kind of its evidence.
    pub fn kind(&self) -> EvidenceKind {
        self.platform.kind()
    }

    /// Whether a broker must enrol its key: Azure's report binds it.
    pub fn is_enrolled(&self) -> bool {
        self.platform != Platform::Azure
    }

    /// The keys that a broker enrols.
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn keys(&self) -> Result<TpmKeys, SimError> {
        let (ak, ek) = (sized(&self.vtpm.ak_public()?), sized(&self.vtpm.ek_public()?));
        Ok(TpmKeys { ak, ek, certificates: self.ek_certificates.clone() })
    }

    /// Evidence over these 64 bytes, bound as `crates/evidence/SPEC.md`, section 3, says.
    ///
    /// # Errors
    /// [`SimError::Crypto`] if the library fails.
    pub fn attest(&self, report_data: &ReportData) -> Result<Vec<u8>, SimError> {
        let ak = self.vtpm.ak_public()?;
        match (self.platform, &self.hcl) {
            (Platform::Azure, Some((report, blob))) => {
                Ok(evidence::azure(blob, &self.certificates, &self.quote(report_data, report)?))
            }
            (Platform::Svsm, _) => {
                let manifest = self.vtpm.ek_public()?;
                let over = ReportData(crypto::sha512(&[&report_data.0, &manifest]));
                let report = self.guest.sign(self.guest.report(&over))?;
                let quote = self.quote(report_data, &report)?;
                Ok(evidence::svsm(&report, &self.certificates, &manifest, &ak, &quote))
            }
            _ => Ok(evidence::tpm(&ak, &self.quote(report_data, &[])?)),
        }
    }

    fn quote(&self, report_data: &ReportData, report: &[u8]) -> Result<super::Quote, SimError> {
        let extra = crypto::sha256(&[&report_data.0, &crypto::sha256(&[report])]);
        let spec = self.vtpm.quote_spec(&extra, PCRS)?;
        let clock = (self.clock_ms(), self.resets, 0, 1);
        let mut quote = self.vtpm.quote(&QuoteSpec { clock, ..spec }, PCRS)?;
        if !self.with_log {
            quote.log.clear();
        }
        Ok(quote)
    }
}

impl VtpmGuest {
    /// A clock that a quote takes a second of, and a launch more than quotes do: it never goes back.
    fn clock_ms(&self) -> u64 {
        let quotes = self.quotes.fetch_add(1, Ordering::Relaxed);
        let launches = u64::from(self.resets).saturating_mul(1 << 42);
        launches.saturating_add(u64::from(quotes).saturating_mul(1000))
    }
}

impl fmt::Debug for VtpmGuest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VtpmGuest({:?})", self.platform)
    }
}

/// The PCRs that are quoted, 0 to 15, as bits.
const PCRS: u32 = 0xffff;
