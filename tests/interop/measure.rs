//! Launch measurements and ID blocks are those of sev-snp-measure (AMD's and IBM's reference, from the Python package
//! index), on firmware, kernels and keys made here.

use std::fs;
use std::path::Path;

use claims::snp::GuestPolicy;
use claims::{Measurement, Sha256Digest};
use crypto::P384SigningKey;
use measure::id_block::{IdAuth, IdBlock};
use measure::snp::{Launch, LaunchError};
use measure::{KernelHashes, Ovmf, sha256_of};
use serde_json::{Value, json};

use crate::python;
use firmware::Firmware;

#[path = "../../crates/measure/tests/measure/firmware.rs"]
mod firmware;

const SCRIPT: &str = "measure.py";

/// One launch.
struct Case {
    firmware: Firmware,
    vmm: &'static str,
    vcpus: u32,
    vcpu_type: &'static str,
    features: u64,
    kernel: Option<Kernel>,
}

/// What the hypervisor boots.
struct Kernel {
    kernel: Vec<u8>,
    initrd: Option<Vec<u8>>,
    append: &'static str,
}

fn firmwares() -> Vec<Firmware> {
    let base = Firmware::amd_sev();
    let moved = Firmware { pages: 8, filling: 0, hash_table: Some(0x81_0000 + 4096 - 176), ..base.clone() };
    let mut reordered = Firmware { pages: 1, reset_eip: Some(0xffff_fff0), ..base.clone() };
    reordered.sections.reverse();
    vec![base, moved, reordered]
}

fn kernels() -> [Option<Kernel>; 4] {
    let kernel = |len: usize, initrd, append| {
        Some(Kernel { kernel: (0..len).map(|i| (i * 7) as u8).collect(), initrd, append })
    };
    [
        None,
        kernel(0, None, ""),
        kernel(5000, Some(vec![9; 300_001]), "console=ttyS0 root=/dev/vda1"),
        kernel(1, Some(Vec::new()), "Grüße"),
    ]
}

/// Every type of vCPU on one firmware, and every firmware, kernel and hypervisor with some numbers of vCPUs.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let types = [
        "EPYC",
        "EPYC-v1",
        "EPYC-v4",
        "EPYC-IBPB",
        "EPYC-Rome",
        "EPYC-Rome-v3",
        "EPYC-Milan",
        "EPYC-Milan-v2",
        "EPYC-Genoa",
        "EPYC-Genoa-v1",
        "EPYC-Turin",
    ];
    for vcpu_type in types {
        let firmware = Firmware::amd_sev();
        cases.push(Case { firmware, vmm: "qemu", vcpus: 2, vcpu_type, features: 1, kernel: None });
    }
    for firmware in firmwares() {
        for (vmm, vcpus) in [("qemu", 1), ("qemu", 64), ("ec2", 1), ("ec2", 3), ("gce", 1), ("gce", 5)] {
            for kernel in kernels() {
                let (vcpu_type, features) =
                    ("EPYC-Genoa", if vcpus == 1 { 0x21 } else { 0x8000_0000_0000_0001 });
                cases.push(Case { firmware: firmware.clone(), vmm, vcpus, vcpu_type, features, kernel });
            }
        }
    }
    cases
}

impl Case {
    fn measurement(&self) -> Result<Measurement, LaunchError> {
        let image = self.firmware.image();
        let firmware = Ovmf::parse(&image).unwrap();
        let sha256 = |bytes: &[u8]| -> Sha256Digest { sha256_of(bytes).unwrap().0 };
        let hashes = |kernel: &Kernel| {
            KernelHashes::new(sha256(&kernel.kernel), kernel.initrd.as_deref().map(sha256), kernel.append)
        };
        let (vmm, cpu) = (self.vmm.parse().unwrap(), Some(self.vcpu_type.parse().unwrap()));
        let kernel = self.kernel.as_ref().map(hashes);
        Launch { firmware: &firmware, vmm, vcpus: self.vcpus, cpu, features: self.features, kernel }
            .measurement()
    }

    /// A job for the other side, with its files in `directory`.
    fn job(&self, directory: &Path, number: usize) -> Value {
        let file = |what: &str, bytes: &[u8]| {
            let path = directory.join(format!("{number}.{what}"));
            fs::write(&path, bytes).unwrap();
            json!(path)
        };
        let kernel = self.kernel.as_ref();
        json!({
            "vmm": self.vmm, "vcpus": self.vcpus, "vcpu_type": self.vcpu_type, "guest_features": self.features,
            "ovmf": file("ovmf", &self.firmware.image()),
            "kernel": kernel.map(|kernel| file("kernel", &kernel.kernel)),
            "initrd": kernel.and_then(|kernel| kernel.initrd.as_ref()).map(|initrd| file("initrd", initrd)),
            "append": kernel.map(|kernel| kernel.append),
        })
    }
}

#[test]
fn launch_measurements_are_those_of_the_reference() {
    let directory = tempfile::tempdir().unwrap();
    let cases = cases();
    let jobs: Vec<Value> =
        cases.iter().enumerate().map(|(number, case)| case.job(directory.path(), number)).collect();
    for ((case, job), outcome) in cases.iter().zip(&jobs).zip(python::run(SCRIPT, &jobs)) {
        let expected = outcome["measurement"].as_str().unwrap_or_else(|| panic!("{outcome}: {job}"));
        assert_eq!(case.measurement().unwrap().to_string(), expected, "{job}");
    }
}

#[test]
fn a_kernel_without_a_place_for_its_hash_is_refused_by_both() {
    let directory = tempfile::tempdir().unwrap();
    let mut firmware = Firmware::amd_sev();
    firmware.sections.retain(|(_, _, kind)| *kind != 0x10);
    let [_, kernel, ..] = kernels();
    let case = Case { firmware, vmm: "qemu", vcpus: 1, vcpu_type: "EPYC", features: 1, kernel };
    let outcomes = python::run(SCRIPT, &[case.job(directory.path(), 0)]);
    assert!(outcomes[0]["error"].as_str().unwrap().contains("SNP_KERNEL_HASHES"), "{}", outcomes[0]);
    assert_eq!(case.measurement(), Err(LaunchError::HashesMissing));
}

#[test]
fn an_id_block_that_the_reference_signed_verifies() {
    let directory = tempfile::tempdir().unwrap();
    let key = |name: &str| {
        let der = P384SigningKey::generate().unwrap().to_pkcs8().unwrap();
        let path = directory.path().join(name);
        let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der.expose());
        fs::write(&path, format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n"))
            .unwrap();
        path
    };
    let measurement = Measurement([0x5a; 48]);
    let job = json!({
        "measurement": measurement.to_string(), "id_key": key("id.pem"), "author_key": key("author.pem"),
    });
    let outcome = &python::run(SCRIPT, &[job])[0];
    let bytes =
        |name: &str| hex::decode(outcome[name].as_str().unwrap_or_else(|| panic!("{outcome}"))).unwrap();

    let block = IdBlock::parse(&bytes("id_block")).unwrap();
    let policy = GuestPolicy(0x30000);
    assert_eq!(block, IdBlock { measurement, family_id: [0; 16], image_id: [0; 16], guest_svn: 0, policy });
    let auth = IdAuth::parse(&bytes("id_auth")).unwrap();
    assert_eq!(auth.verify(&block), Ok(()));
    assert_eq!(auth.id_key().digest()[..], bytes("id_key_digest"));
    assert_eq!(auth.author_key().unwrap().digest()[..], bytes("author_key_digest"));
}
