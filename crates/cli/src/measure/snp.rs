//! `keyfast measure snp`: the launch measurement of an SEV-SNP guest, from the files that its host starts it with.

use std::path::PathBuf;

use clap::Args;
use measure::snp::Launch;
use measure::{CpuSignature, KernelHashes, Ovmf, Vmm};
use serde_json::Value;

use super::table::Table;
use super::{MeasureFailure, files};
use crate::file;

/// What `--help` says.
pub const ABOUT: &str = "The launch measurement of an SEV-SNP guest: what MEASUREMENT of its reports will be.\n\n\
    Give what the guest is started with, byte for byte: the firmware, the number and type of vCPUs, and, if the \
    hypervisor boots a kernel itself (QEMU's -kernel with kernel-hashes=on), the kernel, initrd and command line. \
    Without --kernel the measurement covers the firmware alone, and says nothing about the operating system.\n\n\
    The guest of QEMU's `-cpu EPYC-Milan -smp 2 -kernel vmlinuz -initrd initrd -append 'quiet'`:\n  \
    keyfast measure snp --ovmf OVMF.fd --vcpus 2 --vcpu-type EPYC-Milan \\\n    \
    --kernel vmlinuz --initrd initrd --append 'quiet'\n\n\
    To let it have keys, add the value as a [[measurement]] to reference-values.toml. If a report shows another \
    one: compare --guest-features with the host's kernel (0x21 where it switches debug swap on), and the vCPU type \
    with the guest's command line.";

/// Arguments of `keyfast measure snp`.
#[derive(Debug, Args)]
pub struct SnpArgs {
    /// The firmware: an edk2 build with SEV metadata, whole
    #[arg(long, value_name = "FILE")]
    ovmf: PathBuf,
    /// Number of vCPUs
    #[arg(long, value_name = "N")]
    vcpus: u32,
    /// What the vCPUs say they are: a model of QEMU's (EPYC-Rome, EPYC-Milan, EPYC-Genoa-v1, ...) or a CPUID
    /// signature such as 0xa00f11; not needed on ec2 and gce
    #[arg(long, value_name = "TYPE")]
    vcpu_type: Option<CpuSignature>,
    /// The hypervisor: qemu, ec2 or gce
    #[arg(long, default_value = "qemu")]
    vmm: Vmm,
    /// The kernel that the hypervisor boots
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// Its initrd
    #[arg(long, value_name = "FILE", requires = "kernel")]
    initrd: Option<PathBuf>,
    /// Its command line
    #[arg(long, value_name = "TEXT", requires = "kernel", allow_hyphen_values = true)]
    append: Option<String>,
    /// SEV_FEATURES that the host switches on, such as 0x1 (SNP) or 0x21 (SNP and debug swap)
    #[arg(long, default_value = "0x1", value_name = "BITS", value_parser = parse_bits)]
    guest_features: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Measures.
pub fn measure(args: &SnpArgs) -> Result<Table, MeasureFailure> {
    let image = file::read(&args.ovmf, Ovmf::MAX_LEN as u64)?;
    let firmware =
        Ovmf::parse(&image).map_err(|source| MeasureFailure::Firmware { path: args.ovmf.clone(), source })?;
    let kernel = args.kernel.as_deref().map(files::sha256).transpose()?;
    let initrd = args.initrd.as_deref().map(files::sha256).transpose()?;
    let line = args.append.as_deref().unwrap_or_default();
    let launch = Launch {
        firmware: &firmware,
        vmm: args.vmm,
        vcpus: args.vcpus,
        cpu: args.vcpu_type,
        features: args.guest_features,
        kernel: kernel.map(|(digest, _)| KernelHashes::new(digest, initrd.map(|(digest, _)| digest), line)),
    };
    let firmware_digest = launch.firmware_digest();
    let measurement = launch.measurement_after(firmware_digest)?;
    let bytes = |len: u64| format!("{len} bytes");
    let mut table = Table::default()
        .row("measurement", measurement.to_string())
        .noted("firmware_digest", firmware_digest.measurement().to_string(), bytes(image.len() as u64))
        .row("vmm", args.vmm.name())
        .row("vcpus", args.vcpus)
        .row("vcpu_signature", args.vcpu_type.map(|cpu| cpu.to_string()))
        .row("guest_features", format!("{:#x}", args.guest_features));
    let hashed = [("kernel_sha256", kernel), ("initrd_sha256", initrd)];
    for (name, file) in hashed {
        let (digest, len) = file.unzip();
        table =
            table.noted(name, digest.map(|digest| digest.to_string()), len.map(bytes).unwrap_or_default());
    }
    table = table.row("command_line", kernel.map_or(Value::Null, |_| line.into()));
    Ok(match kernel {
        Some(_) => table,
        None => table.note("No kernel was given: this covers the firmware, and not the operating system."),
    })
}

/// A number of 64 bits, in hexadecimal or decimal.
pub fn parse_bits(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x");
    let bits = digits.map_or_else(|| text.parse(), |digits| u64::from_str_radix(digits, 16));
    bits.map_err(|_| format!("`{text}` is no number of 64 bits; use 0x21 or 33"))
}
