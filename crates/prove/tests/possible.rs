//! Every case that a shipped policy permits is of a guest that there can be, as far as `any_machine` knows. A denied one
//! may be of none: it shows that a condition does its work by itself.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use cedar_policy::PolicySet;
use policy::case::Case;
use policy::{Bundle, Evaluation, Policy};
use prove::{Reads, any_machine};

fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../attestation-policies").join(path)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Permits everything that a machine may show, and says what no machine does.
fn machines(references: &str) -> Policy {
    let reads = Reads::of(&PolicySet::new(), &[EVERYTHING]).unwrap();
    let mut text =
        "@id(\"any\") @doc(\"any\") permit (principal is Guest, action, resource is Key);\n".to_owned();
    for (number, relation) in any_machine(&reads).unwrap().iter().enumerate() {
        let head = format!(
            "@id(\"relation-{number}\") @doc(\"r\") forbid (principal is Guest, action, resource is Key)"
        );
        text += &format!("{head} unless {{ {relation} }};\n");
    }
    let bundle = Bundle::new(read(&shipped("schema.cedarschema")), references).with_policy("any.cedar", text);
    Policy::load(bundle).unwrap_or_else(|errors| panic!("{errors}"))
}

/// What no machine shows of this case's guest; nothing if one may.
fn impossible(machines: &Policy, case: &Case) -> Vec<String> {
    match case.evaluate(machines, None) {
        Evaluation::Permit { .. } => Vec::new(),
        Evaluation::Deny(denial) => denial.reasons.into_iter().map(|reason| reason.condition).collect(),
    }
}

/// The permitted cases of a policy, with their files.
fn permitted(folder: &Path) -> Vec<(PathBuf, Case)> {
    let files = fs::read_dir(folder.join("permit")).into_iter().flatten().map(|entry| entry.unwrap().path());
    let cases = files.filter(|file| file.extension().is_some_and(|end| end == "json"));
    let parse = |file: PathBuf| {
        let base = |base: &str| Some(read(&folder.join(base)));
        let case =
            Case::parse(&read(&file), base).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        (file, case)
    };
    cases.map(parse).collect()
}

#[test]
fn permitted_cases_are_of_guests_that_there_can_be() {
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for entry in fs::read_dir(shipped("cases")).unwrap() {
        let folder = entry.unwrap().path();
        let cases = permitted(&folder);
        if cases.is_empty() {
            continue;
        }
        let machines = machines(&read(&folder.join("reference-values.toml")));
        for (file, case) in cases {
            tried += 1;
            let impossible = impossible(&machines, &case);
            wrong.extend(impossible.iter().map(|what| format!("{}: no machine: {what}", file.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 30, "{tried}");
}

#[test]
fn a_guest_that_cannot_be_is_found() {
    let folder = shipped("cases/snp-production");
    let machines = machines(&read(&folder.join("reference-values.toml")));
    let base = read(&folder.join("permit/known-image.json"));
    let case = |change: &str| {
        let text = format!(
            "{{\"about\": \"x\", \"base\": \"b\", \"change\": {{{change}}}, \"expect\": {{\"permit\": [\"any\"]}}}}"
        );
        Case::parse(&text, |_| Some(base.clone())).unwrap()
    };
    assert_eq!(impossible(&machines, &case("\"/guest/snp/vmpl\": 1")), Vec::<String>::new());
    for change in [
        "\"/guest/os_binding\": \"in-tee-vtpm\"",
        "\"/guest/snp/signing_key\": \"vlek\"",
        "\"/guest/snp/vmpl\": 4",
    ] {
        assert!(!impossible(&machines, &case(change)).is_empty(), "{change}");
    }
}

/// A condition that reads all there is.
const EVERYTHING: &str = "context == context";
