//! Seeds from the shipped policies, their cases and reference values, and from what is made of those: kept decisions, a
//! statement and its signatures.

use std::fs;
use std::path::{Path, PathBuf};

use claims::PolicyDigest;
use fuzz::officers::{armored, genuine_signatures, signers};
use policy::BundleStatement;
use policy::case::{Case, Kept};
use serde_json::{Value, json};

use crate::Corpus;

pub(crate) fn put_all(corpus: &Corpus, repository: &Path) {
    let dir = repository.join("attestation-policies");
    let mut files = Vec::new();
    below(&dir, &mut files);
    for path in files {
        let name = path.strip_prefix(&dir).unwrap().to_string_lossy().replace('/', "-");
        let text = fs::read_to_string(&path).unwrap();
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("cedar") => corpus.put("policy_rules", &name, text.as_bytes()),
            Some("json") => case(corpus, &name, &text),
            Some("toml") if name.ends_with("reference-values.toml") => {
                corpus.put("reference_values", &name, text.as_bytes());
            }
            Some("toml") => corpus.put("case_toml", &name, text.as_bytes()),
            _ => {}
        }
    }
    let decisions = fs::read_to_string(repository.join("crates/cli/tests/decisions.jsonl")).unwrap();
    for (at, line) in decisions.lines().enumerate() {
        corpus.put("decision", &at.to_string(), line.as_bytes());
    }
    officers(corpus);
    release_policies(corpus);
}

fn below(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { below(&path, files) } else { files.push(path) }
    }
}

/// A case, and what a journal would have kept of it.
fn case(corpus: &Corpus, name: &str, text: &str) {
    corpus.put("case_json", name, text.as_bytes());
    let Ok(case) = Case::parse(text, |_| None) else { return };
    let mut kept = Kept::new(&case.record, case.circumstances.now);
    kept.add(&case.circumstances, &case.request, Some(&case.key));
    kept.add(&case.circumstances, &case.request, None);
    corpus.put("kept_decisions", name, kept.to_text().unwrap().as_bytes());
}

fn officers(corpus: &Corpus) {
    let digest = PolicyDigest([7; 32]);
    let proof = policy::ProofRecord {
        solver: "cvc5 1.3.1".to_owned(),
        at: "2026-11-22T09:30:00Z".to_owned(),
        held: vec!["simulated guests get keys for simulation alone".to_owned()],
        failed: Vec::new(),
    };
    for (name, proof) in [("proven", Some(proof)), ("plain", None)] {
        let policies = vec!["snp-production".to_owned()];
        let statement = BundleStatement::new(3, policies, (digest, digest), proof).to_text().unwrap();
        corpus.put("bundle_statement", name, statement.as_bytes());
    }
    for (at, signer) in signers().iter().enumerate() {
        corpus.put("officer_key", &at.to_string(), signer.line().as_bytes());
    }
    let all = genuine_signatures().into_iter().map(|(_, body)| armored(&body)).collect::<Vec<_>>();
    for (at, one) in all.iter().enumerate() {
        corpus.put("officer_signatures", &at.to_string(), one.as_bytes());
    }
    corpus.put("officer_signatures", "all", all.concat().as_bytes());
}

/// Policies with every claim that something stands for, in both kinds of token.
fn release_policies(corpus: &Corpus) {
    let hex = |digits: usize| json!("a1".repeat(digits / 2));
    let report = [
        ("x-ms-attestation-type", json!("sevsnpvm")),
        ("x-ms-compliance-status", json!("azure-compliant-cvm")),
        ("x-ms-compliance-status", json!("azure-compliant-uvm")),
        ("x-ms-sevsnpvm-hostdata", hex(64)),
        ("x-ms-sevsnpvm-launchmeasurement", hex(96)),
        ("x-ms-sevsnpvm-idkeydigest", json!("0".repeat(96))),
        ("x-ms-sevsnpvm-authorkeydigest", hex(96)),
        ("x-ms-sevsnpvm-guestsvn", json!(7)),
        ("x-ms-sevsnpvm-microcode-svn", json!("115")),
        ("x-ms-sevsnpvm-is-debuggable", json!(false)),
        ("x-ms-runtime.vm-configuration.secure-boot", json!("true")),
        ("x-ms-runtime.vm-configuration.vmUniqueId", json!("0A1B2C3D-0123-4567-89AB-0123456789AB")),
        ("x-ms-runtime.vm-configuration.tpm-persisted", json!(true)),
        ("x-ms-runtime.user-data", json!("00")),
    ];
    let machine = [
        ("x-ms-attestation-type", json!("azurevm")),
        ("x-ms-azurevm-vmid", json!("0A1B2C3D-0123-4567-89AB-0123456789AB")),
        ("x-ms-azurevm-dbvalidated", json!(true)),
        ("x-ms-azurevm-dbxvalidated", json!(true)),
        ("x-ms-azurevm-debuggersdisabled", json!(true)),
        ("secureboot", json!(true)),
        ("x-ms-ver", json!("1.0")),
    ];
    let inside = report.iter().map(|(claim, value)| (format!("x-ms-isolation-tee.{claim}"), value));
    let alone = report.iter().chain(&machine).map(|(claim, value)| ((*claim).to_owned(), value));
    let all: Vec<(String, &Value)> = inside.chain(alone).collect();
    for (at, (claim, value)) in all.iter().enumerate() {
        let one = json!([{ "claim": claim, "equals": value }]);
        corpus.put("release_policy", &format!("one-{at}"), of("anyOf", &one).as_bytes());
    }
    let older = |(claim, value)| json!({ "claim": claim, "condition": "equals", "value": value });
    for (name, few) in [("report", all.get(..4)), ("machine", all.get(14..18)), ("many", all.get(..))] {
        let conditions: Vec<Value> = few.unwrap().iter().cloned().map(older).collect();
        for word in ["anyOf", "allOf"] {
            corpus.put("release_policy", &format!("{name}-{word}"), of(word, &json!(conditions)).as_bytes());
            let nested = json!([{ "anyOf": conditions }, { "allOf": conditions }]);
            corpus.put("release_policy", &format!("{name}-{word}-nested"), of(word, &nested).as_bytes());
        }
    }
    let wrapped = json!({ "release_policy": { "immutable": true, "data": "eyJ2ZXJzaW9uIjoiMS4wLjAifQ" } });
    corpus.put("release_policy", "wrapped", wrapped.to_string().as_bytes());
}

fn of(word: &str, conditions: &Value) -> String {
    let authority = json!({ "authority": "https://sharedweu.weu.attest.azure.net", word: conditions });
    json!({ "version": "1.0.0", "anyOf": [authority] }).to_string()
}
