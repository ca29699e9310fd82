//! Policies that change while a broker runs: all or nothing, never back, and, where officers are named, only with the
//! signatures of enough of them. Each test has a set-up of its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use claims::Operation;

use crate::guest::{Guest, wanted};
use crate::setup::{Run, Setup};

const MEASURED: &str =
    "abababababababababababababababababababababababababababababababababababababababababababababababab";

struct Office(Setup);

impl Office {
    fn new() -> Self {
        let setup = Setup::up();
        setup.create_key("aes", &["--simulation", "--kind", "aes-256"]);
        Self(setup)
    }

    fn policies(&self, name: &str) -> PathBuf {
        self.0.dev("attestation-policies").join(name)
    }

    /// `keyfast ... --dir` of the broker's policies.
    fn keyfast(&self, arguments: &[&str]) -> Run {
        let dir = self.policies("");
        self.0.keyfast(&[arguments, &["--dir", dir.to_str().unwrap()]].concat())
    }

    fn load(&self) -> Run {
        self.0.keyfast(&["policy", "load"])
    }

    /// Whether a guest of another image gets what it asks for.
    fn other_image(&self, guest: &str) -> bool {
        let run = self.0.guest(guest, &["--measurement", MEASURED], &["renew", "aes"]);
        assert!([Some(0), Some(6)].contains(&run.code), "{run}");
        run.code == Some(0)
    }

    fn admit(&self, name: &str) {
        self.keyfast(&["reference", "add", "measurement", MEASURED, "--name", name]).success();
    }

    /// An officer's key; the path of the private half.
    fn officer(&self, name: &str) -> String {
        let path = self.0.path(name).to_str().unwrap().to_owned();
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", &path]);
        assert!(make.status().unwrap().success());
        path
    }

    fn public(key: &str) -> String {
        fs::read_to_string(format!("{key}.pub")).unwrap().trim().to_owned()
    }

    /// Restarts the broker with these signers.
    fn asks_for(&self, table: &str, required: usize, keys: &[&String], rest: &str) {
        let keys: Vec<String> = keys.iter().map(|key| format!("{:?}", Self::public(key))).collect();
        let table = format!("\n[{table}]\nrequired = {required}\nkeys = [{}]\n{rest}", keys.join(", "));
        self.0.reconfigure(|config| config.to_owned() + &table);
    }
}

/// What the broker refuses with, beside that the policies before stay.
fn refused(run: &Run) -> &str {
    assert_eq!(run.code, Some(3), "{run}");
    let said = run
        .stderr
        .trim_end()
        .strip_prefix("keyfast: the broker refused: ")
        .unwrap_or_else(|| panic!("{run}"));
    said.strip_suffix("; the policies before stay in force").unwrap_or_else(|| panic!("{run}"))
}

#[test]
fn policies_change_as_a_whole_and_never_back() {
    let office = Office::new();
    assert!(!office.other_image("before"));
    let older = fs::read_to_string(office.policies("reference-values.toml")).unwrap();
    office.admit("next");
    assert!(!office.other_image("unloaded"), "files alone change nothing");
    let said = office.load().success().stdout;
    assert!(office.other_image("loaded"), "{said}");
    // A rule that is wrong, and a key's own policy that would be: nothing changes.
    let rules = fs::read_to_string(office.policies("simulated-development.cedar")).unwrap();
    fs::write(
        office.policies("simulated-development.cedar"),
        rules.replace("principal.snp.vmpl", "principal.snp.vmlp"),
    )
    .unwrap();
    let run = office.load();
    assert!(refused(&run).contains("simulated-development.cedar:"), "{run}");
    assert!(office.other_image("still"));
    fs::write(office.policies("simulated-development.cedar"), rules).unwrap();
    // What counted before is not taken back.
    fs::write(office.policies("reference-values.toml"), older).unwrap();
    let run = office.load();
    assert!(
        refused(&run).starts_with("the reference values are older than those in force: expected serial "),
        "{run}"
    );
    assert!(office.other_image("kept"));
    office.0.end_broker("-TERM");
    let run = office.0.broker_that_refuses_to_start();
    assert!(run.last_line().contains("the reference values are older than those in force"), "{run}");
}

