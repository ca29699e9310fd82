//! A guest opens nothing that it has not found in the broker's log.

use way::*;

use keys::{Answer, RecipientSecret, SealedKey};

fn from_the_answer(secret: RecipientSecret, answers: Vec<Answer>) {
    let _ = keys::open(secret, answers);
}

fn from_the_sealed_key(secret: RecipientSecret, sealed: SealedKey) {
    let _ = keys::open(secret, sealed);
}

fn main() {}
