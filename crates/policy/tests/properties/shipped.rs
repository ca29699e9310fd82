//! The shipped policies are careful: a guest gets nothing more by saying less.

use policy::case::{Case, Expect};
use policy::{Bundle, Evaluation, Policy};

use crate::guests::removals;

fn read(path: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../attestation-policies/");
    std::fs::read_to_string(format!("{folder}{path}")).unwrap()
}

const NAMES: [&str; 6] = [
    "snp-production",
    "snp-azure-vtpm",
    "snp-svsm",
    "tpm-measured-boot",
    "simulated-development",
    "simulated-vtpm",
];

#[test]
fn a_claim_taken_away_gains_nothing() {
    let mut gained = Vec::new();
    let mut tried = 0;
    for name in NAMES {
        let references = read(&format!("cases/{name}/reference-values.toml"));
        let file = format!("{name}.cedar");
        let bundle = Bundle::new(read("schema.cedarschema"), references).with_policy(&file, read(&file));
        let policy = Policy::load(bundle).unwrap_or_else(|errors| panic!("{errors}"));
        for folder in ["permit", "deny"] {
            let cases = format!("cases/{name}/{folder}");
            let path = format!("{}/../../attestation-policies/{cases}", env!("CARGO_MANIFEST_DIR"));
            let files = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
            // Cases in TOML are for those that can launch guests.
            for file in files.filter(|file| file.extension().is_some_and(|ending| ending == "json")) {
                let text = std::fs::read_to_string(file).unwrap();
                let base = |base: &str| Some(read(&format!("cases/{name}/{base}")));
                let case = Case::parse(&text, base).unwrap();
                let permits = |record: &claims::ClaimsRecord| {
                    let found = policy.evaluate(record, &case.request, &case.key, &case.circumstances);
                    matches!(found, Evaluation::Permit { .. })
                };
                // What the reference values deny is denied for being there; a signed report does not leave it out.
                let denied = |rule: &str| rule.contains("/no-denied-");
                if matches!(&case.expect, Expect::Deny(d) if d.reasons.iter().any(|r| denied(&r.rule))) {
                    continue;
                }
                let before = permits(&case.record);
                for (what, less) in removals(&case.record) {
                    tried += 1;
                    if !before && permits(&less) {
                        gained.push(format!("{name}: {}: without {what}", case.about));
                    }
                }
            }
        }
    }
    assert!(tried > 1000, "{tried}");
    assert_eq!(gained, EXCEPTIONS);
}

/// A rule for quotes alone says that it is for these alone. Evidence of that kind has no report to take away.
const EXCEPTIONS: [&str; 1] =
    ["tpm-measured-boot: an SNP report stands beside the quote, which nothing binds it to: without snp"];
