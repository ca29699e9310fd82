//! The shipped policies are careful: a guest gets nothing more by saying less, and an operator nothing by having less.
//!
//! Every policy file is in one of the lists below. Those that only forbid are tried beside a rule that permits everything,
//! since by themselves they deny whatever a guest says.

use std::collections::{BTreeMap, BTreeSet};

use claims::{KeyAttributes, UnixTime};
use policy::case::{Case, Expect};
use policy::{Act, Bundle, Circumstances, Evaluation, Object, Operator, Policy};

use crate::guests::removals;

/// Policies about guests that permit.
const PERMITTING: [&str; 9] = [
    "aws-nitro-tpm",
    "simulated-development",
    "simulated-vtpm",
    "snp-azure-vtpm",
    "snp-containers-host-data",
    "snp-production",
    "snp-svsm",
    "tpm-measured-boot",
    "two-platform",
];

/// Policies about guests that only forbid.
const FORBIDDING: [&str; 4] = ["deny-all", "maintenance-window", "region-bound", "tenant-rings"];

/// Policies about operators.
const OPERATORS: [&str; 1] = ["operators"];

/// What [`FORBIDDING`] are tried beside.
const EVERYTHING: &str = r#"
@id("everything") @doc("any guest gets any key")
permit (principal is Guest, action, resource is Key);
"#;

fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{FOLDER}/{path}")).unwrap()
}

fn files(folder: &str, ending: &str) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(format!("{FOLDER}/{folder}")) else { return BTreeSet::new() };
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    entries.map(name).filter(|name| name.ends_with(ending)).collect()
}

/// The policy under the reference values of its cases.
fn bundle(name: &str) -> Bundle {
    let file = format!("{name}.cedar");
    let references = read(&format!("cases/{name}/reference-values.toml"));
    Bundle::new(read("schema.cedarschema"), references).with_policy(&file, read(&file))
}

