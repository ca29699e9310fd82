//! The broker's challenge, without state for each guest: a nonce and its expiry, authenticated.
//!
//! A token is 72 bytes: nonce (32), expiry (8, big-endian seconds since 1970), HMAC-SHA256 (32). Every broker with
//! the same [`ChallengeKey`] opens it. That a nonce is spent once is for `store` to see: a token opens as often as
//! it is sent, until it expires.

use claims::{Fields, Nonce, UnixTime};
use crypto::HmacKey;

/// Key for tokens and tickets, the same in all replicas.
pub struct ChallengeKey(pub(crate) HmacKey);

/// A challenge as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// [`Token::LEN`] bytes.
    pub bytes: Vec<u8>,
    /// The last second at which it opens.
    pub expires: UnixTime,
}

/// A nonce of ours that has not expired; spent by `Authenticated::bind`.
#[derive(Debug)]
pub struct Challenge {
    nonce: Nonce,
    expires: UnixTime,
}

/// A token that opens no challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChallengeError {
    /// Not the length of a token.
    #[error("wrong length of the challenge token: expected {expected} bytes, got {got}")]
    Length {
        /// Bytes of a token.
        expected: usize,
        /// Bytes given.
        got: usize,
    },
    /// Made under another key, or altered.
    #[error(
        "the challenge token is not ours: its authentication tag does not match; ask for a new challenge"
    )]
    Forged,
    /// Too old.
    #[error("the challenge has expired: expected a time up to {expires}, got {now}; ask for a new challenge")]
    Expired {
        /// Its last second.
        expires: UnixTime,
        /// The time of opening.
        now: UnixTime,
    },
}

impl Token {
    /// Bytes of a token.
    pub const LEN: usize = 72;

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl ChallengeKey {
    /// Takes 32 random bytes that only the brokers know.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(HmacKey::new(key))
    }

    /// A token for `nonce`, which must be fresh and random, good for `lifetime_s` seconds from `now`.
    pub fn issue(&self, nonce: Nonce, now: UnixTime, lifetime_s: u64) -> Token {
        let expires = now.plus(lifetime_s);
        let tag = self.0.tag(&[&authenticated(nonce, expires)]);
        Token { bytes: [&nonce.0[..], &expires.0.to_be_bytes(), &tag].concat(), expires }
    }

    /// Opens a token at `now`: its length first, then its tag, then its expiry.
    ///
    /// # Errors
    /// Each variant of [`ChallengeError`], for what its name says.
    pub fn open(&self, token: &[u8], now: UnixTime) -> Result<Challenge, ChallengeError> {
        let length = ChallengeError::Length { expected: Token::LEN, got: token.len() };
        let token: &[u8; Token::LEN] = token.try_into().map_err(|_| length)?;
        let (nonce, rest) = token.split_first_chunk::<32>().ok_or(length)?;
        let (expires, tag) = rest.split_first_chunk::<8>().ok_or(length)?;
        let (nonce, expires) = (Nonce(*nonce), UnixTime(u64::from_be_bytes(*expires)));
        self.0.verify(&[&authenticated(nonce, expires)], tag).map_err(|_| ChallengeError::Forged)?;
        if now > expires {
            return Err(ChallengeError::Expired { expires, now });
        }
        Ok(Challenge { nonce, expires })
    }
}

impl Challenge {
    /// The nonce.
    pub fn nonce(&self) -> Nonce {
        self.nonce
    }

    /// The last second at which it may be answered.
    pub fn expires(&self) -> UnixTime {
        self.expires
    }
}

/// What the tag covers.
fn authenticated(nonce: Nonce, expires: UnixTime) -> Vec<u8> {
    Fields::labelled("keyfast/1 challenge").bytes(&nonce.0).u64(expires.0).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_700_000_000);

    fn issued() -> (ChallengeKey, Vec<u8>) {
        let key = ChallengeKey::new(&[7; 32]);
        let token = key.issue(Nonce([9; 32]), NOW, 60);
        (key, token.bytes)
    }

    #[test]
    fn opens_until_its_last_second() {
        let (key, token) = issued();
        let challenge = key.open(&token, NOW.plus(60)).unwrap();
        assert_eq!((challenge.nonce(), challenge.expires()), (Nonce([9; 32]), NOW.plus(60)));
        let (expires, now) = (NOW.plus(60), NOW.plus(61));
        assert_eq!(key.open(&token, now).unwrap_err(), ChallengeError::Expired { expires, now });
    }

    #[test]
    fn no_flipped_bit_opens() {
        let (key, token) = issued();
        for bit in 0..token.len() * 8 {
            let mut altered = token.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(&altered, NOW).unwrap_err(), ChallengeError::Forged, "bit {bit}");
        }
    }

    #[test]
    fn other_lengths_and_other_keys_do_not_open() {
        let (key, token) = issued();
        for got in [0, 71] {
            let error = ChallengeError::Length { expected: 72, got };
            assert_eq!(key.open(&token[..got], NOW).unwrap_err(), error);
        }
        let longer = [&token[..], &[0]].concat();
        assert_eq!(key.open(&longer, NOW).unwrap_err(), ChallengeError::Length { expected: 72, got: 73 });
        assert_eq!(ChallengeKey::new(&[8; 32]).open(&token, NOW).unwrap_err(), ChallengeError::Forged);
    }
}
