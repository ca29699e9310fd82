//! Which packages of others a crate may name, and which no binary may contain.

use std::process::Command;

use crate::members::{Member, Members};
use crate::{Violation, tree};

/// The packages whose binaries are shipped.
pub const SHIPPED: [&str; 4] = ["agent", "broker", "cli", "simtee"];

/// Packages, the only crates that may name them outside their tests, and what the others do.
const ONLY_NAMED_BY: [(&str, &str, &str); 7] = [
    (
        "aes aes-gcm aes-kw aws-lc-rs aws-lc-sys ecdsa ed25519-dalek elliptic-curve getrandom hkdf hmac hpke ml-kem \
         p256 p384 rand rand_core sha2 sha3 subtle x25519-dalek",
        "crypto",
        "call `crypto`, the only crate that names a primitive",
    ),
    ("rustls", "crypto transport", "take the TLS configuration from `transport`"),
    ("tokio-rustls", "transport broker", "take the connection from `transport`"),
    ("sev", "attester", "only the guest device is reached through it"),
    (
        "tss-esapi tss-esapi-sys",
        "attester",
        "only a guest's tpm is reached through it; `verify` reads what a tpm signs",
    ),
    ("rcgen", "broker", "only the broker makes a certificate, its own for TLS"),
    ("anyhow eyre failure", "", "give the error a type of its own, with `thiserror`"),
];

/// What turns values into bytes and back.
const SERIALISERS: [&str; 6] = ["serde", "serde_json", "serde_cbor", "ciborium", "minicbor", "toml"];

/// The libraries that a guest runs beside `wire`: their formats are their own, field by field.
const GUEST_LIBRARIES: [&str; 10] = [
    "claims",
    "secret",
    "crypto",
    "evidence",
    "measure",
    "keys",
    "envelope",
    "tlog",
    "transport",
    "attester",
];

/// Packages that no binary may contain, and why.
const FORBIDDEN: [(&str, &str); 12] = [
    ("rsa", "RUSTSEC-2023-0071 is open: private operations leak by their time; use `crypto`"),
    ("serde_cbor", "unmaintained since 2021; use `minicbor`"),
    ("openssl", "one cryptographic library is enough: `aws-lc-rs`, through `crypto`"),
    ("openssl-sys", "one cryptographic library is enough: `aws-lc-rs`, through `crypto`"),
    ("native-tls", "TLS is rustls with `aws-lc-rs`, through `transport`"),
    ("ring", "rustls and rcgen work with `aws-lc-rs`; switch their default features off"),
    ("hpke-rs", "advisories in 2026, a repeated nonce among them; use `crypto`"),
    ("x509-verify", "pulls in `rsa`; chains are verified in `verify`"),
    ("sev", "its verifier accepts a root of its own making; `evidence` and `verify` do the work"),
    ("tss-esapi", "only a guest needs libtss2; `evidence` and `verify` do the work"),
    ("webpki", "unmaintained; rustls brings `rustls-webpki`"),
    ("proptest", "a test dependency got among the normal ones"),
];

/// Names in manifests that belong to another crate.
pub fn misplaced(members: &Members) -> Vec<Violation> {
    members.crates().flat_map(misplaced_in).collect()
}

fn misplaced_in(member: &Member) -> Vec<Violation> {
    let violation = |package: &str, instead: &str| {
        Violation::new(member.place_of(package), format!("`{}` names `{package}`", member.name), instead)
    };
    let names = |package: &&str| member.names.contains(*package);
    let mut violations = Vec::new();
    for (packages, owners, instead) in ONLY_NAMED_BY {
        if !owners.split(' ').any(|owner| owner == member.name) {
            let named = packages.split(' ').filter(|package| names(package));
            violations.extend(named.map(|package| violation(package, instead)));
        }
    }
    if GUEST_LIBRARIES.contains(&member.name.as_str()) {
        let instead = "messages are `wire`'s; formats of other kinds are written field by field";
        violations.extend(SERIALISERS.into_iter().filter(names).map(|package| violation(package, instead)));
    }
    violations
}

/// The packages that a binary is built from, as `cargo tree` lists them: a name, a version, and more on each line.
///
/// That is the list with the features that a build turns on, for this machine, without tests' dependencies.
#[expect(clippy::panic, reason = "without the list the rule cannot be checked")]
pub fn resolve(package: &str) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["tree", "--package", package, "--edges", "normal,build", "--prefix", "none"];
    let output = Command::new(cargo).args(arguments).current_dir(tree::root()).output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        Ok(output) => panic!("`cargo tree` failed: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => panic!("`cargo tree` did not start: {error}"),
    }
}

/// The forbidden packages in such a list.
pub fn forbidden(binary: &str, list: &str) -> Vec<Violation> {
    let present = |name: &str| list.lines().any(|line| line.split(' ').next() == Some(name));
    let violation = |(name, why): (&str, &str)| {
        let instead = format!("{why} (`cargo tree -p {binary} -i {name}` shows who brings it)");
        Violation::new(
            format!("crates/{binary}/Cargo.toml"),
            format!("the binary contains `{name}`"),
            instead,
        )
    };
    // The agent asks devices through them, and nothing more: `attester` alone may name them.
    let let_in = |name: &str| ["sev", "tss-esapi"].contains(&name) && binary == "agent";
    let found = FORBIDDEN.into_iter().filter(|(name, _)| present(name) && !let_in(name));
    found.map(violation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_primitive_outside_crypto_is_named() {
        let members = Members::of(&[
            ("crypto", &["sha2", "hpke"]),
            ("keys", &["sha2"]),
            ("release", &["hpke", "rcgen"]),
        ]);
        let what: Vec<String> = misplaced(&members).into_iter().map(|v| v.what).collect();
        assert_eq!(what, ["`keys` names `sha2`", "`release` names `hpke`", "`release` names `rcgen`"]);
    }

    #[test]
    fn a_serialiser_on_the_guests_path_is_named() {
        let members = Members::of(&[("keys", &["serde"]), ("wire", &["minicbor"]), ("agent", &["toml"])]);
        let places: Vec<String> = misplaced(&members).into_iter().map(|v| v.place).collect();
        assert_eq!(places, ["crates/keys/Cargo.toml:2"]);
    }

    #[test]
    fn a_forbidden_package_is_found_by_its_whole_name() {
        let list = "agent v0.1.0 (/x)\nspring v0.1.0\nring v0.17.14\nopenssl-probe v0.1.6\n";
        let what: Vec<String> = forbidden("agent", list).into_iter().map(|v| v.what).collect();
        assert_eq!(what, ["the binary contains `ring`"]);
    }

    #[test]
    fn the_list_holds_what_a_binary_is_built_from() {
        let list = resolve("agent");
        assert!(list.lines().any(|line| line.starts_with("aws-lc-rs v")), "{list}");
        assert!(!list.lines().any(|line| line.starts_with("proptest v")), "{list}");
    }
}
