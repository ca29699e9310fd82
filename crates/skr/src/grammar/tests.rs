//! What is a release policy, and what is wrong with what is none.

use base64::engine::general_purpose::STANDARD;

use super::*;

fn problems(text: &str) -> Vec<(String, String)> {
    let problems = parse(text).unwrap_err();
    problems.into_iter().map(|problem| (problem.place, problem.message)).collect()
}

fn one_problem(text: &str) -> (String, String) {
    let mut all = problems(text);
    let first = all.remove(0);
    assert!(all.is_empty(), "{first:?} {all:?}");
    first
}

/// A policy of one authority with these members besides its URL.
fn authority(members: &str) -> String {
    format!(r#"{{"version": "1.0.0", "anyOf": [{{"authority": "https://a.attest.azure.net", {members}}}]}}"#)
}

/// A policy of one condition.
fn condition(members: &str) -> String {
    authority(&format!(r#""allOf": [{{{members}}}]"#))
}

fn wrong(place: &str, message: &str) -> (String, String) {
    (place.to_owned(), message.to_owned())
}

/// The claims of a policy with their values, in their order.
fn claims(node: &Node) -> Vec<String> {
    match node {
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().flat_map(claims).collect(),
        Node::Claim(one) => vec![format!("{} {}={}", one.place, one.claim, one.value)],
    }
}

#[test]
fn both_forms_of_a_condition_nest_in_both_groups() {
    let text = authority(
        r#""allOf": [{"claim": "a", "equals": "x"}, {"anyOf": [{"claim": "b", "equals": true},
            {"allOf": [{"claim": "c", "condition": "equals", "value": 7}]}]}]"#,
    );
    let document = parse(&text).unwrap();
    let expected = [
        "$.anyOf[0].allOf[0] a=\"x\"",
        "$.anyOf[0].allOf[1].anyOf[0] b=true",
        "$.anyOf[0].allOf[1].anyOf[1].allOf[0] c=7",
    ];
    assert_eq!(claims(&document.authorities[0].asks), expected);
    let Node::All(all) = &document.authorities[0].asks else { panic!("not all of them") };
    assert!(matches!(&all[1], Node::Any(any) if matches!(any[1], Node::All(_))));
}

