//! A case runs only if it is decided exactly as it says; what differs is told, and a case is written as it is read.

use policy::case::{Case, CaseError, Expect, ExpectedDenial, ExpectedReason};
use policy::{Denial, DenialCode, Evaluation, Policy, Reason, ReasonKind};

use crate::bundle::{bundle, case, padded, read, shipped_policy};

fn permit(rules: &[&str]) -> Expect {
    Expect::Permit(rules.iter().map(|rule| (*rule).to_owned()).collect())
}

fn reason(rule: &str, condition: &str, wanted: Option<&str>, found: Option<&str>) -> ExpectedReason {
    let [wanted, found] = [wanted, found].map(|text| text.map(str::to_owned));
    ExpectedReason { rule: rule.to_owned(), condition: condition.to_owned(), wanted, found }
}

fn deny(code: &str, reasons: Vec<ExpectedReason>) -> Expect {
    Expect::Deny(ExpectedDenial { code: code.to_owned(), reasons })
}

#[test]
fn a_case_that_is_decided_otherwise_does_not_run_and_says_what_differs() {
    let policy = shipped_policy("snp-production");
    let run = |path: &str, expect: Expect| Case { expect, ..case("snp-production", path) }.run(&policy);
    let (known, debug) = ("permit/known-image.json", "deny/debug.json");
    assert_eq!(run(known, permit(&["snp-production/permit"])), Ok(()));
    for rules in [&["one", "two"][..], &["snp-production/permit", "two"], &[]] {
        let told =
            format!("expected a permit by {}, got a permit by snp-production/permit", rules.join(", "));
        assert_eq!(run(known, permit(rules)), Err(told));
    }
    let reasons = vec![reason("r", "c", Some("w"), Some("f")), reason("s", "d", None, None)];
    let told = "expected a denial: key-disabled\n  r: c: wanted w, found f\n  s: d, got a permit by \
                snp-production/permit";
    assert_eq!(run(known, deny("key-disabled", reasons)), Err(told.to_owned()));
    let told = "expected a permit by p, got a denial: policy-denied\n  snp-production/no-debug: \
                principal.snp.policy.debug_allowed: wanted false, found true";
    assert_eq!(run(debug, permit(&["p"])), Err(told.to_owned()));
}

/// A reason of a denial, of a rule and a condition of these names.
fn found(rule: &str, condition: &str) -> Reason {
    Reason {
        kind: ReasonKind::NearMiss,
        rule: rule.to_owned(),
        doc: "d".to_owned(),
        condition: condition.to_owned(),
        wanted: "w".to_owned(),
        found: "f".to_owned(),
    }
}

#[test]
fn a_denial_is_as_expected_with_that_code_and_exactly_those_reasons_in_order() {
    let denial = Denial { code: DenialCode::PolicyDenied, reasons: vec![found("r", "c"), found("s", "d")] };
    let got = Evaluation::Deny(denial);
    let (first, second) = (reason("r", "c", None, None), reason("s", "d", Some("w"), Some("f")));
    let both = vec![first.clone(), second.clone()];
    assert_eq!(deny("policy-denied", both.clone()).compare(&got), Ok(()));
    let second_is = |other: ExpectedReason| deny("policy-denied", vec![first.clone(), other]);
    for other in [
        deny("key-disabled", both),
        deny("policy-denied", vec![]),
        deny("policy-denied", vec![first.clone()]),
        deny("policy-denied", vec![first.clone(), second.clone(), second.clone()]),
        deny("policy-denied", vec![second, first.clone()]),
        second_is(reason("x", "d", None, None)),
        second_is(reason("s", "x", None, None)),
        second_is(reason("s", "d", Some("x"), None)),
        second_is(reason("s", "d", None, Some("x"))),
    ] {
        assert!(other.compare(&got).is_err(), "{other}");
    }
}

#[test]
fn a_case_with_a_base_is_written_whole_and_reads_back_the_same() {
    let whole = case("snp-production", "deny/debug.json");
    let file = whole.to_file().unwrap();
    assert!(
        file.starts_with("{\n  \"about\": \"the host may debug the guest\",\n") && file.ends_with("\n}\n")
    );
    let back = Case::parse(&file, |_| None).unwrap();
    assert_eq!((back.about, back.circumstances), (whole.about, whole.circumstances));
    assert_eq!((back.record, back.request, back.key), (whole.record, whole.request, whole.key));
    assert_eq!(back.expect, whole.expect);
}

#[test]
fn a_case_may_be_as_long_as_the_bound_and_no_longer() {
    let of_length = |path: &str, bytes: usize| padded(&read(&format!("cases/snp-production/{path}")), bytes);
    let parse = |path: &str, case: usize, base: usize| {
        Case::parse(&of_length(path, case), |path| Some(of_length(path, base))).map(|case| case.about)
    };
    let (whole, changed) = ("permit/known-image.json", "deny/debug.json");
    assert!(parse(whole, 65_536, 0).is_ok() && parse(changed, 65_536, 65_536).is_ok());
    let too_long = Err(CaseError::TooLong { max: 65_536, got: 65_537 });
    assert_eq!((parse(whole, 65_537, 0), parse(changed, 65_536, 65_537)), (too_long.clone(), too_long));
}

