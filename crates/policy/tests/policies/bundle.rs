//! The shipped policies and their cases, read from `attestation-policies/`.

use std::fs;
use std::path::{Path, PathBuf};

use policy::case::Case;
use policy::{Bundle, Policy};

/// `attestation-policies/` and a path in it.
pub fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../attestation-policies").join(path)
}

pub fn read(path: &str) -> String {
    fs::read_to_string(shipped(path)).unwrap()
}

/// The shipped schema, the reference values of these cases, and no policy yet.
pub fn bundle(cases: &str) -> Bundle {
    Bundle::new(read("schema.cedarschema"), read(&format!("cases/{cases}/reference-values.toml")))
}

/// One shipped policy with the reference values of its cases.
pub fn shipped_policy(name: &str) -> Policy {
    let file = format!("{name}.cedar");
    Policy::load(bundle(name).with_policy(&file, read(&file))).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A case of a shipped policy.
pub fn case(policy: &str, path: &str) -> Case {
    let folder = format!("cases/{policy}");
    let text = read(&format!("{folder}/{path}"));
    Case::parse(&text, |base| Some(read(&format!("{folder}/{base}"))))
        .unwrap_or_else(|error| panic!("{folder}/{path}: {error}"))
}

/// A text with spaces behind it, so long.
pub fn padded(text: &str, bytes: usize) -> String {
    text.to_owned() + &" ".repeat(bytes - text.len())
}
