//! Examples among guests that a condition describes, and what no machine shows.
//!
//! Needs the solver `cvc5`, which `tools/setup` installs.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

use policy::{Bundle, Policy};
use prove::{Counterexample, Never, Property, ProveError, Prover, Reads, Verdict, Who, any_machine};

fn shipped(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../attestation-policies").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A bundle that permits all guests of some kind.
fn permitting(when: &str) -> Policy {
    let text = format!(
        "@id(\"p\") @doc(\"d\") permit (principal is Guest, action, resource is Key) when {{ {when} }};"
    );
    let bundle = Bundle::new(shipped("schema.cedarschema"), "version = 1").with_policy("p.cedar", text);
    Policy::load(bundle).unwrap_or_else(|errors| panic!("{errors}"))
}

fn prover() -> Prover {
    Prover::in_path(&std::env::var_os("PATH").unwrap_or_default()).unwrap_or_else(|error| panic!("{error}"))
}

fn never(when: &str) -> Never {
    Never { id: "ours".to_owned(), doc: "d".to_owned(), who: Who::Guests, when: when.to_owned() }
}

fn refuted(policy: &Policy, never: &Never) -> Counterexample {
    match prover().prove(policy, &Property::Never(never)).unwrap() {
        Verdict::Fails(Some(found)) => *found,
        other => panic!("{other:?}"),
    }
}

fn on_any_machine(policy: &Policy, never: &Never) -> Option<Counterexample> {
    let reads = Reads::of(policy.cedar().1, &[&never.when]).unwrap();
    let among = any_machine(&reads).unwrap();
    prover().example(policy, &Property::Never(never), &among, "release").unwrap()
}

#[test]
fn what_only_impossible_guests_refute_is_refuted_and_told_from_the_rest() {
    for (when, words) in [
        ("principal.snp.vmpl > 3", "principal.snp.vmpl is 0 to 3"),
        ("principal.snp.reported_tcb.snp < 0", "principal.snp.reported_tcb.snp is 0 to 255"),
        ("principal.snp.guest_svn > 4294967295", "principal.snp.guest_svn is 0 to 4294967295"),
        ("principal.snp.version == 1", "principal.snp.version is 2 to 5"),
        ("principal has tpm && principal.snp.vmpl == 1", "the report below a vTPM is of VMPL 0"),
    ] {
        let never = never(&format!("principal has snp && {when}"));
        let policy = permitting("principal has snp");
        let found = refuted(&policy, &never);
        assert!(found.impossible.iter().any(|told| told == words), "{when}: {found:?}");
        assert_eq!(on_any_machine(&policy, &never), None, "{when}");
    }
}

#[test]
fn an_example_keeps_to_what_it_is_looked_for_among() {
    let policy = permitting("principal.simulated");
    let ours = never("principal has snp && principal.snp.vmpl > 0");
    let found = on_any_machine(&policy, &ours).unwrap();
    let vmpl = found.request.guest.pointer("/snp/vmpl").unwrap().as_i64().unwrap();
    assert!((1..=3).contains(&vmpl) && found.impossible.is_empty(), "{found:?}");

    let ask =
        |among: &str| prover().example(&policy, &Property::Never(&ours), &[among.to_owned()], "release");
    assert_eq!(ask("principal has snp && principal.snp.vmpl == 0").unwrap(), None);
    let two = ask("principal has snp && principal.snp.vmpl == 2").unwrap().unwrap();
    assert_eq!(two.request.guest.pointer("/snp/vmpl").unwrap(), 2);
    // A proof has no such condition, and says so still.
    assert!(matches!(prover().prove(&policy, &Property::Never(&ours)).unwrap(), Verdict::Fails(Some(_))));
    let error = ask("principal.").unwrap_err();
    assert!(matches!(&error, ProveError::Condition { id, .. } if id == "ours"), "{error}");
    let older = permitting("principal.simulated && principal.snp_fresh");
    let looser = prover().example(
        &policy,
        &Property::NoLooser(&older),
        &["principal.snp_fresh".to_owned()],
        "release",
    );
    assert_eq!(looser.unwrap(), None);
}

/// A solver's answer has every key that a condition names, in any order; the one that is asked for is told.
#[test]
fn of_several_keys_the_one_that_is_asked_for_is_told() {
    let policy = permitting("resource == Key::\"ours\"");
    let all = never("principal.simulated && resource != Key::\"db\"");
    let among = ["resource == Key::\"ours\" || resource == Key::\"db\" || resource == Key::\"z\"".to_owned()];
    for _ in 0..12 {
        let found = prover().example(&policy, &Property::Never(&all), &among, "release").unwrap().unwrap();
        assert_eq!(found.request.key.pointer("/uid/id").unwrap(), "ours");
    }
}
