//! [`Denial`]: the coarse code that a guest may see, and the reasons that are the operator's.

use serde::{Deserialize, Serialize};

/// Why there is no grant, coarsely: what may leave the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DenialCode {
    /// The claims were verified too long ago.
    ClaimsExpired,
    /// The key handed in is not the one that was asked for.
    KeyMismatch,
    /// The version handed in is not the one that was asked for.
    VersionMismatch,
    /// The key is disabled.
    KeyDisabled,
    /// The key was not created for this operation.
    OperationNotAllowed,
    /// The operation does not fit the kind of key.
    OperationUnfit,
    /// The suite is weaker than the key demands.
    SuiteTooWeak,
    /// A simulated guest asks for a real key, or a genuine one for a key made for simulation.
    SimulatedMismatch,
    /// A policy could not be evaluated.
    EvaluationFailed,
    /// A policy forbids it, or none permits it.
    PolicyDenied,
}

impl DenialCode {
    /// Every code.
    pub const ALL: [Self; 10] = [
        Self::ClaimsExpired,
        Self::KeyMismatch,
        Self::VersionMismatch,
        Self::KeyDisabled,
        Self::OperationNotAllowed,
        Self::OperationUnfit,
        Self::SuiteTooWeak,
        Self::SimulatedMismatch,
        Self::EvaluationFailed,
        Self::PolicyDenied,
    ];

    /// The code as messages, leaves and cases spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClaimsExpired => "claims-expired",
            Self::KeyMismatch => "key-mismatch",
            Self::VersionMismatch => "version-mismatch",
            Self::KeyDisabled => "key-disabled",
            Self::OperationNotAllowed => "operation-not-allowed",
            Self::OperationUnfit => "operation-unfit",
            Self::SuiteTooWeak => "suite-too-weak",
            Self::SimulatedMismatch => "simulated-mismatch",
            Self::EvaluationFailed => "evaluation-failed",
            Self::PolicyDenied => "policy-denied",
        }
    }
}

impl core::fmt::Display for DenialCode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a reason comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonKind {
    /// A condition outside of policy, which no policy lifts.
    Lock,
    /// A condition of a `forbid` that holds.
    Forbid,
    /// A condition of a `permit` that does not hold; nearest `permit` first.
    NearMiss,
    /// An error in evaluation.
    Error,
    /// A condition that will deny from an announced date on, or once what is on trial is in force; not of a denial.
    Announced,
}

impl ReasonKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Lock, Self::Forbid, Self::NearMiss, Self::Error, Self::Announced];

    /// Its name in explanations, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Forbid => "forbid",
            Self::NearMiss => "near-miss",
            Self::Error => "error",
            Self::Announced => "announced",
        }
    }
}

/// One condition that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What it comes from.
    pub kind: ReasonKind,
    /// The rule's `@id`; for a lock the code of the denial.
    pub rule: String,
    /// The rule's `@doc`; for a lock what it guards.
    pub doc: String,
    /// The condition, as the policy spells it.
    pub condition: String,
    /// What would have to be found.
    pub wanted: String,
    /// What was found.
    pub found: String,
}

impl Reason {
    /// The rule of a denial for which no permit is to blame, since there is none.
    pub const NO_PERMIT: &'static str = "default-deny";

    /// What is wanted where one side of `||` must hold.
    pub(crate) const EITHER: &'static str = "one side to hold";
    /// What is wanted where none may.
    pub(crate) const NEITHER: &'static str = "no side to hold";
    /// What is wanted where a rule forbids without a condition.
    pub(crate) const ANOTHER: &'static str = "another request, or a bundle without this rule";

    /// What was found, and how many conditions of the rule cannot be read because of it.
    pub(crate) fn found_and_unread(found: &str, unread: usize) -> String {
        let conditions = if unread == 1 { "condition is" } else { "conditions are" };
        format!("{found}{SO}{unread} more {conditions} {UNREAD}")
    }

    /// What was found itself, and what else is said of it.
    pub(crate) fn found_itself(&self) -> (&str, Option<&str>) {
        match self.found.rsplit_once(SO).filter(|(_, unread)| unread.ends_with(UNREAD)) {
            Some((found, unread)) => (found, Some(unread)),
            None => (&self.found, None),
        }
    }
}

const SO: &str = ", so ";
const UNREAD: &str = "not read";

/// `rule: condition: wanted ..., found ...`
impl core::fmt::Display for Reason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { rule, condition, wanted, found, .. } = self;
        write!(f, "{rule}: {condition}: wanted {wanted}, found {found}")
    }
}

/// No grant, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The first of what stands in the way.
    pub code: DenialCode,
    /// All of what stands in the way, at most [`Denial::MAX_REASONS`]; never empty.
    pub reasons: Vec<Reason>,
}

impl Denial {
    /// Most reasons that a denial lists.
    pub const MAX_REASONS: usize = 64;
}

impl core::fmt::Display for Denial {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.code.as_str())?;
        self.reasons.iter().try_for_each(|reason| write!(f, "\n  {reason}"))
    }
}

impl core::error::Error for Denial {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct() {
        let codes: std::collections::BTreeSet<_> = DenialCode::ALL.map(DenialCode::as_str).into();
        assert_eq!(codes.len(), DenialCode::ALL.len());
    }

    #[test]
    fn a_reason_survives_the_journal() {
        let reason = Reason {
            kind: ReasonKind::NearMiss,
            rule: "r".into(),
            doc: "d".into(),
            condition: "principal.snp.vmpl == 0".into(),
            wanted: "== 0".into(),
            found: "3".into(),
        };
        let json = serde_json::to_string(&reason).unwrap();
        assert!(json.contains(r#""kind":"near-miss""#), "{json}");
        assert_eq!(serde_json::from_str::<Reason>(&json).unwrap(), reason);
        for kind in ReasonKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }

    #[test]
    fn a_denial_is_shown_as_its_code_and_a_line_for_each_reason() {
        let reason = |rule: &str| Reason {
            kind: ReasonKind::Lock,
            rule: rule.into(),
            doc: "d".into(),
            condition: "key.enabled".into(),
            wanted: "true".into(),
            found: "false".into(),
        };
        let denial = Denial { code: DenialCode::KeyDisabled, reasons: vec![reason("r"), reason("s")] };
        let shown = "key-disabled\n  r: key.enabled: wanted true, found false\n  \
                     s: key.enabled: wanted true, found false";
        assert_eq!(denial.to_string(), shown);
        assert_eq!(DenialCode::SuiteTooWeak.to_string(), "suite-too-weak");
    }
}
