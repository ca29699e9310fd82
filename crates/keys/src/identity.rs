//! Who a broker is, to those who pinned it.
//!
//! A pin is the SHA-256 of an offline Ed25519 identity key. That key signs the broker's statement; this checks the
//! signature, for guests and for owners. No date plays a part: a guest has no trusted clock.

use claims::BrokerId;
use crypto::Ed25519PublicKey;

/// Why a statement is not of the broker that was pinned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Another identity signed.
    #[error("the statement is of broker {got}: expected {expected}")]
    NotPinned {
        /// The pin, the first if there are two.
        expected: BrokerId,
        /// The broker that the identity key stands for.
        got: BrokerId,
    },
    /// The signature is not by the identity key, or the key is none.
    #[error("the statement is not signed by its identity key")]
    Signature,
}

/// Checks that `message` is signed by an identity key that is pinned, and returns whose it is.
///
/// # Errors
/// [`IdentityError::NotPinned`] if the key's hash is none of `pins`; [`IdentityError::Signature`] otherwise.
pub fn verify_identity(
    pins: &[BrokerId],
    key: &[u8; 32],
    message: &[u8],
    signature: &[u8; 64],
) -> Result<BrokerId, IdentityError> {
    let got = BrokerId(crypto::sha256(&[key]));
    if !pins.contains(&got) {
        let expected = pins.first().copied().unwrap_or(BrokerId([0; 32]));
        return Err(IdentityError::NotPinned { expected, got });
    }
    let key = Ed25519PublicKey::from_bytes(key).map_err(|_| IdentityError::Signature)?;
    key.verify(message, signature).map_err(|_| IdentityError::Signature)?;
    Ok(got)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::Ed25519SigningKey;

    #[test]
    fn only_the_pinned_key_speaks_for_a_broker() {
        let (ours, other) = (
            Ed25519SigningKey::from_seed(&[1; 32]).unwrap(),
            Ed25519SigningKey::from_seed(&[2; 32]).unwrap(),
        );
        let pin = BrokerId(crypto::sha256(&[&ours.public()]));
        let got = BrokerId(crypto::sha256(&[&other.public()]));
        assert_eq!(verify_identity(&[pin], &ours.public(), b"m", &ours.sign(b"m")), Ok(pin));
        assert_eq!(verify_identity(&[got, pin], &ours.public(), b"m", &ours.sign(b"m")), Ok(pin));
        assert_eq!(
            verify_identity(&[pin], &other.public(), b"m", &other.sign(b"m")),
            Err(IdentityError::NotPinned { expected: pin, got })
        );
        let signature = IdentityError::Signature;
        assert_eq!(verify_identity(&[pin], &ours.public(), b"m", &other.sign(b"m")), Err(signature.clone()));
        assert_eq!(verify_identity(&[pin], &ours.public(), b"n", &ours.sign(b"m")), Err(signature));
    }
}
