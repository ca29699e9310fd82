//! A vCPU's state at launch, the VMSA page (AMD64 Architecture Programmer's Manual, volume 2, table B-4).
//!
//! The hypervisor fills it, so it differs between hypervisors: QEMU (with KVM), EC2 and GCE set other attributes,
//! other floating-point control words and another RDX. All that is not named here is zero.

use core::fmt;
use core::str::FromStr;

use crate::CpuSignature;
use crate::launch_digest::PAGE_LEN;
use crate::little_endian::put;

/// The hypervisor, as far as the launch measurement shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Vmm {
    /// QEMU with KVM.
    Qemu,
    /// Amazon EC2.
    Ec2,
    /// Google Compute Engine.
    Gce,
}

impl Vmm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Qemu, Self::Ec2, Self::Gce];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Ec2 => "ec2",
            Self::Gce => "gce",
        }
    }
}

impl fmt::Display for Vmm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Vmm {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|vmm| vmm.name() == text);
        found.ok_or("not a hypervisor; use qemu, ec2 or gce")
    }
}

/// SHA-384 of the page of a vCPU that starts at `eip`. `cpu` is what QEMU puts into RDX; the others ignore it.
pub(crate) fn sha384(vmm: Vmm, eip: u32, cpu: CpuSignature, features: u64) -> [u8; 48] {
    crypto::sha384(&[&page(vmm, eip, cpu, features)])
}

fn page(vmm: Vmm, eip: u32, cpu: CpuSignature, features: u64) -> [u8; PAGE_LEN] {
    let mut page = [0; PAGE_LEN];
    segments(&mut page, vmm, eip);
    let registers: [(usize, u64); 11] = [
        (0x0d0, 0x1000),                                                            // EFER: SVME
        (0x148, 0x40),                                                              // CR4: MCE
        (0x158, 0x10),                                                              // CR0: ET
        (0x160, 0x400),                                                             // DR7
        (0x168, 0xffff_0ff0),                                                       // DR6
        (0x170, 0x2),                                                               // RFLAGS
        (0x178, u64::from(eip & 0xffff)),                                           // RIP
        (0x268, if vmm == Vmm::Gce { 0x0007_0106 } else { 0x0007_0406_0007_0406 }), // G_PAT
        (0x310, if vmm == Vmm::Qemu { u64::from(cpu.0) } else { 0x600 }),           // RDX
        (0x3b0, features),                                                          // SEV_FEATURES
        (0x3e8, 1),                                                                 // XCR0
    ];
    registers.iter().for_each(|(at, value)| put(&mut page, *at, &value.to_le_bytes()));
    if vmm == Vmm::Qemu {
        put(&mut page, 0x408, &0x1f80_u32.to_le_bytes()); // MXCSR
        put(&mut page, 0x410, &0x037f_u16.to_le_bytes()); // X87_FCW
    }
    page
}

/// Ten segment registers of 16 bytes: selector, attributes, limit, base.
fn segments(page: &mut [u8], vmm: Vmm, eip: u32) {
    let (code, stack, task) = match vmm {
        Vmm::Ec2 if eip == RESET_EIP => (0x9a, 0x92, 0x83),
        Vmm::Ec2 => (0x9b, 0x92, 0x83),
        Vmm::Qemu | Vmm::Gce => (0x9b, 0x93, 0x8b),
    };
    let base = u64::from(eip & 0xffff_0000);
    let segments: [(u16, u16, u64); 10] = [
        (0, 0x93, 0),         // ES
        (0xf000, code, base), // CS
        (0, stack, 0),        // SS
        (0, 0x93, 0),         // DS
        (0, 0x93, 0),         // FS
        (0, 0x93, 0),         // GS
        (0, 0, 0),            // GDTR
        (0, 0x82, 0),         // LDTR
        (0, 0, 0),            // IDTR
        (0, task, 0),         // TR
    ];
    for (place, (selector, attributes, base)) in page.chunks_exact_mut(16).zip(segments) {
        put(place, 0, &selector.to_le_bytes());
        put(place, 2, &attributes.to_le_bytes());
        put(place, 4, &0xffff_u32.to_le_bytes());
        put(place, 8, &base.to_le_bytes());
    }
}

/// Where the first vCPU starts: the processor's reset vector.
pub(crate) const RESET_EIP: u32 = 0xffff_fff0;
