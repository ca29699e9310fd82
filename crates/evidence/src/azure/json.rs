//! A reader of JSON (RFC 8259), as much of it as runtime data need: bounded in depth, no name twice in an object.
//!
//! A guest's library has no serialiser; and the usual ones let a later name shadow an earlier one, so that two readers
//! of the same signed bytes may see two keys.

use core::iter::Peekable;
use core::str::Chars;

/// A value. Numbers stay text: nothing here needs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads one value, to the last byte; else says what was wrong.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let text = core::str::from_utf8(bytes).map_err(|_| "not utf-8")?;
        let mut reader = Reader { chars: text.chars().peekable() };
        let value = reader.value(0)?;
        match reader.skip_space() {
            None => Ok(value),
            Some(_) => Err("text behind the value"),
        }
    }

    /// The member of an object, or `None`.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(found, _)| found == name).map(|(_, value)| value),
            _ => None,
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    /// The next character that is no space, not taken.
    fn skip_space(&mut self) -> Option<char> {
        while self.chars.next_if(|c| matches!(c, ' ' | '\t' | '\n' | '\r')).is_some() {}
        self.chars.peek().copied()
    }

    fn value(&mut self, depth: u32) -> Result<Json, &'static str> {
        if depth > MAX_DEPTH {
            return Err("nested too deeply");
        }
        match self.skip_space().ok_or("text ends within a value")? {
            '{' => self.object(depth),
            '[' => self.list(depth),
            '"' => self.text().map(Json::Text),
            '-' | '0'..='9' => Ok(self.number()),
            _ => self.word(),
        }
    }

    fn object(&mut self, depth: u32) -> Result<Json, &'static str> {
        self.expect('{')?;
        let mut members: Vec<(String, Json)> = Vec::new();
        if self.skip_space() == Some('}') {
            return self.expect('}').map(|()| Json::Object(members));
        }
        loop {
            self.skip_space();
            let name = self.text()?;
            if members.iter().any(|(other, _)| *other == name) {
                return Err("a name stands twice in an object");
            }
            self.skip_space();
            self.expect(':')?;
            members.push((name, self.value(depth.saturating_add(1))?));
            match self.skip_space() {
                Some(',') => self.expect(',')?,
                _ => return self.expect('}').map(|()| Json::Object(members)),
            }
        }
    }

    fn list(&mut self, depth: u32) -> Result<Json, &'static str> {
        self.expect('[')?;
        let mut items = Vec::new();
        if self.skip_space() == Some(']') {
            return self.expect(']').map(|()| Json::List(items));
        }
        loop {
            items.push(self.value(depth.saturating_add(1))?);
            match self.skip_space() {
                Some(',') => self.expect(',')?,
                _ => return self.expect(']').map(|()| Json::List(items)),
            }
        }
    }

    /// A string. Escapes but those of quotes, solidi and control characters are refused: nothing here needs them.
    fn text(&mut self) -> Result<String, &'static str> {
        self.expect('"')?;
        let mut text = String::new();
        loop {
            match self.chars.next().ok_or("text ends within a string")? {
                '"' => return Ok(text),
                '\\' => text.push(match self.chars.next() {
                    Some(c @ ('"' | '\\' | '/')) => c,
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    _ => return Err("an escape that is not read here"),
                }),
                c if c < ' ' => return Err("a control character in a string"),
                c => text.push(c),
            }
        }
    }

    fn number(&mut self) -> Json {
        let mut text = String::new();
        while let Some(c) = self.chars.next_if(|c| matches!(c, '-' | '+' | '.' | 'e' | 'E' | '0'..='9')) {
            text.push(c);
        }
        Json::Number(text)
    }

    fn word(&mut self) -> Result<Json, &'static str> {
        let mut word = String::new();
        while let Some(c) = self.chars.next_if(char::is_ascii_lowercase) {
            word.push(c);
        }
        match word.as_str() {
            "true" => Ok(Json::Bool(true)),
            "false" => Ok(Json::Bool(false)),
            "null" => Ok(Json::Null),
            _ => Err("not a value"),
        }
    }

    fn expect(&mut self, expected: char) -> Result<(), &'static str> {
        self.chars.next_if_eq(&expected).map(drop).ok_or("a bracket, colon, comma or quote is missing")
    }
}

/// Nesting of lists and objects; runtime data have 3.
const MAX_DEPTH: u32 = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_runtime_data_are_made_of() {
        let value = Json::parse(br#" {"a":[true,null,-1.5e3],"b":{"c":"x\"y"},"d":{},"e":[]} "#).unwrap();
        assert_eq!(value.member("b").and_then(|b| b.member("c")).and_then(Json::as_text), Some("x\"y"));
        let list = value.member("a").and_then(Json::as_list).unwrap();
        assert_eq!(list, [Json::Bool(true), Json::Null, Json::Number("-1.5e3".into())]);
        assert_eq!((value.member("z"), list[0].as_bool()), (None, Some(true)));
    }

    #[test]
    fn escapes_are_what_they_stand_for_and_bare_control_characters_are_refused() {
        let text = Json::parse(br#""\"\\\/\n\r\t ""#).unwrap();
        assert_eq!(text.as_text(), Some("\"\\/\n\r\t "));
        for c in 0..32_u8 {
            let refused = Json::parse(&[b'"', c, b'"']);
            assert_eq!(refused, Err("a control character in a string"), "{c}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_refused() {
        assert_eq!(Json::parse(br#"{"n":"a","n":"b"}"#), Err("a name stands twice in an object"));
    }

    #[test]
    fn what_is_not_one_value_is_refused() {
        for wrong in ["", "{", "[1", "{\"a\"}", "\"a", "tru", "{} {}", "\"\\u0041\"", "{\"a\":1,}", "\u{1}"] {
            assert!(Json::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert_eq!(Json::parse(&[0xff]), Err("not utf-8"));
        let deep = [vec![b'['; 9], vec![b']'; 9]].concat();
        assert!(Json::parse(&deep).is_ok());
        let deeper = [vec![b'['; 100_000]].concat();
        assert_eq!(Json::parse(&deeper), Err("nested too deeply"));
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused(text in "[\\[\\]{}:,\"\\\\a-e0-9 tnul.-]{0,120}") {
            let _ = Json::parse(text.as_bytes());
        }
    }
}
