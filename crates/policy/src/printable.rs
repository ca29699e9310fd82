//! What somebody else wrote, in errors that a person reads: nothing that moves a cursor or turns a line around, and no
//! more of it than anybody reads.

/// The text, escaped where it must be, and cut. Lines stay lines.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        if shown.len() > MAX_SHOWN {
            return shown + "...";
        }
        match c {
            '\n' | '\t' | '"' | '\'' | '\\' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// Bytes beyond which a text is cut.
const MAX_SHOWN: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_a_cursor_is_escaped_and_what_is_long_is_cut() {
        assert_eq!(
            printable("`\u{1b}[2J\r`:\n\t\"é…\" \\ '\u{202e}'"),
            "`\\u{1b}[2J\\r`:\n\t\"é…\" \\ '\\u{202e}'"
        );
        let long = printable(&"\u{7}".repeat(100_000));
        assert_eq!(long, "\\u{7}".repeat(820) + "...");
        let letters = |count: usize| "a".repeat(count);
        assert_eq!(printable(&letters(4097)), letters(4097));
        assert_eq!(printable(&letters(4098)), letters(4097) + "...");
    }

    /// A member that nobody knows is named in errors by those who read it.
    #[test]
    fn errors_about_what_others_wrote_are_printable() {
        let case = crate::case::Case::parse("{\"base\":\"x\",\"\\u001b[2J\":1}", |_| None).unwrap_err();
        let statement = crate::BundleStatement::parse("\"\\u001b[2J\" = 1").unwrap_err();
        let values = crate::Manifest::parse("\"\\u001b[2J\" = 1").err().unwrap();
        for error in [case.to_string(), statement.to_string(), values.to_string()] {
            assert!(error.contains("unknown field `\\u{1b}[2J`"), "{error:?}");
            assert!(!error.contains('\u{1b}'), "{error:?}");
        }
    }
}
