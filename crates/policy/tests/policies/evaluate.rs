//! The rules of evaluation: default deny, forbid over permit, an error is a denial, locks before policy.

use claims::{KeyKind, KeyVersion, Operation, Suite, VersionSelector};
use policy::case::Case;
use policy::{Bundle, Denial, DenialCode, Evaluation, Policy, Reason, ReasonKind};

use crate::bundle::{self, bundle, case};

const PERMIT_ALL: &str = "@id(\"all\") @doc(\"everything\") permit (principal is Guest, action, resource);";

fn policy(rules: &[&str]) -> Policy {
    let text = rules.join("\n");
    Policy::load(bundle("snp-production").with_policy("t.cedar", text))
        .unwrap_or_else(|errors| panic!("{errors}"))
}

fn known() -> Case {
    case("snp-production", "permit/known-image.json")
}

fn evaluate(policy: &Policy, case: &Case) -> Evaluation {
    policy.evaluate(&case.record, &case.request, &case.key, &case.circumstances)
}

fn denial(policy: &Policy, case: &Case) -> Denial {
    match evaluate(policy, case) {
        Evaluation::Deny(denial) => denial,
        permit => panic!("{permit:?}"),
    }
}

fn rule(effect: &str, id: &str, condition: &str) -> String {
    format!(
        "@id(\"{id}\") @doc(\"about {id}\") {effect} (principal is Guest, action, resource) when {{ {condition} }};"
    )
}

/// Condition, wanted and found of each reason.
fn told(denial: &Denial) -> Vec<(&str, &str, &str)> {
    denial.reasons.iter().map(|r| (r.condition.as_str(), r.wanted.as_str(), r.found.as_str())).collect()
}

#[test]
fn what_no_rule_permits_is_denied() {
    let forbid = rule("forbid", "f", "principal.simulated");
    let denial = denial(&policy(&[&forbid]), &known());
    assert_eq!(denial.code, DenialCode::PolicyDenied);
    assert_eq!(told(&denial), [("some permit applies", "a permit", "none in the bundle")]);
}

#[test]
fn a_forbid_wins_over_every_permit() {
    let forbid = rule("forbid", "f", "!principal.simulated");
    let denial = denial(&policy(&[PERMIT_ALL, &forbid]), &known());
    let reason = Reason {
        kind: ReasonKind::Forbid,
        rule: "f".into(),
        doc: "about f".into(),
        condition: "!principal.simulated".into(),
        wanted: "true".into(),
        found: "false".into(),
    };
    assert_eq!(denial, Denial { code: DenialCode::PolicyDenied, reasons: vec![reason] });
}

#[test]
fn a_permit_names_all_rules_that_permit() {
    let other = rule("permit", "a", "!principal.simulated");
    let rules = vec!["a".to_owned(), "all".to_owned()];
    assert_eq!(evaluate(&policy(&[PERMIT_ALL, &other]), &known()), Evaluation::Permit { rules });
}

#[test]
fn a_forbid_that_errs_denies_although_a_permit_holds() {
    let overflow = "principal has snp && principal.snp.reported_tcb.snp + 9223372036854775807 > 0";
    let denial = denial(&policy(&[PERMIT_ALL, &rule("forbid", "f", overflow)]), &known());
    assert_eq!(denial.code, DenialCode::EvaluationFailed);
    let [reason] = &denial.reasons[..] else { panic!("{denial}") };
    assert_eq!((reason.kind, reason.rule.as_str()), (ReasonKind::Error, "f"));
    assert!(reason.found.contains("overflow"), "{}", reason.found);
}

#[test]
fn a_permit_that_errs_denies_although_another_holds() {
    let overflow = "principal has snp && principal.snp.reported_tcb.snp + 9223372036854775807 > 0";
    let denial = denial(&policy(&[PERMIT_ALL, &rule("permit", "p", overflow)]), &known());
    assert_eq!(denial.code, DenialCode::EvaluationFailed);
}