#[test]
fn no_image_is_admitted_without_enough_officers() {
    let office = Office::new();
    let [alice, bob, carol, mallory] = ["alice", "bob", "carol", "mallory"].map(|name| office.officer(name));
    let bundle = |office: &Office| {
        office
            .keyfast(&["policy", "bundle", "operators", "simulated-development", "simulated-vtpm"])
            .success()
    };
    let sign = |key: &str| office.keyfast(&["policy", "sign", "--key", key]);
    bundle(&office);
    sign(&alice).success();
    sign(&carol).success();
    office.asks_for("policy_officers", 2, &[&alice, &bob, &carol], "");
    assert!(!office.other_image("before"));
    office.admit("next");
    // Whoever runs the broker alone: signatures of what was before, none, one, one and a stranger's.
    assert!(refused(&office.load()).contains("bundle.toml` is about other policies"));
    let run = sign(&bob);
    assert!(run.code == Some(1) && run.stderr.contains("than those beside it"), "{run}");
    bundle(&office);
    let run = office.load();
    assert!(refused(&run).contains("bundle.toml.sig"), "{run}");
    sign(&bob).success();
    let run = office.load();
    assert!(refused(&run).ends_with("signed by 1 of the 2 officers that must sign: bob"), "{run}");
    sign(&mallory).success();
    assert!(refused(&office.load()).ends_with("signed by 1 of the 2 officers that must sign: bob"));
    assert!(!office.other_image("still"));
    sign(&alice).success();
    let said = office.load().success().stdout;
    assert!(said.contains("signed    by alice, bob; serial 2"), "{said}");
    assert!(office.other_image("after"));
    // The statement of before, well signed as it was, is older.
    office
        .keyfast(&[
            "policy",
            "bundle",
            "operators",
            "simulated-development",
            "simulated-vtpm",
            "--serial",
            "1",
        ])
        .success();
    sign(&alice).success();
    sign(&bob).success();
    let run = office.load();
    let told = "the policies are older than those in force: expected serial 2 or more, got 1; bring the newer ones back, or \
                count theirs up, as `keyfast reference` and `keyfast policy bundle` do";
    assert_eq!(refused(&run), told);
}

#[test]
fn signers_of_reference_values_admit_images_and_no_rules() {
    let office = Office::new();
    let (officer, pipeline) = (office.officer("officer"), office.officer("pipeline"));
    office.keyfast(&["policy", "bundle", "operators", "simulated-development", "simulated-vtpm"]).success();
    office.keyfast(&["policy", "sign", "--key", &officer]).success();
    office.keyfast(&["reference", "sign", "--key", &pipeline]).success();
    office.asks_for("policy_officers", 1, &[&officer], "");
    office.asks_for("reference_signers", 1, &[&pipeline], "");
    office.admit("next");
    let run = office.load();
    assert!(refused(&run).contains("reference-values.toml.sig"), "a change removes signatures: {run}");
    office.keyfast(&["reference", "sign", "--key", &officer]).success();
    assert!(refused(&office.load()).contains("signed by 0 of the 1 officers that must sign"));
    office.keyfast(&["reference", "sign", "--key", &pipeline]).success();
    office.load().success();
    assert!(office.other_image("after"));
    let rules = office.policies("simulated-development.cedar");
    fs::write(&rules, fs::read_to_string(&rules).unwrap() + "// more\n").unwrap();
    let run = office.load();
    assert!(refused(&run).contains("is about other policies"), "{run}");
}

