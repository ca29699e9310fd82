//! Why a bundle does not load: all problems at once, each with its place and what to do.

use core::fmt;

use crate::printable::printable;

/// A place in a text: both counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

impl Position {
    /// The place of a byte offset; past the end, the end.
    pub(crate) fn of(text: &str, offset: usize) -> Self {
        let before = text.char_indices().take_while(|(at, _)| *at < offset);
        before.fold(Self { line: 1, column: 1 }, |place, (_, c)| match c {
            '\n' => Self { line: place.line.saturating_add(1), column: 1 },
            _ => Self { column: place.column.saturating_add(1), ..place },
        })
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// There is no policy file.
    #[error("no policy at all; to deny everything, load `deny-all.cedar`")]
    Empty,
    /// A text is longer than is parsed.
    #[error("too long: expected at most {max} bytes, got {got}")]
    TooLong {
        /// Bytes allowed.
        max: usize,
        /// Bytes found.
        got: usize,
    },
    /// There is too much of something.
    #[error("too many {what}: expected at most {max}, got {got}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        max: usize,
        /// How many were found.
        got: usize,
    },
    /// Two files of the bundle have one name.
    #[error("two policy files have this name; rename one")]
    RepeatedFile,
    /// Cedar cannot parse a policy or the schema.
    #[error("{}", printable(message))]
    Syntax {
        /// What the parser says.
        message: String,
    },
    /// The strict validator refuses a policy: unknown claim, action or value, wrong type, or a read of an optional
    /// claim without a guard.
    #[error("{}", printable(message))]
    Invalid {
        /// The rule.
        rule: String,
        /// What the validator says.
        message: String,
    },
    /// The validator doubts a policy: it can never apply, or its text can deceive a reader.
    #[error("{}; a rule that can never apply protects nothing: correct or remove it", printable(message))]
    Doubtful {
        /// The rule.
        rule: String,
        /// What the validator says.
        message: String,
    },
    /// A policy lacks an annotation that decisions and explanations name it by.
    #[error("a rule without `@{annotation}(\"...\")`; name it, so that decisions can say which rule it was")]
    Unnamed {
        /// `id` or `doc`.
        annotation: &'static str,
    },
    /// Two policies have one id.
    #[error("the id `{}` is taken by a rule in {other}; rename one", printable(id))]
    RepeatedId {
        /// The id.
        id: String,
        /// The file that has it already.
        other: String,
    },
    /// A template, which by itself decides nothing.
    #[error("a policy template; write out the policy, as nothing fills in its slots")]
    Template,
    /// A file without any policy.
    #[error("the file holds no policy; remove it")]
    NoRule,
    /// A policy names something that can never be.
    #[error("`{}` names nothing that can occur: expected {expected}", printable(literal))]
    Literal {
        /// The entity as written.
        literal: String,
        /// What would do.
        expected: &'static str,
    },
    /// The reference values are not well-formed.
    #[error("{}", printable(message))]
    References {
        /// What is wrong.
        message: String,
    },
    /// The schema describes something else than what the broker hands to policies.
    #[error(
        "the schema does not describe what this broker hands to policies: {}; use the broker's own",
        printable(message)
    )]
    Schema {
        /// What does not fit.
        message: String,
    },
    /// The loader itself failed.
    #[error("the bundle could not be checked: {}", printable(message))]
    Failed {
        /// What happened.
        message: String,
    },
    /// A policy that cannot be taken apart for explanations.
    #[error("the rule cannot be explained: {}; write it in simpler conditions", printable(message))]
    Unexplained {
        /// What failed.
        message: String,
    },
    /// A rule loads and can never apply.
    #[error("this rule can never apply: {}; correct or remove it", never(condition, other.as_deref()))]
    NeverHolds {
        /// What does not hold.
        condition: String,
        /// Beside what; `None` if it holds of no request at all.
        other: Option<String>,
    },
    /// A rule permits only what another forbids.
    #[error(
        "all that this rule permits, `{}` forbids: it permits nothing; correct one of them",
        printable(by)
    )]
    Overridden {
        /// The other.
        by: String,
    },
    /// A rule makes no difference beside another.
    #[error("{}", redundant(*permits, &printable(by)))]
    Redundant {
        /// The other.
        by: String,
        /// Whether they permit or forbid.
        permits: bool,
    },
    /// A rule names a value that nobody lists.
    #[error(
        "`{}` is no listed value: it has no name, no state and no end; list it (`keyfast reference add {table}`) and \
         ask for its state",
        printable(literal)
    )]
    Unlisted {
        /// The entity as written.
        literal: String,
        /// Where it would be listed.
        table: &'static str,
    },
    /// A permit asks for the state of kinds of values of which none is listed.
    #[error(
        "it permits nothing yet: it asks for listed values, and none is listed of these kinds: {kinds}; \
         `keyfast reference add` lists them"
    )]
    NoValues {
        /// The kinds.
        kinds: String,
    },
    /// A rule names a key, ring or region that no key has.
    #[error("`{}`: {what}", printable(literal))]
    UnknownKey {
        /// The entity as written.
        literal: String,
        /// What there is not.
        what: &'static str,
    },
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The bundle does not load.
    Error,
    /// It loads, and does something else than its author means.
    Warning,
    /// It loads; its author may not know.
    Note,
}