/// Policies for several platforms have rules that say the same: asked once, and told of each.
#[test]
fn rules_that_say_the_same_are_all_told() {
    let overflow = "principal has snp && principal.snp.reported_tcb.snp + 9223372036854775807 > 0";
    let ids = |denial: &Denial| denial.reasons.iter().map(|reason| reason.rule.clone()).collect::<Vec<_>>();
    for (condition, code) in
        [("!principal.simulated", DenialCode::PolicyDenied), (overflow, DenialCode::EvaluationFailed)]
    {
        let laid_out = rule("forbid", "a", condition).replace(' ', "\n");
        let forbids =
            [&rule("forbid", "b", condition), PERMIT_ALL, &laid_out, &rule("forbid", "c", condition)];
        let denial = denial(&policy(&forbids), &known());
        assert_eq!((denial.code, ids(&denial)), (code, ["a", "b", "c"].map(str::to_owned).to_vec()));
        assert_eq!(denial.reasons.first().unwrap().doc, "about\na");
    }
    let permits = ["b", "a"].map(|id| rule("permit", id, "!principal.simulated"));
    let rules = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(
        evaluate(&policy(&permits.each_ref().map(String::as_str)), &known()),
        Evaluation::Permit { rules }
    );
    let both = ["permit", "forbid"].map(|effect| rule(effect, effect, "!principal.simulated"));
    assert_eq!(ids(&denial(&policy(&both.each_ref().map(String::as_str)), &known())), ["forbid"]);
}

#[test]
fn a_clock_that_cedar_cannot_express_denies() {
    let mut case = known();
    case.circumstances.now = claims::UnixTime(u64::MAX);
    let reads = rule("permit", "reads", "context.now > datetime(\"2026-01-01\")");
    let denied = denial(&policy(&[&reads]), &case);
    assert_eq!(denied.code, DenialCode::EvaluationFailed);
    let [reason] = &denied.reasons[..] else { panic!("{denied}") };
    assert_eq!((reason.kind, reason.rule.as_str()), (ReasonKind::Error, "request"));
    assert!(reason.found.contains("datetime"), "{}", reason.found);
    // What no rule reads is not asked for.
    assert!(matches!(evaluate(&policy(&[PERMIT_ALL]), &case), Evaluation::Permit { .. }));
}

/// The code, with every policy permitting.
fn locked(alter: impl FnOnce(&mut Case)) -> (DenialCode, usize) {
    let mut case = known();
    alter(&mut case);
    let denial = denial(&policy(&[PERMIT_ALL]), &case);
    assert!(denial.reasons.iter().all(|reason| reason.kind == ReasonKind::Lock), "{denial}");
    (denial.code, denial.reasons.len())
}

#[test]
fn no_policy_lifts_a_lock() {
    assert_eq!(locked(|c| c.key.id = "other".parse().unwrap()), (DenialCode::KeyMismatch, 1));
    let other_version = |c: &mut Case| c.request.version = VersionSelector::Exact(KeyVersion(1));
    assert_eq!(locked(other_version), (DenialCode::VersionMismatch, 1));
    assert_eq!(locked(|c| c.key.enabled = false), (DenialCode::KeyDisabled, 1));
    let not_among = |c: &mut Case| assert!(c.key.operations.remove(&Operation::Unwrap));
    assert_eq!(locked(not_among), (DenialCode::OperationNotAllowed, 1));
    assert_eq!(locked(|c| c.key.kind = KeyKind::Secret), (DenialCode::OperationUnfit, 1));
    assert_eq!(locked(|c| c.record.suite = Suite::P384), (DenialCode::SuiteTooWeak, 1));
    assert_eq!(locked(|c| c.record.simulated = true), (DenialCode::SimulatedMismatch, 1));
    assert_eq!(locked(|c| c.key.for_simulation = true), (DenialCode::SimulatedMismatch, 1));
}

#[test]
fn the_first_lock_gives_the_code_and_all_are_told() {
    let two = |c: &mut Case| {
        c.key.enabled = false;
        c.record.simulated = true;
    };
    assert_eq!(locked(two), (DenialCode::KeyDisabled, 2));
}

#[test]
fn locks_let_pass_what_they_are_not_about() {
    let permits = |alter: &dyn Fn(&mut Case)| {
        let mut case = known();
        alter(&mut case);
        matches!(evaluate(&policy(&[PERMIT_ALL]), &case), Evaluation::Permit { .. })
    };
    assert!(permits(&|_| {}));
    assert!(permits(&|c| c.request.version = VersionSelector::Exact(KeyVersion(2))));
    assert!(permits(&|c| {
        c.key.suite_floor = Suite::P384;
        c.record.suite = Suite::XWing;
    }));
    assert!(permits(&|c| {
        c.record.simulated = true;
        c.key.for_simulation = true;
    }));
    assert!(permits(&|c| {
        c.request.operation = Operation::Renew;
        c.key.operations.clear();
        c.key.kind = KeyKind::Secret;
    }));
}

