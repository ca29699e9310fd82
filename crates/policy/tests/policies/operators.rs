//! Acts of management: decided by the same rules as requests of guests, and explained without them.

use claims::{KeyAttributes, UnixTime};
use policy::{Act, Bundle, Denial, DenialCode, Object, Operator, Policy};

use crate::bundle::{case, read};

const RULES: &str = r#"
@id("ours/officers") @doc("officers manage keys that are not for simulation")
permit (principal in OperatorGroup::"officers", action in Action::"manage", resource is Key)
unless { resource.for_simulation };

@id("ours/not-at-night") @doc("nobody disables keys before 1970 is half a day old")
forbid (principal is Operator, action == Action::"disable", resource)
when { context.now < datetime("1970-01-01T12:00:00Z") };

@id("ours/enrol-known") @doc("attestation keys on trial may be enrolled")
permit (principal is Operator, action == Action::"enrol", resource in ReferenceState::"trial");

@id("ours/guests") @doc("guests get what they want")
permit (principal is Guest, action, resource);
"#;

fn load(rules: &str, values: &str) -> Policy {
    let bundle = Bundle::new(read("schema.cedarschema"), format!("version = 1\n{values}"));
    Policy::load(bundle.with_policy("ours.cedar", rules)).unwrap_or_else(|errors| panic!("{errors}"))
}

fn key() -> KeyAttributes {
    case("snp-production", "permit/known-image.json").key
}

fn alice(groups: &[&str]) -> Operator {
    let groups = groups.iter().map(|&group| group.to_owned()).collect();
    Operator { uid: 1001, name: "alice".to_owned(), groups }
}

fn denied(policy: &Policy, operator: &Operator, act: Act, object: Object<'_>) -> Denial {
    policy.permits_act(operator, act, object, UnixTime(0)).unwrap_err()
}

fn rules_of(denial: &Denial) -> Vec<&str> {
    denial.reasons.iter().map(|reason| reason.rule.as_str()).collect()
}

#[test]
fn a_forbid_wins_and_conditions_on_the_key_count() {
    let policy = load(RULES, "");
    let (officer, mut key) = (alice(&["officers"]), key());
    key.for_simulation = false;
    let permitted = policy.permits_act(&officer, Act::Enable, Object::Key(&key), UnixTime(0));
    assert_eq!(permitted, Ok(vec!["ours/officers".to_owned()]));
    let denial = denied(&policy, &officer, Act::Disable, Object::Key(&key));
    assert_eq!((denial.code, rules_of(&denial)), (DenialCode::PolicyDenied, vec!["ours/not-at-night"]));
    let noon = policy.permits_act(&officer, Act::Disable, Object::Key(&key), UnixTime(43_200));
    assert_eq!(noon, Ok(vec!["ours/officers".to_owned()]));
    key.for_simulation = true;
    let denial = denied(&policy, &officer, Act::Enable, Object::Key(&key));
    assert_eq!(denial.reasons[0].condition, "!resource.for_simulation");
}

#[test]
fn what_guests_are_permitted_is_no_near_miss_of_an_operator() {
    let policy = load(RULES, "");
    let mut key = key();
    key.for_simulation = false;
    let denial = denied(&policy, &alice(&["auditors"]), Act::Create, Object::Key(&key));
    assert_eq!(rules_of(&denial), ["ours/officers"]);
    assert_eq!(denial.reasons[0].found, "Operator::\"alice\" (in OperatorGroup::\"auditors\")");
    // No rule permits it to anybody: then what is permitted at all is told.
    let denial = denied(&policy, &alice(&[]), Act::Load, Object::Broker);
    assert!(!rules_of(&denial).contains(&"ours/guests"), "{denial}");
}

#[test]
fn an_attestation_key_has_the_state_of_the_reference_values() {
    let policy = |state: &str| {
        let name = format!("000b{}", "ab".repeat(32));
        let value = format!("\n[[ak]]\nvalue = \"{name}\"\nname = \"a\"\nstate = \"{state}\"\n");
        (load(RULES, &value), name.parse().unwrap())
    };
    let (trial, name) = policy("trial");
    let permitted = trial.permits_act(&alice(&[]), Act::Enrol, Object::AttestationKey(&name), UnixTime(0));
    assert_eq!(permitted, Ok(vec!["ours/enrol-known".to_owned()]));
    let (active, name) = policy("active");
    let denial = denied(&active, &alice(&[]), Act::Enrol, Object::AttestationKey(&name));
    assert_eq!(rules_of(&denial), ["ours/enrol-known"]);
}