impl Severity {
    /// As diagnostics spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

fn never(condition: &str, other: Option<&str>) -> String {
    match other {
        Some(other) => format!("`{}` and `{}` exclude each other", printable(other), printable(condition)),
        None => format!("`{}` holds of no request", printable(condition)),
    }
}

fn redundant(permits: bool, by: &str) -> String {
    if permits {
        format!("all that this rule permits, `{by}` permits too: making this one stricter changes nothing")
    } else {
        format!("all that this rule forbids, `{by}` forbids too")
    }
}

impl Problem {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self {
            Self::NeverHolds { .. }
            | Self::Overridden { .. }
            | Self::Redundant { permits: true, .. }
            | Self::Unlisted { .. }
            | Self::UnknownKey { .. } => Severity::Warning,
            Self::Redundant { permits: false, .. } | Self::NoValues { .. } => Severity::Note,
            _ => Severity::Error,
        }
    }

    /// A short name of the kind of problem, for tools.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong { .. } => "too-long",
            Self::TooMany { .. } => "too-many",
            Self::RepeatedFile => "repeated-file",
            Self::Syntax { .. } => "syntax",
            Self::Invalid { .. } => "invalid",
            Self::Doubtful { .. } => "impossible",
            Self::Unnamed { .. } => "unnamed",
            Self::RepeatedId { .. } => "repeated-id",
            Self::Template => "template",
            Self::NoRule => "no-rule",
            Self::Literal { .. } => "impossible-name",
            Self::References { .. } => "references",
            Self::Schema { .. } => "schema",
            Self::Failed { .. } => "failed",
            Self::Unexplained { .. } => "unexplained",
            Self::NeverHolds { .. } => "never-holds",
            Self::Overridden { .. } => "overridden",
            Self::Redundant { .. } => "redundant",
            Self::Unlisted { .. } => "unlisted",
            Self::NoValues { .. } => "no-values",
            Self::UnknownKey { .. } => "unknown-key",
        }
    }
}

/// One problem and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// The file of the bundle.
    pub file: String,
    /// The place in it, where there is one.
    pub at: Option<Position>,
    /// What is wrong.
    pub problem: Problem,
    /// What to do, if the problem itself does not say it.
    pub help: Option<String>,
}

impl LoadError {
    /// To put problems in order.
    pub(crate) fn place(&self) -> (&str, Option<Position>) {
        (&self.file, self.at)
    }

    /// A problem of a whole file.
    pub(crate) fn whole(file: &str, problem: Problem) -> Self {
        Self { file: file.to_owned(), at: None, problem, help: None }
    }

    /// A problem at a byte offset of a text.
    pub(crate) fn at(file: &str, text: &str, offset: Option<usize>, problem: Problem) -> Self {
        let at = offset.map(|offset| Position::of(text, offset));
        Self { file: file.to_owned(), at, problem, help: None }
    }

    /// What Cedar says about a text, with its place and advice.
    pub(crate) fn diagnostic(
        file: &str,
        text: &str,
        found: &dyn miette::Diagnostic,
        problem: Problem,
    ) -> Self {
        let label = found.labels().and_then(|mut labels| labels.next());
        let offset = label.map(|label| label.offset());
        let help = found.help().map(|help| help.to_string());
        Self { help, ..Self::at(file, text, offset, problem) }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Position { line, column }) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.problem)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "; {help}"))
    }
}

/// Every problem of a bundle; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadErrors(Vec<LoadError>);

impl LoadErrors {
    /// `Err` with the problems, in order of file and place, or `Ok` if there are none.
    pub(crate) fn unless_empty(mut errors: Vec<LoadError>) -> Result<(), Self> {
        errors.sort_by(|a, b| a.place().cmp(&b.place()));
        if errors.is_empty() { Ok(()) } else { Err(Self(errors)) }
    }

    /// The problems, in order of file and place.
    pub fn problems(&self) -> &[LoadError] {
        &self.0
    }

    /// The problems, in order of file and place.
    pub fn into_problems(self) -> Vec<LoadError> {
        self.0
    }

    /// The problems, in order of file and place.
    pub fn iter(&self) -> impl Iterator<Item = &LoadError> {
        self.0.iter()
    }
}

impl From<LoadError> for LoadErrors {
    fn from(error: LoadError) -> Self {
        Self(vec![error])
    }
}

/// One line for each problem: `file:line:column: what is wrong; what to do`.
impl fmt::Display for LoadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl core::error::Error for LoadErrors {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let text = "ab\näb";
        let place = |offset| (Position::of(text, offset).line, Position::of(text, offset).column);
        assert_eq!(
            [place(0), place(1), place(3), place(5), place(99)],
            [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3)]
        );
    }
}
