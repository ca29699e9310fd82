//! What the shipped policies can never permit, proven; and that a hole in a policy is found and shown.
//!
//! Needs the solver `cvc5`, which `tools/setup` installs.

#![expect(clippy::panic, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use policy::{Bundle, Policy};
use prove::{Never, Property, ProveError, Prover, Verdict, Who, invariants};

fn shipped(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../attestation-policies").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn load(texts: &[(&str, String)]) -> Policy {
    let empty = Bundle::new(shipped("schema.cedarschema"), "version = 1");
    let bundle = texts.iter().fold(empty, |all, (name, text)| all.with_policy(*name, text.clone()));
    Policy::load(bundle).unwrap_or_else(|errors| panic!("{errors}"))
}

fn prover() -> Prover {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Prover::in_path(&path).unwrap_or_else(|error| panic!("{error}"))
}

fn one(name: &str) -> Policy {
    let file = format!("{name}.cedar");
    load(&[(&file, shipped(&file))])
}

const POLICIES: [&str; 13] = [
    "aws-nitro-tpm",
    "maintenance-window",
    "operators",
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
fn no_shipped_policy_permits_what_none_should() {
    let (one_half, other_half) = POLICIES.split_at(POLICIES.len() / 2);
    let all_hold = |names: &[&str]| {
        for name in names {
            let policy = one(name);
            for never in invariants() {
                let verdict = prover().prove(&policy, &Property::Never(&never)).unwrap();
                assert_eq!(verdict, Verdict::Holds, "{name}: {}", never.id);
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| all_hold(one_half));
        all_hold(other_half);
    });
}

/// Operations that the same rules are about are asked about once; one that another rule is about is not passed over.
#[test]
fn a_hole_for_one_operation_alone_is_found() {
    let never = invariants().into_iter().find(|never| never.id == "never/debug").unwrap();
    let hole = |head: &str, when: &str| {
        let text = format!(
            "@id(\"hole\") @doc(\"d\") permit (principal is Guest, {head}, resource is Key) when {{ {when} }};"
        );
        let policy = load(&[("hole.cedar", text)]);
        match prover().prove(&policy, &Property::Never(&never)).unwrap() {
            Verdict::Fails(Some(found)) => found.action,
            verdict => panic!("{verdict:?}"),
        }
    };
    for name in ["unwrap", "release", "secret", "renew"] {
        assert_eq!(hole(&format!("action == Action::\"{name}\""), "principal.simulated"), name);
        assert_eq!(hole("action", &format!("action == Action::\"{name}\" && principal.simulated")), name);
    }
}

/// Rules that stand in several policies with the same words are asked about once.
#[test]
fn every_shipped_rule_applies_to_something_and_none_errs() {
    let texts = POLICIES.map(|name| (name, shipped(&format!("{name}.cedar"))));
    let policy = load(&texts);
    let (_, set) = policy.cedar();
    let mut seen = BTreeSet::new();
    for rule in set.policies() {
        let text = rule.to_string();
        let words: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('@')).collect();
        if !seen.insert(words.join("\n")) {
            continue;
        }
        let id = rule.id().to_string();
        for property in [Property::EveryRuleApplies(&id), Property::NoRuleErrs(&id)] {
            assert_eq!(prover().prove(&policy, &property).unwrap(), Verdict::Holds, "{}", property.id());
        }
    }
    assert!((20..policy.rules().count()).contains(&seen.len()), "{} rules are different", seen.len());
}

/// Each condition of the production policy that an invariant stands on, taken out: the hole is found, and shown by the
/// claim that makes it.
#[test]
fn a_hole_is_shown_as_a_guest() {
    let text = shipped("snp-production.cedar");
    let floor = "  principal.snp.reported_tcb.snp >= principal.snp.processor.tcb_floor.snp &&\n";
    for (without, id, claim, value) in [
        ("principal.snp.policy.debug_allowed", "never/debug", "principal.snp.policy.debug_allowed", "true"),
        ("  !principal.simulated &&\n", "never/simulated-with-real-key", "principal.simulated", "true"),
        (
            "  principal.guest_identity != GuestIdentity::\"none\" &&\n",
            "never/without-identity",
            "principal.guest_identity",
            "GuestIdentity::\"none\"",
        ),
        ("principal.snp.processor.revoked", "never/revoked-product", "principal.simulated", "false"),
        (
            "   (principal.snp has chip && principal.snp.chip in ReferenceState::\"denied\") ||\n",
            "never/denied-chip",
            "principal.simulated",
            "false",
        ),
        (floor, "never/tcb-under-floor-snp", "principal.simulated", "false"),
    ] {
        assert!(text.contains(without), "{without}");
        let with = if without.starts_with(' ') { "" } else { "principal.snp.policy.cxl_allowed" };
        let policy = load(&[("holed.cedar", text.replace(without, with))]);
        let never = invariants().into_iter().find(|never| never.id == id).unwrap();
        let verdict = prover().prove(&policy, &Property::Never(&never)).unwrap();
        let Verdict::Fails(Some(found)) = verdict else { panic!("{id}: {verdict:?}") };
        assert_eq!(found.rules, ["snp-production/permit"]);
        assert_eq!(found.claims.get(claim).map(String::as_str), Some(value), "{found:?}");
    }
}