#[test]
fn officers_can_ask_for_a_proof() {
    let office = Office::new();
    let officer = office.officer("officer");
    let bundle = |flags: &[&str]| {
        office
            .keyfast(
                &[&["policy", "bundle", "operators", "simulated-development", "simulated-vtpm"], flags]
                    .concat(),
            )
            .success();
        office.keyfast(&["policy", "sign", "--key", &officer]).success()
    };
    bundle(&["--prove"]);
    let proven = fs::read_to_string(office.policies("bundle.toml")).unwrap();
    office.asks_for("policy_officers", 1, &[&officer], "require_proof = true\n");
    bundle(&[]);
    let run = office.load();
    assert!(
        refused(&run).contains("has no record of a proof in which everything held: none at all"),
        "{run}"
    );
    let statement = fs::read_to_string(office.policies("bundle.toml")).unwrap();
    let failed =
        format!("{statement}\n[proof]\nsolver = 'cvc5'\nat = 'now'\nheld = []\nfailed = ['never/debug']\n");
    let sign_anew = |statement: String| {
        fs::write(office.policies("bundle.toml"), statement).unwrap();
        fs::remove_file(office.policies("bundle.toml.sig")).unwrap();
        office.keyfast(&["policy", "sign", "--key", &officer]).success();
    };
    sign_anew(failed);
    let run = office.load();
    assert!(refused(&run).contains("never/debug did not"), "{run}");
    // A record of nothing, and one without a word on some rule, are no records of everything.
    let without = |ids: &[&str]| {
        let mut statement: toml::Table = proven.parse().unwrap();
        let held = statement["proof"]["held"].as_array_mut().unwrap();
        held.retain(|id| !ids.is_empty() && !ids.contains(&id.as_str().unwrap()));
        statement.to_string()
    };
    for (ids, missing) in [
        (&[][..], "never/debug"),
        (&["never/denied-chip"], "never/denied-chip"),
        (&["never errs: operators/auditors"], "never errs: operators/auditors"),
    ] {
        sign_anew(without(ids));
        let run = office.load();
        assert!(refused(&run).contains(&format!("everything held: `{missing}` was not asked")), "{run}");
    }
    sign_anew(proven);
    office.load().success();
}

#[test]
fn a_value_that_guests_use_is_withdrawn_by_force_only() {
    let office = Office::new();
    for guest in ["one", "two", "one"] {
        office.0.guest(guest, &[], &["renew", "aes"]).success();
    }
    let status = office.keyfast(&["reference", "status", "--json"]).success().stdout;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let measurements = status["values"].as_array().unwrap().iter().filter(|v| v["kind"] == "measurement");
    let seen: Vec<_> = measurements.filter(|value| value["guests"] != 0).collect();
    assert_eq!(seen.len(), 1, "{status}");
    assert!(seen[0]["guests"].as_u64().unwrap() >= 2 && seen[0]["last_seen"].is_string(), "{status}");
    office.admit("unused");
    office.keyfast(&["reference", "expire", "unused"]).success();
    let image = seen[0]["value"].as_str().unwrap();
    let run = office.keyfast(&["reference", "expire", image]);
    assert!(
        run.code == Some(1) && run.stderr.contains("guests in the last 30 days, which will get nothing"),
        "{run}"
    );
    for state in ["trial", "denied"] {
        let run = office.keyfast(&["reference", "set", image, state]);
        assert!(run.code == Some(1) && run.stderr.contains("which will get nothing"), "{run}");
    }
    office.keyfast(&["reference", "set", image, "retiring"]).success();
    office.keyfast(&["reference", "expire", image, "--force"]).success();
    office.load().success();
    assert_eq!(office.0.guest("three", &[], &["renew", "aes"]).code, Some(6));
}

#[test]
fn a_floor_on_trial_denies_nobody_and_is_told_of_each_permit_that_it_would_take_away() {
    let office = Office::new();
    let path = office.policies("reference-values.toml");
    let before = fs::read_to_string(&path).unwrap();
    let floor = |state: &str| {
        let versions = "fmc = 0\nbootloader = 255\ntee = 0\nsnp = 0\nmicrocode = 0\n";
        let cpuid = "cpuid = { family = 25, model = 17, stepping = 1 }\n";
        let text = format!("\n[[tcb_floor]]\nproduct = \"Genoa\"\n{cpuid}{versions}{state}\n");
        fs::write(&path, before.clone() + &text).unwrap();
    };
    floor("state = \"trial\"");
    office.load().success();
    let guest = Guest::new(&office.0, "web");
    let answer = guest.ask(&office.0, vec![wanted(Operation::Renew, "aes")]).unwrap();
    let request = answer.outcome.request_id;
    let told = office.0.explain(&format!("keyfast audit explain {request}"));
    let reasons: Vec<_> =
        told.answers[0].reasons.iter().map(|r| (r.kind.as_str(), r.wanted.as_str())).collect();
    assert_eq!(told.answers[0].code, "permitted");
    let announced = ("announced", ">= 255 once what is on trial is in force");
    assert!(reasons.contains(&announced), "{reasons:?}");
    // In force from a day on that has passed, it denies.
    floor("deny_from = 2026-01-01T00:00:00Z");
    office.load().success();
    assert_eq!(office.0.guest("web", &[], &["renew", "aes"]).code, Some(6));
}
