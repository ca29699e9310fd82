//! Bounds on a policy text that hold before Cedar parses it: its parser recurses with the nesting of a rule, and by
//! itself overflows the stack at some hundred brackets.

use crate::load_error::{LoadError, Problem};

/// The first rule of a text that is nested deeper or longer than is parsed.
pub(crate) fn check(file: &str, text: &str) -> Option<LoadError> {
    let mut rule = Rule::default();
    let mut rest = text.char_indices().peekable();
    while let Some((offset, c)) = rest.next() {
        match c {
            '"' => skip_string(&mut rest),
            '/' if rest.peek().is_some_and(|(_, next)| *next == '/') => {
                while rest.next_if(|(_, c)| *c != '\n').is_some() {}
            }
            ';' if rule.depth == 0 => rule = Rule::default(),
            c => rule.count(c),
        }
        if let Some(problem) = rule.problem() {
            return Some(LoadError::at(file, text, Some(offset), problem));
        }
    }
    None
}

/// To the closing quote; a backslash takes the next character with it.
fn skip_string(rest: &mut impl Iterator<Item = (usize, char)>) {
    let mut escaped = false;
    for (_, c) in rest.by_ref() {
        match c {
            '"' if !escaped => return,
            _ => escaped = c == '\\' && !escaped,
        }
    }
}

#[derive(Default)]
struct Rule {
    depth: usize,
    signs: usize,
    characters: usize,
}

impl Rule {
    fn count(&mut self, c: char) {
        match c {
            '(' | '[' | '{' => self.depth = self.depth.saturating_add(1),
            ')' | ']' | '}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.signs = self.signs.saturating_add(usize::from(c.is_ascii_punctuation()));
        self.characters = self.characters.saturating_add(1);
    }

    fn problem(&self) -> Option<Problem> {
        let over = |what, max: usize, got: usize| (got > max).then_some(Problem::TooMany { what, max, got });
        over("brackets within brackets", MAX_DEPTH, self.depth)
            .or_else(|| over("signs in one rule", MAX_SIGNS, self.signs))
            .or_else(|| over("characters in one rule", MAX_CHARACTERS, self.characters))
    }
}

/// Most brackets within brackets.
const MAX_DEPTH: usize = 32;
/// Most signs of a rule outside of strings: operators, dots, commas, brackets, quotes.
const MAX_SIGNS: usize = 2048;
/// Most characters of a rule outside of strings and comments.
const MAX_CHARACTERS: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load_error::Position;

    fn problem(text: &str) -> Option<Problem> {
        check("t", text).map(|error| error.problem)
    }

    #[test]
    fn nesting_is_counted_outside_of_strings_and_comments_and_for_each_rule() {
        let open = "(".repeat(32);
        assert_eq!(problem(&open), None);
        let deep = Problem::TooMany { what: "brackets within brackets", max: 32, got: 33 };
        assert_eq!(problem(&format!("{open}[")), Some(deep.clone()));
        assert_eq!(problem(&format!("{open}\"[\\\"[\"// [ \n/")), None);
        assert_eq!(problem(&format!("{open}\"\\\\\"[")), Some(deep));
        let shut = ")".repeat(32);
        assert_eq!(problem(&format!("{open}{shut};{open}")), None);
    }

    #[test]
    fn only_two_slashes_begin_a_comment_and_no_rule_ends_within_brackets() {
        let open = "(".repeat(32);
        let place = |text: &str| check("t", text).map(|error| (error.at, error.problem));
        let deep = Problem::TooMany { what: "brackets within brackets", max: 32, got: 33 };
        for between in ["/", "/ /", ";", "//\n"] {
            let at = match between {
                "//\n" => Position { line: 2, column: 1 },
                _ => Position { line: 1, column: 33 + between.len() },
            };
            assert_eq!(place(&format!("{open}{between}[")), Some((Some(at), deep.clone())), "{between:?}");
        }
        assert_eq!(place(&format!("{open}//[")), None);
    }

    #[test]
    fn signs_and_characters_are_counted_for_each_rule() {
        let signs = ".".repeat(2048);
        assert_eq!(problem(&format!("{signs};{signs}")), None);
        let many = Problem::TooMany { what: "signs in one rule", max: 2048, got: 2049 };
        assert_eq!(problem(&format!("{signs}.")), Some(many));
        let long = "a".repeat(32_768);
        assert_eq!(problem(&format!("{long};{long}")), None);
        let too_long = Problem::TooMany { what: "characters in one rule", max: 32_768, got: 32_769 };
        assert_eq!(problem(&format!("{long}a")), Some(too_long));
    }
}
