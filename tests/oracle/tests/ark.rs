//! AMD's root keys as `verify` pins them are those that the crate `sev` has built in.

use std::fs;

use sev::certs::snp::builtin::{genoa, milan, turin};

#[test]
fn the_pinned_roots_are_those_of_the_sev_crate() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/verify/data");
    let roots = [
        ("milan-ark.der", milan::ark().unwrap()),
        ("genoa-ark.der", genoa::ark().unwrap()),
        ("turin-ark.der", turin::ark().unwrap()),
    ];
    for (file, root) in &roots {
        let pinned = fs::read(format!("{data}/{file}")).unwrap();
        assert!(pinned.len() > 1000, "{file}");
        assert_eq!(pinned, root.to_der().unwrap(), "{file}");
    }
    let others = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(others.filter(|name| name.ends_with(".der") || name.ends_with(".pem")).count(), roots.len());
}