fn load(bundle: Bundle) -> Policy {
    Policy::load(bundle).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The cases in JSON; those in TOML are for whoever can launch guests.
fn cases(name: &str) -> Vec<Case> {
    let base = |base: &str| Some(read(&format!("cases/{name}/{base}")));
    let folders = ["permit", "deny"].map(|folder| format!("cases/{name}/{folder}"));
    let all = folders.iter().flat_map(|folder| {
        files(folder, ".json")
            .into_iter()
            .map(move |file| Case::parse(&read(&format!("{folder}/{file}")), base).unwrap())
    });
    all.collect()
}

/// What was denied and is permitted with a claim less, and how often a denial was tried with less.
fn gained(name: &str, policy: &Policy) -> (Vec<String>, usize) {
    let (mut gained, mut tried) = (Vec::new(), 0);
    for case in cases(name) {
        let permits = |record: &claims::ClaimsRecord, circumstances: &Circumstances| {
            let found = policy.evaluate(record, &case.request, &case.key, circumstances);
            matches!(found, Evaluation::Permit { .. })
        };
        // What the reference values deny is denied for being there; a signed report does not leave it out.
        let denied = |rule: &str| rule.contains("/no-denied-");
        let for_being_there =
            matches!(&case.expect, Expect::Deny(d) if d.reasons.iter().any(|r| denied(&r.rule)));
        if for_being_there || permits(&case.record, &case.circumstances) {
            continue;
        }
        for (what, less) in removals(&case.record) {
            tried += 1;
            if permits(&less, &case.circumstances) {
                gained.push(format!("{name}: {}: without {what}", case.about));
            }
        }
        if permits(&case.record, &Circumstances { network: None, ..case.circumstances.clone() }) {
            gained.push(format!("{name}: {}: without its network", case.about));
        }
    }
    (gained, tried)
}

#[test]
fn every_policy_is_tried() {
    let listed = [&PERMITTING[..], &FORBIDDING, &OPERATORS].concat();
    let listed: BTreeSet<String> = listed.into_iter().map(|name| format!("{name}.cedar")).collect();
    assert_eq!(files("", ".cedar"), listed, "each file belongs into one of the lists");
}

#[test]
fn a_claim_taken_away_gains_nothing() {
    let mut all = Vec::new();
    let permitting = PERMITTING.map(|name| (name, bundle(name)));
    let forbidding = FORBIDDING.map(|name| (name, bundle(name).with_policy("everything.cedar", EVERYTHING)));
    for (name, bundle) in permitting.into_iter().chain(forbidding) {
        let (gained, tried) = gained(name, &load(bundle));
        assert!(tried >= 10, "{name}: {tried} denials with less are few");
        all.extend(gained);
    }
    let exception = "an SNP report stands beside the quote, which nothing binds it to: without snp";
    assert_eq!(all, FOR_QUOTES_ALONE.map(|name| format!("{name}: {exception}")));
}

/// With a rule for quotes alone, which says so. Evidence of that kind has no report to take away.
const FOR_QUOTES_ALONE: [&str; 3] = ["aws-nitro-tpm", "tpm-measured-boot", "two-platform"];

#[test]
fn a_forbid_that_needs_a_claim_to_apply_is_found() {
    let careless =
        read("tenant-rings.cedar").replacen("unless", "when", 1).replace(".id_key ==", ".id_key !=");
    let references = read("cases/tenant-rings/reference-values.toml");
    let bundle =
        Bundle::new(read("schema.cedarschema"), references).with_policy("tenant-rings.cedar", careless);
    let (gained, _) = gained("tenant-rings", &load(bundle.with_policy("everything.cedar", EVERYTHING)));
    assert!(gained.iter().any(|what| what.ends_with(": without id_key")), "{gained:?}");
}

/// Every group that the rules name, and one that they do not.
const GROUPS: [&str; 7] =
    ["administrators", "auditors", "enrolment-officers", "key-officers", "on-call", "services", "visitors"];

/// What somebody has who acts: groups as bits, a name, and on the key a tag and a ring.
type Having = (u32, bool, bool, bool);

/// The same with one thing less, each.
fn with_less((groups, name, tag, ring): Having) -> Vec<Having> {
    let bits = (0..GROUPS.len()).map(|bit| groups & !(1 << bit));
    let fewer = bits.filter(|fewer| *fewer != groups).map(|fewer| (fewer, name, tag, ring));
    let others = [(groups, false, tag, ring), (groups, name, false, ring), (groups, name, tag, false)];
    fewer.chain(others.into_iter().filter(|other| *other != (groups, name, tag, ring))).collect()
}

fn permits(policy: &Policy, (groups, name, tag, ring): Having, act: Act, key: &KeyAttributes) -> bool {
    let has = |bit: &usize| groups >> bit & 1 == 1;
    let groups = (0..GROUPS.len()).filter(has).map(|bit| GROUPS[bit].to_owned()).collect();
    let name = if name { "alice".to_owned() } else { Operator::unnamed(1000) };
    let mut key = key.clone();
    key.tags = tag.then(|| ("owner".to_owned(), "alice".to_owned())).into_iter().collect();
    key.ring = if ring { "services".parse().unwrap() } else { claims::RingId::default() };
    let ak = format!("000b{}", "ab".repeat(32)).parse().unwrap();
    let object = match act {
        Act::View | Act::Audit | Act::Load => Object::Broker,
        Act::Enrol | Act::Withdraw => Object::AttestationKey(&ak),
        _ => Object::Key(&key),
    };
    policy.permits_act(&Operator { uid: 1000, name, groups }, act, object, UnixTime(0)).is_ok()
}

#[test]
fn an_operator_gains_nothing_by_a_group_a_name_a_tag_or_a_ring_less() {
    let text = read("operators.cedar");
    let named = text.split("OperatorGroup::\"").skip(1).filter_map(|rest| rest.split_once('"'));
    let unknown: Vec<&str> = named.map(|(group, _)| group).filter(|group| !GROUPS.contains(group)).collect();
    assert!(unknown.is_empty(), "not among those that are tried: {unknown:?}");

    let policy = load(bundle("operators"));
    let key = cases("snp-production").remove(0).key;
    let (mut permitted, mut denied) = (0, 0);
    for act in Act::ALL {
        let (mut all, has_key) =
            (BTreeMap::new(), !matches!(act.name(), "view" | "audit" | "load" | "enrol" | "withdraw"));
        for groups in 0..1_u32 << GROUPS.len() {
            for bits in 0..8 {
                let having = (groups, bits & 1 == 1, bits & 2 == 2, bits & 4 == 4);
                // What is done to no key has none to read of.
                if has_key || bits < 2 {
                    all.insert(having, permits(&policy, having, act, &key));
                }
            }
        }
        for (having, permits) in &all {
            let gains = |less: &Having| all.get(less).copied().unwrap_or(false) && !permits;
            let gained: Vec<Having> = with_less(*having).into_iter().filter(gains).collect();
            assert_eq!(gained, [], "{act}: {having:?} is denied");
            let count = if *permits { &mut permitted } else { &mut denied };
            *count += 1;
        }
    }
    assert!(permitted > 500 && denied > 500, "{permitted} permitted, {denied} denied");
}

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../attestation-policies");
