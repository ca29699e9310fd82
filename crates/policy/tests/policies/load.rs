//! The gate that bundles pass: what would be skipped, or silently never match, does not load.

use policy::{Bundle, LoadError, Policy, Position, Problem};

use crate::bundle::{bundle, read};

const NAMED: &str = "@id(\"r\") @doc(\"d\")\n";

/// The problems of one policy file.
fn problems(text: &str) -> Vec<LoadError> {
    match Policy::load(bundle("snp-production").with_policy("test.cedar", text)) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().cloned().collect(),
    }
}

/// The only problem of a rule with this condition: place, message, and whether the validator found it.
fn refused(condition: &str) -> (Position, String) {
    let text = format!("{NAMED}permit (principal is Guest, action, resource)\nwhen {{ {condition} }};");
    let problems = problems(&text);
    let [error] = &problems[..] else { panic!("{condition}: {problems:?}") };
    assert!(matches!(error.problem, Problem::Invalid { .. }), "{error}");
    (error.at.expect("a place"), error.to_string())
}

fn at(line: usize, column: usize) -> Position {
    Position { line, column }
}

#[test]
fn a_guarded_read_loads() {
    let text = format!(
        "{NAMED}permit (principal is Guest, action, resource) when {{ principal has snp && principal.snp.vmpl == 0 }};"
    );
    assert_eq!(problems(&text), []);
}

#[test]
fn an_unguarded_optional_claim_is_refused_and_the_guard_suggested() {
    let (place, message) = refused("principal.snp.vmpl == 0");
    assert_eq!(place, at(3, 8));
    assert!(message.starts_with("test.cedar:3:8: for policy `r`, unable to guarantee safety"), "{message}");
    assert!(message.contains("has snp"), "{message}");
}

#[test]
fn an_unknown_claim_is_refused_and_the_nearest_suggested() {
    let (place, message) = refused("principal has snp && principal.snp.policy.debgu_allowed");
    assert_eq!(place, at(3, 29));
    assert!(message.contains("did you mean") && message.contains("debug_allowed"), "{message}");
}

#[test]
fn a_wrong_type_is_refused() {
    let (_, message) = refused("principal has snp && principal.snp.vmpl == \"0\"");
    assert!(message.contains("String") && message.contains("Long"), "{message}");
}

#[test]
fn a_comparison_of_bytes_of_two_kinds_is_refused_as_it_never_holds() {
    let condition = "principal has snp && principal.snp.measurement == principal.snp.host_data";
    let text = format!("{NAMED}permit (principal is Guest, action, resource) when {{ {condition} }};");
    let problems = problems(&text);
    assert!(matches!(problems[..], [LoadError { problem: Problem::Doubtful { .. }, .. }]), "{problems:?}");
}

#[test]
fn a_wrong_case_of_a_closed_set_is_refused() {
    let (_, message) = refused("principal.os_binding == OsBinding::\"Launch\"");
    assert!(message.contains("OsBinding::\"Launch\"") && message.contains("launch"), "{message}");
    let (_, message) = refused("principal has snp && principal.snp.product == Product::\"milan\"");
    assert!(message.contains("Milan"), "{message}");
}

#[test]
fn a_string_for_a_value_of_a_closed_set_is_refused() {
    refused("principal.suite == \"x-wing\"");
}

#[test]
fn a_misspelt_action_is_refused() {
    let text = format!("{NAMED}permit (principal, action == Action::\"unwarp\", resource);");
    let problems = problems(&text);
    let suggestion = problems.iter().find(|error| error.to_string().contains("unwrap"));
    let help = suggestion.and_then(|error| error.help.as_deref());
    let actions = "the actions are audit, create, disable, enable, enrol, import, load, manage, release, renew, \
                   secret, set-policy, unwrap, view, withdraw";
    assert_eq!(help, Some(actions), "{problems:?}");
}

#[test]
fn bytes_and_keys_that_can_never_occur_are_refused() {
    for (condition, expected) in [
        (
            format!("principal has snp && principal.snp.measurement == Measurement::\"{}\"", "AB".repeat(48)),
            "96 lower-case hexadecimal digits",
        ),
        (
            format!("principal has snp && principal.snp.host_data == HostData::\"{}\"", "ab".repeat(48)),
            "64 lower-case hexadecimal digits",
        ),
        ("principal == Guest::\"web\"".to_owned(), "a test of its claims: it has no name of its own"),
        ("resource == Key::\"DB\"".to_owned(), "a name: a-z, 0-9, `-`, `_`, `.`"),
    ] {
        let text = format!("{NAMED}forbid (principal is Guest, action, resource)\nwhen {{ {condition} }};");
        let problems = problems(&text);
        let [error] = &problems[..] else { panic!("{condition}: {problems:?}") };
        let Problem::Literal { expected: got, .. } = &error.problem else { panic!("{error}") };
        assert_eq!(*got, expected);
        assert_eq!(error.at.map(|place| place.line), Some(3), "{error}");
    }
}

