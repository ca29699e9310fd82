//! Two sets of rules, compared id by id: layout, comments and order are no difference.

use policy::Written;

/// What became of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added(Written),
    /// It is gone.
    Removed(Written),
    /// It says something else.
    Changed {
        /// As it is.
        rule: Written,
        /// Permit to forbid, or the other way round, as it was.
        was: Option<&'static str>,
        /// Conditions that it has now.
        added: Vec<String>,
        /// Conditions that it had.
        dropped: Vec<String>,
    },
    /// It has the same conditions in another order or other clauses, or another `@doc`.
    Reworded(Written),
}

impl Change {
    /// Whether decisions can depend on it.
    pub fn matters(&self) -> bool {
        !matches!(self, Self::Reworded(_))
    }

    /// Its word, and the rule.
    pub fn told(&self) -> (&'static str, &Written) {
        match self {
            Self::Added(rule) => ("added", rule),
            Self::Removed(rule) => ("removed", rule),
            Self::Changed { rule, .. } => ("changed", rule),
            Self::Reworded(rule) => ("reworded", rule),
        }
    }

    /// Conditions that came, and that went.
    pub fn conditions(&self) -> (&[String], &[String]) {
        match self {
            Self::Added(rule) => (&rule.conditions, &[]),
            Self::Removed(rule) => (&[], &rule.conditions),
            Self::Changed { added, dropped, .. } => (added, dropped),
            Self::Reworded(_) => (&[], &[]),
        }
    }
}

/// What differs, in order of the ids.
pub fn compare(old: &[Written], new: &[Written]) -> Vec<Change> {
    let find = |rules: &[Written], id: &str| rules.iter().find(|rule| rule.id == id).cloned();
    let mut changes: Vec<Change> = Vec::new();
    for was in old {
        match find(new, &was.id) {
            None => changes.push(Change::Removed(was.clone())),
            Some(is) if is == *was => {}
            Some(is) => changes.push(changed(was, is)),
        }
    }
    let added = new.iter().filter(|rule| find(old, &rule.id).is_none());
    changes.extend(added.cloned().map(Change::Added));
    changes.sort_by(|a, b| a.told().1.id.cmp(&b.told().1.id));
    changes
}

fn changed(was: &Written, is: Written) -> Change {
    let added = without(&is.conditions, &was.conditions);
    let dropped = without(&was.conditions, &is.conditions);
    let effect = (was.effect != is.effect).then_some(was.effect);
    if added.is_empty() && dropped.is_empty() && effect.is_none() {
        return Change::Reworded(is);
    }
    Change::Changed { rule: is, was: effect, added, dropped }
}

/// Those of `all` that `others` has not: what stands twice in one and once in the other means the same.
fn without(all: &[String], others: &[String]) -> Vec<String> {
    let mut rest: Vec<String> = Vec::new();
    for condition in all.iter().filter(|condition| !others.contains(condition)) {
        if !rest.contains(condition) {
            rest.push(condition.clone());
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: &str, effect: &'static str, conditions: &[&str]) -> Written {
        Written {
            id: id.to_owned(),
            doc: "d".to_owned(),
            effect,
            body: format!("{effect} {conditions:?}"),
            conditions: conditions.iter().map(|&text| text.to_owned()).collect(),
        }
    }

    #[test]
    fn a_rule_is_changed_by_its_conditions_and_not_by_their_order() {
        let old =
            [rule("a", "permit", &["x", "y"]), rule("b", "forbid", &["x"]), rule("c", "permit", &["x"])];
        let new =
            [rule("d", "permit", &["x"]), rule("a", "permit", &["y", "z"]), rule("b", "permit", &["x"])];
        let changes = compare(&old, &new);
        let told: Vec<_> =
            changes.iter().map(|change| (change.told().0, change.told().1.id.as_str())).collect();
        assert_eq!(told, [("changed", "a"), ("changed", "b"), ("removed", "c"), ("added", "d")]);
        assert_eq!(changes[0].conditions(), (&["z".to_owned()][..], &["x".to_owned()][..]));
        assert!(matches!(changes[1], Change::Changed { was: Some("forbid"), .. }));
        assert!(changes.iter().all(Change::matters));
        let reworded =
            compare(&old, &[rule("a", "permit", &["y", "x", "x"]), old[1].clone(), old[2].clone()]);
        assert_eq!(reworded, [Change::Reworded(rule("a", "permit", &["y", "x", "x"]))]);
        assert!(!reworded[0].matters());
        assert_eq!(compare(&old, &[old[2].clone(), old[0].clone(), old[1].clone()]), []);
    }
}
