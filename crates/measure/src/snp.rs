//! The launch measurement of an SEV-SNP guest, from what the hypervisor is given to start it.
//!
//! In the order in which QEMU and the clouds' hypervisors add pages:
//!
//! 1. the firmware image, ending at 4 GiB, each page measured;
//! 2. the sections of its SEV metadata: memory (zero pages; on GCE unmeasured), secrets, CPUID (on EC2 after all
//!    others), the SVSM's calling area, and the kernel hashes (zero where no kernel is given);
//! 3. one VMSA page for each vCPU: the first at the reset vector, the others where the firmware says.
//!
//! Whether memory beyond that is measured is the firmware's business: a measurement without kernel hashes says
//! nothing about the operating system.

use claims::Measurement;

use crate::{CpuSignature, KernelHashes, LaunchDigest, Ovmf, Section, SectionKind, Vmm, vmsa};

/// How a guest is launched.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// The firmware.
    pub firmware: &'a Ovmf<'a>,
    /// The hypervisor.
    pub vmm: Vmm,
    /// Number of vCPUs.
    pub vcpus: u32,
    /// What the vCPUs say they are. QEMU needs it; EC2 and GCE do not show it at launch.
    pub cpu: Option<CpuSignature>,
    /// SEV_FEATURES: bit 0 is SNP itself, bit 5 debug swap; the host's kernel decides.
    pub features: u64,
    /// What the hypervisor boots directly, if anything.
    pub kernel: Option<KernelHashes>,
}

/// A launch that the firmware would not survive, or that is not told whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// No vCPU, or more than a guest may have.
    #[error("wrong number of vCPUs: expected 1 to {limit}, got {got}")]
    Vcpus {
        /// Most vCPUs allowed.
        limit: u32,
        /// The number given.
        got: u32,
    },
    /// Nothing says which processor the guest sees.
    #[error("the vCPU's type is not given: on qemu it is part of the measurement; say what `-cpu` says")]
    CpuMissing,
    /// The guest would not be an SNP guest.
    #[error("the guest features lack bit 0, SNP: expected an odd number such as 0x1, got {got:#x}")]
    NotSnp {
        /// The features given.
        got: u64,
    },
    /// Where the other vCPUs start is not known.
    #[error("the firmware does not say where other vCPUs start: expected a reset block, or one vCPU")]
    ResetMissing,
    /// A kernel is given, and the firmware would not look at its hash.
    #[error(
        "a kernel is given, and the firmware has no place for kernel hashes: use edk2's OvmfPkg/AmdSev build, or \
         leave the kernel out"
    )]
    HashesMissing,
    /// The firmware looks for the table where no section is.
    #[error("the firmware looks for kernel hashes at {table:#x}, outside their section at {section:#x}")]
    HashesElsewhere {
        /// Where it looks.
        table: u32,
        /// Where the section is.
        section: u32,
    },
}

impl Launch<'_> {
    /// Most vCPUs of a guest.
    pub const MAX_VCPUS: u32 = 4096;

    /// What MEASUREMENT of the guest's report will be.
    ///
    /// # Errors
    /// Each variant of [`LaunchError`], for what its name says.
    pub fn measurement(&self) -> Result<Measurement, LaunchError> {
        self.measurement_after(self.firmware_digest())
    }

    /// The digest after step 1, which depends on the image alone.
    pub fn firmware_digest(&self) -> LaunchDigest {
        let mut digest = LaunchDigest::new();
        digest.add_normal(self.firmware.base(), self.firmware.image());
        digest
    }

    /// As [`Self::measurement`], from step 2 on; of the image only the metadata and the reset block count.
    ///
    /// # Errors
    /// As [`Self::measurement`].
    pub fn measurement_after(&self, mut digest: LaunchDigest) -> Result<Measurement, LaunchError> {
        let cpu = self.check()?;
        self.add_sections(&mut digest)?;
        let first = vmsa::sha384(self.vmm, vmsa::RESET_EIP, cpu, self.features);
        digest.add_vmsa(first);
        if self.vcpus > 1 {
            let eip = self.firmware.reset_eip().ok_or(LaunchError::ResetMissing)?;
            let other = vmsa::sha384(self.vmm, eip, cpu, self.features);
            (1..self.vcpus).for_each(|_| digest.add_vmsa(other));
        }
        Ok(digest.measurement())
    }

    fn check(&self) -> Result<CpuSignature, LaunchError> {
        if !(1..=Self::MAX_VCPUS).contains(&self.vcpus) {
            return Err(LaunchError::Vcpus { limit: Self::MAX_VCPUS, got: self.vcpus });
        }
        if self.features & 1 == 0 {
            return Err(LaunchError::NotSnp { got: self.features });
        }
        match (self.cpu, self.vmm) {
            (None, Vmm::Qemu) => Err(LaunchError::CpuMissing),
            (cpu, _) => Ok(cpu.unwrap_or(CpuSignature(0))),
        }
    }

    fn add_sections(&self, digest: &mut LaunchDigest) -> Result<(), LaunchError> {
        let sections = self.firmware.sections();
        let of = |kind| sections.iter().filter(move |section| section.kind == kind);
        if self.kernel.is_some() && of(SectionKind::KernelHashes).next().is_none() {
            return Err(LaunchError::HashesMissing);
        }
        let last = |section: &&Section| self.vmm == Vmm::Ec2 && section.kind == SectionKind::Cpuid;
        let (later, now): (Vec<&Section>, Vec<&Section>) = sections.iter().partition(last);
        now.into_iter().chain(later).try_for_each(|section| self.add_section(section, digest))
    }

    fn add_section(&self, section: &Section, digest: &mut LaunchDigest) -> Result<(), LaunchError> {
        let (gpa, len) = (u64::from(section.gpa), u64::from(section.len));
        match (section.kind, &self.kernel) {
            (SectionKind::Memory, _) if self.vmm == Vmm::Gce => digest.add_unmeasured(gpa, len),
            (SectionKind::Secrets, _) => digest.add_secrets(gpa),
            (SectionKind::Cpuid, _) => digest.add_cpuid(gpa),
            (SectionKind::KernelHashes, Some(hashes)) => {
                let offset = self.table_offset(section)?;
                digest.add_normal(gpa, &hashes.page(offset));
            }
            (SectionKind::Memory | SectionKind::CallingArea | SectionKind::KernelHashes, _) => {
                digest.add_zero(gpa, len);
            }
        }
        Ok(())
    }

    /// Where in its page the table of kernel hashes stands.
    fn table_offset(&self, section: &Section) -> Result<usize, LaunchError> {
        let table = self.firmware.hash_table().ok_or(LaunchError::HashesMissing)?;
        let elsewhere = LaunchError::HashesElsewhere { table, section: section.gpa };
        let offset = table.checked_sub(section.gpa).ok_or(elsewhere.clone())?;
        let fits = offset.checked_add(KernelHashes::LEN).is_some_and(|end| end <= section.len);
        usize::try_from(offset).ok().filter(|_| fits).ok_or(elsewhere)
    }
}
