//! What is done with every file of the vectors. A file that no row names fails the test, and so does a row whose test
//! no longer names the file. Folders of others beside these are told, and are read by the tests that read every folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::folder::root;

/// What is done with a file.
enum Use {
    /// The source of a test, a word of it that stands for the file, and what is expected.
    Test(&'static str, &'static str, &'static str),
    /// Nothing reads it, and why.
    Unread(&'static str),
}

use Use::{Test, Unread};

const BOOTS: &str = "crates/verify/tests/quotes/genuine.rs";
const CHAINS: &str = "crates/verify/tests/quotes/enrol.rs";
const LOGS: &str = "crates/verify/tests/quotes/logs.rs";
const PUBLISHED: &str = "crates/verify/tests/quotes/published.rs";
const AZURE: &str = "crates/verify/tests/quotes/azure.rs";
const ID_BLOCKS: &str = "crates/measure/tests/measure/id_block.rs";
const LAUNCHES: &str = "crates/measure/tests/measure/launch.rs";
const FOLDER: &str = "tests/vectors/folder.rs";
const CONTAINER: &str = "tests/vectors/container.rs";
const REVOKED: &str = "tests/vectors/revoked.rs";
const REFUSED: &str = "tests/vectors/refused.rs";

/// Files, `*` standing for any part of a name, and what is done with them; the first row that fits counts.
const TABLE: &[(&str, Use)] = &[
    ("*/PROVENANCE.md", Unread("where the vectors come from, for people")),
    // SEV-SNP.
    ("snp/*/report.bin", Test(FOLDER, "report.bin", "authenticated under AMD's root, or refused by name")),
    ("snp/*/expected.json", Test(FOLDER, "expected.json", "what another decoder read")),
    ("snp/*/ark.pem", Test(FOLDER, "ark.pem", "a root that stands in evidence is no anchor")),
    ("snp/*/ask.pem", Test(FOLDER, "ask.pem", "issues the VCEK")),
    ("snp/*/asvk.pem", Test(FOLDER, "asvk.pem", "issues the VLEK")),
    ("snp/*/vcek.der", Test(FOLDER, "vcek.der", "signed the report")),
    ("snp/*/vlek.der", Test(FOLDER, "vlek.der", "signed the report")),
    ("snp/*/hcl-report.bin", Test(AZURE, "hcl-report.bin", "the report binds the runtime data")),
    (
        "snp/milan-v2-aci-uvm/uvm_security_policy.base64",
        Test(CONTAINER, "uvm_security_policy.base64", "its digest is the host data"),
    ),
    (
        "snp/milan-v2-aci-uvm/uvm_reference_info.cose",
        Test(CONTAINER, "uvm_reference_info.cose", "names the measurement; COSE is not read, see there"),
    ),
    ("snp/crl/*.crl.der", Test(REVOKED, "crl/{name}.crl.der", "signed by AMD's root, counts to the second")),
    (
        "snp/crl/genoa-ask-0x20001-REVOKED.pem",
        Test(REFUSED, "genoa-ask-0x20001-REVOKED.pem", "issues no VCEK that is in use"),
    ),
    ("snp/crl/SEV-*.pem", Test(REFUSED, "crl/{other}.pem", "another product's intermediate is none")),
    ("snp/crl/ARK-*.pem", Test(REVOKED, "crl/ARK-{product}.pem", "AMD's roots, byte for byte")),
    ("snp/measurement/idblock/id_key_test.pem", Test(ID_BLOCKS, "id_key_test.pem", "digest of the key")),
    ("snp/measurement/idblock/author_key_test.pem", Test(ID_BLOCKS, "author_key_test.pem", "likewise")),
    ("snp/measurement/idblock/virtee_test_*", Test(ID_BLOCKS, "virtee_test_", "blocks, keys and signatures")),
    ("snp/measurement/measurements.json", Test(LAUNCHES, "measurements.json", "launch measurements")),
    ("snp/measurement/ovmf_AmdSev_suffix.bin", Test(LAUNCHES, "ovmf_AmdSev_suffix.bin", "firmware of these")),
    ("snp/measurement/ovmf_OvmfX64_suffix.bin", Test(LAUNCHES, "_suffix.bin", "likewise, with a kernel")),
    // Quotes and boots that were made for this project.
    ("tpm/attack-swtpm/ak.tss", Test(BOOTS, "ak.tss", "the key of both quotes")),
    ("tpm/attack-swtpm/ak.pem", Test(BOOTS, "ak.pem", "the same key")),
    ("tpm/attack-swtpm/honest.*", Test(BOOTS, "\"honest\"", "verifies")),
    (
        "tpm/attack-swtpm/spoof.*",
        Test(BOOTS, "\"spoof\"", "relabelled as PCR 11 refused; under its own name no claim"),
    ),
    ("tpm/attack-swtpm/el-no-sep7.bin", Test(LOGS, "el-no-sep7.bin", "refused: no separator")),
    ("tpm/attack-swtpm/el-no-specid.bin", Test(LOGS, "el-no-specid.bin", "refused: read as SHA-1 only")),
    (
        "tpm/attack-swtpm/el-truncated-mid-event.bin",
        Test(LOGS, "el-truncated-mid-event.bin", "refused: ends within an event"),
    ),
    (
        "tpm/attack-swtpm/el-eventsize-ffffffff.bin",
        Test(LOGS, "el-eventsize-ffffffff.bin", "refused before anything is allocated"),
    ),
    ("tpm/qemu-ovmf/ca/issuercert.pem", Test(CHAINS, "ca/issuercert.pem", "issues the EK certificates")),
    (
        "tpm/qemu-ovmf/ca/swtpm-localca-rootca-cert.pem",
        Test(CHAINS, "ca/swtpm-localca-rootca-cert.pem", "the operator's root"),
    ),
    ("tpm/qemu-ovmf/PkKek-1-snakeoil.pem", Test(LOGS, "PkKek-1-snakeoil.pem", "is PK, KEK and db")),
    ("tpm/qemu-ovmf/*/ak.tss", Test(BOOTS, "ak.tss", "the key of the quote")),
    ("tpm/qemu-ovmf/*/ak.pem", Test(BOOTS, "ak.pem", "the same key")),
    ("tpm/qemu-ovmf/*/ak.name", Test(BOOTS, "/ak.name", "its Name")),
    ("tpm/qemu-ovmf/*/ek.crt", Test(CHAINS, "/ek.crt", "leads to the root")),
    ("tpm/qemu-ovmf/*/ek.pub", Test(CHAINS, "/ek.pub", "the key of the certificate")),
    ("tpm/qemu-ovmf/*/quote.msg", Test(BOOTS, "quote.msg", "verifies with log and values")),
    ("tpm/qemu-ovmf/*/quote.sig", Test(BOOTS, "quote.sig", "its signature")),
    ("tpm/qemu-ovmf/*/quote.pcrs", Unread("values in the form of tpm2-tools; those of pcrs.txt are read")),
    ("tpm/qemu-ovmf/*/pcrs.txt", Test(BOOTS, "/pcrs.txt", "what the PCRs held")),
    ("tpm/qemu-ovmf/*/cmdline.txt", Test(BOOTS, "/cmdline.txt", "what PCR 9 says of the command line")),
    ("tpm/qemu-ovmf/*/eventlog.bin", Test(BOOTS, "eventlog.bin", "replays into the quoted values")),
    (
        "tpm/qemu-ovmf/*/eventlog.tpm2-tools.yaml",
        Test(LOGS, "eventlog.tpm2-tools.yaml", "another parser read the same events"),
    ),
    (
        "tpm/qemu-ovmf/*/ima.bin",
        Unread("IMA's measurements in PCR 10 are not appraised; no claim rests on them"),
    ),
    ("tpm/qemu-ovmf/*/ima.txt", Unread("the same as text")),
    ("tpm/qemu-ovmf/*/dmesg.txt", Unread("the kernel's messages of that boot, for people")),
    // Published by other projects.
    (
        "tpm/go-eventlog-tpm/*.bin",
        Test(LOGS, "{stem}", "replays to its published values, or is refused by name"),
    ),
    ("tpm/go-eventlog-legacy/*_eventlog", Test(LOGS, "{stem}", "read, or refused by name")),
    (
        "tpm/go-eventlog-legacy/linux_tpm12.json",
        Test(PUBLISHED, "linux_tpm12.json", "TPM 1.2: every part of it is refused"),
    ),
    (
        "tpm/go-eventlog-legacy/windows_gcp_shielded_vm.json",
        Test(PUBLISHED, "windows_gcp_shielded_vm.json", "refused: its key signs with SHA-1"),
    ),
    ("tpm/go-tpm-tools-eventlogs/expected-pcrs.json", Test(LOGS, "expected-pcrs.json", "published values")),
    ("tpm/go-tpm-tools-eventlogs/*.bin", Test(LOGS, "{stem}", "replays to its published values")),
    ("tpm/go-tpm-tools-attestations/*.pb", Test(PUBLISHED, "{stem}", "verifies but for its SHA-1 bank")),
    ("tpm/go-tpm-tools-securebootcerts/*.crt", Test(LOGS, "go-tpm-tools-securebootcerts", "the same ones")),
    ("tpm/secureboot-wellknown/*.crt", Test(LOGS, "{stem}", "stands in the databases of genuine logs")),
    ("tpm/secureboot-wellknown/dbxupdate*.bin", Test(LOGS, "{stem}", "whole lists behind a signature")),
    ("tpm/keylime-mb/mb_log.b64", Test(PUBLISHED, "mb_log.b64", "obeys the rules")),
    ("tpm/keylime-mb/binary_bios_measurements*", Test(LOGS, "{stem}", "read to its end, or refused by name")),
    ("tpm/keylime-quote/*.out", Test(PUBLISHED, "{stem}", "verifies under its key and no other")),
    (
        "tpm/azure-cvm-tooling/akpub.pem",
        Test(PUBLISHED, "akpub.pem", "the key of the quote, of no blob here"),
    ),
    ("tpm/azure-cvm-tooling/var-data.bin", Test(PUBLISHED, "var-data.bin", "runtime data name another key")),
    ("tpm/azure-cvm-tooling/certs.pem", Test(AZURE, "certs.pem", "a VCEK of another chip")),
    (
        "tpm/azure-cvm-tooling/hcl-report-snp.bin",
        Test(AZURE, "hcl-report-snp.bin", "an HCL blob of version 1"),
    ),
    ("tpm/azure-cvm-tooling/hcl-report-tdx.bin", Test(AZURE, "hcl-report-tdx.bin", "refused: of TDX")),
    ("tpm/azure-cvm-tooling/quote.bin", Test(PUBLISHED, "quote.bin", "verifies under its key")),
    ("tpm/trustee-az-snp-vtpm/evidence-v*.json", Test(AZURE, "{stem}", "verifies, part for part")),
    ("tpm/trustee-az-snp-vtpm/hcl-report.bin", Test(AZURE, "hcl-report.bin", "the report binds the key")),
    ("tpm/trustee-az-snp-vtpm/quote.bin", Test(AZURE, "quote.bin", "verifies under that key")),
    ("tpm/trustee-az-snp-vtpm/vcek.pem", Test(AZURE, "vcek.pem", "signed the report")),
    ("tpm/ek-ca-certs/keylime-store/*.pem", Test(CHAINS, "tpm/ek-ca-certs/keylime-store", "can be a root")),
    ("tpm/ek-ca-certs/*.c*r*", Test(CHAINS, "{stem}", "can be a root")),
];

/// Folders whose every file has a row.
const FOLDERS: [&str; 34] = [
    "snp/crl",
    "snp/genoa-v3-azure-hcl",
    "snp/genoa-v5-model-a0",
    "snp/genoa-v5-oak",
    "snp/measurement",
    "snp/measurement/idblock",
    "snp/milan-v2-aci-uvm",
    "snp/milan-v2-aws-vlek",
    "snp/milan-v2-azure-hcl",
    "snp/milan-v2-baremetal-virtee",
    "snp/milan-v2-debug-gosevguest",
    "snp/milan-v3-azure-hcl",
    "snp/milan-v3-azure-microsoft",
    "snp/neg-azure-report-vcek-other-chip",
    "snp/turin-v5-azure-microsoft",
    "snp/turin-v5-oak",
    "tpm/attack-swtpm",
    "tpm/azure-cvm-tooling",
    "tpm/ek-ca-certs",
    "tpm/ek-ca-certs/keylime-store",
    "tpm/go-eventlog-legacy",
    "tpm/go-eventlog-tpm",
    "tpm/go-tpm-tools-attestations",
    "tpm/go-tpm-tools-eventlogs",
    "tpm/go-tpm-tools-securebootcerts",
    "tpm/keylime-mb",
    "tpm/keylime-quote",
    "tpm/qemu-ovmf",
    "tpm/qemu-ovmf/ca",
    "tpm/qemu-ovmf/tcg-crb",
    "tpm/qemu-ovmf/tcg-snakeoil-uki",
    "tpm/qemu-ovmf/tcg-tis",
    "tpm/secureboot-wellknown",
    "tpm/trustee-az-snp-vtpm",
];

#[test]
fn every_file_of_the_vectors_has_its_test_or_a_reason() {
    let mut files = Vec::new();
    ["snp", "tpm"].iter().for_each(|folder| walk(&root().join(folder), &mut files));
    if files.is_empty() {
        eprintln!("the vectors are missing and were passed over");
    }
    let mut wrong = BTreeSet::new();
    for file in &files {
        let path = file.strip_prefix(root()).unwrap().to_str().unwrap();
        let Some((pattern, done)) = TABLE.iter().find(|(pattern, _)| fits(pattern, path)) else {
            let folder = Path::new(path).parent().unwrap().to_str().unwrap();
            if FOLDERS.contains(&folder) {
                wrong.insert(format!("{path}: no row names it; what is done with it?"));
            } else {
                eprintln!("{path}: no row names it, nor its folder");
            }
            continue;
        };
        match done {
            Test(source, word, expected) => {
                let stem = file.file_stem().unwrap().to_str().unwrap();
                let (word, text) = (word.replace("{stem}", stem), source_of(source));
                if !text.contains(&word) || expected.is_empty() {
                    wrong.insert(format!("{path}: {source} does not have `{word}` ({pattern})"));
                }
            }
            Unread(reason) => assert!(!reason.is_empty(), "{pattern}"),
        }
    }
    let lines: Vec<_> = wrong.into_iter().collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

#[test]
fn a_star_stands_for_a_part_of_a_name() {
    assert!(fits("*/PROVENANCE.md", "tpm/x/PROVENANCE.md") && fits("a*c", "abc") && fits("abc", "abc"));
    for path in ["abd", "bc", "ab", "abcd"] {
        assert!(!fits("a*c", path), "{path}");
    }
    assert!(!fits("snp/*.bin", "tpm/a.bin") && !fits("abc", "abcd") && !fits("a*ba", "aba/"));
}

/// Whether a path is of a pattern. Stars stand for anything, from the left; the last part is an end.
fn fits(pattern: &str, path: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|start| path.strip_prefix(start)) else { return false };
    let parts: Vec<_> = parts.collect();
    let Some((end, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(end)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

fn source_of(path: &str) -> String {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
