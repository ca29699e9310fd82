//! What is likely a mistake in rules that load: told of these, and not of others that look alike.

use policy::{Bundle, NamedKeys, Policy, Problem, Severity};

const SCHEMA: &str = include_str!("../../../../attestation-policies/schema.cedarschema");
const REFERENCES: &str = "version = 1\n[[id_key]]\nvalue = \"ID\"\nname = \"ours\"\nstate = \"active\"\n";

/// A rule about genuine and simulated guests that ask for keys.
fn rule(id: &str, effect: &str, conditions: &str) -> String {
    format!(
        "@id(\"{id}\") @doc(\"d\") {effect} (principal is Guest, action in [Action::\"unwrap\"], resource is Key) \
         when {{ {conditions} }};\n"
    )
}

fn bundle(files: &[&str]) -> Bundle {
    let empty = Bundle::new(SCHEMA, REFERENCES.replace("ID", &"1d".repeat(48)));
    files.iter().enumerate().fold(empty, |all, (i, text)| all.with_policy(format!("{i}.cedar"), *text))
}

fn doubts(files: &[&str], together: bool, keys: Option<&NamedKeys>) -> Vec<Problem> {
    let bundle = bundle(files);
    let policy = Policy::load(bundle.clone()).unwrap();
    let found = policy.doubts(&bundle, together, keys).unwrap();
    found.into_iter().map(|doubt| doubt.problem).collect()
}

fn of_one(conditions: &str) -> Vec<Problem> {
    doubts(&[&rule("a", "permit", conditions)], true, None)
}

fn never(condition: &str, other: Option<&str>) -> Vec<Problem> {
    vec![Problem::NeverHolds { condition: condition.to_owned(), other: other.map(ToOwned::to_owned) }]
}

#[test]
fn conditions_that_exclude_each_other_are_told() {
    for (conditions, condition, other) in [
        (
            "resource.version > 3 && resource.version < 3",
            "resource.version < 3",
            Some("resource.version > 3"),
        ),
        (
            "resource.version > 3 && resource.version == 3",
            "resource.version == 3",
            Some("resource.version > 3"),
        ),
        (
            "resource.version == 3 && resource.version != 3",
            "resource.version != 3",
            Some("resource.version == 3"),
        ),
        (
            "!principal.simulated && principal.os_binding == OsBinding::\"launch\" && principal.simulated",
            "principal.simulated",
            Some("!principal.simulated"),
        ),
        (
            "principal.suite == Suite::\"p384\" && principal.suite == Suite::\"x-wing\"",
            "principal.suite == Suite::\"x-wing\"",
            Some("principal.suite == Suite::\"p384\""),
        ),
        (
            "principal.suite != Suite::\"p384\" && principal.suite == Suite::\"p384\"",
            "principal.suite == Suite::\"p384\"",
            Some("principal.suite != Suite::\"p384\""),
        ),
        (
            "context.recent.guest < context.recent.key && context.recent.guest >= context.recent.key",
            "context.recent.guest >= context.recent.key",
            Some("context.recent.guest < context.recent.key"),
        ),
        (
            "resource.version == 1 && (resource.version > 4 || resource.version == 2)",
            "(resource.version > 4) || (resource.version == 2)",
            Some("resource.version == 1"),
        ),
        (
            "resource.version < 4 && principal.simulated && (resource.version > 4 || !principal.simulated)",
            "(resource.version > 4) || (!principal.simulated)",
            None,
        ),
        (
            "resource.version <= 2 && resource.version >= 3",
            "resource.version >= 3",
            Some("resource.version <= 2"),
        ),
        (
            "context.recent.guest == context.recent.key && context.recent.guest != context.recent.key",
            "context.recent.guest != context.recent.key",
            Some("context.recent.guest == context.recent.key"),
        ),
        ("resource.version < 1", "resource.version < 1", None),
        ("principal has snp && principal.snp.vmpl > 3", "principal.snp.vmpl > 3", None),
        (
            "resource.version < 0 || (principal.simulated && !principal.simulated)",
            "(resource.version < 0) || (principal.simulated && (!principal.simulated))",
            None,
        ),
    ] {
        assert_eq!(of_one(conditions), never(condition, other), "{conditions}");
    }
}

