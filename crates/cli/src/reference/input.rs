//! What `keyfast measure` prints, read back: `name  value` lines, or the JSON of `--json`. Hostile as far as it goes:
//! bounded, and only what is a reference value is taken.

use std::io::{self, Read};

use serde_json::Value;

/// Something measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The table that it belongs in.
    pub kind: String,
    /// As policies name it.
    pub value: String,
    /// What tells it from others of the same image, for its name.
    pub part: Option<String>,
}

impl Measured {
    /// Given by hand.
    pub fn new(kind: &str, value: &str) -> Self {
        Self { kind: kind.to_owned(), value: value.to_owned(), part: None }
    }
}

/// Why nothing could be taken from standard input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// It cannot be read.
    #[error("cannot read standard input: {0}")]
    Read(#[from] io::Error),
    /// It is longer than anything that is printed.
    #[error("standard input is too long: expected at most {MAX_INPUT} bytes, as `keyfast measure` prints")]
    TooLong,
    /// It is no text.
    #[error("standard input is not UTF-8")]
    NotText,
    /// It begins like JSON and is none.
    #[error("standard input is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// There is nothing to add in it.
    #[error(
        "nothing to add: expected kind and value, or through a pipe what `keyfast measure snp`, `uki` or `id-block` prints"
    )]
    Nothing,
}

/// Reads what was piped in.
pub fn read(input: &mut dyn Read) -> Result<Vec<Measured>, InputError> {
    let mut bytes = Vec::new();
    input.take(MAX_INPUT.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > MAX_INPUT) {
        return Err(InputError::TooLong);
    }
    let text = String::from_utf8(bytes).map_err(|_| InputError::NotText)?;
    let rows = if text.trim_start().starts_with('{') { from_json(&text)? } else { from_lines(&text) };
    let measured: Vec<Measured> = rows.iter().filter_map(|(name, value)| measured(name, value)).collect();
    if measured.is_empty() { Err(InputError::Nothing) } else { Ok(measured) }
}

fn from_json(text: &str) -> Result<Vec<(String, String)>, InputError> {
    let Value::Object(object) = serde_json::from_str(text)? else { return Ok(Vec::new()) };
    let row = |(name, value): (String, Value)| value.as_str().map(|value| (name, value.to_owned()));
    Ok(object.into_iter().filter_map(row).collect())
}

fn from_lines(text: &str) -> Vec<(String, String)> {
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    };
    text.lines().filter_map(row).collect()
}

/// What a row of `keyfast measure` is a reference value of.
fn measured(name: &str, value: &str) -> Option<Measured> {
    let (kind, part) = match name {
        "measurement" => ("measurement", None),
        "id_key_digest" => ("id_key", Some("id key")),
        "author_key_digest" => ("id_key", Some("author key")),
        "pcr4" | "pcr9" | "pcr11" => ("pcr", Some(name)),
        _ => return None,
    };
    let is_hex = value.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| Measured { kind: kind.to_owned(), value: value.to_owned(), part: part.map(str::to_owned) })
}

/// Most bytes of what is printed: a table with all events of an image.
const MAX_INPUT: u64 = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn took(text: &str) -> Vec<(String, String, Option<String>)> {
        let all = read(&mut text.as_bytes()).unwrap();
        all.into_iter().map(|Measured { kind, value, part }| (kind, value, part)).collect()
    }

    #[test]
    fn tables_and_json_give_the_same() {
        let (four, nine) = ("4a".repeat(32), "9b".repeat(32));
        let table =
            format!("bank   sha256\npcr4   {four}  (firmware)\npcr9   {nine}\nkernel {nine}\npcr11  -\n");
        let json =
            format!(r#"{{"bank":"sha256","pcr4":"{four}","pcr9":"{nine}","pcr11":null,"kernel":"{nine}"}}"#);
        let expected = [("pcr4", four), ("pcr9", nine)];
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(part, value)| ("pcr".to_owned(), value, Some(part.to_owned())))
            .collect();
        assert_eq!(took(&table), expected);
        assert_eq!(took(&json), expected);
    }

    #[test]
    fn what_is_none_of_it_is_refused() {
        let refused = |bytes: &[u8]| read(&mut { bytes }).unwrap_err();
        assert!(matches!(refused(b""), InputError::Nothing));
        assert!(matches!(refused(b"measurement -\n"), InputError::Nothing));
        assert!(matches!(refused(b"{\"measurement\": 7}"), InputError::Nothing));
        assert!(matches!(refused(b"{"), InputError::Json(_)));
        assert!(matches!(refused(b"\xff"), InputError::NotText));
        let long = vec![b'x'; usize::try_from(MAX_INPUT).unwrap() + 1];
        assert!(matches!(refused(&long), InputError::TooLong));
    }
}
