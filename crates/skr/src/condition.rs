//! A condition in Cedar's terms: what it tests, and what must be asked before that.

use std::collections::BTreeSet;

/// One condition of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    /// What must hold so that `test` can be read, and is worth something.
    pub guard: Option<Guard>,
    /// What it tests.
    pub test: Test,
}

/// What a condition tests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Test {
    /// Nothing besides its guard, or what every rule asks.
    Nothing,
    /// A boolean of the guest has this value.
    Is(&'static str, bool),
    /// An optional claim of this record is absent.
    Absent(&'static str, &'static str),
    /// A claim is this value, written as Cedar has it.
    Equal(&'static str, String),
    /// A claim is one of these values.
    OneOf(&'static str, Vec<String>),
    /// A claim is among the reference values that are granted.
    Known(&'static str),
}

/// What is asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guard {
    /// The quote of a vTPM that a known paravisor on Azure runs. Without that, anybody with an SEV-SNP machine could
    /// make up a vTPM, and all that it says.
    Vtpm,
    /// The plain report of a guest without a paravisor.
    Report,
    /// Azure's runtime data.
    Azure,
    /// They say whether the vTPM's state is kept.
    TpmPersisted,
    /// The event log says whether Secure Boot is on.
    SecureBoot,
    /// It says who may sign boot applications.
    Db,
    /// It says what may not be booted.
    Dbx,
    /// The launch had an ID block.
    IdKey,
    /// It was signed by an author key.
    AuthorKey,
}

impl Guard {
    /// The guard that this one rests on.
    pub fn rests_on(self) -> Option<Self> {
        match self {
            Self::Vtpm | Self::Report | Self::IdKey | Self::AuthorKey => None,
            Self::TpmPersisted => Some(Self::Azure),
            Self::Azure | Self::SecureBoot | Self::Db | Self::Dbx => Some(Self::Vtpm),
        }
    }

    /// Whether it rests on another, or is that.
    pub fn includes(self, other: Self) -> bool {
        self == other || self.rests_on().is_some_and(|below| below.includes(other))
    }

    /// Its own conditions, without those of what it rests on.
    fn conditions(self) -> &'static [&'static str] {
        match self {
            Self::Vtpm => &[
                r#"principal.evidence == EvidenceKind::"azure-vtpm""#,
                "principal has tpm",
                r#"principal.tpm.ak_binding == AkBinding::"in-tee""#,
                "principal.tpm has paravisor",
                r#"principal.tpm.paravisor in [ReferenceState::"active", ReferenceState::"retiring"]"#,
            ],
            Self::Report => &[r#"principal.evidence == EvidenceKind::"sev-snp""#, "principal.snp_fresh"],
            Self::Azure => &["principal.tpm has azure"],
            Self::TpmPersisted => &["principal.tpm.azure has tpm_persisted"],
            Self::SecureBoot => &["principal.tpm has boot", "principal.tpm.boot has secure_boot"],
            Self::Db => &["principal.tpm has boot", "principal.tpm.boot has db"],
            Self::Dbx => &["principal.tpm has boot", "principal.tpm.boot has dbx"],
            Self::IdKey => &["principal.snp has id_key"],
            Self::AuthorKey => &["principal.snp has author_key"],
        }
    }

    /// The conditions that are not asked yet, those that they rest on first; they count as asked from now on.
    pub fn ask(self, asked: &mut BTreeSet<&'static str>) -> Vec<String> {
        let below = self.rests_on().map(|below| below.ask(asked)).unwrap_or_default();
        let own = self.conditions().iter().filter(|condition| asked.insert(condition));
        below.into_iter().chain(own.map(|condition| (*condition).to_owned())).collect()
    }
}

impl Condition {
    /// A condition that needs nothing asked besides what every rule asks.
    pub fn plain(test: Test) -> Self {
        Self { guard: None, test }
    }

    /// A condition behind a guard.
    pub fn behind(guard: Guard, test: Test) -> Self {
        Self { guard: Some(guard), test }
    }

    /// The conditions in Cedar that are not asked yet.
    pub fn ask(&self, asked: &mut BTreeSet<&'static str>) -> Vec<String> {
        let mut all = self.guard.map(|guard| guard.ask(asked)).unwrap_or_default();
        all.extend(self.test.cedar());
        all
    }
}

impl Test {
    fn cedar(&self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Is(claim, true) => Some((*claim).to_owned()),
            Self::Is(claim, false) => Some(format!("!{claim}")),
            Self::Absent(record, claim) => Some(format!("!({record} has {claim})")),
            Self::Equal(claim, value) => Some(format!("{claim} == {value}")),
            Self::OneOf(claim, values) => Some(format!("[{}].contains({claim})", values.join(", "))),
            Self::Known(claim) => {
                Some(format!(r#"{claim} in [ReferenceState::"active", ReferenceState::"retiring"]"#))
            }
        }
    }

    /// The claim that is held against values.
    pub fn claim(&self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Is(claim, _)
            | Self::Absent(_, claim)
            | Self::Equal(claim, _)
            | Self::OneOf(claim, _)
            | Self::Known(claim) => Some(claim),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_already_is_not_asked_again() {
        let mut asked = BTreeSet::new();
        let first = Condition::behind(Guard::Db, Test::Known("principal.tpm.boot.db")).ask(&mut asked);
        assert_eq!(first.len(), 8, "{first:?}");
        let second = Condition::behind(Guard::SecureBoot, Test::Is("principal.tpm.boot.secure_boot", false));
        let expected = ["principal.tpm.boot has secure_boot", "!principal.tpm.boot.secure_boot"];
        assert_eq!(second.ask(&mut asked), expected);
        assert!(Condition::behind(Guard::Vtpm, Test::Nothing).ask(&mut asked).is_empty());
    }
}
