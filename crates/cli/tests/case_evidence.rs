//! Cases whose guest is evidence in a file: genuine evidence beside the repository, in `../shared/vectors` or
//! `$KEYFAST_VECTORS`, and what the verifier says of it where something was altered.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const SNP: &str = "snp/milan-v2-debug-gosevguest";
const TPM: &str = "tpm/qemu-ovmf/tcg-crb";

/// A folder of the vectors, if it is there.
fn vectors(folder: &str) -> Option<PathBuf> {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors"));
    let root = std::env::var_os("KEYFAST_VECTORS").map_or_else(beside, PathBuf::from);
    let found = Some(root.join(folder)).filter(|folder| folder.is_dir());
    if found.is_none() {
        eprintln!("`{folder}` is missing and was passed over");
    }
    found
}

/// A directory with one policy, `ours`, and one case that it permits.
struct Directory(TempDir);

impl Directory {
    fn new(condition: &str) -> Self {
        let dir = Self(tempfile::tempdir().unwrap());
        let schema =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../attestation-policies/schema.cedarschema");
        let rule = "permit (principal is Guest, action, resource is Key)";
        dir.put("schema.cedarschema", fs::read(schema).unwrap());
        dir.put("reference-values.toml", "version = 1\n");
        dir.put("cases/ours/reference-values.toml", "version = 1\n");
        dir.put("ours.cedar", format!("@id(\"ours\") @doc(\"d\")\n{rule}\nwhen {{ {condition} }};\n"));
        dir
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Runs the case whose evidence is `evidence.bin` beside it.
    fn test(&self, evidence: &[u8], now: &str, verify: &str) -> Output {
        let head =
            "about = 'a'\nevidence = 'evidence.bin'\nexpect.permit = ['ours']\nkey.simulation = false\n";
        self.put("cases/ours/permit/evidence.bin", evidence);
        self.put("cases/ours/permit/one.toml", format!("{head}now = {now}\n[verify]\n{verify}"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyfast"));
        command.args(["policy", "test", "--dir"]).arg(self.0.path()).arg("ours").output().unwrap()
    }
}

fn succeeds(output: &Output) {
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("ours  1 of 1 as expected"), "{output:?}");
}

/// That the case is wrong, for this reason of the verifier's.
#[track_caller]
fn refused(output: &Output, reason: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(said.contains("cases/ours/permit/one.toml`: not a case: no such guest: "), "{said}");
    assert!(said.contains(reason), "{said}");
}

#[test]
fn a_genuine_report_is_a_guest() {
    let Some(folder) = vectors(SNP) else { return };
    let genuine = "!principal.simulated && principal.snp_fresh && principal has snp && \
                   principal.snp.policy.debug_allowed && principal.snp.version == 2";
    let dir = Directory::new(genuine);
    let report = fs::read(folder.join("report.bin")).unwrap();
    let certs = format!("certs = '{}'\n", folder.display());
    let now = "2026-01-01T00:00:00Z";
    succeeds(&dir.test(&report, now, &certs));
    // The policy decides about what the report says, and not about whether there is one.
    let strict = Directory::new("principal has snp && !principal.snp.policy.debug_allowed");
    let output = strict.test(&report, now, &certs);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("principal.snp.policy.debug_allowed"));

    let mut altered = report.clone();
    altered[0x90] ^= 1;
    refused(&dir.test(&altered, now, &certs), "not authenticated: ");
    refused(&dir.test(&altered, now, &certs), "signature");
    refused(&dir.test(&report, "2035-01-01T00:00:00Z", &certs), "not authenticated: ");
    refused(&dir.test(&report, now, ""), "not authenticated: ");
    refused(&dir.test(&report, now, &format!("{certs}require_crl = 60\n")), "revocation");
    refused(&dir.test(&report, now, &format!("{certs}kind = 'tpm'\n")), "");
    refused(&dir.test(&report[..100], now, &certs), "");
}

#[test]
fn a_genuine_quote_is_a_guest_under_a_key_that_the_case_believes() {
    let Some(folder) = vectors(TPM) else { return };
    let dir = Directory::new("!principal.simulated && principal has tpm && principal.tpm has boot");
    let packed = dir.0.path().join("packed.bin");
    let mut pack = Command::new(env!("CARGO_BIN_EXE_keyfast"));
    pack.args(["evidence", "pack"]);
    for (flag, file) in [
        ("--attest", "quote.msg"),
        ("--signature", "quote.sig"),
        ("--pcrs", "quote.pcrs"),
        ("--ak-public", "ak.tss"),
        ("--log", "eventlog.bin"),
    ] {
        pack.arg(flag).arg(folder.join(file));
    }
    let output = pack.arg("-o").arg(&packed).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut quote = fs::read(packed).unwrap();
    let now = "2026-01-01T00:00:00Z";
    let believed = format!("ak_public = ['{}']\n", folder.join("ak.tss").display());
    succeeds(&dir.test(&quote, now, &believed));
    let name: String = fs::read(folder.join("ak.name")).unwrap().iter().map(|b| format!("{b:02x}")).collect();
    succeeds(&dir.test(&quote, now, &format!("trust_ak = ['{name}']\n")));
    refused(&dir.test(&quote, now, ""), &name);
    let last = quote.len() - 1;
    quote[last] ^= 1;
    refused(&dir.test(&quote, now, &believed), "");
}

#[test]
fn what_policies_decide_about_genuine_evidence_is_explained_without_a_case() {
    let Some(folder) = vectors(SNP) else { return };
    let dir =
        Directory::new("principal has snp && principal.snp.policy.debug_allowed && !resource.for_simulation");
    let explain = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyfast"));
        command.args(["policy", "explain"]).arg(folder.join("report.bin")).arg("ours");
        command.args(["--dir", dir.0.path().to_str().unwrap(), "--at", "2026-01-01"]).args(more);
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    };
    let certs = ["--certs", folder.to_str().unwrap()];
    let said = |code, out: &str, err: &str| (code, out.to_owned(), err.to_owned());
    assert_eq!(explain(&certs), said(0, "permitted by ours\n", ""));

