//! What was measured, as rows: for people in columns, for programs as one JSON object with the same names.

use std::io::{self, Write};

use serde_json::{Map, Value};

/// Names and values, in the order in which they are printed.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
    notes: Vec<String>,
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    value: Value,
    note: String,
}

impl Table {
    /// Appends a row.
    pub fn row(self, name: &'static str, value: impl Into<Value>) -> Self {
        self.noted(name, value, "")
    }

    /// Appends a row with a remark that only people read.
    pub fn noted(mut self, name: &'static str, value: impl Into<Value>, note: impl Into<String>) -> Self {
        self.rows.push(Row { name, value: value.into(), note: note.into() });
        self
    }

    /// Appends a sentence behind the rows, for people only.
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// Prints it.
    ///
    /// # Errors
    /// The output's own.
    pub fn print(self, json: bool, out: &mut dyn Write) -> io::Result<()> {
        if json {
            let fields: Map<String, Value> =
                self.rows.into_iter().map(|row| (row.name.to_owned(), row.value)).collect();
            return writeln!(out, "{:#}", Value::Object(fields));
        }
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
        self.rows.iter().try_for_each(|row| row.print(width, out))?;
        for note in &self.notes {
            writeln!(out, "\n{note}")?;
        }
        Ok(())
    }
}

impl Row {
    /// Prints the row within 100 columns: what does not fit beside its name goes below it, in pieces if need be.
    fn print(&self, width: usize, out: &mut dyn Write) -> io::Result<()> {
        let name = self.name;
        let lines: Vec<String> = match &self.value {
            Value::String(text) => vec![text.clone()],
            Value::Array(items) => items.iter().map(text_of).collect(),
            Value::Null => vec!["-".to_owned()],
            Value::Bool(set) => vec![if *set { "yes" } else { "no" }.to_owned()],
            other => vec![other.to_string()],
        };
        let note = if self.note.is_empty() { String::new() } else { format!("  ({})", self.note) };
        let [line] = lines.as_slice() else {
            writeln!(out, "{name}{note}")?;
            return lines.iter().try_for_each(|line| print_below(line, out));
        };
        let beside = format!("{name:<width$}  {line}");
        if beside.chars().count() > COLUMNS {
            writeln!(out, "{name}{note}")?;
            return print_below(line, out);
        }
        let whole = format!("{beside}{note}");
        if whole.chars().count() > COLUMNS {
            return writeln!(out, "{beside}\n{:width$}{note}", "");
        }
        writeln!(out, "{whole}")
    }
}

/// Prints a value that has lines of its own.
fn print_below(value: &str, out: &mut dyn Write) -> io::Result<()> {
    let characters: Vec<char> = value.chars().collect();
    let mut pieces = characters.chunks(COLUMNS.saturating_sub(INDENT));
    pieces.try_for_each(|piece| writeln!(out, "  {}", piece.iter().collect::<String>()))
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Columns of a terminal that people have.
const COLUMNS: usize = 100;
/// Columns before a value below its name.
const INDENT: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(table: Table, json: bool) -> String {
        let mut out = Vec::new();
        table.print(json, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn table() -> Table {
        Table::default()
            .row("short", 7)
            .noted("digest", "5a".repeat(48), "SHA-384")
            .row("long", "y".repeat(250))
            .noted("wide", "x".repeat(80), "a remark that goes below")
            .row("list", vec!["one", "two"])
            .row("absent", Value::Null)
            .note("A sentence.")
    }

    #[test]
    fn lines_stay_within_a_hundred_columns() {
        let text = printed(table(), false);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert!(text.starts_with("short   7\ndigest  (SHA-384)\n  5a5a"), "{text}");
        assert!(text.ends_with("list\n  one\n  two\nabsent  -\n\nA sentence.\n"), "{text}");
    }

    #[test]
    fn programs_read_the_same_names_and_no_remarks() {
        let value: Value = serde_json::from_str(&printed(table(), true)).unwrap();
        assert_eq!(value["short"], 7);
        assert_eq!(value["list"][1], "two");
        assert_eq!(value.as_object().unwrap().len(), 6);
    }
}
