//! Colours for terminals, and lines that end before column 100.

use std::env;
use std::io::{self, IsTerminal};

/// Whether words may be coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Letters only.
    Plain,
    /// SGR codes (ECMA-48, 8.3.117).
    Coloured,
}

/// A meaning that a colour stands for; the word says the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Green.
    Good,
    /// Red.
    Bad,
    /// Yellow.
    Open,
    /// Faint.
    Aside,
}

impl Style {
    /// Coloured on a terminal, unless `NO_COLOR` is set and not empty.
    pub fn of_stdout() -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if io::stdout().is_terminal() && !refused { Self::Coloured } else { Self::Plain }
    }

    /// The text in the colour of a tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => 32,
            Tone::Bad => 31,
            Tone::Open => 33,
            Tone::Aside => 2,
        };
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

/// Breaks a text into lines of at most `columns`, at spaces where there are any.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        let length = line.chars().count();
        if length > 0 && length.saturating_add(1).saturating_add(word.len()) <= columns {
            line.push(' ');
        } else if !line.is_empty() {
            lines.push(core::mem::take(&mut line));
        }
        while word.len() > columns {
            let rest = word.split_off(columns);
            lines.push(word.iter().collect());
            word = rest;
        }
        line.extend(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("one 0123456789", 4), ["one", "0123", "4567", "89"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn plain_is_without_codes() {
        assert_eq!(Style::Plain.paint(Tone::Bad, "fail"), "fail");
        assert_eq!(Style::Coloured.paint(Tone::Bad, "fail"), "\u{1b}[31mfail\u{1b}[0m");
    }
}
