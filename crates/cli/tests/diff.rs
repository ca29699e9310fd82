//! `keyfast policy diff` with the solver `cvc5`, which `tools/setup` installs: what was proven the same is the same however
//! it is written, and what is not has a guest to show for it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../attestation-policies");

/// A directory with one rule of these conditions.
fn written(dir: &Path, name: &str, conditions: &str) -> PathBuf {
    let dir = dir.join(name);
    fs::create_dir(&dir).unwrap();
    for file in ["schema.cedarschema", "reference-values.toml"] {
        fs::copy(Path::new(SHIPPED).join(file), dir.join(file)).unwrap();
    }
    let head = "@id(\"r\")\n@doc(\"d\")\npermit (principal is Guest, action, resource is Key)";
    fs::write(dir.join("r.cedar"), format!("{head}\n{conditions};\n")).unwrap();
    dir
}

fn diff(old: &str, new: &str) -> (Option<i32>, Value) {
    let dir = tempfile::tempdir().unwrap();
    let [old, new] = [("old", old), ("new", new)].map(|(name, text)| written(dir.path(), name, text));
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyfast"));
    let output = command.args(["policy", "diff", "--json"]).args([old, new]).output().unwrap();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

const VMPL: &str = "when { principal has snp && principal.snp.vmpl == 0 }";

#[test]
fn what_is_proven_the_same_is_the_same_in_other_words() {
    let (code, told) = diff(VMPL, "when { principal has snp } unless { principal.snp.vmpl != 0 }");
    assert_eq!((code, &told["same"]), (Some(0), &json!(true)), "{told:#}");
    assert_eq!(told["rules"][0]["change"], "changed");
    let proven = json!([{
        "name": "r", "known": "proven", "same": true, "new_permits": null, "new_denies": null, "error": null,
    }]);
    assert_eq!(told["meaning"], proven);
}

#[test]
fn what_a_candidate_permits_or_denies_anew_is_shown_by_a_guest() {
    let tighter = format!("{VMPL} when {{ principal.simulated }}");
    let (code, told) = diff(VMPL, &tighter);
    let meaning = &told["meaning"][0];
    assert_eq!((code, &meaning["same"], &meaning["new_permits"]), (Some(1), &json!(false), &Value::Null));
    assert_eq!(meaning["new_denies"]["claims"]["principal.simulated"], "false");
    assert_eq!(told["rules"][0]["conditions_added"], json!(["principal.simulated"]));

    let (code, told) = diff(&tighter, VMPL);
    let meaning = &told["meaning"][0];
    assert_eq!((code, &meaning["new_denies"]), (Some(1), &Value::Null));
    assert_eq!(meaning["new_permits"]["claims"]["principal.simulated"], "false");
    assert_eq!(meaning["new_permits"]["rules"], json!(["r"]));
    assert_eq!(told["rules"][0]["conditions_dropped"], json!(["principal.simulated"]));
}

#[test]
fn a_difference_is_shown_by_a_guest_that_a_machine_may_be() {
    let (code, told) = diff(VMPL, "when { principal has snp && principal.snp.vmpl != 1 }");
    let shown = &told["meaning"][0]["new_permits"];
    assert_eq!(code, Some(1));
    assert_eq!((&shown["impossible"], &shown["by_no_machine"]), (&json!([]), &json!(false)), "{told:#}");
    assert!(
        ["2", "3"].map(|level| json!(level)).contains(&shown["claims"]["principal.snp.vmpl"]),
        "{told:#}"
    );
}

#[test]
fn a_difference_that_no_machine_shows_is_told_as_one() {
    let below_zero = "when { principal has snp && principal.snp.vmpl < 1 }";
    let (code, told) = diff(VMPL, below_zero);
    let meaning = &told["meaning"][0];
    assert_eq!((code, &meaning["same"], &meaning["new_denies"]), (Some(1), &json!(false), &Value::Null));
    let shown = &meaning["new_permits"];
    assert_eq!(shown["by_no_machine"], json!(true), "{told:#}");
    assert_eq!(shown["impossible"], json!(["principal.snp.vmpl is 0 to 3"]), "{told:#}");

    let dir = tempfile::tempdir().unwrap();
    let [old, new] = [("old", VMPL), ("new", below_zero)].map(|(name, text)| written(dir.path(), name, text));
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyfast"));
    let output = command.args(["policy", "diff"]).args([old, new]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("        but no machine shows that:\n"), "{told}");
    assert!(
        told.contains("\n        nor does another request show it: to machines, both mean the same\n"),
        "{told}"
    );
}
