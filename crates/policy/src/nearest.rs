//! [`nearest`]: a denial in one sentence, for people: what the nearest permit lacks.

use crate::reason::{Reason, ReasonKind};

/// What would have made it a permit, in a sentence; `None` where something forbids it or no permit is there at all.
pub fn nearest(reasons: &[Reason]) -> Option<String> {
    let a_permit = |reason: &&Reason| reason.kind == ReasonKind::NearMiss && reason.rule != Reason::NO_PERMIT;
    let rule = &reasons.first().filter(a_permit)?.rule;
    let missing = reasons.iter().take_while(|reason| reason.rule == *rule);
    let wishes: Vec<String> = missing.map(wish).collect();
    Some(format!("would be permitted by `{rule}` if {}", wishes.join(", and ")))
}

/// `principal.snp.vmpl were == 0 (it is 3)`.
fn wish(reason: &Reason) -> String {
    let Reason { condition, wanted, found, .. } = reason;
    let operator = wanted.split(' ').next().unwrap_or_default();
    let compared = condition.split_once(&format!(" {operator} ")).filter(|_| OPERATORS.contains(&operator));
    match compared {
        _ if condition.contains(" || ") => format!("`{condition}` held"),
        Some((left, _)) => format!("`{left}` were {wanted} (it is {found})"),
        None if condition.contains(" in [") => {
            let left = condition.split(" in [").next().unwrap_or(condition);
            format!("`{left}` were {wanted} (it is {found})")
        }
        None if wanted == "present" => format!("`{condition}`"),
        None if matches!(wanted.as_str(), "true" | "false") => {
            format!("`{}` were {wanted} (it is {found})", condition.trim_start_matches('!'))
        }
        None => format!("`{condition}` held (wanted {wanted}, found {found})"),
    }
}

const OPERATORS: [&str; 7] = ["==", "!=", "<", "<=", ">", ">=", "in"];

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
        assert_eq!(nearest(&[reason(ReasonKind::Forbid, "f", "x", "y", "z")]), None);
        assert_eq!(nearest(&[]), None);
    }

    #[test]
    fn every_form_of_condition_is_a_wish() {
        for (condition, wanted, found, told) in [
            ("a == 1 || b == 2", "one side to hold", "(a: 3; b: 4)", "`a == 1 || b == 2` held"),
            ("a == (b || c)", "== (b || c)", "false", "`a == (b || c)` held"),
            ("principal has snp", "present", "absent", "`principal has snp`"),
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
