//! What evidence says about a guest, as plain data: what policies read.
//!
//! A `ClaimsRecord` proves nothing. One that was read off verified evidence sits inside `verify::VerifiedClaims`;
//! one from a file serves `Policy::evaluate`, which explains and grants nothing.

use core::fmt;
use core::str::FromStr;

use crate::snp::SnpClaims;
use crate::tpm::TpmClaims;
use crate::{ConfigDigest, Suite};

/// Which kind of evidence it is. The code is what stands in transcripts and messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EvidenceKind {
    /// An SEV-SNP attestation report, followed by the certificate table of an extended report.
    SevSnp = 1,
    /// A TPM 2.0 quote with its event log.
    Tpm = 2,
    /// An Azure confidential VM: SNP report in the HCL blob, runtime data, vTPM quote.
    AzureVtpm = 3,
    /// An SNP report that binds the vTPM of a secure VM service module.
    Svsm = 4,
}

impl EvidenceKind {
    /// Every kind, in order of its code.
    pub const ALL: [Self; 4] = [Self::SevSnp, Self::Tpm, Self::AzureVtpm, Self::Svsm];

    /// The code: 1 to 4.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The kind of a code, or `None`.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The name that commands and policies use.
    pub fn name(self) -> &'static str {
        match self {
            Self::SevSnp => "sev-snp",
            Self::Tpm => "tpm",
            Self::AzureVtpm => "azure-vtpm",
            Self::Svsm => "svsm",
        }
    }
}

impl fmt::Display for EvidenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EvidenceKind {
    type Err = &'static str;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == s);
        found.ok_or("not a kind of evidence; use sev-snp, tpm, azure-vtpm or svsm")
    }
}

/// How far the evidence reaches towards the operating system that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OsBinding {
    /// The launch measurement covers firmware, kernel, initrd and command line, or says which image it was.
    Launch,
    /// A vTPM inside the confidential context measured it.
    InTeeVtpm,
    /// A vTPM of the host measured it: the host is believed.
    HostVtpm,
    /// Nothing says which operating system runs.
    None,
}

impl OsBinding {
    /// The name that policies use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Launch => "launch",
            Self::InTeeVtpm => "in-tee-vtpm",
            Self::HostVtpm => "host-vtpm",
            Self::None => "none",
        }
    }
}

/// What sets this guest apart from another tenant's with the same measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GuestIdentity {
    /// HOST_DATA of the report, set at launch.
    HostData,
    /// The ID key that signed the launch's ID block.
    IdKey,
    /// A VM id that the platform vouches for.
    VmId,
    /// An attestation key that was enrolled.
    Enrolled,
    /// Nothing does.
    None,
}

impl GuestIdentity {
    /// The name that policies use.
    pub fn name(self) -> &'static str {
        match self {
            Self::HostData => "host-data",
            Self::IdKey => "id-key",
            Self::VmId => "vm-id",
            Self::Enrolled => "enrolled",
            Self::None => "none",
        }
    }
}

/// What is said about a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimsRecord {
    /// Which kind of evidence said it.
    pub evidence: EvidenceKind,
    /// Whether the trust anchor is a simulated one. Decided by the anchor, never by the evidence.
    pub simulated: bool,
    /// Whether the report itself answers the challenge.
    pub snp_fresh: bool,
    /// How far the evidence reaches towards the operating system.
    pub os_binding: OsBinding,
    /// What sets the guest apart from another tenant's.
    pub guest_identity: GuestIdentity,
    /// Digest of the agent's configuration, as the transcript states it.
    pub config: ConfigDigest,
    /// The suite that keys will be sealed with.
    pub suite: Suite,
    /// What the SEV-SNP report says, where there is one.
    pub snp: Option<SnpClaims>,
    /// What the TPM's quote says, where there is one.
    pub tpm: Option<TpmClaims>,
}
