//! How a vector stands in its file: lines of a name, a colon and a value; `#` starts a comment. Bytes are in
//! hexadecimal, and each message also in CBOR's diagnostic notation (RFC 8949, 8).

use core::fmt;

use minicbor::Decoder;
use minicbor::data::Type;

/// A named list of lines.
pub struct Vector {
    name: String,
    lines: Vec<(String, String)>,
}

impl Vector {
    pub fn new(name: &str, comment: &str) -> Self {
        Self { name: name.to_owned(), lines: vec![("#".to_owned(), comment.to_owned())] }
    }

    pub fn line(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.lines.push((key.to_owned(), value.to_string()));
        self
    }

    pub fn bytes(self, key: &str, value: &[u8]) -> Self {
        self.line(key, hex::encode(value))
    }

    /// A message: its kind, what becomes of it, its notation and its bytes.
    pub fn message(name: &str, comment: &str, message: &str, expect: &str, bytes: &[u8]) -> Self {
        let vector = Self::new(name, comment).line("message", message).line("expect", expect);
        let vector = if expect == "ok" { vector.line("notation", notation(bytes)) } else { vector };
        vector.bytes("bytes", bytes)
    }

    pub fn file_name(&self) -> String {
        format!("{}.txt", self.name)
    }
}

impl fmt::Display for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|(key, value)| match key.as_str() {
            "#" => writeln!(f, "# {value}"),
            _ => writeln!(f, "{key}: {value}"),
        })
    }
}

/// The value of a line of a vector's file.
pub fn read(text: &str, key: &str) -> Vec<u8> {
    let value = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(": "));
    hex::decode(value.unwrap_or_else(|| panic!("no line `{key}`"))).unwrap()
}

/// Diagnostic notation of the types that messages use.
fn notation(bytes: &[u8]) -> String {
    let mut decoder = Decoder::new(bytes);
    item(&mut decoder)
}

fn item(d: &mut Decoder<'_>) -> String {
    match d.datatype().unwrap() {
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => d.u64().unwrap().to_string(),
        Type::Bytes => format!("h'{}'", hex::encode(d.bytes().unwrap())),
        Type::String => format!("{:?}", d.str().unwrap()),
        Type::Array => {
            let len = d.array().unwrap().unwrap();
            format!("[{}]", (0..len).map(|_| item(d)).collect::<Vec<_>>().join(", "))
        }
        Type::Map => {
            let len = d.map().unwrap().unwrap();
            let pair = |d: &mut Decoder<'_>| format!("{}: {}", item(d), item(d));
            format!("{{{}}}", (0..len).map(|_| pair(d)).collect::<Vec<_>>().join(", "))
        }
        other => panic!("{other}"),
    }
}