#[test]
fn a_rule_that_can_never_apply_is_refused() {
    let text = format!("{NAMED}forbid (principal is Guest, action, resource) when {{ principal is Key }};");
    let problems = problems(&text);
    assert!(matches!(problems[..], [LoadError { problem: Problem::Doubtful { .. }, .. }]), "{problems:?}");
}

#[test]
fn every_rule_has_an_id_of_its_own_and_a_doc() {
    let rule = "forbid (principal is Guest, action, resource);";
    let problem = |text: &str| -> Vec<_> {
        problems(text).into_iter().map(|error| (error.at, error.problem)).collect()
    };
    let unnamed = |annotation| Problem::Unnamed { annotation };
    assert_eq!(
        problem(&format!("// a comment\n{rule}")),
        [(Some(at(2, 1)), unnamed("id")), (Some(at(2, 1)), unnamed("doc"))]
    );
    assert_eq!(problem(&format!("@id(\" \") @doc(\"d\") {rule}")), [(Some(at(1, 1)), unnamed("id"))]);
    let repeated = Problem::RepeatedId { id: "r".to_owned(), other: "test.cedar".to_owned() };
    assert_eq!(problem(&format!("{NAMED}{rule}\n{NAMED}{rule}")), [(Some(at(3, 1)), repeated)]);
}

#[test]
fn an_id_of_another_file_is_taken() {
    let rule = format!("{NAMED}forbid (principal is Guest, action, resource);");
    let both = bundle("deny-all").with_policy("a.cedar", &rule).with_policy("b.cedar", &rule);
    let error = Policy::load(both).err().expect("an error");
    assert_eq!(error.to_string(), "b.cedar:1:1: the id `r` is taken by a rule in a.cedar; rename one");
}

#[test]
fn templates_and_empty_files_are_refused() {
    let template = format!("{NAMED}permit (principal == ?principal, action, resource);");
    assert!(problems(&template).iter().any(|error| error.problem == Problem::Template));
    assert_eq!(problems("// nothing").iter().map(|e| &e.problem).collect::<Vec<_>>(), [&Problem::NoRule]);
    let error = Policy::load(bundle("deny-all")).err().expect("an error");
    assert_eq!(error.to_string(), "policies: no policy at all; to deny everything, load `deny-all.cedar`");
}

#[test]
fn what_does_not_parse_is_refused_with_its_place() {
    let problems = problems(
        "@id(\"r\")\npermit (principal is Guest, action, resource) when { principal.simulated && };",
    );
    let [LoadError { at: Some(place), problem: Problem::Syntax { .. }, .. }] = &problems[..] else {
        panic!("{problems:?}")
    };
    assert_eq!(*place, at(2, 77));
}

#[test]
fn all_problems_are_told_at_once_in_order() {
    let references = format!("{}\nextra = 1\n", read("cases/deny-all/reference-values.toml"));
    let broken = Bundle::new(read("schema.cedarschema"), references)
        .with_policy("b.cedar", "forbid (principal is Guest, action, resource);")
        .with_policy("a.cedar", "permit (");
    let errors = Policy::load(broken).err().expect("errors");
    let files: Vec<&str> = errors.iter().map(|error| error.file.as_str()).collect();
    assert_eq!(files, ["a.cedar", "b.cedar", "b.cedar", "reference-values.toml"]);
}

#[test]
fn deep_nesting_is_refused_before_it_is_parsed() {
    for (open, close) in
        [("(", ")"), ("!", ""), ("", " && true"), ("", ".a"), ("[", "]"), ("if true then ", "")]
    {
        for depth in [100, 10_000, 60_000] {
            let (open, close) = (open.repeat(depth), close.repeat(depth));
            let text = format!(
                "{NAMED}permit (principal is Guest, action, resource) when {{ {open}principal{close} }};"
            );
            assert!(!problems(&text).is_empty());
        }
    }
}