#[test]
fn the_nearest_permit_is_told_first() {
    let far = rule("permit", "a-far", "principal.simulated && resource.for_simulation");
    let near = rule("permit", "b-near", "resource.version > 1 && context.now < datetime(\"2026-01-01\")");
    let denial = denial(&policy(&[&far, &near]), &known());
    let rules: Vec<&str> = denial.reasons.iter().map(|reason| reason.rule.as_str()).collect();
    assert_eq!(rules, ["b-near", "a-far", "a-far"]);
}

#[test]
fn a_permit_for_another_operation_is_told_only_where_there_is_no_other() {
    let secret =
        "@id(\"a\") @doc(\"d\") permit (principal is Guest, action == Action::\"secret\", resource);";
    let (one, two) =
        (rule("permit", "b", "principal.simulated"), rule("permit", "c", "resource.for_simulation"));
    let rules = |texts: &[&str]| -> Vec<String> {
        denial(&policy(texts), &known()).reasons.into_iter().map(|reason| reason.rule).collect()
    };
    assert_eq!(rules(&[secret, &one, &two]), ["b", "c"]);
    assert_eq!(rules(&[secret]), ["a"]);
}

#[test]
fn a_guard_that_fails_hides_what_it_guards_and_counts_it() {
    let guarded = "principal has snp && principal.snp has chip && principal.snp.chip == Chip::\"{}\"";
    let guarded = rule("permit", "guarded", &guarded.replace("{}", &"00".repeat(64)));
    let plain = rule("permit", "plain", "principal.simulated && resource.for_simulation");
    let mut case = known();
    case.record.snp = None;
    let denial = denial(&policy(&[&guarded, &plain]), &case);
    let conditions: Vec<&str> = told(&denial).into_iter().map(|(condition, _, _)| condition).collect();
    // three conditions of `guarded` do not hold, two of which cannot be read; two of `plain`
    assert_eq!(conditions, ["principal.simulated", "resource.for_simulation", "principal has snp"]);
}