#[test]
fn an_error_of_any_rule_is_a_denial() {
    let overflow = "@id(\"ours/wrong\") @doc(\"d\")\nforbid (principal is Operator, action, resource)\n\
        when { principal.uid + 9223372036854775807 > 0 };\n";
    let policy = load(&format!("{RULES}{overflow}"), "");
    let mut key = key();
    key.for_simulation = false;
    let denial = denied(&policy, &alice(&["officers"]), Act::Enable, Object::Key(&key));
    assert_eq!((denial.code, rules_of(&denial)), (DenialCode::EvaluationFailed, vec!["ours/wrong"]));
}

/// A rule whose conditions can never hold of an act is still evaluated for it: its head says whom it is about.
#[test]
fn an_error_before_what_cannot_hold_is_a_denial() {
    let guests_only = "@id(\"ours/wrong\") @doc(\"d\")\nforbid (principal is Operator, action, resource)\n\
        when { principal.uid + 9223372036854775807 > 0 && resource is Broker };\n";
    let policy = load(&format!("{RULES}{guests_only}"), "");
    let mut key = key();
    key.for_simulation = false;
    let denial = denied(&policy, &alice(&["officers"]), Act::Enable, Object::Key(&key));
    assert_eq!((denial.code, rules_of(&denial)), (DenialCode::EvaluationFailed, vec!["ours/wrong"]));
}

#[test]
fn whether_anybody_may_manage_is_known() {
    assert!(load(RULES, "").permits_some_act());
    let guests = "@id(\"r\") @doc(\"d\")\npermit (principal is Guest, action, resource);\n\
        @id(\"f\") @doc(\"d\")\nforbid (principal is Operator, action, resource);\n";
    assert!(!load(guests, "").permits_some_act());
}

#[test]
fn what_each_condition_comes_to_is_known_of_acts_as_of_guests() {
    let policy = load(RULES, "");
    let mut key = key();
    let outcomes = |key: &KeyAttributes, groups: &[&str]| {
        let outcomes = policy.outcomes_of_act(&alice(groups), Act::Create, Object::Key(key), UnixTime(0));
        let conditions = policy.conditions().map(|(rule, _)| rule).zip(outcomes);
        conditions.filter(|(rule, _)| *rule == "ours/officers").map(|(_, holds)| holds).collect::<Vec<_>>()
    };
    key.for_simulation = true;
    assert_eq!(outcomes(&key, &["officers"]), [true, true, true, false].map(Some));
    key.for_simulation = false;
    assert_eq!(outcomes(&key, &[]), [false, true, true, true].map(Some));
}

#[test]
fn acts_and_objects_are_shown_as_policies_name_them() {
    let name = format!("000b{}", "ab".repeat(32));
    let objects = [
        (Object::Broker, "the broker".to_owned()),
        (Object::Key(&key()), "Key::\"db\"".to_owned()),
        (Object::AttestationKey(&name.parse().unwrap()), format!("AkName::\"{name}\"")),
    ];
    for (object, shown) in objects {
        assert_eq!(object.to_string(), shown);
    }
    assert_eq!(Act::ALL.map(|act| act.to_string()), Act::ALL.map(Act::name));
    assert_eq!(Act::SetPolicy.to_string(), "set-policy");
}

/// For proofs, which ask about one of the operations that the same rules are about.
#[test]
fn the_rules_about_an_action_are_told_by_their_heads() {
    let policy = load(RULES, "");
    let about = |action: &str| -> Vec<&str> {
        let action = format!("Action::\"{action}\"").parse().unwrap();
        policy.rules_about(&action).into_iter().collect()
    };
    assert_eq!(about("disable"), ["ours/not-at-night", "ours/officers"]);
    assert_eq!(about("release"), ["ours/guests"]);
    assert_eq!(about("unheard-of"), [""; 0]);
    assert_eq!(policy.schema_text(), read("schema.cedarschema"));
}
