//! Rust text split into code and comments, line for line, and what the rules ask about it.
//!
//! A lexer of the few tokens that matter (comments, literals, identifiers), after the Rust Reference, "Lexical
//! structure". It knows no grammar: a rule that needs types belongs into clippy.

use std::ops::RangeInclusive;

/// One file's text in two layers of the same shape: each keeps its own characters and the line ends, and has spaces
/// for the rest.
#[derive(Debug)]
pub struct Layers {
    /// Code, with the inside of literals blank.
    pub code: String,
    /// Comments and nothing else.
    pub comments: String,
}

/// A function's name and its lines, counted from 1.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// From the line of `fn` to that of the closing brace.
    pub lines: RangeInclusive<usize>,
}

impl Layers {
    /// Splits a text.
    pub fn of(text: &str) -> Self {
        let mut layers = Self { code: String::new(), comments: String::new() };
        let mut rest = text;
        while !rest.is_empty() {
            let (kind, len) = next_token(rest);
            let (token, after) = rest.split_at(len);
            layers.code.push_str(&if kind == Kind::Code { token.to_owned() } else { blank(token) });
            layers.comments.push_str(&if kind == Kind::Comment { token.to_owned() } else { blank(token) });
            rest = after;
        }
        layers
    }

    /// The lines of every item under `#[cfg(test)]` or `#[test]`.
    pub fn test_lines(&self) -> Vec<RangeInclusive<usize>> {
        let is_test = |attribute: &str| attribute.contains("cfg(test") || attribute.contains("cfg(all(test");
        let starts = self.code.match_indices("#[").filter(|(at, _)| {
            let attribute = after(&self.code, *at).split(']').next().unwrap_or_default();
            is_test(attribute) || attribute.ends_with("[test") || attribute.ends_with("::test")
        });
        starts.filter_map(|(at, _)| item_lines(&self.code, at)).collect()
    }

    /// Every function that has a body.
    pub fn functions(&self) -> Vec<Function> {
        let starts = words(&self.code, "fn").filter_map(|at| {
            let name: String =
                after(&self.code, at + 2).trim_start().chars().take_while(|c| is_word(*c)).collect();
            let lines = if name.is_empty() { None } else { item_lines(&self.code, at) };
            lines.map(|lines| Function { name, lines })
        });
        starts.collect()
    }
}

/// Byte positions of a word that is no part of a longer one. Only ends that are letters themselves have a border.
pub fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let borders =
        |c: Option<char>, other: Option<char>| !(c.is_some_and(is_word) && other.is_some_and(is_word));
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = text.split_at(*at).0.chars().next_back();
        let behind = after(text, at + word.len()).chars().next();
        borders(before, word.chars().next()) && borders(behind, word.chars().next_back())
    })
}

/// The line of a byte position, counted from 1.
pub fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// What stands from a byte position on.
fn after(text: &str, at: usize) -> &str {
    text.get(at..).unwrap_or_default()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The lines of the item that starts here: to its closing brace, or `None` where a `;` ends it first.
fn item_lines(code: &str, start: usize) -> Option<RangeInclusive<usize>> {
    let (mut braces, mut brackets) = (0_usize, 0_usize);
    for (at, c) in after(code, start).char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            ';' if braces == 0 && brackets == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces = braces.saturating_sub(1);
                if braces == 0 && brackets == 0 {
                    return Some(line_of(code, start)..=line_of(code, start + at));
                }
            }
            _ => {}
        }
    }
    None
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

/// Kind and length in bytes of the token that a text starts with; an identifier is taken whole.
fn next_token(rest: &str) -> (Kind, usize) {
    if rest.starts_with("//") {
        return (Kind::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Kind::Comment, block_comment_len(rest));
    }
    if let Some(len) = raw_string_len(rest) {
        return (Kind::Literal, len);
    }
    if rest.starts_with('"') {
        return (Kind::Literal, quoted_len(rest, '"'));
    }
    if rest.starts_with('\'') {
        return char_or_lifetime(rest);
    }
    let word: usize = rest.chars().take_while(|c| is_word(*c)).map(char::len_utf8).sum();
    (Kind::Code, word.max(rest.chars().next().map_or(1, char::len_utf8)))
}

/// `/* … */`, which nests.
fn block_comment_len(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0_usize);
    loop {
        let rest = after(text, at);
        if rest.is_empty() {
            return text.len();
        }
        let (change, len) = match rest {
            rest if rest.starts_with("/*") => (1, 2),
            rest if rest.starts_with("*/") => (-1, 2),
            rest => (0, rest.chars().next().map_or(1, char::len_utf8)),
        };
        depth = depth.saturating_add_signed(change);
        at += len;
        if depth == 0 {
            return at;
        }
    }
}

/// `r"…"`, `r#"…"#`, and the same behind `b` or `c`.
fn raw_string_len(text: &str) -> Option<usize> {
    let behind_prefix = ["r", "br", "cr"].into_iter().find_map(|prefix| text.strip_prefix(prefix))?;
    let inside = behind_prefix.trim_start_matches('#');
    let hashes = behind_prefix.len() - inside.len();
    let content = inside.strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = content.find(&close).map_or(content.len(), |at| at + close.len());
    Some(text.len() - content.len() + end)
}

/// From an opening quote to its closing one, over escapes.
fn quoted_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// `'x'` and `'\n'` are literals; `'a` is a lifetime.
fn char_or_lifetime(text: &str) -> (Kind, usize) {
    let mut chars = text.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (_, Some('\'')) => (Kind::Literal, quoted_len(text, '\'')),
        _ => (Kind::Code, 1),
    }
}

/// Spaces of the same number of bytes, with the line ends kept.
fn blank(token: &str) -> String {
    token.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_comments_and_literals_part() {
        let text = "let a = \"b // c\"; // d \"e\"\nlet x: &'a str = r#\"f\"g\"#; /* h /* i */ j */ k('\\'', '\"', 'l');";
        let layers = Layers::of(text);
        let code: String = layers.code.split_whitespace().collect();
        assert_eq!(code, "leta=;letx:&'astr=;k(,,);");
        let comments: String = layers.comments.split_whitespace().collect();
        assert_eq!(comments, "//d\"e\"/*h/*i*/j*/");
        assert_eq!((layers.code.len(), layers.comments.len()), (text.len(), text.len()));
    }

    #[test]
    fn raw_identifiers_and_byte_strings_are_told_from_raw_strings() {
        let code = Layers::of("r#type(b\"x\", br#\"y\"#, for_r, bar)").code;
        assert_eq!(code.replace(' ', ""), "r#type(b,,for_r,bar)");
    }

    #[test]
    fn functions_are_measured_to_their_closing_brace() {
        let text =
            "trait T { fn a(&self, b: [u8; 2]); }\nfn c() -> u8\n{\n  let f: fn(u8);\n  \"}\"; // }\n}\n";
        assert_eq!(Layers::of(text).functions(), [Function { name: "c".into(), lines: 2..=6 }]);
    }

    #[test]
    fn tests_are_found_by_their_attribute() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\n#[tokio::test]\nasync fn c() {\n}\n#[cfg(test)]\nmod t;\n";
        assert_eq!(Layers::of(text).test_lines(), [2..=5, 6..=8]);
    }

    #[test]
    fn a_word_has_borders() {
        assert_eq!(words("print!( eprint!( unsafe_code unsafe", "print!(").count(), 1);
        assert_eq!(words("unsafe_code unsafe { }", "unsafe").collect::<Vec<_>>(), [12]);
    }
}
