//! [`nearest`]: a denial in one sentence, for people: what the nearest permit lacks.

use crate::reason::{Reason, ReasonKind};

/// What would have made it a permit, in a sentence, or what would keep it from being forbidden; `None` where neither can
/// be said, such as where there is no permit at all.
pub fn nearest(reasons: &[Reason]) -> Option<String> {
    let first = reasons.first()?;
    match first.kind {
        ReasonKind::NearMiss if first.rule != Reason::NO_PERMIT => {
            let missing = reasons.iter().take_while(|reason| reason.rule == first.rule);
            let wishes: Vec<String> = missing.map(wish).collect();
            Some(format!("would be permitted by `{}` if {}", first.rule, wishes.join(", and ")))
        }
        ReasonKind::Forbid => {
            let rules = reasons.chunk_by(|one, next| one.rule == next.rule);
            let told: Vec<String> = rules.filter_map(lifted).collect();
            Some(format!("is forbidden by {}", told.join("; and by ")))
        }
        _ => None,
    }
}

/// `rule`, and which of its conditions would have to fail for it not to forbid.
fn lifted(reasons: &[Reason]) -> Option<String> {
    let Reason { rule, wanted, .. } = reasons.first()?;
    if wanted == Reason::ANOTHER {
        return Some(format!("`{rule}`: it takes {wanted}"));
    }
    let wishes: Vec<String> = reasons.iter().map(escape).collect();
    Some(format!("`{rule}`: would not be if {}", wishes.join(", or ")))
}

/// What a condition of a permit lacks: `principal.snp.vmpl` were == 0 (it is 3).
fn wish(reason: &Reason) -> String {
    let Reason { condition, wanted, found, .. } = reason;
    match left_side(condition, wanted, |operator| operator) {
        _ if wanted == Reason::EITHER => format!("one of these held: {}", within(found)),
        Some(left) => format!("`{left}` were {wanted} (it is {found})"),
        None if wanted == "present" => match reason.found_itself() {
            (_, Some(unread)) => format!("`{condition}` ({unread} before that)"),
            _ => format!("`{condition}`"),
        },
        None if is_truth(wanted) => {
            format!("`{}` were {wanted} (it is {found})", condition.trim_start_matches('!'))
        }
        None => format!("`{condition}` held (wanted {wanted}, found {found})"),
    }
}

/// What would make a condition of a forbid fail.
fn escape(reason: &Reason) -> String {
    let Reason { condition, wanted, found, .. } = reason;
    match left_side(condition, wanted, opposite) {
        _ if wanted == Reason::NEITHER => format!("none of these held: {}", within(found)),
        Some(left) => format!("`{left}` were {wanted} (it is {found})"),
        None if is_truth(wanted) => {
            format!("`{}` were {wanted} (it is {found})", condition.trim_start_matches('!'))
        }
        None => format!("`{condition}` did not hold (wanted {wanted}, found {found})"),
    }
}

/// What was found of the sides of `||`, without its brackets.
fn within(found: &str) -> &str {
    found.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(found)
}

fn is_truth(wanted: &str) -> bool {
    matches!(wanted, "true" | "false")
}

/// What is compared, if the condition is a comparison with the operator that `wanted` begins with, as `spelt` there, or one
/// with states of reference values.
fn left_side<'c>(
    condition: &'c str,
    wanted: &str,
    spelt: impl FnOnce(&'static str) -> &'static str,
) -> Option<&'c str> {
    if condition.contains(" || ") || condition.starts_with("!(") {
        return None;
    }
    let begins = |operator: &&str| wanted.strip_prefix(operator).is_some_and(|rest| rest.starts_with(' '));
    let named = OPERATORS.into_iter().find(begins).map(spelt);
    let operator = named.or(condition.contains(" in [").then_some("in"))?;
    condition.split_once(&format!(" {operator} ")).map(|(left, _)| left)
}

