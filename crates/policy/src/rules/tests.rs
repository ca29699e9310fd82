//! Rules taken apart say what Cedar says.

use cedar_policy::Authorizer;
use claims::{AttestedRequest, Operation, VersionSelector};

use crate::explain::Explainer;
use crate::fit;
use crate::{Bundle, Policy};

/// Numbers from a seed (xorshift), so that a failure can be had again.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// A condition of nested connectives over claims that differ between guests; some need a guard, and have it.
fn condition(numbers: &mut Numbers, depth: u32) -> String {
    const CLAIMS: [&str; 15] = [
        "principal has snp",
        "principal.suite == Suite::\"p384\"",
        "principal.os_binding == OsBinding::\"none\"",
        "[Origin::\"imported\", Origin::\"restored\"].contains(resource.origin)",
        "(principal has snp && principal.snp has chip)",
        "(principal has snp && principal.snp.product == Product::\"Genoa\")",
        "(principal has snp && principal.snp.processor has tcb_floor)",
        "(principal has snp && principal.snp has current_mitigations && principal.snp.reported_tcb.snp > 3)",
        "resource.kind in [KeyKind::\"secret\", KeyKind::\"rsa-2048\"]",
        "principal.guest_identity != GuestIdentity::\"id-key\"",
        "principal has snp.chip",
        "resource in KeyRing::\"default\"",
        "(context has network && context.network.isInRange(ip(\"192.0.2.0/25\")))",
        "context.now.toTime() > duration(\"1h\")",
        "(resource.hasTag(\"team\") && resource.getTag(\"team\") like \"d*\")",
    ];
    let claim = |numbers: &mut Numbers| {
        usize::try_from(numbers.below(15))
            .ok()
            .and_then(|at| CLAIMS.get(at))
            .copied()
            .unwrap_or("true")
            .to_owned()
    };
    if depth == 0 {
        return claim(numbers);
    }
    let mut inner = || condition(numbers, depth - 1);
    let (one, two, three) = (inner(), inner(), inner());
    match numbers.below(6) {
        0 | 1 => format!("({one} && {two})"),
        2 | 3 => format!("({one} || {two})"),
        4 => format!("!({one})"),
        _ => format!("(if {one} then {two} else {three})"),
    }
}

/// Those that tell kinds alone, and those that do not.
const HEADS: [&str; 5] = [
    "principal, action == Action::\"unwrap\", resource",
    "principal is Guest, action in [Action::\"unwrap\", Action::\"release\"], resource is Key",
    "principal, action == Action::\"unwrap\", resource in KeyRing::\"default\"",
    "principal is Guest, action == Action::\"unwrap\", resource is Key in KeyRing::\"default\"",
    "principal, action == Action::\"unwrap\", resource in KeyRing::\"other\"",
];

/// Rules that load: a random condition may be one that can never hold, which does not.
fn policies() -> impl Iterator<Item = (String, Policy)> {
    let read = |path: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../attestation-policies/");
        std::fs::read_to_string(format!("{folder}{path}")).unwrap()
    };
    let bundle = Bundle::new(read("schema.cedarschema"), read("cases/snp-production/reference-values.toml"));
    let mut numbers = Numbers(0x5eed);
    (0..90).filter_map(move |round| {
        let head = HEADS[usize::try_from(round).unwrap() % HEADS.len()];
        let (when, unless) = (condition(&mut numbers, 1 + round % 3), condition(&mut numbers, round % 3));
        let text = format!("@id(\"r\") @doc(\"d\") permit ({head}) when {{ {when} }} unless {{ {unless} }};");
        Some((text.clone(), Policy::load(bundle.clone().with_policy("t.cedar", text)).ok()?))
    })
}

#[test]
fn a_rule_applies_if_and_only_if_all_its_conditions_hold() {
    let (mut applied, mut missed) = (0, 0);
    let policies: Vec<_> = policies().collect();
    for head in HEADS {
        assert!(
            policies.iter().filter(|(text, _)| text.contains(&format!("({head})"))).count() > 8,
            "{head}"
        );
    }
    for (text, policy) in &policies {
        for turn in 0..60 {
            let (record, key) = (fit::record(turn), fit::key(turn).unwrap());
            let operation = if turn % 7 == 0 { Operation::Renew } else { Operation::Unwrap };
            let (id, version) = (key.id.clone(), VersionSelector::Latest);
            let request = AttestedRequest { operation, key: id, version, unwrap: None };
            let subject = policy.subjects.subject(
                &record,
                &request,
                &key,
                &crate::fit::circumstances(turn),
                key.created_at,
                None,
            );
            let decided = policy.judge(&subject).is_ok();
            let subject = subject.unwrap();
            let response = Authorizer::new().is_authorized(&subject.request, &policy.set, &subject.entities);
            let applies = response.diagnostics().reason().next().is_some();
            assert_eq!(response.diagnostics().errors().count(), 0, "{text}");
            assert_eq!(decided, applies, "{text}, turn {turn}");
            let explainer = Explainer { subjects: &policy.subjects, subject: &subject };
            assert_eq!(explainer.applies(&policy.rules["r"]), applies, "{text}, turn {turn}");
            *(if applies { &mut applied } else { &mut missed }) += 1;
        }
    }
    assert!(applied > 200 && missed > 200, "{applied} {missed}");
}
