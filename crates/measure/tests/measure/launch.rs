//! Launch measurements: equal to the vectors, changed by every input, refused where a launch would fail.

use claims::{Measurement, Sha256Digest};
use measure::snp::{Launch, LaunchError};
use measure::{CpuSignature, KernelHashes, LaunchDigest, Ovmf, Vmm, sha256_of};
use serde_json::Value;

use crate::firmware::Firmware;
use crate::vectors;

const FOLDER: &str = "snp/measurement";

fn text<'a>(case: &'a Value, name: &str) -> Option<&'a str> {
    case[name].as_str()
}

fn number(case: &Value, name: &str) -> u64 {
    case[name].as_u64().unwrap()
}

/// The kernel of a vector is always the empty file.
fn kernel(case: &Value) -> Option<KernelHashes> {
    let kernel = text(case, "kernel")?;
    assert_eq!(kernel, "empty file");
    let empty = sha256_of(&b""[..]).unwrap().0;
    Some(KernelHashes::new(empty, text(case, "initrd").map(|_| empty), text(case, "append").unwrap_or("")))
}

/// The outcome of a vector, as its file spells it.
fn outcome(case: &Value) -> Result<String, LaunchError> {
    let image = vectors::read(&format!("{FOLDER}/{}", text(case, "ovmf").unwrap())).unwrap();
    let firmware = Ovmf::parse(&image).unwrap();
    let launch = Launch {
        firmware: &firmware,
        vmm: text(case, "vmm").unwrap().parse().unwrap(),
        vcpus: u32::try_from(number(case, "vcpus")).unwrap(),
        cpu: text(case, "vcpu_type").map(|name| name.parse().unwrap()),
        features: number(case, "guest_features"),
        kernel: kernel(case),
    };
    let digest = match text(case, "ovmf_hash") {
        Some(hash) => LaunchDigest::after(hash.parse().unwrap()),
        None => launch.firmware_digest(),
    };
    launch.measurement_after(digest).map(|measurement| measurement.to_string())
}

#[test]
fn every_vector_is_met() {
    let Some(file) = vectors::read(&format!("{FOLDER}/measurements.json")) else {
        return;
    };
    let file: Value = serde_json::from_slice(&file).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() >= 15);
    for case in cases {
        let (name, expected) = (text(case, "name").unwrap(), text(case, "expected").unwrap());
        if expected.starts_with("ERROR: Kernel specified but OVMF metadata doesn't include SNP_KERNEL_HASHES")
        {
            assert_eq!(outcome(case), Err(LaunchError::HashesMissing), "{name}");
        } else {
            assert_eq!(outcome(case).as_deref(), Ok(expected), "{name}");
        }
    }
    let image = vectors::read(&format!("{FOLDER}/ovmf_AmdSev_suffix.bin")).unwrap();
    let firmware = Ovmf::parse(&image).unwrap();
    let digest = launch(&firmware).firmware_digest().measurement();
    assert_eq!(digest.to_string(), file["ovmf_page_hash_AmdSev"].as_str().unwrap());
}

fn launch<'a>(firmware: &'a Ovmf<'a>) -> Launch<'a> {
    let kernel = KernelHashes::new(Sha256Digest([1; 32]), Some(Sha256Digest([2; 32])), "quiet");
    let cpu = Some("EPYC-Milan".parse().unwrap());
    Launch { firmware, vmm: Vmm::Qemu, vcpus: 2, cpu, features: 1, kernel: Some(kernel) }
}