/// The comparison that holds where this one does not.
fn opposite(operator: &'static str) -> &'static str {
    match operator {
        "==" => "!=",
        "!=" => "==",
        "<" => ">=",
        "<=" => ">",
        ">" => "<=",
        ">=" => "<",
        "in" => "not in",
        _ => "in",
    }
}

const OPERATORS: [&str; 8] = ["==", "!=", "<", "<=", ">", ">=", "in", "not in"];

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(kind: ReasonKind, rule: &str, condition: &str, wanted: &str, found: &str) -> Reason {
        let text = |text: &str| text.to_owned();
        Reason {
            kind,
            rule: text(rule),
            doc: String::new(),
            condition: text(condition),
            wanted: text(wanted),
            found: text(found),
        }
    }

    #[test]
    fn the_nearest_permit_is_told_in_a_sentence() {
        let near =
            |rule, condition, wanted, found| reason(ReasonKind::NearMiss, rule, condition, wanted, found);
        let reasons = [
            near("a", "principal.snp.tcb.microcode >= floor.microcode", ">= 219", "72"),
            near("a", "!principal.simulated", "false", "true"),
            near("b", "context.now == 1", "== 1", "2"),
        ];
        assert_eq!(
            nearest(&reasons).unwrap(),
            "would be permitted by `a` if `principal.snp.tcb.microcode` were >= 219 (it is 72), and \
             `principal.simulated` were false (it is true)"
        );
        let known = near("a", "principal.m in [ReferenceState::\"active\"]", "one of the 2 values", "55");
        assert_eq!(wish(&known), "`principal.m` were one of the 2 values (it is 55)");
        let group =
            reason(ReasonKind::NearMiss, "p", "principal in G::\"a\"", "in G::\"a\"", "O::\"x\" (in none)");
        let told = "would be permitted by `p` if `principal` were in G::\"a\" (it is O::\"x\" (in none))";
        assert_eq!(nearest(&[group]).unwrap(), told);
        assert_eq!(nearest(&[reason(ReasonKind::NearMiss, Reason::NO_PERMIT, "x", "y", "z")]), None);
        assert_eq!(nearest(&[reason(ReasonKind::Lock, "key-disabled", "x", "y", "z")]), None);
        assert_eq!(nearest(&[]), None);
    }

    #[test]
    fn what_lifts_a_forbid_is_told_in_a_sentence() {
        let forbid =
            |rule, condition, wanted, found| reason(ReasonKind::Forbid, rule, condition, wanted, found);
        let reasons = [
            forbid("a", "principal.simulated", "false", "true"),
            forbid("b", "a >= 3", "< 3", "7"),
            forbid("b", "m in [ReferenceState::\"denied\"]", "none of the 2 denied reference values", "55"),
            forbid("c", "a == 1 || b == 2", "no side to hold", "(a == 1: wanted != 1, found 1)"),
            forbid("d", "every request", Reason::ANOTHER, "Action::\"unwrap\" of Key::\"db\""),
            forbid("e", "!(a == 3)", "== 3", "5"),
        ];
        assert_eq!(
            nearest(&reasons).unwrap(),
            "is forbidden by `a`: would not be if `principal.simulated` were false (it is true); and by `b`: would \
             not be if `a` were < 3 (it is 7), or `m` were none of the 2 denied reference values (it is 55); and by \
             `c`: would not be if none of these held: a == 1: wanted != 1, found 1; and by `d`: it \
             takes another request, or a bundle without this rule; and by `e`: would not be if `!(a == 3)` did not \
             hold (wanted == 3, found 5)"
        );
        for operator in OPERATORS {
            assert_eq!(opposite(opposite(operator)), operator);
        }
    }

    #[test]
    fn every_form_of_condition_is_a_wish() {
        for (condition, wanted, found, told) in [
            (
                "a == 1 || b == 2",
                "one side to hold",
                "(a == 1: wanted == 1, found 3; b == 2: wanted == 2, found 4)",
                "one of these held: a == 1: wanted == 1, found 3; b == 2: wanted == 2, found 4",
            ),
            (
                "a == (b || c)",
                "== (b || c)",
                "false",
                "`a == (b || c)` held (wanted == (b || c), found false)",
            ),
            ("principal has snp", "present", "absent", "`principal has snp`"),
            (
                "principal has snp",
                "present",
                "absent, so 9 more conditions are not read",
                "`principal has snp` (9 more conditions are not read before that)",
            ),
            (
                "!(principal has snp)",
                "absent",
                "present",
                "`!(principal has snp)` held (wanted absent, found present)",
            ),
            ("principal.simulated", "true", "false", "`principal.simulated` were true (it is false)"),
            ("a in [B::\"c\"]", "in [B::\"c\"]", "B::\"d\"", "`a` were in [B::\"c\"] (it is B::\"d\")"),
            ("a.contains(4)", "with 4", "[0, 1]", "`a.contains(4)` held (wanted with 4, found [0, 1])"),
            (
                "principal is Guest",
                "is Guest",
                "Operator::\"a\"",
                "`principal is Guest` held (wanted is Guest, found Operator::\"a\")",
            ),
        ] {
            assert_eq!(wish(&reason(ReasonKind::NearMiss, "r", condition, wanted, found)), told);
        }
    }
}