#[test]
fn conditions_that_some_request_meets_are_not() {
    for conditions in [
        "resource.version > 3 && resource.version < 5",
        "resource.version >= 3 && resource.version <= 3 && resource.version != 4",
        "principal.suite == Suite::\"p384\" && principal.suite != Suite::\"x-wing\"",
        "[\"a\", \"b\"] == [\"b\", \"a\"]",
        "resource.version == 1 && (resource.version > 4 || principal.simulated)",
        "principal has snp && principal.snp.vmpl >= 3",
        "resource.version > 1 && context.recent.key < 1",
        "9223372036854775807 > resource.version",
        "resource.version <= 3 && resource.version >= 3",
        "resource.version >= 3 && resource.version != 3",
        "context.recent.guest == context.recent.key && context.recent.guest == resource.version",
        "principal.suite == Suite::\"p384\" && principal.os_binding == OsBinding::\"launch\"",
    ] {
        assert_eq!(of_one(conditions), [], "{conditions}");
    }
}

#[test]
fn a_rule_that_another_makes_idle_is_told() {
    let narrow = "principal has snp && principal.snp.vmpl == 0 && principal.suite == Suite::\"x-wing\"";
    for wide in [
        "principal has snp",
        "true",
        "principal has snp && principal.snp.vmpl < 2",
        "principal.suite != Suite::\"p384\"",
        "principal.simulated || principal has snp",
        narrow,
    ] {
        let two = |first, second| rule("narrow", first, narrow) + &rule("wide", second, wide);
        let problems = |first, second| doubts(&[&two(first, second)], true, None);
        let over = Problem::Overridden { by: "wide".to_owned() };
        assert_eq!(problems("permit", "forbid"), [over], "{wide}");
        assert_eq!(problems("forbid", "permit").len(), usize::from(wide == narrow), "{wide}");
        // Of two that say the same, the later one is told.
        let by = if wide == narrow { "narrow" } else { "wide" }.to_owned();
        let permits = Problem::Redundant { by: by.clone(), permits: true };
        assert_eq!(permits.severity(), Severity::Warning);
        assert_eq!(problems("permit", "permit"), [permits], "{wide}");
        let forbids = Problem::Redundant { by, permits: false };
        assert_eq!(forbids.severity(), Severity::Note);
        assert_eq!(problems("forbid", "forbid"), [forbids], "{wide}");
    }
}

#[test]
fn a_rule_that_applies_where_no_other_does_is_not() {
    let narrow = "principal has snp && principal.snp.vmpl < 2";
    for other in [
        "principal has snp && principal.snp.vmpl < 1",
        "principal has snp && principal.snp.vmpl < 2 && !principal.simulated",
        "principal has tpm",
        "!(principal has snp)",
        "principal has snp && (principal.snp.vmpl < 1 || principal.simulated)",
        "principal has snp && principal.snp.vmpl != 1",
        "principal has snp && context.recent.guest < 2",
    ] {
        let two = rule("narrow", "permit", narrow) + &rule("other", "forbid", other);
        assert_eq!(doubts(&[&two], true, None), [], "{other}");
    }
    let release = rule("a", "permit", narrow) + &rule("b", "forbid", narrow).replace("unwrap", "release");
    assert_eq!(doubts(&[&release], true, None), []);
}

#[test]
fn files_are_held_against_each_other_only_together() {
    let (one, two) = (rule("a", "permit", "principal.simulated"), rule("b", "forbid", "true"));
    assert_eq!(doubts(&[&one, &two], false, None), []);
    assert_eq!(doubts(&[&one, &two], true, None), [Problem::Overridden { by: "b".to_owned() }]);
}

