//! The vectors beside the repository; where they are absent, the test says so and passes over them.

use std::fs;
use std::path::PathBuf;

/// The bytes of a file of the vectors.
pub fn read(path: &str) -> Option<Vec<u8>> {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors"));
    let root = std::env::var_os("KEYFAST_VECTORS").map_or_else(beside, PathBuf::from);
    let found = fs::read(root.join(path)).ok();
    if found.is_none() {
        eprintln!("the vector {path} is missing and was passed over");
    }
    found
}
