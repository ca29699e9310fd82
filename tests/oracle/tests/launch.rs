//! Launch measurements are those of the crate `sev`, where it is right: QEMU. Of EC2 it has an older launch state, and
//! of GCE none; for these `tests/interop` asks the reference tool.

use std::path::PathBuf;

use claims::Sha256Digest;
use measure::snp::Launch;
use measure::{KernelHashes, Ovmf, Vmm, sha256_of};
use sev::measurement::snp::{SnpMeasurementArgs, calc_snp_ovmf_hash, snp_calc_launch_digest};
use sev::measurement::vcpu_types::CpuType;
use sev::measurement::vmsa::{GuestFeatures, VMMType};

use firmware::Firmware;

#[path = "../../../crates/measure/tests/measure/firmware.rs"]
mod firmware;

/// Writes a file for the other side, which takes paths.
fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn measurements_on_qemu_are_those_of_the_sev_crate() {
    let base = Firmware::amd_sev();
    let firmwares = [Firmware { pages: 40, filling: 0, ..base.clone() }, base];
    let types = [
        ("EPYC-v4", CpuType::EpycV4),
        ("EPYC-Milan", CpuType::EpycMilan),
        ("EPYC-Genoa", CpuType::EpycGenoa),
    ];
    let (kernel, initrd) = (vec![7; 70_001], vec![8; 4096]);
    let (kernel_file, initrd_file) = (file("launch.kernel", &kernel), file("launch.initrd", &initrd));
    let sha256 = |bytes: &[u8]| -> Sha256Digest { sha256_of(bytes).unwrap().0 };
    let hashes = KernelHashes::new(sha256(&kernel), Some(sha256(&initrd)), "console=ttyS0");
    for (number, made) in firmwares.iter().enumerate() {
        let image = made.image();
        let ovmf_file = file(&format!("launch.{number}.ovmf"), &image);
        let firmware = Ovmf::parse(&image).unwrap();
        for (name, vcpu_type) in types {
            for (vcpus, features, booted) in [(1, 1, true), (1, 0x21, false), (9, 0x21, true), (64, 1, false)]
            {
                let kernel = booted.then_some(hashes);
                let cpu = Some(name.parse().unwrap());
                let launch = Launch { firmware: &firmware, vmm: Vmm::Qemu, vcpus, cpu, features, kernel };
                let arguments = SnpMeasurementArgs {
                    vcpus,
                    vcpu_type,
                    ovmf_file: ovmf_file.clone(),
                    guest_features: GuestFeatures(features),
                    kernel_file: booted.then(|| kernel_file.clone()),
                    initrd_file: booted.then(|| initrd_file.clone()),
                    append: booted.then_some("console=ttyS0"),
                    ovmf_hash_str: None,
                    vmm_type: Some(VMMType::QEMU),
                };
                let theirs = snp_calc_launch_digest(arguments).unwrap().get_hex_ld();
                assert_eq!(
                    launch.measurement().unwrap().to_string(),
                    theirs,
                    "{name}, {vcpus}, {features:#x}"
                );
                let theirs = calc_snp_ovmf_hash(ovmf_file.clone()).unwrap().get_hex_ld();
                assert_eq!(launch.firmware_digest().measurement().to_string(), theirs);
            }
        }
    }
}
