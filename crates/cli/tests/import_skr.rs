//! What `keyfast policy import-skr` writes, put to guests: whoever Azure meant is permitted, and with one claim altered
//! denied. The policies have the shapes of those that Microsoft publishes.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use policy::case::Case;
use policy::{Bundle, Policy};
use serde_json::{Value, json};

const PARAVISOR: &str = "99";
const IMAGE: &str = "11";
const DATABASE: &str = "db";
const VM: &str = "0A1B2C3D-0123-4567-89AB-0123456789AB";

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../attestation-policies")
}

fn run(document: &Value, arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("policy.json");
    fs::write(&file, document.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyfast"));
    command.args(["policy", "import-skr", "--name", "t", "--dir"]).arg(shipped()).args(arguments);
    command.arg(&file).output().unwrap()
}

/// The rules, loaded with reference values of these tests.
fn rules(document: &Value) -> Policy {
    let output = run(document, &[]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    load(&String::from_utf8(output.stdout).unwrap())
}

fn load(rules: &str) -> Policy {
    let value = |kind: &str, byte: &str, bytes: usize| {
        let value = byte.repeat(bytes);
        format!("[[{kind}]]\nvalue = \"{value}\"\nname = \"{kind}\"\nstate = \"active\"\n")
    };
    let references = [
        "version = 1\n".to_owned(),
        value("paravisor", PARAVISOR, 48),
        value("measurement", IMAGE, 48),
        value("database", DATABASE, 32),
    ];
    let schema = fs::read_to_string(shipped().join(Bundle::SCHEMA)).unwrap();
    Policy::load(Bundle::new(schema, references.concat()).with_policy("t.cedar", rules)).unwrap()
}

/// A shipped case as another guest: each place with what stands there instead.
fn guest(case: &str, changes: &[(&str, Value)]) -> Case {
    let mut whole: Value =
        serde_json::from_slice(&fs::read(shipped().join("cases").join(case)).unwrap()).unwrap();
    for (pointer, new) in changes {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        whole.pointer_mut(parent).unwrap()[name] = new.clone();
    }
    whole["expect"] = json!({ "permit": [] });
    Case::parse(&whole.to_string(), |_| None).unwrap()
}

/// A virtual machine on Azure that all samples mean.
fn machine(changes: &[(&str, Value)]) -> Case {
    let mut all = vec![
        ("/guest/snp/id_key_digest", json!("1d".repeat(48))),
        ("/guest/snp/author_key_digest", json!("a0".repeat(48))),
        ("/guest/tpm/boot/db", json!(DATABASE.repeat(32))),
        ("/guest/tpm/boot/dbx", json!(DATABASE.repeat(32))),
    ];
    all.extend(changes.iter().cloned());
    guest("snp-azure-vtpm/permit/known-machine.json", &all)
}

/// A container's utility VM that all samples mean.
fn container(changes: &[(&str, Value)]) -> Case {
    let mut all = vec![
        ("/guest/snp/measurement", json!(IMAGE.repeat(48))),
        ("/guest/snp/host_data", json!("ab".repeat(32))),
        ("/guest/snp/policy", json!("0x30000")),
    ];
    all.extend(changes.iter().cloned());
    guest("snp-production/permit/known-image.json", &all)
}

/// The rules that permit it. No case expects a permit by no rule, so each fails, and says what it got.
fn permits(policy: &Policy, case: &Case) -> Vec<String> {
    let got = case.run(policy).unwrap_err();
    match got.split_once("got a permit by ") {
        Some((_, rules)) => rules.split(", ").map(str::to_owned).collect(),
        None => {
            assert!(got.contains("got a denial: policy-denied"), "{got}");
            Vec::new()
        }
    }
}

fn permitted(policy: &Policy, case: &Case) -> bool {
    !permits(policy, case).is_empty()
}

/// A row of a table: a claim, its value, what to alter of the guest, and to what.
type Row<'a> = (&'a str, Value, &'a str, Value);

/// Translates each row's claim to a rule of its own, beside `kind`: it permits `guest(&[])`, and not once the row's place
/// is altered.
fn each_claim_counts(
    kind: &Value,
    prefix: &str,
    table: &[Row<'_>],
    guest: impl Fn(&[(&str, Value)]) -> Case,
) {
    let authority = |(at, (name, value, ..)): (usize, &Row<'_>)| {
        let name = name.replace("tee:", "x-ms-isolation-tee.");
        // One side holds for every guest here, and the other sets the rule apart from rows that come to the same.
        let apart = [
            claim(&format!("{prefix}x-ms-sevsnpvm-smt-allowed"), "true"),
            claim(&format!("{prefix}x-ms-sevsnpvm-guestsvn"), 1000 + at),
        ];
        let asks = [kind.clone(), claim(&name, value.clone()), json!({ "anyOf": apart })];
        json!({ "authority": "https://a.attest.azure.net", "allOf": asks })
    };
    let authorities: Vec<Value> = table.iter().enumerate().map(authority).collect();
    let policy = rules(&json!({ "version": "1.0.0", "anyOf": authorities }));
    assert_eq!(policy.rules().count(), table.len());
    let as_meant = permits(&policy, &guest(&[]));
    for (at, (name, _, pointer, altered)) in table.iter().enumerate() {
        let rule = format!("t/permit-{}", at + 1);
        assert!(as_meant.contains(&rule), "{name}");
        let otherwise = guest(&[(pointer, altered.clone())]);
        assert!(!permits(&policy, &otherwise).contains(&rule), "{name} with another {pointer}");
    }
}

fn claim(name: &str, value: impl Into<Value>) -> Value {
    json!({ "claim": name, "equals": value.into() })
}

fn skr(group: &str, conditions: &[Value]) -> Value {
    let mut authority = json!({ "authority": "https://sharedweu.weu.attest.azure.net/" });
    authority[group] = json!(conditions);
    json!({ "version": "1.0.0", "anyOf": [authority] })
}

/// The claim that a report is genuine, in a token about a machine.
fn machine_type() -> Value {
    claim("x-ms-isolation-tee.x-ms-attestation-type", "sevsnpvm")
}

#[test]
fn each_claim_of_a_machine_lets_in_whom_it_means_and_nobody_else() {
    let table: [Row<'_>; 22] = [
        ("x-ms-attestation-type", json!("azurevm"), "/guest/tpm/ak_binding", json!("guest-vouched")),
        ("x-ms-attestation-type", json!("azurevm"), "/guest/evidence", json!("svsm")),
        ("secureboot", json!(true), "/guest/tpm/boot/secure_boot", json!(false)),
        ("secureboot", json!("true"), "/guest/tpm/boot", Value::Null),
        (
            "x-ms-azurevm-vmid",
            json!(VM),
            "/guest/tpm/paravisor/vm_id",
            json!("0a1b2c3d-0123-4567-89ab-00000000000e"),
        ),
        ("x-ms-azurevm-vmid", json!(VM), "/guest/tpm/paravisor", Value::Null),
        ("x-ms-azurevm-dbvalidated", json!(true), "/guest/tpm/boot/db", json!("0b".repeat(32))),
        ("x-ms-azurevm-dbxvalidated", json!(true), "/guest/tpm/boot/dbx", json!("0b".repeat(32))),
        ("x-ms-azurevm-dbxvalidated", json!(true), "/guest/tpm/boot/dbx", Value::Null),
        (
            "tee:x-ms-compliance-status",
            json!("azure-compliant-cvm"),
            "/guest/snp/measurement",
            json!("77".repeat(48)),
        ),
        (
            "tee:x-ms-sevsnpvm-idkeydigest",
            json!("1D".repeat(48)),
            "/guest/snp/id_key_digest",
            json!("1e".repeat(48)),
        ),
        ("tee:x-ms-sevsnpvm-idkeydigest", json!("1d".repeat(48)), "/guest/snp/id_key_digest", Value::Null),
        (
            "tee:x-ms-sevsnpvm-authorkeydigest",
            json!("a0".repeat(48)),
            "/guest/snp/author_key_digest",
            json!("1d".repeat(48)),
        ),
        (
            "tee:x-ms-runtime.vm-configuration.secure-boot",
            json!(true),
            "/guest/tpm/paravisor/secure_boot",
            json!(false),
        ),
        (
            "tee:x-ms-runtime.vm-configuration.console-enabled",
            json!("false"),
            "/guest/tpm/paravisor/console_enabled",
            json!(true),
        ),
        (
            "tee:x-ms-runtime.vm-configuration.tpm-persisted",
            json!(false),
            "/guest/tpm/paravisor/tpm_persisted",
            json!(true),
        ),
        (
            "tee:x-ms-runtime.vm-configuration.tpm-persisted",
            json!(false),
            "/guest/tpm/paravisor/tpm_persisted",
            Value::Null,
        ),
        (
            "tee:x-ms-runtime.vm-configuration.vmUniqueId",
            json!(VM),
            "/guest/tpm/paravisor/vm_id",
            json!("0a1b2c3d-0123-4567-89ab-00000000000e"),
        ),
        ("tee:x-ms-runtime.vm-configuration.tpm-enabled", json!(true), "/guest/tpm", Value::Null),
        ("tee:x-ms-attestation-type", json!("sevsnpvm"), "/guest/snp", Value::Null),
        (
            "tee:x-ms-sevsnpvm-launchmeasurement",
            json!("99".repeat(48)),
            "/guest/snp/measurement",
            json!("98".repeat(48)),
        ),
        ("tee:x-ms-sevsnpvm-vmpl", json!(0), "/guest/snp/vmpl", json!(1)),
    ];
    each_claim_counts(&machine_type(), "x-ms-isolation-tee.", &table, machine);
}

#[test]
fn each_claim_of_a_report_lets_in_whom_it_means_and_nobody_else() {
    let zeros = "00".repeat(48);
    let table: [Row<'_>; 16] = [
        ("x-ms-sevsnpvm-hostdata", json!("AB".repeat(32)), "/guest/snp/host_data", json!("ac".repeat(32))),
        (
            "x-ms-sevsnpvm-launchmeasurement",
            json!(IMAGE.repeat(48)),
            "/guest/snp/measurement",
            json!("12".repeat(48)),
        ),
        ("x-ms-sevsnpvm-familyId", json!("00".repeat(16)), "/guest/snp/family_id", json!("01".repeat(16))),
        ("x-ms-sevsnpvm-imageId", json!("00".repeat(16)), "/guest/snp/image_id", json!("01".repeat(16))),
        ("x-ms-sevsnpvm-reportid", json!("0e".repeat(32)), "/guest/snp/report_id", json!("0f".repeat(32))),
        ("x-ms-sevsnpvm-idkeydigest", json!(zeros), "/guest/snp/id_key_digest", json!("01".repeat(48))),
        (
            "x-ms-sevsnpvm-authorkeydigest",
            json!(zeros),
            "/guest/snp/author_key_digest",
            json!("01".repeat(48)),
        ),
        ("x-ms-sevsnpvm-guestsvn", json!(0), "/guest/snp/guest_svn", json!(1)),
        ("x-ms-sevsnpvm-vmpl", json!("0"), "/guest/snp/vmpl", json!(2)),
        ("x-ms-sevsnpvm-bootloader-svn", json!(2), "/guest/snp/reported_tcb/bootloader", json!(3)),
        ("x-ms-sevsnpvm-tee-svn", json!(1), "/guest/snp/reported_tcb/tee", json!(0)),
        ("x-ms-sevsnpvm-snpfw-svn", json!(5), "/guest/snp/reported_tcb/snp", json!(4)),
        ("x-ms-sevsnpvm-microcode-svn", json!("82"), "/guest/snp/reported_tcb/microcode", json!(81)),
        ("x-ms-sevsnpvm-is-debuggable", json!("false"), "/guest/snp/policy", json!("0xb0000")),
        ("x-ms-sevsnpvm-migration-allowed", json!(false), "/guest/snp/policy", json!("0x70000")),
        ("x-ms-sevsnpvm-vmpl", json!(0), "/guest/simulated", json!(true)),
    ];
    let as_written = [
        ("/guest/snp/family_id", json!("00".repeat(16))),
        ("/guest/snp/image_id", json!("00".repeat(16))),
        ("/guest/snp/report_id", json!("0e".repeat(32))),
        ("/guest/snp/id_key_digest", Value::Null),
        ("/guest/snp/author_key_digest", Value::Null),
        ("/guest/snp/guest_svn", json!(0)),
        (
            "/guest/snp/reported_tcb",
            json!({"fmc": null, "bootloader": 2, "tee": 1, "snp": 5, "microcode": 82}),
        ),
    ];
    let guest = |changes: &[(&str, Value)]| {
        let mut all = as_written.to_vec();
        all.extend(changes.iter().cloned());
        if changes.iter().any(|(pointer, _)| *pointer == "/guest/simulated") {
            // A lock would deny first that a simulated guest gets a real key.
            all.push(("/key/for_simulation", json!(true)));
        }
        container(&all)
    };
    each_claim_counts(&claim("x-ms-attestation-type", "sevsnpvm"), "", &table, guest);
}

#[test]
fn a_disk_is_for_any_compliant_machine_of_any_region() {
    let regions = ["eus.eus", "wus.wus", "neu.neu", "weu.weu", "WEU.weu", "eus.eus"];
    let authority = |(at, region): (usize, &&str)| {
        let slash = if at % 2 == 0 { "/" } else { "" };
        json!({
            "allOf": [
                claim("x-ms-compliance-status", "azure-compliant-cvm"),
                { "anyOf": [claim("x-ms-attestation-type", "tdxvm"), claim("x-ms-attestation-type", "sevsnpvm")] },
            ],
            "authority": format!("https://shared{region}.attest.azure.net{slash}"),
        })
    };
    let authorities: Vec<Value> = regions.iter().enumerate().map(authority).collect();
    let document = json!({ "anyOf": authorities, "version": "1.0.0" });
    let policy = rules(&document);
    assert_eq!(policy.rules().map(|(id, _)| id).collect::<Vec<_>>(), ["t/permit"]);
    assert!(permitted(&policy, &machine(&[])));
    assert!(!permitted(&policy, &machine(&[("/guest/snp/measurement", json!("77".repeat(48)))])));
    // The image of a container is no paravisor, though both are known.
    assert!(!permitted(&policy, &machine(&[("/guest/snp/measurement", json!(IMAGE.repeat(48)))])));
    assert!(!permitted(&policy, &container(&[])));
    let told = String::from_utf8(run(&document, &[]).stderr).unwrap();
    assert!(told.starts_with("4 authorities without a counterpart"), "{told}");
    assert!(told.contains("\n    $.anyOf[0].allOf[1].anyOf[0] and 5 more\n"), "{told}");
}

#[test]
fn a_container_is_known_by_its_policy_and_image() {
    let policy = rules(&skr(
        "allOf",
        &[
            claim("x-ms-attestation-type", "sevsnpvm"),
            claim("x-ms-compliance-status", "azure-compliant-uvm"),
            claim("x-ms-sevsnpvm-hostdata", "ab".repeat(32)),
            json!({"claim": "x-ms-sevsnpvm-is-debuggable", "condition": "equals", "value": "false"}),
        ],
    ));
    assert!(permitted(&policy, &container(&[])));
    assert!(!permitted(&policy, &container(&[("/guest/snp/measurement", json!("12".repeat(48)))])));
    // A paravisor's measurement is no image's, and a report that answers no challenge is nobody's.
    assert!(!permitted(&policy, &container(&[("/guest/snp/measurement", json!(PARAVISOR.repeat(48)))])));
    assert!(!permitted(&policy, &container(&[("/guest/snp_fresh", json!(false))])));
    assert!(!permitted(&policy, &container(&[("/guest/evidence", json!("azure-vtpm"))])));
    assert!(!permitted(&policy, &container(&[("/guest/snp/policy", json!("0xb0000"))])));
}

#[test]
fn alternatives_within_conditions_each_let_in_their_own() {
    let host = |byte: &str| claim("x-ms-sevsnpvm-hostdata", byte.repeat(32));
    let either = json!({ "anyOf": [host("ab"), host("cd"), { "allOf": [
        claim("x-ms-sevsnpvm-guestsvn", 7),
        claim("x-ms-runtime.vm-configuration.secure-boot", true),
    ] }] });
    let policy = rules(&skr("allOf", &[claim("x-ms-attestation-type", "sevsnpvm"), either]));
    assert!(permitted(&policy, &container(&[])));
    assert!(permitted(&policy, &container(&[("/guest/snp/host_data", json!("cd".repeat(32)))])));
    assert!(!permitted(&policy, &container(&[("/guest/snp/host_data", json!("ef".repeat(32)))])));
    assert!(permitted(&policy, &machine(&[("/guest/snp/guest_svn", json!(7))])));
    assert!(!permitted(&policy, &machine(&[("/guest/snp/guest_svn", json!(8))])));
    let off = [("/guest/snp/guest_svn", json!(7)), ("/guest/tpm/paravisor/secure_boot", json!(false))];
    assert!(!permitted(&policy, &machine(&off)));
    let unknown = [("/guest/snp/guest_svn", json!(7)), ("/guest/snp/measurement", json!("77".repeat(48)))];
    assert!(!permitted(&policy, &machine(&unknown)));
}

#[test]
fn multithreading_is_asked_for_as_it_is_written() {
    let kind = claim("x-ms-attestation-type", "sevsnpvm");
    let policy = rules(&skr("allOf", &[kind, claim("x-ms-sevsnpvm-smt-allowed", true)]));
    assert!(permitted(&policy, &container(&[])));
    assert!(!permitted(&policy, &container(&[("/guest/snp/policy", json!("0x20000"))])));
}

#[test]
fn rules_for_one_key_are_for_no_other() {
    let document = skr("allOf", &[machine_type()]);
    let text = |key: &str| String::from_utf8(run(&document, &["--key", key]).stdout).unwrap();
    assert!(permitted(&load(&text("db")), &machine(&[])));
    assert!(!permitted(&load(&text("web")), &machine(&[])));
}

#[test]
fn what_is_left_out_on_demand_is_written_into_the_rules() {
    let secret = claim("x-ms-azurevm-debuggersdisabled", true);
    let document = skr("allOf", &[machine_type(), secret]);
    let refused = run(&document, &[]);
    assert_eq!((refused.status.code(), refused.stdout.as_slice()), (Some(1), &b""[..]));
    let looser = run(&document, &["--allow-looser"]);
    let text = String::from_utf8(looser.stdout).unwrap();
    assert!(text.contains("// LOOSER THAN THAT POLICY"), "{text}");
    assert!(permitted(&load(&text), &machine(&[])));
    assert!(
        !String::from_utf8(run(&skr("allOf", &[machine_type()]), &["--allow-looser"]).stdout)
            .unwrap()
            .contains("LOOSER")
    );
}

#[test]
fn a_rule_that_is_too_large_is_not_written() {
    let one =
        |at: usize| json!({ "allOf": [claim("x-ms-sevsnpvm-guestsvn", at), claim("x-ms-sevsnpvm-vmpl", 0)] });
    let conditions: Vec<Value> = (0..200).map(one).collect();
    let output = run(&skr("anyOf", &conditions), &[]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]), "{told}");
    assert!(told.contains("too many signs in one rule: expected at most 2048"), "{told}");
    assert!(
        told.ends_with("do not load: 1 problem; with fewer alternatives in the policy they may\n"),
        "{told}"
    );
}