#[test]
fn every_form_of_condition_is_told_in_words() {
    for (condition, expected) in [
        ("principal.snp.reported_tcb.snp >= 20", ("principal.snp.reported_tcb.snp >= 20", ">= 20", "5")),
        ("20 <= principal.snp.reported_tcb.snp", ("20 <= principal.snp.reported_tcb.snp", ">= 20", "5")),
        ("!(principal.snp.vmpl < 1)", ("!(principal.snp.vmpl < 1)", ">= 1", "0")),
        ("!(principal.snp.vmpl == 0)", ("!(principal.snp.vmpl == 0)", "!= 0", "0")),
        ("6 == principal.snp.guest_svn", ("6 == principal.snp.guest_svn", "== 6", "0")),
        ("0 != principal.snp.guest_svn", ("0 != principal.snp.guest_svn", "!= 0", "0")),
        ("0 < principal.snp.guest_svn", ("0 < principal.snp.guest_svn", "> 0", "0")),
        ("0 > principal.snp.guest_svn", ("0 > principal.snp.guest_svn", "< 0", "0")),
        ("4 >= principal.snp.launch_tcb.snp", ("4 >= principal.snp.launch_tcb.snp", "<= 4", "5")),
        ("principal.snp.launch_tcb.snp <= 4", ("principal.snp.launch_tcb.snp <= 4", "<= 4", "5")),
        ("!(principal.snp.vmpl <= 0)", ("!(principal.snp.vmpl <= 0)", "> 0", "0")),
        ("!(principal.snp.vmpl >= 0)", ("!(principal.snp.vmpl >= 0)", "< 0", "0")),
        ("!(principal.snp.launch_tcb.snp > 4)", ("!(principal.snp.launch_tcb.snp > 4)", "<= 4", "5")),
        ("!(principal.snp.vmpl != 1)", ("!(principal.snp.vmpl != 1)", "== 1", "0")),
        (
            "resource in KeyRing::\"web\"",
            ("resource in KeyRing::\"web\"", "in KeyRing::\"web\"", "Key::\"db\" (in KeyRing::\"default\")"),
        ),
        (
            "!(resource in KeyRing::\"default\")",
            (
                "!(resource in KeyRing::\"default\")",
                "not in KeyRing::\"default\"",
                "Key::\"db\" (in KeyRing::\"default\")",
            ),
        ),
        ("principal.simulated", ("principal.simulated", "true", "false")),
        ("!principal.snp_fresh", ("!principal.snp_fresh", "false", "true")),
        ("principal.snp has author_key", ("principal.snp has author_key", "present", "absent")),
        ("!(principal.snp has chip)", ("!(principal.snp has chip)", "absent", "present")),
        ("resource.hasTag(\"ring\")", ("resource.hasTag(\"ring\")", "present", "absent")),
        (
            "resource.hasTag(\"team\") && resource.getTag(\"team\") like \"web*\"",
            ("resource.getTag(\"team\") like \"web*\"", "like \"web*\"", "\"db\""),
        ),
        (
            "principal.snp has current_mitigations && principal.snp.current_mitigations.contains(4)",
            ("principal.snp.current_mitigations.contains(4)", "with 4", "[0, 1]"),
        ),
        (
            "[KeyKind::\"aes-256\", KeyKind::\"secret\"].contains(resource.kind)",
            (
                "[KeyKind::\"aes-256\", KeyKind::\"secret\"].contains(resource.kind)",
                "one of [KeyKind::\"aes-256\", KeyKind::\"secret\"]",
                "KeyKind::\"rsa-3072\"",
            ),
        ),
        (
            "!([KeyKind::\"rsa-3072\"].contains(resource.kind))",
            (
                "!([KeyKind::\"rsa-3072\"].contains(resource.kind))",
                "none of [KeyKind::\"rsa-3072\"]",
                "KeyKind::\"rsa-3072\"",
            ),
        ),
        (
            "principal.snp has launch_mitigations && !principal.snp.launch_mitigations.contains(1)",
            ("!(principal.snp.launch_mitigations.contains(1))", "without 1", "[0, 1]"),
        ),
        (
            "principal.snp has launch_mitigations && principal.snp.launch_mitigations.containsAll([1, 4])",
            ("principal.snp.launch_mitigations.containsAll([1, 4])", "with all of [1, 4]", "[0, 1]"),
        ),
        (
            "principal.snp has launch_mitigations && !principal.snp.launch_mitigations.containsAll([1])",
            ("!(principal.snp.launch_mitigations.containsAll([1]))", "without all of [1]", "[0, 1]"),
        ),
        (
            "principal.snp has launch_mitigations && principal.snp.launch_mitigations.containsAny([4])",
            ("principal.snp.launch_mitigations.containsAny([4])", "true", "false"),
        ),
        (
            "principal.simulated || resource.version > 2",
            (
                "principal.simulated || (resource.version > 2)",
                "one side to hold",
                "(principal.simulated: wanted true, found false; resource.version > 2: wanted > 2, found 2)",
            ),
        ),
        (
            "if principal.simulated then true else resource.version == 3",
            ("if principal.simulated then true else resource.version == 3", "true", "false"),
        ),
    ] {
        let condition = format!("principal has snp && ({condition})");
        let denial = denial(&policy(&[&rule("permit", "p", &condition)]), &known());
        assert_eq!(told(&denial), [expected]);
    }
}

#[test]
fn an_unless_is_told_like_a_when() {
    let unless = "@id(\"p\") @doc(\"d\") permit (principal is Guest, action, resource) unless { !principal.simulated || resource.version == 2 };";
    let denial = denial(&policy(&[unless]), &known());
    assert_eq!(
        told(&denial),
        [("principal.simulated", "true", "false"), ("!(resource.version == 2)", "!= 2", "2")]
    );
}

#[test]
fn the_scope_is_told_too() {
    let scoped = "@id(\"p\") @doc(\"d\") permit (principal is Guest, action == Action::\"secret\", resource == Key::\"web\");";
    let denial = denial(&policy(&[scoped]), &known());
    assert_eq!(
        told(&denial),
        [
            ("action == Action::\"secret\"", "== Action::\"secret\"", "Action::\"unwrap\""),
            ("resource == Key::\"web\"", "== Key::\"web\"", "Key::\"db\""),
        ]
    );
}

