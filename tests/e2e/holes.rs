//! What a proof finds, the system does: the guest that shows a hole in a bundle is built as it is written, and a real
//! broker serves it under that bundle, and refuses it once the hole is mended.
//!
//! Needs the solver `cvc5`, which `tools/setup` installs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::setup::{Run, Setup};

/// A condition whose loss is a hole, and the guest that shows it.
struct Hole {
    from: &'static str,
    to: &'static str,
    property: &'static str,
    /// The case's tables of the guest.
    guest: &'static str,
    /// What the mended bundle refuses with: rule, condition, wanted, found.
    reason: [&'static str; 4],
}

const HOLES: [Hole; 2] = [
    Hole {
        from: "when { principal has snp && principal.snp.policy.debug_allowed };",
        to: "when { principal has snp && principal.snp.policy.debug_allowed && principal.snp.vmpl > 0 };",
        property: "never/debug",
        guest: "kind = \"sev-snp\"\nproduct = \"Genoa\"\ndebug = true\n",
        reason: ["simulated-development/no-debug", "principal.snp.policy.debug_allowed", "false", "true"],
    },
    Hole {
        from: "  principal.snp.vmpl == 0 &&\n",
        to: "",
        property: "ours/vmpl",
        guest: "kind = \"sev-snp\"\nproduct = \"Genoa\"\nvmpl = 2\n",
        reason: ["simulated-development/permit", "principal.snp.vmpl == 0", "== 0", "2"],
    },
];

/// An author's own property.
const OWN: &str = "version = 1\n\n[[never]]\nid = \"ours/vmpl\"\ndoc = \"nothing below the paravisor's level\"\n\
                   when = 'principal has snp && principal.snp.vmpl > 1 && principal.snp.vmpl != 3'\n";

struct Author {
    setup: Setup,
    policy: PathBuf,
    sound: String,
    encrypted: String,
}

impl Author {
    fn new() -> Self {
        let setup = Setup::up();
        setup.create_key("db", &["--simulation"]);
        let encrypted = setup.encrypt("db", b"plain", "secret", &[]);
        let policy = setup.dev("attestation-policies/simulated-development.cedar");
        fs::write(setup.dev("attestation-policies/proofs.toml"), OWN).unwrap();
        let sound = fs::read_to_string(&policy).unwrap();
        Self { setup, policy, sound, encrypted }
    }

    /// Puts these rules in force.
    fn load(&self, text: &str) {
        fs::write(&self.policy, text).unwrap();
        self.setup.keyfast(&["policy", "load"]).success();
    }

    fn prove(&self, property: &str, flags: &[&str]) -> Run {
        let dir = self.setup.dev("attestation-policies");
        let head = ["policy", "prove", "simulated-development", "--dir", dir.to_str().unwrap()];
        let only = ["--only", property, "--at", "2026-11-22T09:30:00Z"];
        self.setup.keyfast(&[&head, &only[..], flags].concat())
    }

