//! Every operation across the two back ends: what one makes the other takes, equal inputs give equal outputs, and
//! what is altered is refused with the same error.
//!
//! `each_way.rs` is compiled twice: `here` makes and `there` takes, then the other way about. What only aws-lc has
//! (RSA) is checked against the `rsa` crate in `tests/oracle`, and here against itself.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "."]
mod aws_lc_makes {
    pub use crypto::{aws_lc as here, rust_crypto as there};

    #[path = "each_way.rs"]
    mod each_way;
}

#[expect(clippy::duplicate_mod, reason = "the same tests with the back ends exchanged")]
#[path = "."]
mod rust_crypto_makes {
    pub use crypto::{aws_lc as there, rust_crypto as here};

    #[path = "each_way.rs"]
    mod each_way;
}

mod equal;
mod rsa;

/// `bytes` with one bit turned over; `bit` counts from the first byte's lowest and wraps.
fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    let index = (bit / 8) % bytes.len();
    *flipped.get_mut(index).unwrap() ^= 1 << (bit % 8);
    flipped
}
