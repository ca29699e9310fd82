//! Which crate may name which: the build graph is the data flow.
//!
//! The table is `ARCHITECTURE.md`'s, read from the side of the crate that names. A crate that is not in it may name
//! `claims` only.

use std::collections::{BTreeMap, BTreeSet};

use crate::Violation;
use crate::members::Members;

/// Each crate with the crates that it may name; `claims` may be named by all.
const MAY_NAME: [(&str, &str); 23] = [
    ("claims", ""),
    ("secret", ""),
    ("evidence", ""),
    ("store", ""),
    ("crypto", "secret"),
    ("verify", "crypto evidence"),
    ("measure", "crypto"),
    ("policy", "crypto verify"),
    ("prove", "policy"),
    ("tlog", "crypto"),
    // tlog: a receipt's proof and checkpoint are checked where the sealed key is opened.
    ("keys", "crypto secret tlog"),
    ("envelope", "crypto keys secret"),
    ("journal", "policy store tlog"),
    // policy: `RootKey::seal` takes the grant.
    ("release", "crypto journal keys policy secret"),
    ("wire", "keys"),
    ("transport", "crypto"),
    ("endorsements", "transport"),
    ("attester", "crypto"),
    ("simtee", "attester crypto"),
    ("skr", ""),
    ("agent", "attester crypto envelope evidence keys measure secret tlog transport wire"),
    // secret: the process is hardened and the root key read before anything else.
    (
        "broker",
        "crypto endorsements evidence journal keys policy release secret store tlog transport verify wire",
    ),
    // secret: the process is hardened before plaintext comes into it.
    (
        "cli",
        "endorsements envelope evidence journal keys measure policy prove secret simtee skr tlog transport verify wire",
    ),
];

/// What must not be reached over any number of arrows, and why.
const MUST_NOT_REACH: [(&str, &[&str], &str); 3] = [
    ("agent", &["verify", "policy", "journal", "store", "release"], "a guest neither verifies nor decides"),
    ("broker", &["simtee", "attester"], "simulation is a trust anchor, not code in the broker"),
    ("broker", &["prove"], "what releases keys needs no solver"),
];

/// Arrows that the table does not have, and crates that it does not know.
pub fn undeclared(members: &Members) -> Vec<Violation> {
    let crates: BTreeSet<&str> = members.crates().map(|member| member.name.as_str()).collect();
    let table = BTreeMap::from(MAY_NAME);
    let mut violations = Vec::new();
    for member in members.crates() {
        let Some(allowed) = table.get(member.name.as_str()) else {
            let instead = "add it to the table in `tests/tidy/arrows.rs` and to `ARCHITECTURE.md`";
            violations.push(Violation::new(&member.manifest, "a crate without arrows", instead));
            continue;
        };
        let named = member.names.iter().filter(|name| crates.contains(name.as_str()));
        for name in named.filter(|name| *name != "claims" && !allowed.split(' ').any(|a| a == *name)) {
            let what = format!("`{}` names `{name}`", member.name);
            let instead = format!("it may name claims {allowed}");
            violations.push(Violation::new(member.place_of(name), what, instead));
        }
    }
    violations
}

/// Crates reached although they must not be, with the way there.
pub fn reached(members: &Members) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (from, targets, why) in MUST_NOT_REACH {
        for target in targets {
            if let Some(way) = way(members, from, target) {
                let what = format!("`{from}` reaches `{target}` ({})", way.join(" -> "));
                let place = format!("crates/{from}/Cargo.toml");
                violations.push(Violation::new(place, what, format!("cut one of these arrows: {why}")));
            }
        }
    }
    violations
}

/// The names on a way from one crate to another, both included.
fn way(members: &Members, from: &str, to: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![from.to_owned()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        let last = way.last().cloned().unwrap_or_default();
        if last == to {
            return Some(way);
        }
        if seen.insert(last.clone()) {
            let here = members.crates().filter(|member| member.name == last);
            let next = here.flat_map(|member| &member.names);
            ways.extend(next.map(|name| [way.clone(), vec![name.clone()]].concat()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_outside_the_table_is_named_with_its_line() {
        let members =
            Members::of(&[("evidence", &["claims"]), ("policy", &["claims", "evidence"]), ("claims", &[])]);
        let expected = Violation::new(
            "crates/policy/Cargo.toml:3",
            "`policy` names `evidence`",
            "it may name claims crypto verify",
        );
        assert_eq!(undeclared(&members), [expected]);
    }

    #[test]
    fn a_new_crate_needs_a_place_in_the_table() {
        let found = undeclared(&Members::of(&[("shortcut", &[])]));
        assert_eq!(found.iter().map(|v| v.what.as_str()).collect::<Vec<_>>(), ["a crate without arrows"]);
    }

    #[test]
    fn a_way_over_other_crates_is_found() {
        let members = Members::of(&[
            ("agent", &["wire"]),
            ("wire", &["policy"]),
            ("policy", &["verify"]),
            ("verify", &[]),
        ]);
        let what: Vec<String> = reached(&members).into_iter().map(|v| v.what).collect();
        let expected = [
            "`agent` reaches `verify` (agent -> wire -> policy -> verify)",
            "`agent` reaches `policy` (agent -> wire -> policy)",
        ];
        assert_eq!(what, expected);
    }

    #[test]
    fn the_table_itself_keeps_what_must_not_be_reached_apart() {
        let allowed: Vec<(&str, Vec<&str>)> =
            MAY_NAME.iter().map(|(name, names)| (*name, names.split_whitespace().collect())).collect();
        let allowed: Vec<(&str, &[&str])> =
            allowed.iter().map(|(name, names)| (*name, names.as_slice())).collect();
        assert_eq!(reached(&Members::of(&allowed)), []);
    }
}
