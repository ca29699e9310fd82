//! Rules in Cedar, release policies of Azure's, cases, and the decisions that a journal keeps.

use std::sync::{Mutex, OnceLock, PoisonError};

use claims::ReleasePolicy;
use policy::case::{Answer, Case, Decision, Expect, Kept};
use policy::{Bundle, Evaluation, LoadErrors, Policy};
use skr::{Effect, Naming};

use crate::told::{all_told, plain, told};

/// A release policy of Azure's: its rules load, there is one layout of them, and no word about it moves a cursor.
pub fn release_policy(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let document = match skr::parse(text) {
        Ok(document) => document,
        Err(problems) => return problems.iter().for_each(sound),
    };
    for looser in [false, true] {
        let translation = match skr::translate(&document, looser) {
            Ok(translation) => translation,
            Err(problems) => return problems.iter().for_each(sound),
        };
        for finding in &translation.findings {
            assert!(looser || finding.effect != Effect::Looser);
            finding.place.iter().chain(&finding.condition).chain([&finding.why]).for_each(|text| plain(text));
        }
        translation.authorities.iter().for_each(|authority| plain(authority));
        let rules = translation.split();
        if !rules.is_empty() {
            loads(&skr::text(&rules, &Naming { name: "t", key: None, looser }));
        }
    }
}

fn sound(problem: &skr::Problem) {
    plain(&problem.place);
    plain(&problem.message);
}

/// Sound rules: the only thing that can be wrong with them is that there are too many.
fn loads(rules: &str) {
    let too_much = |errors: &LoadErrors| {
        let small = errors.iter().all(|error| ["too-long", "too-many"].contains(&error.problem.code()));
        assert!(small, "{errors}\n{rules}");
    };
    let laid_out = match policy::format("t.cedar", rules) {
        Ok(laid_out) => laid_out,
        Err(errors) => return too_much(&errors),
    };
    assert_eq!(policy::format("t.cedar", &laid_out).as_ref(), Ok(&laid_out));
    if let Err(errors) = load(&laid_out) {
        too_much(&errors);
    }
}

/// Rules that somebody else wrote: what loads does so in the one layout too.
pub fn rules(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    match load(text) {
        Ok(()) => loads(text),
        Err(errors) => all_told(&errors, text),
    }
}

/// What a journal keeps of a transcript, its decisions, and their cases.
pub fn kept_decisions(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let kept = match Kept::parse(text) {
        Ok(kept) => kept,
        Err(error) => return told(&error),
    };
    // What is left out is written out, and may then be too much.
    if let Some(own) = kept.to_text() {
        let again = Kept::parse(&own).ok().and_then(|again| again.to_text());
        assert_eq!(again, Some(own));
    }
    for index in 0..4 {
        let decided = Expect::Permit(vec!["rule".to_owned()]);
        let answer = Answer { id: claims::RequestId([7; 16]), leaf: 7, policy: "00".repeat(32), decided };
        let Some(decision) = kept.decision(index, answer) else { break };
        one_decision(&decision);
    }
}

/// A past decision, as it is exported.
pub fn decision(data: &[u8]) {
    let Ok(line) = core::str::from_utf8(data) else { return };
    match Decision::parse(line) {
        Ok(decision) => one_decision(&decision),
        Err(error) => told(&error),
    }
}

fn one_decision(decision: &Decision) {
    let line = decision.to_line().unwrap_or_else(|error| panic!("{error}"));
    let again = Decision::parse(&line).and_then(|again| again.to_line());
    assert_eq!(again.as_ref(), Ok(&line));
    match (decision.case(), decision.case_file()) {
        (Ok(case), Ok(file)) => {
            decided(&case);
            // A case's file is laid out for people, and may then be too long.
            match Case::parse(&file, |_| None) {
                Ok(again) => assert_eq!(format!("{again:?}"), format!("{case:?}")),
                Err(error) => assert!(matches!(error, policy::case::CaseError::TooLong { .. }), "{error}"),
            }
        }
        (Err(error), _) => told(&error),
        (_, Err(error)) => panic!("a case, and no file: {error}"),
    }
}

/// A case in JSON, whole or built on another.
pub fn case_json(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    match Case::parse(text, |_| Some(BASE.to_owned())) {
        Ok(case) => decided(&case),
        Err(error) => told(&error),
    }
}

/// Whatever a case says, no policy lifts a lock.
fn decided(case: &Case) {
    let Case { record, request, key, .. } = case;
    // A bundle remembers what it has loaded of keys' own policies, and this one lasts.
    if key.release_policy.is_some() {
        return;
    }
    if let Evaluation::Permit { rules } = case.evaluate(policies(), None) {
        assert!(!rules.is_empty());
        assert!(key.enabled && key.id == request.key && key.for_simulation == record.simulated);
        assert!(request.operation == claims::Operation::Renew || key.operations.contains(&request.operation));
    }
}

/// Loads rules as a key's own: beside a schema that was read before, which takes longer than all else.
fn load(rules: &str) -> Result<(), LoadErrors> {
    static BESIDE: Mutex<Option<(Policy, usize)>> = Mutex::new(None);
    let mut beside = BESIDE.lock().unwrap_or_else(PoisonError::into_inner);
    // A bundle remembers what was loaded beside it.
    if beside.as_ref().is_none_or(|(_, loaded)| *loaded == 64) {
        let bundle = Bundle::new(SCHEMA, REFERENCES).with_policy("simulated-development.cedar", SIMULATED);
        *beside = Some((Policy::load(bundle)?, 0));
    }
    let Some((bundle, loaded)) = &mut *beside else { return Ok(()) };
    *loaded += 1;
    bundle.of_key(&ReleasePolicy { cedar: rules.into(), immutable: false }).map(|_| ())
}

/// The shipped policies that permit most.
fn policies() -> &'static Policy {
    static LOADED: OnceLock<Policy> = OnceLock::new();
    LOADED.get_or_init(|| {
        let bundle = Bundle::new(SCHEMA, REFERENCES).with_policy("simulated-development.cedar", SIMULATED);
        Policy::load(bundle.with_policy("snp-production.cedar", PRODUCTION))
            .unwrap_or_else(|errors| panic!("{errors}"))
    })
}

/// The schema that everything loads under.
const SCHEMA: &str = include_str!("../../../attestation-policies/schema.cedarschema");
const REFERENCES: &str =
    include_str!("../../../attestation-policies/cases/simulated-development/reference-values.toml");
const SIMULATED: &str = include_str!("../../../attestation-policies/simulated-development.cedar");
const PRODUCTION: &str = include_str!("../../../attestation-policies/snp-production.cedar");
/// What a case may be built on.
const BASE: &str =
    include_str!("../../../attestation-policies/cases/simulated-development/permit/known-image.json");
