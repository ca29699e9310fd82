//! Why bytes are no message, and why a message cannot become bytes.
//!
//! [`DecodeError`] blames the sender of the bytes, [`EncodeError`] the caller; both name a field that is out of
//! bounds through [`FieldError`].

/// A field that is not what the protocol allows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldError {
    /// A byte string or text of the wrong length.
    #[error("wrong length of {field}: expected {} bytes, got {got}", span(*min, *max))]
    Length {
        /// Which field.
        field: &'static str,
        /// Fewest bytes.
        min: usize,
        /// Most bytes.
        max: usize,
        /// Bytes found.
        got: usize,
    },
    /// A list with too few or too many items.
    #[error("wrong number of {field}: expected {}, got {got}", span(*min, *max))]
    Count {
        /// Which list.
        field: &'static str,
        /// Fewest items.
        min: usize,
        /// Most items.
        max: usize,
        /// Items found.
        got: usize,
    },
    /// A number that names nothing in this version of the protocol.
    #[error("unknown code of {field}: {got}")]
    Code {
        /// Which field.
        field: &'static str,
        /// What was found.
        got: u64,
    },
    /// A number out of range.
    #[error("{field} out of range: expected {expected}, got {got}")]
    Number {
        /// Which field.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What was found.
        got: u64,
    },
    /// A text with characters that do not belong there.
    #[error("malformed {field}: expected {expected}")]
    Text {
        /// Which field.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// A field that is missing where it must be, or there where it must not be.
    #[error("{field} does not fit: {expected}")]
    Presence {
        /// Which field.
        field: &'static str,
        /// The rule.
        expected: &'static str,
    },
}

/// Why bytes are no message. Offsets count from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// More bytes than the message may have.
    #[error("{message} too long: expected at most {max} bytes, got {got}")]
    TooLong {
        /// Which message.
        message: &'static str,
        /// Most bytes.
        max: usize,
        /// Bytes found.
        got: usize,
    },
    /// The bytes end inside an item.
    #[error("truncated: the item at byte {at} ends beyond the last byte")]
    Truncated {
        /// Where the item starts.
        at: usize,
    },
    /// Bytes after the message.
    #[error("the message ends at byte {at}, but {got} more came")]
    Trailing {
        /// Where they start.
        at: usize,
        /// How many there are.
        got: usize,
    },
    /// A number or length is spelled longer than it need be.
    #[error("number at byte {at} is not in its shortest form")]
    NotShortest {
        /// Where the item starts.
        at: usize,
    },
    /// An item of indefinite length.
    #[error("item at byte {at} has an indefinite length")]
    Indefinite {
        /// Where the item starts.
        at: usize,
    },
    /// A negative number, a tag, a float, a simple value, or a reserved head: no message has one.
    #[error("item at byte {at} is of no type that messages use (first byte {got:#04x})")]
    ForeignType {
        /// Where the item starts.
        at: usize,
        /// Its first byte.
        got: u8,
    },
    /// A map key that is no unsigned integer.
    #[error("map key at byte {at} is no unsigned integer")]
    KeyType {
        /// Where the key starts.
        at: usize,
    },
    /// A map key for the second time.
    #[error("repeated map key {key} at byte {at}")]
    RepeatedKey {
        /// Where the key starts.
        at: usize,
        /// The key.
        key: u64,
    },
    /// Map keys that do not ascend.
    #[error("map key {key} at byte {at} comes after {previous}")]
    KeyOrder {
        /// Where the key starts.
        at: usize,
        /// The key.
        key: u64,
        /// The one before it.
        previous: u64,
    },
    /// Arrays and maps inside each other, deeper than any message.
    #[error("item at byte {at} is nested deeper than {max} levels")]
    TooDeep {
        /// Where the item starts.
        at: usize,
        /// Most levels.
        max: usize,
    },
    /// Well-formed CBOR that is another message: a field is missing or of another type, or a text is no UTF-8.
    #[error("not a {message}: {reason}")]
    Other {
        /// Which message was expected.
        message: &'static str,
        /// What did not fit, and where.
        reason: String,
    },
    /// An item that the message does not have: an unknown map key, or a surplus array element.
    #[error("unknown item in {message} at byte {at} or behind it")]
    Unknown {
        /// Which message was expected.
        message: &'static str,
        /// First byte that differs from what the message's known fields encode to.
        at: usize,
    },
    /// A field out of bounds.
    #[error("{message}: {source}")]
    Field {
        /// Which message.
        message: &'static str,
        /// What is wrong.
        source: FieldError,
    },
}

/// Why a message cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A field out of bounds.
    #[error("{message}: {source}")]
    Field {
        /// Which message.
        message: &'static str,
        /// What is wrong.
        source: FieldError,
    },
    /// All fields in bounds, but too many bytes in total; split the message.
    #[error("{message} too long: at most {max} bytes may be sent, these are {got}; ask for less at a time")]
    TooLong {
        /// Which message.
        message: &'static str,
        /// Most bytes.
        max: usize,
        /// Bytes that it takes.
        got: usize,
    },
}

fn span(min: usize, max: usize) -> String {
    if min == max { max.to_string() } else { format!("{min} to {max}") }
}
