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
    let files = fs::read_dir(shipped(&format!("cases/{name}/{folder}"))).expect("a folder of cases");
    for file in files.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")) {
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

#[test]
fn production_decides_its_cases() {
    run("snp-production", "permit");
    let named = run("snp-production", "deny");
    assert_eq!(missing("snp-production", &named), Vec::<String>::new());
}

#[test]
fn development_decides_its_cases() {
    run("simulated-development", "permit");
    let named = run("simulated-development", "deny");
    assert_eq!(missing("simulated-development", &named), Vec::<String>::new());
}

#[test]
fn azure_decides_its_cases() {
    run("snp-azure-vtpm", "permit");
    let named = run("snp-azure-vtpm", "deny");
    assert_eq!(missing("snp-azure-vtpm", &named), Vec::<String>::new());
}

#[test]
fn a_service_module_decides_its_cases() {
    run("snp-svsm", "permit");
    let named = run("snp-svsm", "deny");
    assert_eq!(missing("snp-svsm", &named), Vec::<String>::new());
}

#[test]
fn measured_boot_decides_its_cases() {
    run("tpm-measured-boot", "permit");
    let named = run("tpm-measured-boot", "deny");
    assert_eq!(missing("tpm-measured-boot", &named), Vec::<String>::new());
}

#[test]
fn development_with_a_vtpm_decides_its_cases() {
    run("simulated-vtpm", "permit");
    let named = run("simulated-vtpm", "deny");
    assert_eq!(missing("simulated-vtpm", &named), Vec::<String>::new());
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
fn deny_all_denies() {
    run("deny-all", "deny");
}

#[test]
fn the_policies_load_together_and_with_the_shipped_reference_values() {
    let files = [
        "snp-production.cedar",
        "snp-azure-vtpm.cedar",
        "snp-svsm.cedar",
        "tpm-measured-boot.cedar",
        "simulated-development.cedar",
        "simulated-vtpm.cedar",
        "deny-all.cedar",
    ];
    let empty = Bundle::new(read("schema.cedarschema"), read("reference-values.toml"));
    let whole = files.into_iter().fold(empty, |all, file| all.with_policy(file, read(file)));
    let policy = Policy::load(whole).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(policy.rules().count(), 15);
}

/// The conditions of a policy's text that no case denies for. Scope is left out: it names types and all operations.
fn missing(name: &str, named: &BTreeSet<(String, String)>) -> Vec<String> {
    let policy = shipped_policy(name);
    let conditions =
        policy.conditions().filter(|(_, condition)| !SCOPE.iter().any(|s| condition.starts_with(s)));
    let owned = conditions.map(|(rule, condition)| (rule.to_owned(), condition.to_owned()));
    // A forbid is denied for by what it says of the guest, not by the question whether there is a report or a quote.
    let guard = |condition: &str| ["principal has snp", "principal has tpm"].contains(&condition);
    let telling = owned.filter(|(rule, condition)| !(rule.contains("/no-") && guard(condition)));
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
