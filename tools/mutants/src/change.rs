//! The changes, as cargo-mutants lists them.

use std::process::Command;

use serde::Deserialize;

use crate::failure::Failure;

/// One change of one place.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Change {
    /// From the root of the tree.
    pub(crate) file: String,
    /// Place and change in words.
    pub(crate) name: String,
    pub(crate) genre: Genre,
    /// What stands there afterwards, if anything.
    pub(crate) replacement: String,
    span: Span,
    function: Option<Function>,
}

/// What kind of place is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Genre {
    /// The body of a function.
    FnValue,
    BinaryOperator,
    UnaryOperator,
    /// A match arm, which goes away.
    MatchArm,
    MatchArmGuard,
    /// A field of a struct expression with a base, which goes away.
    StructField,
}

#[derive(Clone, Debug, Deserialize)]
struct Span {
    start: Position,
}

/// Line and column in a source, both from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

#[derive(Clone, Debug, Deserialize)]
struct Function {
    return_type: String,
}

impl Change {
    pub(crate) fn at(&self) -> Position {
        self.span.start
    }

    /// Whether it returns early from a function whose type the body gives: then both would have to be of one type.
    pub(crate) fn returns_opaque(&self) -> bool {
        let is_opaque = |function: &Function| function.return_type.contains("impl ");
        self.genre == Genre::FnValue && self.function.as_ref().is_some_and(is_opaque)
    }
}

/// Every change of a crate.
pub(crate) fn list(name: &str) -> Result<Vec<Change>, Failure> {
    let mut command = Command::new("cargo");
    command.args(["mutants", "--package", name, "--list", "--json"]);
    let output = command.output().map_err(Failure::start("cargo mutants"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Failure::Command { command: "cargo mutants --list".to_owned(), said });
    }
    serde_json::from_slice(&output.stdout).map_err(|error| Failure::said("cargo mutants", error))
}
