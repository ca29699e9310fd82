//! That a translation never permits more: random policies, held against a model of tokens and guests.

use super::*;
use crate::grammar;
use crate::rules::{self, Naming};

/// A guest on Azure, as far as the model goes.
#[derive(Clone, Copy, Debug)]
struct Model {
    vtpm: bool,
    secure_boot: bool,
    vm: usize,
    host: usize,
    debug: bool,
}

impl Model {
    fn all() -> Vec<Self> {
        let bits = |n: usize, at: usize| (n >> at) & 1;
        let model = |n: usize| Self {
            vtpm: bits(n, 0) == 1,
            secure_boot: bits(n, 1) == 1,
            vm: bits(n, 2),
            host: bits(n, 3),
            debug: bits(n, 4) == 1,
        };
        (0..32).map(model).collect()
    }
}

/// A condition of the model: how a policy spells it, and whether this kind of token of this guest has it.
struct Leaf {
    json: String,
    token: Option<Token>,
    holds: fn(&Model) -> bool,
}

const VMS: [&str; 2] = ["0A1B2C3D-0123-4567-89AB-000000000000", "0A1B2C3D-0123-4567-89AB-000000000001"];

fn leaves() -> Vec<Leaf> {
    let leaf = |claim: &str, value: String, token, holds| Leaf {
        json: format!(r#"{{"claim": "{claim}", "equals": {value}}}"#),
        token,
        holds,
    };
    let text = |text: &str| format!("\"{text}\"");
    let host = |digit: &str| text(&digit.repeat(64));
    let (machine, report) = (Some(Token::Machine), Some(Token::Report));
    vec![
        leaf("x-ms-attestation-type", text("azurevm"), machine, |_| true),
        leaf("x-ms-attestation-type", text("sevsnpvm"), report, |_| true),
        leaf("x-ms-isolation-tee.x-ms-attestation-type", text("sevsnpvm"), machine, |_| true),
        leaf("x-ms-attestation-type", text("tdxvm"), None, |_| false),
        leaf("secureboot", "true".into(), machine, |model| model.secure_boot),
        leaf("secureboot", text("false"), machine, |model| !model.secure_boot),
        leaf("x-ms-azurevm-vmid", text(VMS[0]), machine, |model| model.vm == 0),
        leaf("x-ms-azurevm-vmid", text(VMS[1]), machine, |model| model.vm == 1),
        leaf("x-ms-runtime.vm-configuration.vmUniqueId", text(VMS[1]), report, |m| m.vtpm && m.vm == 1),
        leaf("x-ms-sevsnpvm-hostdata", host("0"), report, |model| model.host == 0),
        leaf("x-ms-sevsnpvm-hostdata", host("1"), report, |model| model.host == 1),
        leaf("x-ms-isolation-tee.x-ms-sevsnpvm-hostdata", host("1"), machine, |model| model.host == 1),
        leaf("x-ms-sevsnpvm-is-debuggable", "false".into(), report, |model| !model.debug),
        leaf("x-ms-isolation-tee.x-ms-sevsnpvm-is-debuggable", text("true"), machine, |model| model.debug),
        leaf("x-ms-ver", text("1.0"), None, |_| true),
        leaf("x-ms-policy-hash", text("h"), None, |_| false),
        leaf("x-ms-azurevm-ostype", text("Linux"), machine, |_| false),
        leaf("x-ms-sevsnpvm-reportdata", text(&"0".repeat(128)), report, |_| false),
    ]
}

/// Those from here on have no counterpart; the model takes them not to hold, whatever the guest.
const UNKNOWN_FROM: usize = 15;

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % bound
    }
}

/// A policy's conditions: indices of leaves.
enum Shape {
    Leaf(usize),
    All(Vec<Shape>),
    Any(Vec<Shape>),
}

impl Shape {
    fn random(random: &mut Random, leaves: usize, depth: usize) -> Self {
        let group = depth == 3 || (depth > 0 && random.below(3) == 0);
        if !group {
            return Self::Leaf(random.below(leaves));
        }
        let members = (0..=random.below(3)).map(|_| Self::random(random, leaves, depth - 1)).collect();
        if random.below(2) == 0 { Self::All(members) } else { Self::Any(members) }
    }

