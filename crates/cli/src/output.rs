//! Writing files, and what is printed. A reader that has gone away, as `head` does, is no failure: what it does not want is
//! lost without a word, and the command does the rest of its work and exits as it would have.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use claims::UnixTime;

use crate::evidence::wrap;

/// Writes a file whole that only the owner may read, making its directory (mode 0700) first.
///
/// # Errors
/// Whatever the system says; no partial file stays under the final name.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write(path, bytes, 0o600)
}

/// Writes a file whole that anybody may read.
///
/// # Errors
/// As [`write_private`].
pub fn write_public(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write(path, bytes, 0o644)
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // A device or pipe is written to; only a file is replaced.
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return OpenOptions::new().write(true).open(path)?.write_all(bytes);
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = Path::new(&name);
    let written = (|| {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(temporary, path)
    })();
    if written.is_err() {
        let _already_gone = fs::remove_file(temporary);
    }
    written
}

/// This machine's clock.
pub fn now() -> UnixTime {
    UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// Standard output, whose reader may go away.
pub struct Out(io::StdoutLock<'static>);

/// Standard output.
pub fn stdout() -> Out {
    Out(io::stdout().lock())
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        unless_gone(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        unless_gone(self.0.flush(), ())
    }
}

fn unless_gone<T>(written: io::Result<T>, gone: T) -> io::Result<T> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(gone),
        written => written,
    }
}

/// Prints a line; [`unwritten`] knows if that failed. Use [`say!`].
pub fn line(line: fmt::Arguments<'_>) {
    keep(writeln!(stdout(), "{line}"));
}

/// Prints a line on standard error, which is the last that can fail: nobody is told. Use [`complain!`].
pub fn error_line(line: fmt::Arguments<'_>) {
    let _lost = writeln!(io::stderr(), "{line}");
}

/// As `println!`, but for a reader that has gone away, which is none's fault, and other failures, which [`unwritten`]
/// tells.
macro_rules! say {
    ($($line:tt)*) => { $crate::output::line(format_args!($($line)*)) };
}

/// As `eprintln!`, but that it never panics.
macro_rules! complain {
    ($($line:tt)*) => { $crate::output::error_line(format_args!($($line)*)) };
}

pub(crate) use {complain, say};

/// Why not all was printed, if it was not.
pub fn unwritten() -> Option<&'static str> {
    UNWRITTEN.get().map(String::as_str)
}

fn keep(written: io::Result<()>) {
    if let Err(error) = written {
        UNWRITTEN.get_or_init(|| error.to_string());
    }
}

static UNWRITTEN: OnceLock<String> = OnceLock::new();

/// Prints rows as aligned columns under a heading, two spaces apart; the last column is left as long as it is.
pub fn table(headings: &[&str], rows: &[Vec<String>]) {
    keep(write_table(headings, rows, &mut stdout()));
}

/// As [`table`], to a writer.
///
/// # Errors
/// Whatever the writer says.
pub fn write_table(headings: &[&str], rows: &[Vec<String>], out: &mut dyn Write) -> io::Result<()> {
    let heading: Vec<String> = headings.iter().map(|h| (*h).to_owned()).collect();
    let all = || std::iter::once(&heading).chain(rows);
    let width =
        |column: usize| all().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..headings.len()).map(|column| width(column).unwrap_or(0)).collect();
    for row in all() {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// As [`write_table`], with the last column on as many lines as it takes within [`COLUMNS`], each of its texts beginning
/// on a line of its own.
///
/// # Errors
/// Whatever the writer says.
pub fn write_wrapped_table(
    headings: &[&str],
    rows: &[(Vec<String>, Vec<String>)],
    out: &mut dyn Write,
) -> io::Result<()> {
    let before = headings.len().saturating_sub(1);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|(cells, _)| cells.get(column)).map(|cell| cell.chars().count());
        cells.chain(headings.get(column).map(|heading| heading.chars().count())).max().unwrap_or(0)
    };
    let used: usize = (0..before).map(|column| width(column).saturating_add(2)).sum();
    let left = COLUMNS.saturating_sub(used).max(LEAST);
    let lines = rows.iter().flat_map(|(cells, texts)| {
        let mut head = cells.clone();
        let lines = texts.iter().flat_map(|text| wrap(text, left));
        lines
            .map(|line| {
                let empty = vec![String::new(); head.len()];
                let mut row = core::mem::replace(&mut head, empty);
                row.push(line);
                row
            })
            .collect::<Vec<_>>()
    });
    write_table(headings, &lines.collect::<Vec<_>>(), out)
}

/// Columns of a terminal that tables keep to.
const COLUMNS: usize = 100;
/// Columns that a wrapped text has however wide the others are.
const LEAST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_column_is_wrapped_within_100_columns() {
        let mut out = Vec::new();
        let texts = vec!["word ".repeat(30).trim_end().to_owned(), "next".to_owned()];
        let rows =
            [(vec!["x".repeat(70), "y".to_owned()], texts), (vec!["z".to_owned()], vec!["last".to_owned()])];
        write_wrapped_table(&["A", "HEADING", "SAYS"], &rows, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], format!("{}  y        word word word word", "x".repeat(70)), "{text}");
        assert_eq!(lines[2], format!("{}word word word word", " ".repeat(81)));
        assert_eq!((lines.len(), lines[9].trim_start()), (11, "next"));
        assert!(lines.iter().all(|line| line.len() <= 100), "{text}");
    }
}