#[test]
fn a_measurement_that_a_rule_names_has_the_state_of_the_reference_values() {
    let active = "11".repeat(48);
    let named = format!("Measurement::\"{active}\" in ReferenceState::\"active\" && !principal.simulated");
    let mut case = known();
    assert!(matches!(evaluate(&policy(&[&rule("permit", "p", &named)]), &case), Evaluation::Permit { .. }));
    case.record.snp = None;
    assert!(matches!(evaluate(&policy(&[&rule("permit", "p", &named)]), &case), Evaluation::Permit { .. }));
}

#[test]
fn a_dated_measurement_that_a_rule_names_has_the_state_of_the_time() {
    let dated = format!(
        "version = 1\n[[measurement]]\nvalue = \"{}\"\nname = \"dated\"\nstate = \"active\"\n\
         valid_from = 2026-11-22T09:30:00Z\nvalid_until = 2026-11-23T09:30:00Z\n",
        "ab".repeat(48)
    );
    let named = format!("Measurement::\"{}\" in ReferenceState::\"active\"", "ab".repeat(48));
    let bundle = Bundle::new(bundle::read("schema.cedarschema"), dated);
    let policy = Policy::load(bundle.with_policy("t.cedar", rule("permit", "p", &named))).unwrap();
    let permits = |time: &str| {
        let mut case = known();
        case.circumstances.now = claims::UnixTime::parse(time).unwrap();
        matches!(evaluate(&policy, &case), Evaluation::Permit { .. })
    };
    assert!(!permits("2026-11-22T09:29:59Z") && permits("2026-11-22T09:30:00Z"));
    assert!(permits("2026-11-23T09:29:59Z") && !permits("2026-11-23T09:30:00Z"));
}

#[test]
fn a_denial_lists_a_bounded_number_of_reasons() {
    let rules: Vec<String> =
        (0..200).map(|i| rule("permit", &format!("p{i}"), "principal.simulated")).collect();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    assert_eq!(denial(&policy(&rules), &known()).reasons.len(), 64);
}

#[test]
fn a_floor_that_is_announced_warns_before_it_denies() {
    let floor = "[[tcb_floor]]\nproduct = \"Turin\"\ncpuid = { family = 26, model = 2, stepping = 1 }\n\
                 fmc = 0\nbootloader = 255\ntee = 0\nsnp = 0\nmicrocode = 0\n\
                 warn_from = 2030-01-01T00:00:00Z\ndeny_from = 2030-02-01T00:00:00Z\n";
    let references = bundle::read("cases/snp-production/reference-values.toml") + floor;
    let file = "snp-production.cedar";
    let bundle = Bundle::new(bundle::read("schema.cedarschema"), references);
    let policy = Policy::load(bundle.with_policy(file, bundle::read(file))).unwrap();
    let at = |time: &str| {
        let mut case = known();
        case.circumstances.now = claims::UnixTime::parse(time).unwrap();
        let announced = policy.announced(&case.record, &case.request, &case.key, &case.circumstances);
        let permitted = matches!(evaluate(&policy, &case), Evaluation::Permit { .. });
        let from = |from: Option<claims::UnixTime>| from.map(|from| from.to_string());
        (permitted, announced.map(|(at, denial)| (from(at), denial.reasons[0].wanted.clone())))
    };
    assert_eq!(at("2029-12-31T23:59:59Z"), (true, None));
    let warned = (Some("2030-02-01T00:00:00Z".to_owned()), ">= 255".to_owned());
    assert_eq!(at("2030-01-01T00:00:00Z"), (true, Some(warned)));
    assert_eq!(at("2030-02-01T00:00:00Z"), (false, None));
}

