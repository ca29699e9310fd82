//! Every shipped policy decides its cases as they say, for the reasons they say.

use std::collections::BTreeSet;
use std::fs;

use policy::case::Expect;
use policy::{Bundle, Policy};

use crate::bundle::{bundle, case, read, shipped, shipped_policy};

/// Runs the cases of a policy in one folder, and returns the conditions that denials named.
fn run(name: &str, folder: &str) -> BTreeSet<(String, String)> {
    let policy = shipped_policy(name);
    let mut named = BTreeSet::new();
    let mut failures = Vec::new();
    // A policy that permits nothing has no cases of permits; cases in TOML are for those that can launch guests.
    let files = fs::read_dir(shipped(&format!("cases/{name}/{folder}"))).into_iter().flatten();
    let names = files.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
    for file in names.filter(|name| name.ends_with(".json")) {
        let path = format!("{folder}/{file}");
        let case = case(name, &path);
        let permits = matches!(case.expect, Expect::Permit(_));
        assert_eq!(permits, folder == "permit", "{path} is in the wrong folder");
        if let Err(difference) = case.run(&policy) {
            failures.push(format!("{path}: {difference}"));
        }
        if let Expect::Deny(denial) = case.expect {
            named.extend(denial.reasons.into_iter().map(|reason| (reason.rule, reason.condition)));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    named
}

/// Every shipped policy for guests. Those that only forbid are loaded beside others.
const POLICIES: [&str; 13] = [
    "aws-nitro-tpm",
    "deny-all",
    "maintenance-window",
    "region-bound",
    "simulated-development",
    "simulated-vtpm",
    "snp-azure-vtpm",
    "snp-containers-host-data",
    "snp-production",
    "snp-svsm",
    "tenant-rings",
    "tpm-measured-boot",
    "two-platform",
];

#[test]
fn every_shipped_policy_decides_its_cases_and_denies_for_each_of_its_conditions() {
    for name in POLICIES {
        run(name, "permit");
        let named = run(name, "deny");
        assert_eq!(missing(name, &named), Vec::<String>::new());
    }
}

/// With permits for several kinds of evidence, a denial tells of those for the guest's own kind.
#[test]
fn a_denial_names_no_permit_for_another_kind_of_evidence() {
    let files = ["snp-production.cedar", "snp-azure-vtpm.cedar", "tpm-measured-boot.cedar"];
    for name in ["snp-production", "snp-azure-vtpm", "tpm-measured-boot"] {
        let all = files.into_iter().fold(bundle(name), |all, file| all.with_policy(file, read(file)));
        let policy = Policy::load(all).unwrap_or_else(|errors| panic!("{errors}"));
        let case = case(name, "deny/identity-none.json");
        case.run(&policy).unwrap_or_else(|difference| panic!("{name}: {difference}"));
    }
}

#[test]
fn the_policies_load_together_and_with_the_shipped_reference_values() {
    let files =
        fs::read_dir(shipped("")).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        files.filter_map(|file| file.strip_suffix(".cedar").map(str::to_owned)).collect();
    names.sort();
    // The cases of operators are TOML, which `keyfast policy test` reads.
    let for_guests: Vec<&String> = names.iter().filter(|name| *name != "operators").collect();
    assert_eq!(for_guests, Vec::from_iter(&POLICIES), "every shipped policy is tried here");
    let empty = Bundle::new(read("schema.cedarschema"), read("reference-values.toml"));
    let whole = names.iter().map(|name| format!("{name}.cedar")).fold(empty, |all, file| {
        let text = read(&file);
        all.with_policy(file, text)
    });
    let policy = Policy::load(whole).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(policy.rules().filter(|(id, _)| id.contains("/permit")).count(), 10);
}

/// What is said of a product in the shipped reference values reaches every policy for guests with a report.
#[test]
fn the_shipped_reference_values_revoke_milan() {
    for (name, base) in [
        ("snp-production", "permit/known-image.json"),
        ("snp-azure-vtpm", "permit/known-machine.json"),
        ("snp-svsm", "permit/known-guest.json"),
        ("snp-containers-host-data", "permit/known-sandbox.json"),
        ("two-platform", "permit/known-guest.json"),
        ("simulated-development", "permit/known-image.json"),
        ("simulated-vtpm", "permit/known-machine.json"),
    ] {
        let file = format!("{name}.cedar");
        let bundle = Bundle::new(read("schema.cedarschema"), read("reference-values.toml"));
        let policy = Policy::load(bundle.with_policy(&file, read(&file))).unwrap();
        let mut case = case(name, base);
        let rules = |case: &policy::case::Case| match policy.evaluate(
            &case.record,
            &case.request,
            &case.key,
            &case.circumstances,
        ) {
            policy::Evaluation::Deny(denial) => {
                denial.reasons.into_iter().map(|reason| reason.rule).collect()
            }
            policy::Evaluation::Permit { rules } => rules,
        };
        let revoked = format!("{name}/no-revoked-product");
        let before: Vec<String> = rules(&case);
        assert!(!before.contains(&revoked), "{before:?}");
        case.record.snp.as_mut().unwrap().product = claims::snp::Product::Milan;
        assert_eq!(rules(&case), [revoked]);
    }
}

/// The conditions of a policy's text that no case denies for. Scope is left out: it names types and all operations.
fn missing(name: &str, named: &BTreeSet<(String, String)>) -> Vec<String> {
    let policy = shipped_policy(name);
    let conditions =
        policy.conditions().filter(|(_, condition)| !SCOPE.iter().any(|s| condition.starts_with(s)));
    let owned: Vec<_> = conditions.map(|(rule, condition)| (rule.to_owned(), condition.to_owned())).collect();
    // A side is not denied for by itself, but within the whole.
    let is_side = |(rule, condition): &&(String, String)| {
        let side = condition.trim_start_matches("!(").trim_end_matches(')');
        let within = |(r, whole): &(String, String)| {
            r == rule
                && whole != condition
                && whole.contains(side)
                && (whole.contains(" && ") || whole.contains(" || "))
        };
        owned.iter().any(within)
    };
    let owned = owned.iter().filter(|pair| !is_side(pair)).cloned();
    // A forbid is denied for by what it says of the guest, not by the question whether that is there, nor by its scope.
    let guard = |condition: &str| {
        let asks = condition.contains(" has ") || condition.contains("hasTag(");
        condition.starts_with("resource in ") || (asks && !condition.contains("||"))
    };
    let telling = owned.filter(|(rule, condition)| {
        rule.contains("/permit") || condition.starts_with("!(") || !guard(condition)
    });
    telling
        .filter(|pair| !named.contains(pair))
        .map(|(rule, condition)| format!("{rule}: {condition}"))
        .collect()
}

const SCOPE: [&str; 3] = ["principal is ", "action in ", "resource is "];

#[test]
fn the_shipped_policies_are_laid_out() {
    for file in fs::read_dir(shipped("")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".cedar") {
            let text = read(&name);
            assert_eq!(policy::format(&name, &text), Ok(text), "{name}: run `keyfast policy fmt`");
        }
    }
}

/// An editor takes the schema beside a policy if it is the only one there; elsewhere the repository's settings name it.
#[test]
fn an_editor_finds_the_schema() {
    let files =
        fs::read_dir(shipped("")).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let schemas: Vec<String> =
        files.filter(|file| file.trim_end_matches(".json").ends_with("cedarschema")).collect();
    assert_eq!(schemas, ["schema.cedarschema"]);
    let settings = fs::read_to_string(shipped("../.vscode/settings.json")).unwrap();
    let settings: serde_json::Value = serde_json::from_str(&settings).unwrap();
    let named = settings["cedar.schemaFile"].as_str().unwrap();
    assert!(shipped("..").join(named).is_file(), "{named}");
}