#[test]
fn a_tighter_bundle_permits_nothing_new_and_a_looser_one_does() {
    let text = shipped("snp-production.cedar");
    let now = one("snp-production");
    let tighter = text.replace(
        "action in [Action::\"unwrap\", Action::\"release\", Action::\"secret\", Action::\"renew\"]",
        "action in [Action::\"unwrap\", Action::\"renew\"]",
    );
    assert_ne!(text, tighter);
    let tighter = load(&[("tighter.cedar", tighter)]);
    assert_eq!(prover().prove(&tighter, &Property::NoLooser(&now)).unwrap(), Verdict::Holds);
    let verdict = prover().prove(&now, &Property::NoLooser(&tighter)).unwrap();
    let Verdict::Fails(Some(found)) = verdict else { panic!("{verdict:?}") };
    assert!(["release", "secret"].contains(&found.action.as_str()), "{found:?}");
}

#[test]
fn a_rule_that_can_never_apply_is_found() {
    let dead = "@id(\"dead\") @doc(\"d\") permit (principal is Guest, action, resource)\n\
                when { principal.simulated && principal.snp_fresh }\nunless { principal.snp_fresh };";
    let policy = load(&[("dead.cedar", dead.to_owned())]);
    let verdict = prover().prove(&policy, &Property::EveryRuleApplies("dead")).unwrap();
    assert_eq!(verdict, Verdict::Fails(None));
}

fn ours(who: Who, when: &str) -> Never {
    Never { id: "ours".to_owned(), doc: String::new(), who, when: when.to_owned() }
}

/// What operators must never do is asked about operators: asked about guests, all of it would hold.
#[test]
fn a_property_of_operators_is_about_their_acts() {
    let policy = one("operators");
    let ask = |when: &str| prover().prove(&policy, &Property::Never(&ours(Who::Operators, when)));
    let on_call = "principal in OperatorGroup::\"on-call\"";
    let others = "[OperatorGroup::\"administrators\", OperatorGroup::\"key-officers\"]";
    let only_on_call = format!("{on_call} && !(principal in {others})");
    let enables = "action == Action::\"enable\"";
    assert_eq!(ask(&format!("{only_on_call} && {enables}")).unwrap(), Verdict::Holds);
    for (when, rule) in [
        (format!("{only_on_call} && action == Action::\"disable\""), "operators/emergency"),
        // Who is in one group may be in another.
        (
            format!("{on_call} && {enables} && !(principal in OperatorGroup::\"administrators\")"),
            "operators/key-officers",
        ),
        (format!("resource is AkName && !(principal in {others})"), "operators/enrolment-officers"),
    ] {
        let Verdict::Fails(Some(found)) = ask(&when).unwrap() else { panic!("{when}: holds") };
        assert!(found.rules.iter().any(|found| found == rule), "{when}: {found:?}");
    }
}

/// A condition that holds of nothing would be proven of every policy.
#[test]
fn a_property_that_says_nothing_is_refused() {
    let policy = one("snp-production");
    for when in [
        "principal is Operator",
        "false",
        "principal.simulated && !principal.simulated",
        "principal has snp && principal.snp.vmpl > 3 && principal.snp.vmpl < 3",
    ] {
        let error = prover().prove(&policy, &Property::Never(&ours(Who::Guests, when))).unwrap_err();
        let expected = "`ours` says nothing: its condition holds of no request of a guest; properties of operators' acts \
                        have `who = \"operators\"`, and those of guests' requests do not";
        assert_eq!(error.to_string(), expected, "{when}");
    }
    let simulated = ours(Who::Operators, "principal is Guest");
    let error = prover().prove(&policy, &Property::Never(&simulated)).unwrap_err();
    assert!(matches!(&error, ProveError::Empty { who: Who::Operators, .. }), "{error}");
}

#[test]
fn a_question_that_is_no_cedar_is_refused() {
    let policy = one("deny-all");
    let ask = |when: &str| prover().prove(&policy, &Property::Never(&ours(Who::Guests, when))).unwrap_err();
    for wrong in ["principal.", "principal.unknown", "principal.snp.vmpl == 0"] {
        let error = ask(wrong);
        assert!(matches!(&error, ProveError::Condition { id, .. } if id == "ours"), "{wrong}: {error}");
    }
    let error = prover().prove(&policy, &Property::NoRuleErrs("nobody")).unwrap_err();
    assert!(matches!(error, ProveError::NoRule(_)), "{error}");
    let none = Prover::new(PathBuf::from("/nonexistent/cvc5")).unwrap_err();
    assert!(matches!(none, ProveError::NoSolver), "{none}");
}
