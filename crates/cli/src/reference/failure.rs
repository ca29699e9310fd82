//! Why `keyfast reference` did not show or change what it was asked to, with the exit code of each reason.

use std::io;
use std::path::PathBuf;

use claims::UnixTime;
use policy::LoadErrors;

use super::input;
use crate::file::FileError;
use crate::past::PastError;
use crate::signing::SignFailure;

/// Why reference values were not shown or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceFailure {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file cannot be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is wrong, or would be after the change.
    #[error("{errors}")]
    Wrong {
        /// What is wrong, with places.
        errors: LoadErrors,
    },
    /// The file is no TOML that can be edited.
    #[error("`{}`: {message}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// What was piped in is nothing that `keyfast measure` prints.
    #[error(transparent)]
    Input(#[from] input::InputError),
    /// A value that can never occur.
    #[error("`{value}` is no {kind}: expected {expected}")]
    Impossible {
        /// What it should be a value of.
        kind: String,
        /// As given.
        value: String,
        /// What it would have to be.
        expected: &'static str,
    },
    /// A value is listed otherwise.
    #[error(
        "{kind} {value} is listed already, as `{name}`, {state}; use `keyfast reference set` to change its state"
    )]
    Listed {
        /// What it is a value of.
        kind: String,
        /// The value.
        value: String,
        /// What the file calls it.
        name: String,
        /// Its state.
        state: &'static str,
    },
    /// A value is listed with other dates, or of another origin.
    #[error(
        "{kind} {value} is listed already, with another {what}: expected {listed}, got {given}; use `keyfast reference \
         expire --at` for an earlier end, `keyfast reference set --valid-until` for any, or change reference-values.toml"
    )]
    ListedOtherwise {
        /// What it is a value of.
        kind: &'static str,
        /// The value.
        value: String,
        /// The field that differs.
        what: &'static str,
        /// What the file says.
        listed: String,
        /// What was given.
        given: String,
    },
    /// A value would count at no time.
    #[error("--valid-from must be before --valid-until: expected a time before {until}, got {from}")]
    Never {
        /// When it should begin.
        from: UnixTime,
        /// When it should end.
        until: UnixTime,
    },
    /// A value would count for longer, though it was to be withdrawn.
    #[error(
        "{kind} {value} (`{name}`) expires at {until} already, and would count for longer with --at {at}; if that is \
         meant, use `keyfast reference set --valid-until`"
    )]
    Prolonged {
        /// What it is a value of.
        kind: &'static str,
        /// The value.
        value: String,
        /// What people call it.
        name: String,
        /// When it expires as it is.
        until: UnixTime,
        /// When it should.
        at: UnixTime,
    },
    /// Nothing is called so.
    #[error("no reference value is, begins with or is called `{which}`; `keyfast reference list` shows all")]
    Unknown {
        /// As given.
        which: String,
    },
    /// More than one value begins so.
    #[error("{count} reference values begin with `{which}`; give more of it")]
    Ambiguous {
        /// As given.
        which: String,
        /// How many.
        count: usize,
    },
    /// A value is in use.
    #[error(
        "{kind} {value} (`{name}`) was seen on {guests} guests in the last {days} days, which will get nothing; look at \
         `keyfast policy replay`, or use --force"
    )]
    InUse {
        /// What it is a value of.
        kind: &'static str,
        /// The value.
        value: String,
        /// What people call it.
        name: String,
        /// On how many.
        guests: usize,
        /// In how many days.
        days: u32,
    },
    /// Past decisions cannot be had.
    #[error("cannot say which guests use it: {0}")]
    Past(#[from] PastError),
    /// It was not signed.
    #[error(transparent)]
    Sign(#[from] SignFailure),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl ReferenceFailure {
    /// The exit code: 1 for values that are wrong or in use, 2 for what keeps them from being looked at, 3 if the broker
    /// does not answer.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Wrong { .. }
            | Self::Impossible { .. }
            | Self::Listed { .. }
            | Self::ListedOtherwise { .. }
            | Self::Prolonged { .. }
            | Self::InUse { .. } => 1,
            Self::Past(PastError::Admin(_)) => 3,
            _ => 2,
        }
    }
}
