//! Which of a guest's claims, and of a request's circumstances, the rules of a bundle can read at all.
//!
//! A report has some sixty values and a rule asks for a few; making the rest for Cedar is most of what a decision
//! costs. What is left out must never change a decision: a claim is left out only if its record is read by attribute
//! throughout the bundle, and the attribute's name is never read from it. A rule that uses the record as a whole, or
//! in a way that is not understood here, keeps all of it.

use std::collections::BTreeSet;

use cedar_policy::pst::{Clause, Expr, Var};

/// The claims' records that are looked into: attributes of the guest. A quote's are few, and made whole but for the
/// entries of databases, of which there can be hundreds.
const RECORDS: [&str; 1] = ["snp"];
/// The facts of an event log: a record within a record. Whatever a rule names by such an attribute, of whatever, is read.
pub(crate) const BOOT: &str = "boot";
/// The circumstances, which are a record as well.
pub(crate) const CONTEXT: &str = "context";
/// All of them.
const ALL: [&str; 3] = ["snp", BOOT, CONTEXT];

/// What can be read.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// (record, attribute) pairs that a rule names.
    named: BTreeSet<(&'static str, String)>,
    /// Records that must be whole.
    whole: BTreeSet<&'static str>,
}

impl Reach {
    /// What these policies can read.
    ///
    /// # Errors
    /// What Cedar says if it cannot take a policy apart.
    pub(crate) fn of<'a>(policies: impl Iterator<Item = &'a cedar_policy::Policy>) -> Result<Self, String> {
        let mut reach = Self::default();
        for policy in policies {
            let tree = policy.to_pst().map_err(|error| error.to_string())?;
            for clause in tree.body().clauses() {
                let (Clause::When(expr) | Clause::Unless(expr)) = clause;
                reach.walk(expr);
            }
        }
        Ok(reach)
    }

    /// Everything: for schemas, which are held against whole guests.
    pub(crate) fn everything() -> Self {
        Self { named: BTreeSet::new(), whole: ALL.into() }
    }

    /// Whether a rule can read this attribute of this record.
    pub(crate) fn reads(&self, record: &'static str, attribute: &str) -> bool {
        self.whole.contains(record) || self.named.iter().any(|(r, a)| *r == record && a == attribute)
    }

    fn walk(&mut self, expr: &Expr) {
        match expr {
            Expr::GetAttr { expr: base, attr } => {
                self.named.insert((BOOT, attr.to_string()));
                if leads_to_boot(attr) {
                    self.whole.insert(BOOT);
                }
                match record_of(base) {
                    Some(record) => {
                        self.named.insert((record, attr.to_string()));
                    }
                    None => {
                        self.escape(base, attr);
                        self.walk_base(base);
                    }
                }
            }
            Expr::HasAttr { expr: base, attrs } => {
                self.named.extend(attrs.iter().map(|attr| (BOOT, attr.to_string())));
                match (record_of(base), attrs.iter().nth(1)) {
                    (Some(record), _) => {
                        self.named.insert((record, attrs.first().to_string()));
                    }
                    (None, Some(second)) if is_guest(base) => {
                        let record = RECORDS.into_iter().find(|record| *record == attrs.first().as_str());
                        self.named.extend(record.map(|record| (record, second.to_string())));
                    }
                    (None, second) => {
                        if second.is_some() {
                            self.everything_of(attrs.first());
                        }
                        self.walk_base(base);
                    }
                }
            }
            Expr::UnaryOp { expr, .. } | Expr::Like { expr, .. } => self.walk(expr),
            Expr::BinaryOp { left, right, .. } => {
                self.walk(left);
                self.walk(right);
            }
            Expr::Is { expr, in_expr, .. } => {
                self.walk(expr);
                in_expr.iter().for_each(|expr| self.walk(expr));
            }
            Expr::IfThenElse { cond, then_expr, else_expr } => {
                [cond, then_expr, else_expr].into_iter().for_each(|expr| self.walk(expr));
            }
            Expr::Set(members) => members.iter().for_each(|expr| self.walk(expr)),
            Expr::Record(fields) => fields.values().for_each(|expr| self.walk(expr)),
            Expr::Var(Var::Context) => {
                self.whole.insert(CONTEXT);
            }
            Expr::Literal(_) | Expr::Var(_) => {}
            // Whatever else there is, or will be.
            _ => self.whole = ALL.into(),
        }
    }

    /// What an attribute is read of: a log's facts, or the quote that has them, are not used as a whole then.
    fn walk_base(&mut self, base: &Expr) {
        match base {
            Expr::GetAttr { expr, attr } if leads_to_boot(attr) => self.walk_base(expr),
            _ => self.walk(base),
        }
    }

    /// A record that is read as such and not by attribute, or of something that may be the guest.
    fn escape(&mut self, base: &Expr, attr: &str) {
        // Below a claim there are records with attributes of these names too, such as a TCB's `snp`.
        let below_a_claim = matches!(base, Expr::GetAttr { expr, .. } if is_path(expr));
        if !below_a_claim {
            self.everything_of(attr);
        }
    }

    fn everything_of(&mut self, attr: &str) {
        self.whole.extend(RECORDS.into_iter().find(|record| *record == attr));
    }
}

/// The record that an expression is, if it is `principal.snp` or the like, or `context`.
fn record_of(expr: &Expr) -> Option<&'static str> {
    match expr {
        Expr::GetAttr { expr, attr } if is_guest(expr) => {
            RECORDS.into_iter().find(|record| *record == attr.as_str())
        }
        Expr::Var(Var::Context) => Some(CONTEXT),
        _ => None,
    }
}