    /// The guest of the case asks the broker for what the case says: one DEK, unwrapped.
    fn asks(&self, case: &str, output: &str) -> Run {
        let arguments = ["decrypt", &self.encrypted, "--via", "unwrap", "-o", output];
        self.setup.guest("hole", &["--case", case], &arguments)
    }
}

#[test]
fn a_guest_that_a_proof_finds_is_served_and_once_the_hole_is_mended_refused() {
    let author = Author::new();
    for Hole { from, to, property, guest, reason } in HOLES {
        assert_eq!(author.sound.matches(from).count(), 1, "{from}");
        author.load(&author.sound.replace(from, to));
        let cases = author.setup.path(&property.replace('/', "-"));
        let cases = cases.to_str().unwrap();
        let run = author.prove(property, &["--cases", cases]);
        assert_eq!((run.code, run.last_line()), (Some(1), "keyfast: 1 of 1 properties do not hold"), "{run}");
        assert!(run.stdout.contains("built and verified: the policies really permit this guest"), "{run}");

        let case = format!("{cases}/permit/{}.toml", property.replace('/', "-"));
        let text = fs::read_to_string(&case).unwrap();
        let body = text.split_once("\n\n").unwrap().1;
        assert_eq!(
            body,
            format!(
                "[guest]\n{guest}\n[expect]\n\
                 permit = [\"simulated-development/permit\"]\n"
            )
        );
        let (plain, none) = (format!("{cases}/plain"), format!("{cases}/none"));
        author.asks(&case, &plain).success();
        assert_eq!(fs::read(plain).unwrap(), b"plain");

        author.load(&author.sound);
        let refused = author.asks(&case, &none);
        assert_eq!(refused.code, Some(6), "{refused}");
        assert!(!PathBuf::from(none).exists());
        let answer = &author.setup.explain(&refused.stderr).answers[0];
        let told = &answer.reasons[0];
        assert_eq!([&told.rule[..], &told.condition, &told.wanted, &told.found], reason);
        let held = author.prove(property, &["--cases", cases]).success();
        assert!(held.stdout.starts_with(&format!("proven  {property}  ")), "{held}");
    }
}

/// The words of the commands that a proof prints lead on.
#[test]
fn what_a_proof_prints_can_be_typed() {
    let author = Author::new();
    let Hole { from, to, property, .. } = &HOLES[0];
    author.load(&author.sound.replace(from, to));
    let run = author.prove(property, &["--cases", "holes"]);
    let command = |name: &str| {
        let line = run.stdout.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap();
        line.trim().strip_prefix("keyfast ").unwrap().replace("KEY", "db")
    };
    let typed = |command: &str| author.setup.keyfast(&command.split(' ').collect::<Vec<_>>());
    let explain = command("explain ");
    assert_eq!(typed(&explain).success().stdout, "permitted by simulated-development/permit\n");
    typed(&command("try it ")).success();
    author.load(&author.sound);
    let run = typed(&explain);
    assert_eq!((run.code, run.last_line()), (Some(1), "keyfast: denied"), "{run}");
}

/// Whatever cannot be built is not called a hole of the system, and is told from what can.
#[test]
fn what_no_machine_shows_and_what_no_host_here_can_launch_are_told_apart() {
    let author = Author::new();
    let own = |when: &str| {
        let text = format!("version = 1\n\n[[never]]\nid = \"ours\"\ndoc = \"d\"\nwhen = '{when}'\n");
        fs::write(author.setup.dev("attestation-policies/proofs.toml"), text).unwrap();
        let run = author.prove("ours", &["--json", "--patience", "1"]);
        assert_eq!(run.code, Some(1), "{run}");
        let told: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        told["properties"][0].clone()
    };
    let negative = own("principal has snp && principal.snp.guest_svn < 0");
    assert_eq!(negative["guest"], serde_json::json!({ "built": false, "possible": false }));
    assert_eq!(negative["counterexample"]["impossible"][0], "principal.snp.guest_svn is 0 to 4294967295");
    let kind = "principal.evidence == EvidenceKind::\"sev-snp\"";
    let other = own(&format!("{kind} && principal has snp && principal.snp.guest_svn > 4"));
    assert_eq!(other["guest"], serde_json::json!({ "built": false, "possible": true }));
}

/// Policies alone would serve it; the broker does not, and a proof says so.
#[test]
fn a_guest_that_only_the_brokers_lock_holds_back_is_shown_as_such_and_held_back() {
    let author = Author::new();
    author.setup.create_key("real", &[]);
    let rule = "  resource.for_simulation &&\n";
    assert_eq!(author.sound.matches(rule).count(), 1);
    author.load(&author.sound.replace(rule, ""));
    let cases = author.setup.path("locked");
    let run = author.prove("never/simulated-with-real-key", &["--json", "--cases", cases.to_str().unwrap()]);
    assert_eq!(run.code, Some(1), "{run}");
    let told: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let guest = &told["properties"][0]["guest"];
    assert_eq!((guest["built"].as_bool(), guest["root"].as_str()), (Some(true), Some("locked")), "{told}");
    let case = guest["file"].as_str().unwrap();
    assert!(case.ends_with("/deny/never-simulated-with-real-key.toml"), "{case}");
    let refused = author.setup.guest("held", &["--case", case], &["renew", "real"]);
    assert_eq!(refused.code, Some(6), "{refused}");
    let answer = &author.setup.explain(&refused.stderr).answers[0];
    assert_eq!(answer.code, "simulated-mismatch");
}

#[test]
fn a_solver_that_is_wrong_is_not_believed() {
    let author = Author::new();
    let solver = author.setup.path("solver");
    let solver = solver.to_str().unwrap();
    // Whatever is asked, it answers another question: it is not told what to assert.
    fs::write(solver, "#!/bin/sh\ngrep --line-buffered -v '^(assert' | cvc5 \"$@\"\n").unwrap();
    fs::set_permissions(solver, fs::Permissions::from_mode(0o700)).unwrap();
    author.prove("never/debug", &["--cvc5", solver]).fails(
        4,
        "keyfast: solver and Cedar disagree on the solver's own example; this is a defect of one of them: please report \
         it",
    );
}

#[test]
fn a_case_that_this_host_cannot_launch_is_refused() {
    let setup = Setup::up();
    let case = setup.path("turin.toml");
    let text = |more: &str| format!("about = 'x'\n[guest]\n{more}\n[expect]\npermit = []\n");
    let launch = |more: &str, flags: &[&str]| {
        fs::write(&case, text(more)).unwrap();
        let head = ["dev", "guest", "hole", "--case", case.to_str().unwrap()];
        setup.keyfast(&[&head, flags, &["--", "true"]].concat())
    };
    let path = case.display();
    launch("product = 'Turin'", &[])
        .fails(5, &format!("keyfast: the guest of `{path}` runs on Turin, and this simulated host is Genoa"));
    let run = launch("prodct = 'Turin'", &[]);
    assert!(run.stderr.starts_with(&format!("keyfast: `{path}`: not a case: ")), "{run}");
    let run = launch("", &["--debug"]);
    assert!(run.stderr.contains("cannot be used with"), "{run}");
    launch("", &[]).success();
}
