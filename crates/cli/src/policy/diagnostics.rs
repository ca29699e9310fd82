//! Problems of a bundle, for people: the place, the line, a caret under it, and what to do.

use std::collections::HashMap;
use std::io::{self, Write};

use policy::{LoadError, Severity};
use serde_json::{Value, json};

use crate::evidence::{Style, Tone, wrap};

/// Texts of a bundle by their names in it, to show lines of.
pub type Sources<'a> = HashMap<String, &'a str>;

/// Prints every problem.
pub fn print(
    problems: &[LoadError],
    sources: &Sources<'_>,
    style: Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    problems.iter().try_for_each(|problem| print_one(problem, sources, style, out))
}

fn print_one(error: &LoadError, sources: &Sources<'_>, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let place = error.at.map(|at| format!(":{}:{}", at.line, at.column)).unwrap_or_default();
    let severity = error.problem.severity();
    let tone = if severity == Severity::Error { Tone::Bad } else { Tone::Aside };
    let code = style.paint(tone, &format!("{}[{}]", severity.name(), error.problem.code()));
    writeln!(out, "{}{place}: {code}", error.file)?;
    for line in wrap(&error.problem.to_string(), COLUMNS) {
        writeln!(out, "  {line}")?;
    }
    let source = error.at.and_then(|at| Some((at, line_of(sources.get(&error.file)?, at.line)?)));
    if let Some((at, line)) = source {
        let number = at.line.to_string();
        let margin = " ".repeat(number.len());
        // A tab is one column of the place, and one of the caret's line.
        let before: String = line.chars().take(at.column.saturating_sub(1)).map(blank).collect();
        writeln!(out, "{margin} |\n{number} | {line}\n{margin} | {before}{}", style.paint(tone, "^"))?;
    }
    for line in error.help.iter().flat_map(|help| wrap(help, COLUMNS)) {
        writeln!(out, "  {}", style.paint(Tone::Aside, &line))?;
    }
    writeln!(out)
}

fn blank(c: char) -> char {
    if c == '\t' { '\t' } else { ' ' }
}

fn line_of(text: &str, number: usize) -> Option<&str> {
    text.lines().nth(number.checked_sub(1)?)
}

/// Every problem as JSON: file, line, column, code, message, help.
pub fn json(problems: &[LoadError]) -> Value {
    let problem = |error: &LoadError| {
        json!({
            "file": error.file,
            "line": error.at.map(|at| at.line),
            "column": error.at.map(|at| at.column),
            "severity": error.problem.severity().name(),
            "code": error.problem.code(),
            "message": error.problem.to_string(),
            "help": error.help,
        })
    };
    problems.iter().map(problem).collect()
}

/// Columns of a message behind its indent of two.
const COLUMNS: usize = 98;
