//! Rules as they are written, and guests as Cedar has them: for those who compare bundles and ask solvers.

use claims::ReleasePolicy;
use policy::{Policy, Written};
use serde_json::json;

use crate::bundle::{bundle, case, shipped_policy};

/// The rules of a text, without what depends on Cedar's own JSON.
fn written(text: &str) -> Vec<Written> {
    let bundle = bundle("snp-production").with_policy("t.cedar", text);
    Policy::load(bundle).unwrap_or_else(|errors| panic!("{errors}")).written()
}

const RULES: &str = "@id(\"b\") @doc(\"why b\") permit (principal is Guest, action, resource)\n\
    when { principal.simulated && resource.version == 2 };\n\
    @id(\"a\") @doc(\"why a\") forbid (principal is Guest, action, resource);\n";

#[test]
fn rules_are_listed_by_id_with_effect_and_conditions() {
    let rules = written(RULES);
    let told: Vec<_> = rules.iter().map(|rule| (rule.id.as_str(), rule.doc.as_str(), rule.effect)).collect();
    assert_eq!(told, [("a", "why a", "forbid"), ("b", "why b", "permit")]);
    assert_eq!(rules[0].conditions, ["principal is Guest"]);
    assert_eq!(rules[1].conditions, ["principal is Guest", "principal.simulated", "resource.version == 2"]);
}

#[test]
fn a_body_is_the_same_however_it_is_laid_out_and_named_and_no_other() {
    let bodies = |text: &str| written(text).into_iter().map(|rule| rule.body).collect::<Vec<_>>();
    let body: serde_json::Value = serde_json::from_str(&bodies(RULES)[0]).unwrap();
    let guests = json!({"op": "is", "entity_type": "Guest"});
    let all = json!({"op": "All"});
    let forbid =
        json!({"effect": "forbid", "principal": guests, "action": all, "resource": all, "conditions": []});
    assert_eq!(body, forbid);
    let laid_out = RULES.replace("when {", "// why\nwhen\n{").replace("why ", "because of ");
    assert_eq!(bodies(&laid_out), bodies(RULES));
    let other = RULES.replace("== 2", "== 3");
    assert_eq!(bodies(&other)[0], bodies(RULES)[0]);
    assert_ne!(bodies(&other)[1], bodies(RULES)[1]);
}

/// `deny-all` reads nothing of a guest, and still all of it is told.
#[test]
fn the_entities_of_a_guest_are_whole() {
    let policy = shipped_policy("deny-all");
    let mut case = case("snp-production", "permit/known-image.json");
    case.key.release_policy = Some(ReleasePolicy { cedar: "".into(), immutable: false });
    let entities = policy.entities(&case.record, &case.request, &case.key, &case.circumstances).unwrap();
    let named = |kind: &str| {
        let of_kind = |entity: &&serde_json::Value| entity["uid"]["type"] == kind;
        entities.as_array().unwrap().iter().find(of_kind).unwrap()
    };
    let snp = &named("Guest")["attrs"]["snp"];
    assert_eq!(snp["vmpl"], 0);
    assert_eq!(snp["measurement"]["__entity"]["id"], "11".repeat(48));
    assert_eq!(snp["launch_tcb"]["microcode"], 82);
    assert_eq!(named("Key")["tags"], json!({"team": "db"}));
    assert_eq!(named("Key")["parents"], json!([{"type": "KeyRing", "id": "default"}]));
    assert_eq!(named("Processor")["attrs"]["revoked"], false);
}

#[test]
fn bits_of_a_platform_that_nobody_knows_are_told_as_such() {
    let policy = shipped_policy("deny-all");
    let mut case = case("snp-production", "permit/known-image.json");
    let mut platform = |bits: u64| {
        case.record.snp.as_mut().unwrap().platform.0 = bits;
        let entities = policy.entities(&case.record, &case.request, &case.key, &case.circumstances).unwrap();
        let guest = entities.as_array().unwrap().iter().find(|entity| entity["uid"]["type"] == "Guest");
        let platform = &guest.unwrap()["attrs"]["snp"]["platform"];
        (platform["smt"] == true, platform["unknown_bits"] == true, platform["bits"].clone())
    };
    assert_eq!(platform(0x25), (true, false, json!([0, 2, 5])));
    assert_eq!(platform(0x25 | 1 << 63), (true, true, json!([0, 2, 5, 63])));
    assert_eq!(platform(0), (false, false, json!([])));
}