#[test]
fn what_is_on_trial_warns_and_denies_nothing() {
    let floor = "[[tcb_floor]]\nproduct = \"Turin\"\ncpuid = { family = 26, model = 2, stepping = 1 }\n\
                 fmc = 0\nbootloader = 255\ntee = 0\nsnp = 0\nmicrocode = 0\n";
    let revoked = "[[revoked]]\nproduct = \"Turin\"\nwhy = \"w\"\n";
    let says = |more: &str| {
        let references = bundle::read("cases/snp-production/reference-values.toml") + more;
        let file = "snp-production.cedar";
        let bundle = Bundle::new(bundle::read("schema.cedarschema"), references);
        let policy = Policy::load(bundle.with_policy(file, bundle::read(file))).unwrap();
        let case = known();
        let announced = policy.announced(&case.record, &case.request, &case.key, &case.circumstances);
        let first = |denial: policy::Denial| denial.reasons[0].condition.clone();
        let permitted = matches!(evaluate(&policy, &case), Evaluation::Permit { .. });
        (permitted, announced.map(|(from, denial)| (from.map(|from| from.to_string()), first(denial))))
    };
    let (trial, ends) = ("state = \"trial\"\n", "valid_until = 2026-11-22T09:30:00Z\n");
    let under = "principal.snp.reported_tcb.bootloader >= principal.snp.processor.tcb_floor.bootloader";
    assert_eq!(says(&format!("{floor}{trial}")), (true, Some((None, under.to_owned()))));
    let bad = "principal.snp.processor.revoked".to_owned();
    assert_eq!(says(&format!("{revoked}{trial}")), (true, Some((None, bad.clone()))));
    // What comes by itself is told with its date, before what may never come.
    let ahead = "valid_from = 2030-01-01T00:00:00Z\n";
    let told = (true, Some((Some("2030-01-01T00:00:00Z".to_owned()), bad)));
    assert_eq!(says(&format!("{revoked}{ahead}{floor}{trial}")), told);
    assert!(!says(revoked).0);
    for over in [
        format!("{revoked}{ends}"),
        format!("{revoked}state = \"expired\"\n"),
        format!("{floor}{trial}{ends}"),
    ] {
        assert_eq!(says(&over), (true, None), "{over}");
    }
}

#[test]
fn a_policy_lists_its_conditions_and_what_each_comes_to() {
    let rules = [
        rule("permit", "b", "principal has snp && principal.snp has chip && principal.snp.vmpl > 9"),
        rule("forbid", "a", "!(resource.version == 2)"),
    ];
    let policy = policy(&rules.each_ref().map(String::as_str));
    assert_eq!(policy.rules().collect::<Vec<_>>(), [("a", "about a"), ("b", "about b")]);
    let conditions: Vec<_> = policy.conditions().collect();
    let a = ["principal is Guest", "!(resource.version == 2)"].map(|c| ("a", c));
    let b = ["principal is Guest", "principal has snp", "principal.snp has chip", "principal.snp.vmpl > 9"];
    assert_eq!(conditions, [&a[..], &b.map(|c| ("b", c))].concat());
    let outcomes = |case: &Case| policy.outcomes(&case.record, &case.request, &case.key, &case.circumstances);
    let (whole, mut bare) = (known(), known());
    assert_eq!(
        outcomes(&whole),
        [[true, false].map(Some), [true; 2].map(Some), [true, false].map(Some)].concat()
    );
    bare.record.snp = None;
    assert_eq!(outcomes(&bare), [Some(true), Some(false), Some(true), Some(false), None, None]);
}

#[test]
fn nothing_is_known_of_conditions_where_the_request_cannot_be_expressed() {
    let policy =
        policy(&[&rule("permit", "p", "context.now > datetime(\"2026-01-01\") && !principal.simulated")]);
    let mut case = known();
    case.circumstances.now = claims::UnixTime(u64::MAX);
    assert_eq!(policy.outcomes(&case.record, &case.request, &case.key, &case.circumstances), [None; 3]);
}

#[test]
fn an_author_key_has_the_state_of_an_id_key() {
    let policy = policy(&[&rule(
        "permit",
        "p",
        "principal has snp && principal.snp has author_key && principal.snp.author_key in ReferenceState::\"active\"",
    )]);
    let permits = |id_key: Option<[u8; 48]>, author_key| {
        let mut case = known();
        let snp = case.record.snp.as_mut().unwrap();
        (snp.id_key_digest, snp.author_key_digest) = (id_key, Some(author_key));
        matches!(evaluate(&policy, &case), Evaluation::Permit { .. })
    };
    let known = [0xc3; 48];
    assert!(permits(None, known) && permits(Some([1; 48]), known) && permits(Some(known), known));
    assert!(!permits(Some(known), [1; 48]));
}
