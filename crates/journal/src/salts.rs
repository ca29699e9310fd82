//! [`Salts`]: the salts of one request's answers, made so that they commit to the claims which were decided on.
//!
//! An entry commits to its salt, and an agent takes the salt from its receipt as it comes. So a salt that is derived
//! from random bytes and the claims binds these without a word in the record, and tells nothing of them to whoever does
//! not have the random bytes. `SPEC.md`, section 3.

use claims::Fields;
use claims::leaf::Salt;

/// The salts of one request's answers.
#[derive(Clone, Copy, Debug)]
pub struct Salts {
    blind: [u8; 32],
    claims: [u8; 32],
}

impl Salts {
    /// `blind` is 32 fresh random bytes, and `claims` the text beside the leaves.
    pub fn new(blind: [u8; 32], claims: &str) -> Self {
        Self { blind, claims: tlog::digest(claims.as_bytes()).0 }
    }

    /// The salt of the answer to this request of the transcript, from 0.
    pub fn salt(&self, index: u32) -> Salt {
        let preimage =
            Fields::labelled("keyfast/1 claims").bytes(&self.blind).u32(index).bytes(&self.claims).finish();
        let mut salt = Salt::default();
        salt.iter_mut().zip(tlog::digest(&preimage).0).for_each(|(byte, hashed)| *byte = hashed);
        salt
    }
}