    fn json(&self, leaves: &[Leaf]) -> String {
        let group = |word: &str, shapes: &[Self]| {
            let shapes: Vec<String> = shapes.iter().map(|shape| shape.json(leaves)).collect();
            format!(r#"{{"{word}": [{}]}}"#, shapes.join(", "))
        };
        match self {
            Self::Leaf(at) => leaves[*at].json.clone(),
            Self::All(shapes) => group("allOf", shapes),
            Self::Any(shapes) => group("anyOf", shapes),
        }
    }

    /// Whether a token of this kind about this guest meets it.
    fn holds(&self, leaves: &[Leaf], token: Token, model: &Model) -> bool {
        match self {
            Self::Leaf(at) => {
                let leaf = &leaves[*at];
                leaf.token.is_none_or(|own| own == token) && (leaf.holds)(model)
            }
            Self::All(shapes) => shapes.iter().all(|shape| shape.holds(leaves, token, model)),
            Self::Any(shapes) => shapes.iter().any(|shape| shape.holds(leaves, token, model)),
        }
    }
}

/// Whether a rule permits a guest; its paravisor is a known one.
fn permits(rule: &Rule, model: &Model) -> bool {
    (rule.token == Token::Report || model.vtpm) && meets(&rule.asks, model)
}

fn meets(tree: &Tree, model: &Model) -> bool {
    match tree {
        Tree::All(trees) => trees.iter().all(|tree| meets(tree, model)),
        Tree::Any(trees) => trees.iter().any(|tree| meets(tree, model)),
        Tree::Is(Condition { guard, test }) => {
            let guarded = guard.is_none_or(|guard| !guard.includes(Guard::Vtpm) || model.vtpm);
            let host = |value: &str| value == format!("HostData::\"{}\"", model.host.to_string().repeat(64));
            let vm = |value: &str| value == format!("VmId::\"{}\"", VMS[model.vm].to_lowercase());
            guarded
                && match test {
                    Test::Nothing => true,
                    Test::Is("principal.tpm.boot.secure_boot", on) => model.secure_boot == *on,
                    Test::Is("principal.snp.policy.debug_allowed", on) => model.debug == *on,
                    Test::Equal("principal.snp.host_data", value) => host(value),
                    Test::OneOf("principal.snp.host_data", values) => values.iter().any(|value| host(value)),
                    Test::Equal("principal.tpm.azure.vm_id", value) => vm(value),
                    Test::OneOf("principal.tpm.azure.vm_id", values) => values.iter().any(|value| vm(value)),
                    other => panic!("not in the model: {other:?}"),
                }
        }
    }
}

fn translated(text: &str, looser: bool) -> Translation {
    translate(&grammar::parse(text).unwrap(), looser).unwrap()
}

fn policy(authorities: &[String]) -> String {
    let one = |asks: &String| {
        let group = asks.trim_start_matches('{').trim_end_matches('}');
        let group = if group.starts_with("\"claim\"") { format!("\"allOf\": [{asks}]") } else { inner(asks) };
        format!(r#"{{"authority": "https://a.net", {group}}}"#)
    };
    let all: Vec<String> = authorities.iter().map(one).collect();
    format!(r#"{{"version": "1.0.0", "anyOf": [{}]}}"#, all.join(", "))
}

/// A group's member without its braces.
fn inner(asks: &str) -> String {
    asks.strip_prefix('{').and_then(|asks| asks.strip_suffix('}')).unwrap().to_owned()
}

#[test]
fn no_guest_is_permitted_that_no_token_was_enough_for() {
    let leaves = leaves();
    let random = &mut Random(0x5eed);
    let (mut with_rules, mut equal) = (0, 0);
    for round in 0..3000 {
        let known_alone = round % 2 == 0;
        let pool = if known_alone { UNKNOWN_FROM } else { leaves.len() };
        let shapes: Vec<Shape> = (0..=random.below(3)).map(|_| Shape::random(random, pool, 3)).collect();
        let text = policy(&shapes.iter().map(|shape| shape.json(&leaves)).collect::<Vec<_>>());
        let strict = translated(&text, false);
        let looser = translated(&text, true);
        with_rules += usize::from(!strict.rules.is_empty());
        // What every token has asks nothing of a guest, and is refused.
        let trivial = strict.findings.iter().any(|finding| finding.why == "asks nothing of a guest");
        for model in Model::all() {
            let token = |token: Token| {
                (token == Token::Report || model.vtpm)
                    && shapes.iter().any(|shape| shape.holds(&leaves, token, &model))
            };
            let there = token(Token::Machine) || token(Token::Report);
            for rules in [strict.rules.clone(), strict.split()] {
                let here = rules.iter().any(|rule| permits(rule, &model));
                assert!(there || !here, "{text}\n{model:?}\n{strict:#?}");
                if known_alone && !trivial {
                    assert_eq!(here, there, "{text}\n{model:?}\n{strict:#?}");
                    equal += 1;
                }
                let also = looser.rules.iter().any(|rule| permits(rule, &model));
                assert!(also || !here, "stricter with --allow-looser: {text}\n{model:?}");
            }
        }
    }
    assert!(with_rules > 1500 && equal > 45_000, "{with_rules} {equal}");
}

#[test]
fn whatever_is_translated_is_laid_out_as_a_policy() {
    let leaves = leaves();
    let random = &mut Random(7);
    let naming = Naming { name: "t", key: None, looser: false };
    for _ in 0..300 {
        let text = policy(&[Shape::random(random, leaves.len(), 3).json(&leaves)]);
        let rules = translated(&text, true).split();
        if !rules.is_empty() {
            let text = rules::text(&rules, &naming);
            assert!(policy::format("t.cedar", &text).is_ok(), "{text}");
        }
    }
}

#[test]
fn bytes_that_are_no_policy_are_refused_and_no_more() {
    let leaves = leaves();
    let random = &mut Random(99);
    let words =
        ["\"", "{", "}", "[", "]", ",", ":", "anyOf", "claim", "0", "\\u0000", "\u{202e}", "e9", "null"];
    let mut sound = 0;
    for _ in 0..5000 {
        let mut text = policy(&[Shape::random(random, leaves.len(), 3).json(&leaves)]);
        for _ in 0..=random.below(3) {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let at = places[random.below(places.len())];
            let end = places[random.below(places.len())].clamp(at, text.len().min(at + 12));
            let end = (end..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap();
            text.replace_range(at..end, words[random.below(words.len())]);
        }
        if let Ok(translation) = grammar::parse(&text).and_then(|document| translate(&document, true)) {
            sound += 1;
            let _nothing_to_ask =
                rules::text(&translation.split(), &Naming { name: "t", key: None, looser: true });
        }
    }
    assert!(sound > 50, "{sound}");
}

#[test]
fn regions_that_ask_the_same_become_one_rule() {
    let ask = |first: usize, second: usize| {
        let leaves = leaves();
        format!(r#"{{"allOf": [{}, {}]}}"#, leaves[first].json, leaves[second].json)
    };
    let one = translated(&policy(&[ask(1, 9), ask(9, 1)]), false);
    assert_eq!((one.rules.len(), one.authorities.as_slice()), (1, &["https://a.net".to_owned()][..]));
    assert_eq!(translated(&policy(&[ask(1, 9), ask(1, 10)]), false).rules.len(), 2);
}

#[test]
fn alternatives_are_rules_of_their_own_while_they_are_few() {
    let any = |count: usize| {
        let one = |at: usize| {
            let debug = r#"{"claim": "x-ms-sevsnpvm-is-debuggable", "equals": false}"#;
            format!(r#"{{"allOf": [{debug}, {{"claim": "x-ms-sevsnpvm-guestsvn", "equals": {at}}}]}}"#)
        };
        let all: Vec<String> = (0..count).map(one).collect();
        translated(&policy(&[format!(r#"{{"anyOf": [{}]}}"#, all.join(", "))]), false).split().len()
    };
    assert_eq!((any(MAX_RULES), any(MAX_RULES + 1)), (MAX_RULES, 1));
}

#[test]
fn values_of_one_claim_become_a_set() {
    let value = |at: usize| format!(r#"{{"claim": "x-ms-sevsnpvm-guestsvn", "equals": {at}}}"#);
    let text = policy(&[format!(r#"{{"anyOf": [{}, {}, {}]}}"#, value(7), value(9), value(7))]);
    let set = Test::OneOf("principal.snp.guest_svn", vec!["7".into(), "9".into()]);
    assert_eq!(translated(&text, false).rules[0].asks, Tree::Is(Condition::plain(set)));
    let both = policy(&[format!(r#"{{"allOf": [{}, {}]}}"#, value(7), value(9))]);
    let none = translated(&both, false);
    assert!(none.rules.is_empty());
    let why = "asks for two values of `principal.snp.guest_svn` at once";
    assert_eq!(none.findings[0], Finding::of_all(Some("$.anyOf[0]"), Effect::Nobody, why));
}

/// The guest of a model as a case, by the shipped one.
fn case(model: &Model) -> policy::case::Case {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../attestation-policies/");
    let path = format!("{shipped}cases/snp-azure-vtpm/permit/known-machine.json");
    let mut case: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let guest = &mut case["guest"];
    guest["snp"]["host_data"] = model.host.to_string().repeat(64).into();
    guest["snp"]["policy"] = if model.debug { "0xb0000" } else { "0x30000" }.into();
    if model.vtpm {
        guest["tpm"]["boot"]["secure_boot"] = model.secure_boot.into();
        guest["tpm"]["paravisor"]["vm_id"] = VMS[model.vm].to_lowercase().into();
    } else {
        guest["evidence"] = "sev-snp".into();
        guest["tpm"] = serde_json::Value::Null;
    }
    case["expect"] = serde_json::json!({ "permit": [] });
    policy::case::Case::parse(&case.to_string(), |_| None).unwrap()
}

#[test]
fn cedar_decides_as_the_model_does() {
    let schema = include_str!("../../../../attestation-policies/schema.cedarschema");
    let paravisor = "99".repeat(48);
    let references =
        format!("version = 1\n[[paravisor]]\nvalue = \"{paravisor}\"\nname = \"p\"\nstate = \"active\"\n");
    let leaves = leaves();
    let random = &mut Random(11);
    let mut bundle = policy::Bundle::new(schema, references.as_str());
    let mut all = Vec::new();
    while all.len() < 120 {
        let text = policy(&[Shape::random(random, UNKNOWN_FROM, 3).json(&leaves)]);
        let translation = translated(&text, false);
        // Alternatives in one rule, and each in its own, by turns.
        let rules = if all.len() % 2 == 0 { translation.split() } else { translation.rules };
        if rules.iter().map(|rule| size(&rule.asks)).sum::<usize>() < 3 {
            continue;
        }
        let name = format!("p{}", all.len());
        let cedar = rules::text(&rules, &Naming { name: &name, key: None, looser: false });
        bundle = bundle.with_policy(format!("{name}.cedar"), cedar.as_str());
        all.push((name, rules, cedar));
    }
    let policy = policy::Policy::load(bundle).unwrap_or_else(|errors| panic!("{errors}"));
    for model in Model::all() {
        // No case expects a permit by no rule: what it got is in the error.
        let got = case(&model).run(&policy).unwrap_err();
        let permits_by = got.split_once("got a permit by ").map_or("", |(_, rules)| rules);
        for (name, rules, cedar) in &all {
            let head = format!("{name}/");
            let permitted = permits_by.split(", ").any(|rule| rule.starts_with(&head));
            let expected = rules.iter().any(|rule| permits(rule, &model));
            assert_eq!(permitted, expected, "{model:?}\n{cedar}\n{got}");
        }
    }
}

fn size(tree: &Tree) -> usize {
    match tree {
        Tree::All(trees) | Tree::Any(trees) => trees.iter().map(size).sum(),
        Tree::Is(_) => 1,
    }
}
