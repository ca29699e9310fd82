//! Genuine evidence beside the repository, in `../shared/vectors` or `$KEYFAST_VECTORS`.

use std::fs;
use std::path::PathBuf;

/// A vector's bytes, or `None`, said aloud, where it is missing.
pub fn read(path: &str) -> Option<Vec<u8>> {
    let bytes = fs::read(root().join(path)).ok();
    if bytes.is_none() {
        eprintln!("passed over: vector `{path}` is missing");
    }
    bytes
}

pub fn read_text(path: &str) -> Option<String> {
    read(path).map(|bytes| String::from_utf8(bytes).unwrap())
}

/// The vectors in a folder, sorted; none, said aloud, where it is missing.
pub fn list(folder: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root().join(folder)) else {
        eprintln!("passed over: vectors `{folder}` are missing");
        return Vec::new();
    };
    let names = entries.map(|entry| format!("{folder}/{}", entry.unwrap().file_name().display()));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn root() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors");
    std::env::var_os("KEYFAST_VECTORS").map_or_else(|| PathBuf::from(beside), PathBuf::from)
}
