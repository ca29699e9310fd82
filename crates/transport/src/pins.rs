//! The keys that a server may prove to hold.

use core::fmt;

use claims::Sha256Digest;

/// Acceptable TLS keys, each as the SHA-256 of its SubjectPublicKeyInfo.
///
/// [`Pins::unknown`] accepts any key: for the first contact, when a guest knows the broker's identity but has not
/// read its statement. The caller then looks at the key that the server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pins(Option<Vec<Sha256Digest>>);

impl Pins {
    /// Any key; the caller judges it afterwards.
    pub fn unknown() -> Self {
        Self(None)
    }

    /// One of these keys; if there are none, no server is accepted.
    pub fn of(keys: impl IntoIterator<Item = Sha256Digest>) -> Self {
        Self(Some(keys.into_iter().collect()))
    }

    /// Whether a server with this key is accepted.
    pub fn accept(&self, key: &Sha256Digest) -> bool {
        self.0.as_ref().is_none_or(|pins| pins.contains(key))
    }
}

impl fmt::Display for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_deref() {
            None => f.write_str("any"),
            Some([]) => f.write_str("none"),
            Some([first, rest @ ..]) => {
                write!(f, "{first}")?;
                rest.iter().try_for_each(|pin| write!(f, " or {pin}"))
            }
        }
    }
}