    dir.put("ours.cedar", RING);
    let secret = [&certs[..], &["--operation", "secret", "--key", "token", "--ring", "payments"]].concat();
    assert_eq!(explain(&secret), said(0, "permitted by ours\n", ""));
    let (code, told, error) = explain(&[&secret[..4], &["--key", "token"]].concat());
    assert_eq!((code, error.as_str()), (1, "keyfast: denied\n"));
    assert!(
        told.starts_with(
            "denied: policy-denied\n\nours\n  d\n  condition   resource in KeyRing::\"payments\""
        ),
        "{told}"
    );
    assert!(told.contains("would be permitted by `ours` if"), "{told}");

    // What is not authenticated is not put to any policy.
    let (code, told, error) = explain(&[]);
    assert_eq!((code, told.as_str()), (1, ""));
    assert!(error.starts_with("keyfast: not authenticated: "), "{error}");
    let (code, told, error) = explain(&[&certs[..], &["--require-crl"]].concat());
    assert!((code, told.as_str()) == (1, "") && error.contains("revocation"), "{error}");
}

const RING: &str = r#"
@id("ours") @doc("d")
permit (principal is Guest, action == Action::"secret", resource in KeyRing::"payments")
when { resource == Key::"token" };
"#;

#[test]
fn a_case_has_one_guest() {
    let dir = Directory::new("true");
    let case = |text: &str| {
        dir.put("cases/ours/permit/one.toml", format!("about = 'a'\nexpect.permit = ['ours']\n{text}"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyfast"));
        command.args(["policy", "test", "--dir"]).arg(dir.0.path()).arg("ours").output().unwrap()
    };
    refused(
        &case("evidence = 'x'\nguest.debug = true\n"),
        "`guest` is a simulated one; leave out it or `evidence`",
    );
    refused(
        &case("verify.certs = '.'\n"),
        "`verify` is about the evidence of a file, and `evidence` is not there",
    );
    refused(&case("evidence = 'absent.bin'\n"), "absent.bin");
    let output = case("evidence = 'x'\nverify.simulated = true\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("unknown field `simulated`"), "{output:?}");
}