#[test]
fn values_that_nobody_lists_are_told() {
    let names = |digits: &str| {
        let name = format!("IdKey::\"{}\"", digits.repeat(48));
        (
            of_one(&format!(
                "principal has snp && principal.snp has id_key && principal.snp.id_key == {name}"
            )),
            name,
        )
    };
    assert_eq!(names("1d").0, []);
    let (problems, literal) = names("2d");
    assert_eq!(problems, [Problem::Unlisted { literal, table: "id_key" }]);
    let states = "principal has snp && principal.snp.measurement in [ReferenceState::\"active\"] && \
                  principal.snp.host_data in [ReferenceState::\"active\", ReferenceState::\"retiring\"]";
    let none = Problem::NoValues { kinds: "host_data, measurement".to_owned() };
    assert_eq!(of_one(states), [none]);
    let listed = "principal has snp && principal.snp has id_key && principal.snp.id_key in \
                  [ReferenceState::\"active\"] && !(principal.snp.measurement in [ReferenceState::\"denied\"])";
    assert_eq!(of_one(listed), []);
    assert_eq!(doubts(&[&rule("a", "forbid", states)], true, None), []);
}

#[test]
fn keys_that_there_are_not_are_told_with_their_place() {
    let text = rule("a", "permit", "resource == Key::\"db\" || resource in KeyRing::\"web\"")
        + &rule("b", "permit", "resource has region && resource.region == Region::\"eu\"");
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let keys = NamedKeys { keys: set(&["db"]), rings: set(&["web"]), regions: set(&["eu"]) };
    assert_eq!(doubts(&[&text], true, Some(&keys)), []);
    assert_eq!(doubts(&[&text], true, None), []);
    let bundle = bundle(&[&text]);
    let policy = Policy::load(bundle.clone()).unwrap();
    let told = policy.doubts(&bundle, true, Some(&NamedKeys::default())).unwrap();
    let told: Vec<String> = told.into_iter().map(|doubt| doubt.to_string()).collect();
    let column = |part: &str| 1 + text.lines().find_map(|line| line.find(part)).unwrap();
    assert_eq!(
        told,
        [
            format!("0.cedar:1:{}: `Key::\"db\"`: no key has this name", column("\"db\"")),
            format!("0.cedar:1:{}: `KeyRing::\"web\"`: no key is in this ring", column("\"web\"")),
            format!("0.cedar:2:{}: `Region::\"eu\"`: no key is for this region", column("\"eu\"")),
        ]
    );
}

#[test]
fn texts_that_do_not_parse_are_an_error() {
    let policy = Policy::load(bundle(&[&rule("a", "permit", "true")])).unwrap();
    let errors = policy.doubts(&bundle(&["permit"]), true, None).unwrap_err();
    assert_eq!(errors.problems().iter().map(|e| e.problem.code()).collect::<Vec<_>>(), ["syntax"]);
}

#[test]
fn doubts_say_what_is_the_matter_and_how_bad_it_is() {
    let told = |problem: Problem| format!("{}: {problem}", problem.severity().name());
    let never = |other: Option<&str>| {
        let other = other.map(ToOwned::to_owned);
        told(Problem::NeverHolds { condition: "a > 3".to_owned(), other })
    };
    let alone = "warning: this rule can never apply: `a > 3` holds of no request; correct or remove it";
    assert_eq!(never(None), alone);
    let together =
        "warning: this rule can never apply: `a < 2` and `a > 3` exclude each other; correct or remove it";
    assert_eq!(never(Some("a < 2")), together);
    let redundant = |permits| told(Problem::Redundant { by: "wide".to_owned(), permits });
    let permits =
        "warning: all that this rule permits, `wide` permits too: making this one stricter changes nothing";
    assert_eq!(redundant(true), permits);
    assert_eq!(redundant(false), "note: all that this rule forbids, `wide` forbids too");
    let errors = Policy::load(Bundle::new("entity Guest;", "version = 1\n")).err().unwrap();
    assert_eq!(errors.clone().into_problems(), errors.problems());
    assert!(errors.problems().iter().all(|error| error.problem.severity().name() == "error"));
    assert!(!errors.problems().is_empty());
}