#[test]
fn the_longest_chains_that_are_parsed_load() {
    for (link, links) in [(" && principal.simulated", 600), (" || principal.simulated", 600)] {
        let chain = link.repeat(links);
        let condition = format!("principal.simulated{chain}");
        let text = format!("{NAMED}permit (principal is Guest, action, resource) when {{ {condition} }};");
        assert_eq!(problems(&text), [], "{link}");
    }
    let sum = format!("principal has snp && principal.snp.vmpl{} == 0", " + 0".repeat(1900));
    let text = format!("{NAMED}permit (principal is Guest, action, resource) when {{ {sum} }};");
    assert_eq!(problems(&text), []);
}

#[test]
fn cedars_experimental_unknowns_are_refused() {
    let text = format!("{NAMED}permit (principal is Guest, action, resource) when {{ unknown(\"x\") }};");
    assert!(matches!(problems(&text)[..], [LoadError { problem: Problem::Syntax { .. }, .. }]));
}

#[test]
fn a_schema_that_does_not_fit_the_broker_is_refused() {
    let schema = read("schema.cedarschema");
    let rule = format!("{NAMED}forbid (principal is Guest, action, resource);");
    let load = |schema: String| {
        let bundle = Bundle::new(schema, read("cases/deny-all/reference-values.toml"));
        Policy::load(bundle.with_policy("test.cedar", &rule)).map(|_| ()).map_err(|errors| errors.to_string())
    };
    assert_eq!(load(schema.clone()), Ok(()));
    for (from, to) in [
        ("  simulated: Bool,", "  simulated: Long,"),
        ("  simulated: Bool,", ""),
        ("  simulated: Bool,", "  simulated: Bool,\n  another: Bool,"),
        ("\"host-vtpm\", ", ""),
        ("\"rsa-4096\", ", ""),
        ("\"imported\", ", ""),
        ("\"vlek\"", "\"vleck\""),
        ("\"Turin\"", "\"turin\""),
        ("\"retiring\", ", ""),
        ("  chip?: Chip,", ""),
        ("  id_key?: IdKey,", "  id_key: IdKey,"),
        ("entity HostData in [ReferenceState];", "entity HostData;"),
        ("  tcb_floor?: Tcb,", "  tcb_floor: Tcb,"),
        ("action renew ", "action review "),
        ("} tags String;", "};"),
        ("  now: datetime,", "  now: Long,"),
        ("entity Operator in [OperatorGroup] =", "entity Operator ="),
        ("  uid: Long,", "  uid: String,"),
        ("entity Broker;", "entity Broker = { name: String };"),
        ("action view in [manage]", "action watch in [manage]"),
        ("action \"set-policy\" in [manage]", "action \"set-policies\" in [manage]"),
        ("action withdraw in [manage]", "action withdraw"),
        ("principal: Operator, resource: AkName,", "principal: Operator, resource: Key,"),
    ] {
        assert!(schema.contains(from), "{from}");
        let error = load(schema.replacen(from, to, 1)).expect_err(from);
        assert!(error.starts_with("schema.cedarschema"), "{from}: {error}");
    }
    assert!(load("entity Guest".to_owned()).unwrap_err().starts_with("schema.cedarschema:1:"));
}

#[test]
fn a_rule_with_a_mistake_is_not_said_to_be_unguarded_too() {
    let rule = "@id(\"t\") @doc(\"t\") permit (principal is Guest, action, resource) when {\n  principal.nothing &&\n  \
                principal has snp &&\n  principal.snp.vmpl == 0 };";
    let bundle = Bundle::new(read("schema.cedarschema"), "version = 1").with_policy("t.cedar", rule);
    let errors = Policy::load(bundle).err().unwrap();
    let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let [told] = &told[..] else { panic!("{told:?}") };
    assert!(told.starts_with("t.cedar:2:") && told.contains("attribute `nothing`"), "{told}");
}

#[test]
fn a_rule_for_guests_that_is_about_operators_too_is_told_so() {
    let text = "@id(\"r\") @doc(\"d\")\nforbid (principal, action, resource) when { principal.simulated };\n";
    let errors = Policy::load(bundle("snp-production").with_policy("r.cedar", text))
        .err()
        .expect("one about operators");
    let told = errors.to_string();
    assert!(told.contains("attribute `simulated` on entity type `Operator` not found"), "{told}");
    assert!(told.contains("write `principal is Guest` in its head"), "{told}");
}
