//! Which claims, attributes of the key and circumstances a condition reads: those that no policy reads make no
//! difference, and every one that the solver is told about costs time.

use std::collections::BTreeSet;

use cedar_policy::PolicySet;
use cedar_policy::pst::{Clause, Expr, Var};

use crate::ProveError;
use crate::prover::failed;

/// Paths such as `principal.snp.vmpl`.
#[derive(Clone, Debug, Default)]
pub struct Reads {
    paths: BTreeSet<String>,
    /// Those of the paths whose values are read, and not only whether they are there.
    values: BTreeSet<String>,
    /// The action, other than in what a rule is about.
    action: bool,
    /// Something is read in a way that is not understood: then everything is.
    all: bool,
}

impl Reads {
    /// What these policies and conditions read.
    ///
    /// # Errors
    /// [`ProveError`] if a condition is no Cedar.
    pub fn of(set: &PolicySet, conditions: &[&str]) -> Result<Self, ProveError> {
        // The key may stand in what a rule is about.
        let mut reads = Self { paths: BTreeSet::from([KEY.to_owned()]), ..Self::default() };
        reads.add_all(set)?;
        conditions.iter().try_for_each(|condition| reads.add(condition))?;
        Ok(reads)
    }

    /// What this condition reads too.
    ///
    /// # Errors
    /// [`ProveError`] if it is no Cedar.
    pub fn add(&mut self, condition: &str) -> Result<(), ProveError> {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        self.add_policy(&cedar_policy::Policy::parse(None, text).map_err(failed)?)
    }

    /// What these policies read too.
    ///
    /// # Errors
    /// [`ProveError`] if one cannot be taken apart.
    pub fn add_all(&mut self, set: &PolicySet) -> Result<(), ProveError> {
        set.policies().try_for_each(|policy| self.add_policy(policy))
    }

    /// Whether this path, something below or something around it is read.
    pub fn reads(&self, path: &str) -> bool {
        self.all || self.paths.iter().any(|read| overlap(read, path))
    }

    /// Whether the answer can depend on what is at this path: it is read, something below it is, or it is part of what is
    /// read as a whole.
    pub(crate) fn needs(&self, path: &str) -> bool {
        let within = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let below = self.paths.iter().any(|read| within(read, path));
        self.all || below || self.values.iter().any(|read| within(path, read))
    }

    /// Whether a condition reads the action.
    pub(crate) fn reads_action(&self) -> bool {
        self.all || self.action
    }

    /// Whether something that this condition reads is read here as well. That a report or a quote is there at all does not
    /// count.
    ///
    /// # Errors
    /// [`ProveError`] if it is no Cedar.
    pub fn touches(&self, condition: &str) -> Result<bool, ProveError> {
        let mut other = Self::default();
        other.add(condition)?;
        Ok(self.all || other.all || other.leaves().any(|path| self.reads(path)))
    }

    /// Whether all that this condition reads is read here.
    ///
    /// # Errors
    /// [`ProveError`] if it is no Cedar.
    pub fn covers(&self, condition: &str) -> Result<bool, ProveError> {
        let mut other = Self::default();
        other.add(condition)?;
        Ok(self.all || !other.all && other.leaves().all(|path| self.reads(path)))
    }

    fn leaves(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str).filter(|path| !WHOLE.contains(path))
    }

    fn add_policy(&mut self, policy: &cedar_policy::Policy) -> Result<(), ProveError> {
        let tree = policy.to_pst().map_err(failed)?;
        for clause in tree.body().clauses() {
            let (Clause::When(expr) | Clause::Unless(expr)) = clause;
            self.walk(expr);
        }
        Ok(())
    }

    fn walk(&mut self, expr: &Expr) {
        match expr {
            Expr::GetAttr { expr: base, .. } => match path_of(expr) {
                Some(path) => {
                    self.values.insert(path.clone());
                    self.paths.insert(path);
                }
                None => self.walk(base),
            },
            Expr::HasAttr { expr: base, attrs } => match path_of(base) {
                Some(base) => {
                    let below: Vec<String> = attrs.iter().map(ToString::to_string).collect();
                    self.paths.insert(format!("{base}.{}", below.join(".")));
                }
                None => self.walk(base),
            },
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
            // The name of the key, its rings and its tags.
            Expr::Var(Var::Resource) => {
                self.paths.insert(KEY.to_owned());
            }
            Expr::Var(Var::Action) => self.action = true,
            Expr::Literal(_) | Expr::Var(Var::Principal) => {}
            _ => self.all = true,
        }
    }
}

/// `principal.snp.vmpl`, if it is such a path.
fn path_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::GetAttr { expr, attr } => Some(format!("{}.{attr}", path_of(expr)?)),
        Expr::Var(Var::Principal) => Some("principal".to_owned()),
        Expr::Var(Var::Resource) => Some("resource".to_owned()),
        Expr::Var(Var::Context) => Some("context".to_owned()),
        _ => None,
    }
}

/// Whether one is the other, or within it. The key itself is not around its attributes.
fn overlap(one: &str, other: &str) -> bool {
    let within = |inner: &str, outer: &str| {
        outer != KEY && inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'))
    };
    let whole = |path| WHOLE.contains(&path);
    one == other || !whole(one) && within(other, one) || !whole(other) && within(one, other)
}

const KEY: &str = "resource";
/// Records whose presence alone is asked for, since they are too large for a rule to compare.
const WHOLE: [&str; 2] = ["principal.snp", "principal.tpm"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_told_by_its_path() {
        let mut reads = Reads::default();
        reads
            .add("principal has snp && principal.snp has cpuid && principal.snp.reported_tcb.snp > 3")
            .unwrap();
        for (path, expected) in [
            ("principal.snp.reported_tcb.snp", true),
            ("principal.snp.reported_tcb", true),
            ("principal.snp.cpuid.family", true),
            ("principal.snp.vmpl", false),
            ("principal.snp.reported_tcb.snp2", false),
            ("resource.version", false),
        ] {
            assert_eq!(reads.reads(path), expected, "{path}");
        }
        assert!(!reads.touches("principal has snp && principal.snp.vmpl == 0").unwrap());
        let both = "principal has snp && principal.snp.vmpl == principal.snp.reported_tcb.snp";
        assert!(reads.touches(both).unwrap() && !reads.covers(both).unwrap());
        assert!(!reads.reads("resource"));
        reads.add("resource in KeyRing::\"a\"").unwrap();
        assert!(reads.reads("resource") && !reads.reads("resource.version"));
    }

    #[test]
    fn what_is_not_understood_reads_everything() {
        let mut reads = Reads::default();
        reads.add("context.now < datetime(\"2026-01-01\")").unwrap();
        assert!(reads.reads("context.now") && !reads.reads("principal.simulated"));
        reads.add("context == context").unwrap();
        assert!(reads.reads("principal.simulated"));
    }
}