/// Whether such an attribute may be a log's facts, or a record that has them.
fn leads_to_boot(attr: &str) -> bool {
    ["tpm", BOOT].contains(&attr)
}

/// `principal`, `principal.snp`, and so on.
fn is_path(expr: &Expr) -> bool {
    match expr {
        Expr::GetAttr { expr, .. } => is_path(expr),
        _ => is_guest(expr),
    }
}

fn is_guest(expr: &Expr) -> bool {
    matches!(expr, Expr::Var(Var::Principal))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(condition: &str) -> Reach {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        let policy = cedar_policy::Policy::parse(None, text).unwrap();
        Reach::of([&policy].into_iter()).unwrap()
    }

    #[test]
    fn what_is_named_is_read_and_nothing_else() {
        let reach = reach("principal has snp && principal.snp.vmpl == 0 && principal.snp has cpuid");
        assert!(reach.reads("snp", "vmpl") && reach.reads("snp", "cpuid"));
        assert!(!reach.reads("snp", "policy") && !reach.reads("other", "vmpl"));
    }

    #[test]
    fn a_component_of_the_same_name_is_not_the_record() {
        let reach = reach("principal has snp && principal.snp.reported_tcb.snp > 3");
        assert!(reach.reads("snp", "reported_tcb") && !reach.reads("snp", "vmpl"));
    }

    #[test]
    fn a_path_in_a_guard_is_read() {
        let path = reach("principal has snp.cpuid.model");
        assert!(path.reads("snp", "cpuid") && !path.reads("snp", "vmpl"));
        assert!(reach("(if true then principal else principal) has snp.cpuid").reads("snp", "vmpl"));
    }

    #[test]
    fn circumstances_are_read_by_name_or_whole() {
        let some = reach("context has network && context.recent.key < 3");
        assert!(some.reads(CONTEXT, "network") && some.reads(CONTEXT, "recent"));
        assert!(!some.reads(CONTEXT, "now") && !some.reads("snp", "recent"));
        for condition in
            ["context == {}", "{a: context}.a.recent.key < 3", "(if true then context else context).now"]
        {
            assert!(reach(condition).reads(CONTEXT, "now"), "{condition}");
        }
    }

    #[test]
    fn facts_of_a_log_are_read_where_something_of_their_name_is() {
        let (named, whole) = ("dbx_entries", "db_entries");
        for condition in [
            "principal.tpm.boot.dbx_entries.hashes.contains(1)",
            "principal has tpm.boot.dbx_entries",
            "principal.tpm has boot.dbx_entries",
            "principal.tpm.boot has dbx_entries",
            "(if true then principal else principal).tpm.boot.dbx_entries.hashes == []",
            "{a: principal.tpm}.a.boot.dbx_entries.hashes == []",
        ] {
            assert!(reach(condition).reads(BOOT, named), "{condition}");
        }
        for condition in [
            "principal.tpm == {}",
            "principal.tpm.boot == {}",
            "[principal.tpm.boot].contains({})",
            "(if true then principal.tpm else principal.tpm) == {}",
            "(if true then principal else principal).tpm.boot == {}",
        ] {
            assert!(reach(condition).reads(BOOT, whole), "{condition}");
        }
        for condition in [
            "principal.tpm.boot.dbx in ReferenceState::\"active\"",
            "principal has tpm.boot.dbx && principal.tpm.boot has secure_boot && principal.tpm.boot.secure_boot",
            "principal has tpm && principal.tpm has boot && principal.tpm.pcrs has pcr7",
        ] {
            assert!(!reach(condition).reads(BOOT, named), "{condition}");
        }
    }

    #[test]
    fn what_leads_to_a_guard_is_read() {
        let guarded = reach("(if principal.snp.vmpl == 0 then principal else principal) has snp.cpuid");
        assert!(guarded.reads("snp", "vmpl"));
        let condition = "(if context has now then principal else principal) has tpm.boot";
        assert!(reach(condition).reads(CONTEXT, "now"));
    }

    #[test]
    fn every_form_of_condition_is_looked_into() {
        for condition in [
            "!principal.snp.vmpl",
            "-principal.snp.vmpl == 0",
            "principal.snp.vmpl like \"a*\"",
            "principal.snp.vmpl is Product",
            "principal is Guest in principal.snp.vmpl",
            "if principal.snp.vmpl then true else false",
            "if true then principal.snp.vmpl else false",
            "if true then false else principal.snp.vmpl",
            "0 == principal.snp.vmpl",
            "[0, principal.snp.vmpl].contains(0)",
            "{a: principal.snp.vmpl}.a == 0",
        ] {
            let reach = reach(condition);
            assert!(reach.reads("snp", "vmpl") && !reach.reads("snp", "policy"), "{condition}");
        }
    }

    #[test]
    fn a_record_that_is_used_as_a_whole_is_whole() {
        for condition in [
            "principal.snp == {}",
            "[principal.snp].contains(principal.snp)",
            "(if true then principal.snp else principal.snp).vmpl == 0",
            "(if true then principal else principal).snp.vmpl == 0",
            "{a: principal.snp}.a.vmpl == 0",
            "{a: principal}.a.snp has cpuid",
            "principal[\"snp\"] == {}",
        ] {
            assert!(reach(condition).reads("snp", "platform"), "{condition}");
        }
    }
}
