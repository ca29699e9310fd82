//! [`SecretBytes`]: bytes that are wiped when dropped.

use core::fmt;

use zeroize::Zeroize;

/// Secret bytes on the heap, wiped when dropped.
///
/// No `Clone`, no `PartialEq`: a second copy and a comparison that leaks its timing are both to be asked for by
/// name (`crypto::ct_eq`). `Debug` prints the length.
pub struct SecretBytes(Box<[u8]>);

impl SecretBytes {
    /// Takes over `bytes`. If the vector has spare room, it is copied once and the old place wiped.
    pub fn from_vec(mut bytes: Vec<u8>) -> Self {
        if bytes.capacity() == bytes.len() {
            return Self(bytes.into_boxed_slice());
        }
        let exact = Box::from(bytes.as_slice());
        bytes.zeroize();
        Self(exact)
    }

    /// Copies `bytes` and wipes the original.
    pub fn take(bytes: &mut [u8]) -> Self {
        let taken = Box::from(&*bytes);
        bytes.zeroize();
        Self(taken)
    }

    /// `len` bytes that `fill` writes in place.
    ///
    /// # Errors
    /// Whatever `fill` returns; what it wrote so far is wiped.
    pub fn try_fill<E>(len: usize, fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut secret = Self(vec![0; len].into_boxed_slice());
        fill(&mut secret.0)?;
        Ok(secret)
    }

    /// The bytes, for as long as they are needed and no longer.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_byte() {
        assert_eq!(format!("{:?}", SecretBytes::from_vec(b"hunter2".to_vec())), "SecretBytes(7 bytes)");
    }

    #[test]
    fn taking_wipes_the_original() {
        let mut original = *b"hunter2";
        assert_eq!(SecretBytes::take(&mut original).expose(), b"hunter2");
        assert_eq!(original, [0; 7]);
    }

    #[test]
    fn a_failed_fill_returns_its_error() {
        assert_eq!(SecretBytes::try_fill(4, |_| Err("no")).unwrap_err(), "no");
    }
}