#[test]
fn an_authority_is_the_same_in_capitals_with_its_port_and_a_slash() {
    for url in
        ["https://a.attest.azure.net", "HTTPS://A.Attest.Azure.Net/", "https://a.attest.azure.net:443//"]
    {
        let text = condition(r#""claim": "a", "equals": "x""#).replace("https://a.attest.azure.net", url);
        assert_eq!(parse(&text).unwrap().authorities[0].url, "https://a.attest.azure.net", "{url}");
    }
    for url in ["http://a.net", "a.net", "https://", "https://a.net/path", "${MAA}", "https://a.net\\n"] {
        let text = condition(r#""claim": "a", "equals": "x""#).replace("https://a.attest.azure.net", url);
        let (place, message) = one_problem(&text);
        assert_eq!(place, "$.anyOf[0].authority", "{url}");
        assert!(message.starts_with("expected the https URL of an attestation provider, got `"), "{message}");
    }
}

#[test]
fn a_policy_comes_in_what_key_vault_keeps_it_in() {
    let bare = condition(r#""claim": "a", "equals": "??>>""#);
    let url_safe = URL_SAFE_NO_PAD.encode(&bare);
    let standard = STANDARD.encode(&bare);
    assert_ne!(url_safe, standard);
    for wrapped in [
        format!(
            r#"{{"contentType": "application/json; charset=utf-8", "data": "{url_safe}", "immutable": true}}"#
        ),
        format!(r#"{{"key": {{"kid": "k"}}, "release_policy": {{"data": "{url_safe}"}}}}"#),
        format!(r#"{{"releasePolicy": {{"encodedPolicy": "{standard}"}}}}"#),
        format!("\u{feff}{bare}"),
    ] {
        let document = parse(&wrapped).unwrap();
        assert_eq!(claims(&document.authorities[0].asks), ["$.anyOf[0].allOf[0] a=\"??>>\""], "{wrapped}");
    }
    let immutable = |value: &str| {
        let wrapped = format!(r#"{{"data": "{url_safe}", "immutable": {value}}}"#);
        parse(&wrapped).unwrap().immutable
    };
    assert_eq!([immutable("true"), immutable("false")], [true, false]);
    assert!(!parse(&bare).unwrap().immutable);
    let data = |data: &str| one_problem(&format!(r#"{{"release_policy": {{"data": {data}}}}}"#));
    assert_eq!(data(r#""*""#), wrong("$.release_policy.data", "not base64url"));
    assert_eq!(data("7"), wrong("$.release_policy.data", "expected base64url, got a number"));
    assert_eq!(data(r#""gA""#), wrong("$.release_policy.data", "what it encodes is not UTF-8"));
    let empty = one_problem(r#"{"release_policy": {}}"#);
    assert_eq!(empty, wrong("$.release_policy", "expected `data`, the policy in base64url"));
}

#[test]
fn a_comparison_other_than_equals_is_named_with_its_place() {
    let only = |got: &str| format!("no such comparison: Azure defines `equals` alone so far, got `{got}`");
    let old = condition(r#""claim": "a", "condition": "notEquals", "value": "x""#);
    assert_eq!(one_problem(&old), wrong("$.anyOf[0].allOf[0].condition", &only("notEquals")));
    let new = condition(r#""claim": "a", "greater": 1"#);
    assert_eq!(one_problem(&new), wrong("$.anyOf[0].allOf[0].greater", &only("greater")));
    let word = condition(r#""claim": "a", "condition": 7, "value": "x""#);
    assert_eq!(one_problem(&word), wrong("$.anyOf[0].allOf[0].condition", &only("a number")));
}

#[test]
fn a_condition_that_can_be_read_in_two_ways_is_refused() {
    let place = "$.anyOf[0].allOf[0]";
    let either = "expected either `equals`, or `condition` and `value`";
    for members in [
        r#""claim": "a""#,
        r#""claim": "a", "value": "x""#,
        r#""claim": "a", "equals": "x", "condition": "equals", "value": "x""#,
    ] {
        assert_eq!(one_problem(&condition(members)), wrong(place, either), "{members}");
    }
    let twice = condition(r#""claim": "a", "equals": "x", "equals": "y""#);
    let message = "there twice, and readers differ about which of two counts";
    assert_eq!(one_problem(&twice), wrong("$.anyOf[0].allOf[0].equals", message));
    let groups = one_problem(&authority(r#""allOf": [], "anyOf": []"#));
    assert_eq!(groups, wrong("$.anyOf[0]", "expected either `anyOf` or `allOf`"));
    let member = condition(r#""claim": "a", "equals": "x", "unless\u001b": 1"#);
    let message = "a condition has no such member: expected claim, equals, condition, value";
    assert_eq!(one_problem(&member), wrong("$.anyOf[0].allOf[0].unless\\u{1b}", message));
}

#[test]
fn what_is_missing_or_of_another_kind_is_named_all_at_once() {
    let text = r#"{"anyOf": [{"allOf": [7, {"claim": 7, "equals": "x"}, {"claim": "a", "equals": [1]}]},
        {"authority": "https://a.net", "anyOf": []}, {"authority": 7, "anyOf": {}}]}"#;
    let expected = [
        wrong("$", "expected `version`"),
        wrong("$.anyOf[0]", "expected `authority`"),
        wrong("$.anyOf[0].allOf[0]", "expected a condition, got a number"),
        wrong("$.anyOf[0].allOf[1].claim", "expected a claim's name"),
        wrong("$.anyOf[0].allOf[2].equals", "expected a string, a whole number or a boolean, got an array"),
        wrong("$.anyOf[1].anyOf", "is empty: expected at least one"),
        wrong("$.anyOf[2].authority", "expected a URL, got a number"),
        wrong("$.anyOf[2].anyOf", "expected an array, got an object"),
    ];
    assert_eq!(problems(text), expected);
    let half = condition(r#""claim": "a", "equals": 1.5"#);
    let message = "expected a string, a whole number or a boolean, got a number";
    assert_eq!(one_problem(&half), wrong("$.anyOf[0].allOf[0].equals", message));
    assert_eq!(one_problem("[]"), wrong("$", "expected a policy, got an array"));
    let version = condition(r#""claim": "a", "equals": "x""#).replace("1.0.0", "2.0");
    assert_eq!(one_problem(&version), wrong("$.version", "expected one of 1.0.0, 1.0, 0.2, got `2.0`"));
}

#[test]
fn several_authorities_cannot_all_have_signed_one_token() {
    let one = r#"{"authority": "https://a.net", "allOf": [{"claim": "a", "equals": "x"}]}"#;
    assert!(parse(&format!(r#"{{"version": "1.0.0", "allOf": [{one}]}}"#)).is_ok());
    let two = one_problem(&format!(r#"{{"version": "1.0.0", "allOf": [{one}, {one}]}}"#));
    assert_eq!(two, wrong("$.allOf", "a token is of one authority alone; expected `anyOf`"));
}

#[test]
fn text_nesting_and_conditions_are_bounded() {
    let nested = |depth: usize| {
        let inner = r#"{"claim": "a", "equals": "x"}"#;
        let groups = (1..depth).fold(inner.to_owned(), |inner, _| format!(r#"{{"anyOf": [{inner}]}}"#));
        authority(&format!(r#""allOf": [{groups}]"#))
    };
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
    let (place, message) = one_problem(&nested(MAX_DEPTH + 1));
    assert_eq!(message, "nested too deep: expected at most 12 of `anyOf` and `allOf`");
    assert_eq!(place.matches("Of").count(), MAX_DEPTH + 2);
    let deep = "[".repeat(5000);
    assert!(one_problem(&deep).1.starts_with("not JSON: recursion limit exceeded"));

    let many = |count: usize| {
        let all = vec![r#"{"claim":"a","equals":1}"#; count].join(",");
        authority(&format!(r#""allOf": [{all}]"#))
    };
    assert!(parse(&many(MAX_CONDITIONS)).is_ok());
    let (place, message) = one_problem(&many(MAX_CONDITIONS + 1));
    assert_eq!(message, "too many conditions: expected at most 4096");
    assert_eq!(place, "$.anyOf[0].allOf[4096]");
    let long = " ".repeat(MAX_TEXT + 1);
    assert_eq!(one_problem(&long), wrong("$", "too long: expected at most 262144 bytes, got 262145"));
    let all_wrong = authority(&format!(r#""allOf": [{}]"#, vec!["7"; 100].join(",")));
    assert_eq!(problems(&all_wrong).len(), MAX_PROBLEMS);
}

#[test]
fn what_is_shown_of_a_text_is_short_and_printable() {
    assert_eq!(printable("it's\n\u{1b}[31m\u{202e}"), "it's\\n\\u{1b}[31m\\u{202e}");
    assert_eq!(printable(&"x".repeat(201)), "x".repeat(200) + "...");
}
