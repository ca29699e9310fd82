//! Seeds from genuine evidence, by the names that the folder of vectors has. Nothing is copied into the repository.

use std::fs;
use std::path::Path;

use crate::Corpus;

/// The most bytes of a seed: longer inputs are slow, and evidence has no more.
const MAX_SEED: u64 = 64 * 1024;

pub(crate) fn put_all(corpus: &Corpus, vectors: &Path) {
    let mut files = Vec::new();
    below(vectors, &mut files);
    for path in files {
        let name = path.strip_prefix(vectors).unwrap().to_string_lossy().replace('/', "-");
        let bytes = fs::read(&path).unwrap();
        for target in targets(&name) {
            corpus.put(target, &name, &bytes);
        }
    }
}

fn below(dir: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            below(&path, files);
        } else if fs::metadata(&path).unwrap().len() <= MAX_SEED {
            files.push(path);
        }
    }
}

/// Which targets take a file of this name.
fn targets(name: &str) -> &'static [&'static str] {
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if ends(&[".crl.der"]) {
        &["crl"]
    } else if name.contains("hcl-report") {
        &["hcl_blob"]
    } else if ends(&["var-data.bin", "runtime.json"]) {
        &["runtime_data"]
    } else if ends(&["eventlog", "eventlog.bin", "el-no-sep7.bin", "el-no-specid.bin"])
        || name.contains("binary_bios_measurements")
        || name.contains("eventlog-tpm")
    {
        &["event_log", "boot_facts"]
    } else if ends(&[".msg", "quote.out"]) {
        &["attest"]
    } else if ends(&[".sig"]) {
        &["signature"]
    } else if ends(&["ak.tss", "ek.pub"]) {
        &["public"]
    } else if ends(&["_suffix.bin"]) {
        &["ovmf"]
    } else if ends(&["auth_block.bin"]) {
        &["id_auth"]
    } else if ends(&["key.pem", "key_test.pem", "akpub.pem", "ak.pem"]) {
        &["public_key_pem"]
    } else if ends(&["report.bin"]) {
        &["snp_evidence"]
    } else if ends(&[".pem", ".der", ".crt"]) {
        &["certificates", "chain", "endorsement_key"]
    } else {
        &[]
    }
}