fn of(firmware: &Firmware, change: impl Fn(&mut Launch<'_>)) -> Result<Measurement, LaunchError> {
    let image = firmware.image();
    let firmware = Ovmf::parse(&image).unwrap();
    let mut launch = launch(&firmware);
    change(&mut launch);
    launch.measurement()
}

/// Each pair of these differs in one input.
#[test]
fn every_input_counts() {
    let base = Firmware::amd_sev();
    let hashes = |kernel: u8, initrd: Option<u8>, line: &str| {
        let initrd = initrd.map(|byte| Sha256Digest([byte; 32]));
        Some(KernelHashes::new(Sha256Digest([kernel; 32]), initrd, line))
    };
    let changed = |change: &dyn Fn(&mut Firmware)| {
        let mut firmware = base.clone();
        change(&mut firmware);
        of(&firmware, |_| ()).unwrap()
    };
    let mut all = vec![
        of(&base, |_| ()).unwrap(),
        of(&base, |launch| launch.vcpus = 1).unwrap(),
        of(&base, |launch| launch.vcpus = 3).unwrap(),
        of(&base, |launch| launch.vmm = Vmm::Ec2).unwrap(),
        of(&base, |launch| launch.vmm = Vmm::Gce).unwrap(),
        of(&base, |launch| launch.cpu = Some(CpuSignature(0x00a1_0f10))).unwrap(),
        of(&base, |launch| launch.features = 0x21).unwrap(),
        of(&base, |launch| launch.features = 1 << 63 | 1).unwrap(),
        of(&base, |launch| launch.kernel = None).unwrap(),
        of(&base, |launch| launch.kernel = hashes(3, Some(2), "quiet")).unwrap(),
        of(&base, |launch| launch.kernel = hashes(1, Some(3), "quiet")).unwrap(),
        of(&base, |launch| launch.kernel = hashes(1, None, "quiet")).unwrap(),
        of(&base, |launch| launch.kernel = hashes(1, Some(2), "quiet ")).unwrap(),
        changed(&|firmware| firmware.filling = 0),
        changed(&|firmware| firmware.pages = 4),
        changed(&|firmware| firmware.reset_eip = Some(0x80_b005)),
        changed(&|firmware| firmware.hash_table = Some(0x81_0c01)),
        changed(&|firmware| firmware.sections[0].1 = 0x8000),
        changed(&|firmware| firmware.sections[6].0 += 0x1000),
        changed(&|firmware| firmware.sections.swap(0, 1)),
        changed(&|firmware| firmware.sections[4].2 = 2),
        changed(&|firmware| firmware.sections[4].2 = 3),
    ];
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count);
}

#[test]
fn the_clouds_do_not_show_the_processor() {
    let base = Firmware::amd_sev();
    for vmm in [Vmm::Ec2, Vmm::Gce] {
        let with = |cpu| of(&base, |launch| (launch.vmm, launch.cpu) = (vmm, cpu)).unwrap();
        assert_eq!(with(None), with(Some(CpuSignature(7))), "{vmm}");
    }
}

#[test]
fn a_launch_that_is_not_told_whole_is_refused() {
    let base = Firmware::amd_sev();
    let refusal = |change: &dyn Fn(&mut Launch<'_>)| of(&base, change).unwrap_err();
    for got in [0, 4097, u32::MAX] {
        assert_eq!(refusal(&|launch| launch.vcpus = got), LaunchError::Vcpus { limit: 4096, got });
    }
    assert_eq!(refusal(&|launch| launch.cpu = None), LaunchError::CpuMissing);
    for got in [0, 0x20] {
        assert_eq!(refusal(&|launch| launch.features = got), LaunchError::NotSnp { got });
    }
}

#[test]
fn a_kernel_needs_firmware_that_looks_at_its_hash() {
    let mut firmware = Firmware::amd_sev();
    firmware.sections.remove(5);
    assert_eq!(of(&firmware, |_| ()), Err(LaunchError::HashesMissing));
    assert!(of(&firmware, |launch| launch.kernel = None).is_ok());

    for hash_table in [None, Some(0)] {
        let firmware = Firmware { hash_table, ..Firmware::amd_sev() };
        assert_eq!(of(&firmware, |_| ()), Err(LaunchError::HashesMissing));
    }
    let section = 0x81_0000;
    for table in [section - 1, section + 4096 - 175, section + 4096, 0x80_e000, u32::MAX] {
        let firmware = Firmware { hash_table: Some(table), ..Firmware::amd_sev() };
        assert_eq!(of(&firmware, |_| ()), Err(LaunchError::HashesElsewhere { table, section }));
    }
    for table in [section, section + 4096 - 176] {
        let firmware = Firmware { hash_table: Some(table), ..Firmware::amd_sev() };
        assert!(of(&firmware, |_| ()).is_ok(), "{table:#x}");
    }
}

#[test]
fn several_vcpus_need_a_place_to_start() {
    for reset_eip in [None, Some(0)] {
        let firmware = Firmware { reset_eip, ..Firmware::amd_sev() };
        assert_eq!(of(&firmware, |_| ()), Err(LaunchError::ResetMissing));
        assert!(of(&firmware, |launch| launch.vcpus = 1).is_ok());
    }
}