/// Why `known-image` with one place changed is no case.
fn refused(pointer: &str, value: &str) -> String {
    let text = format!(
        "{{\"about\": \"a\", \"base\": \"permit/known-image.json\", \"change\": {{\"{pointer}\": {value}}}, \
         \"expect\": {{\"permit\": []}}}}"
    );
    let parsed = Case::parse(&text, |base| Some(read(&format!("cases/snp-production/{base}"))));
    parsed.map(|case| case.about).expect_err(pointer).to_string()
}

#[test]
fn a_claim_that_cannot_be_is_told_by_its_name() {
    for (pointer, value, told) in [
        (
            "/guest/snp/host_data",
            "\"\"".to_owned(),
            "`host_data`: wrong number of hexadecimal digits: expected 64, got 0, got ``",
        ),
        (
            "/guest/snp/host_data",
            format!("\"+1{}\"", "00".repeat(31)),
            "`host_data`: not a hexadecimal digit at offset 0",
        ),
        (
            "/guest/snp/host_data",
            format!("\"{}\u{e9}\"", "00".repeat(31)),
            "`host_data`: not a hexadecimal digit at offset 62",
        ),
        (
            "/guest/snp/host_data",
            format!("\"0\u{e9}0{}\"", "00".repeat(30)),
            "`host_data`: not a hexadecimal digit at offset 0",
        ),
        (
            "/guest/snp/policy",
            "\"0x+1\"".to_owned(),
            "`policy`: expected 64 bits as `0x` and hexadecimal, got `0x+1`",
        ),
        (
            "/guest/snp/policy",
            "\"11\"".to_owned(),
            "`policy`: expected 64 bits as `0x` and hexadecimal, got `11`",
        ),
        (
            "/guest/snp/signing_key",
            "\"key\"".to_owned(),
            "`signing_key`: expected one of vcek, vlek, got `key`",
        ),
        (
            "/guest/snp/csp_id",
            "\"\"".to_owned(),
            "`csp_id`: expected 1 to 128 printable ASCII characters, got ``",
        ),
        (
            "/guest/snp/crl_issued",
            "\"x\"".to_owned(),
            "`crl_issued`: expected a time such as 2026-11-22T09:30:00Z, got `x`",
        ),
        (
            "/request/version",
            "\"newest\"".to_owned(),
            "`version`: expected `latest` or a number, got `newest`",
        ),
        ("/key/created_at", "\"x\"".to_owned(), "`created_at` is no time: `x`"),
        ("/now", "\"x\"".to_owned(), "`now` is no time: `x`"),
        (
            "/guest/nothing",
            "1".to_owned(),
            "`/guest/nothing` is not in `permit/known-image.json`; a case can only change",
        ),
    ] {
        let error = refused(pointer, &value);
        let shown = error.strip_prefix("not a case: ").unwrap_or(&error);
        assert!(shown.starts_with(told), "{pointer} = {value}: {error}");
    }
}

#[test]
fn a_case_builds_on_one_that_is_there_and_is_whole() {
    let changed = |base: &str| {
        format!(
            "{{\"about\": \"a\", \"base\": \"{base}\", \"change\": {{}}, \"expect\": {{\"permit\": []}}}}"
        )
    };
    let parse = |of_base: Option<String>| Case::parse(&changed("b"), |_| of_base).map(|case| case.about);
    assert_eq!(parse(None), Err(CaseError::NoBase { base: "b".to_owned() }));
    assert_eq!(parse(Some(changed("c"))), Err(CaseError::NestedBase { base: "b".to_owned() }));
    assert_eq!(parse(Some(read("cases/snp-production/permit/known-image.json"))), Ok("a".to_owned()));
}

#[test]
fn a_case_is_evaluated_at_its_own_time_or_at_another() {
    let rule = "@id(\"r\") @doc(\"d\") permit (principal is Guest, action, resource) \
                when { context.now < datetime(\"2026-11-22T09:30:01Z\") };";
    let policy = Policy::load(bundle("snp-production").with_policy("t.cedar", rule)).unwrap();
    let case = case("snp-production", "permit/known-image.json");
    let permits = |at: Option<&str>| {
        let evaluation = case.evaluate(&policy, at.map(|at| claims::UnixTime::parse(at).unwrap()));
        matches!(evaluation, Evaluation::Permit { .. })
    };
    assert!(permits(None) && permits(Some("2026-11-22T09:30:00Z")));
    assert!(!permits(Some("2026-11-22T09:30:01Z")));
}
