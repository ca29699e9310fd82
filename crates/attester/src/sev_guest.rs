//! [`SevGuestAttester`]: SEV-SNP reports from the guest device `/dev/sev-guest`, through the crate `sev`.
//!
//! Only the plain report is asked for. For an extended one that crate allocates what the host says and walks the
//! host's table by raw pointers; so the broker finds the certificates, or the kernel's report files give them
//! ([`crate::ConfigfsAttester`]).
//!
//! This module must never look into the report: what it says is for a verifier.

use claims::{EvidenceKind, ReportData};
use sev::firmware::guest::Firmware;

use crate::choose::SEV_GUEST;
use crate::{AttestError, Attester};

/// Asks the AMD secure processor through the guest device.
pub struct SevGuestAttester {
    device: Firmware,
}

impl SevGuestAttester {
    /// Opens `/dev/sev-guest`.
    ///
    /// # Errors
    /// [`AttestError::Unreachable`] if there is none, or this user may not open it.
    pub fn open() -> Result<Self, AttestError> {
        let device = Firmware::open();
        let device = device.map_err(|source| AttestError::Unreachable { path: SEV_GUEST.into(), source })?;
        Ok(Self { device })
    }
}

impl Attester for SevGuestAttester {
    fn kind(&self) -> EvidenceKind {
        EvidenceKind::SevSnp
    }

    fn attest(&mut self, report_data: &ReportData) -> Result<Vec<u8>, AttestError> {
        let report = self.device.get_report(Some(MESSAGE_VERSION), Some(report_data.0), Some(VMPL));
        report.map_err(|error| AttestError::Device(Box::new(error)))
    }
}

/// Version of the guest message (AMD SEV-SNP ABI 1.58, 7.3).
const MESSAGE_VERSION: u32 = 1;
/// The level that a guest without a service module runs at, and that policies ask for.
const VMPL: u32 = 0;
