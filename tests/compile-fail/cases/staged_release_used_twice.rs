//! One staged release becomes one record.

use way::*;

use journal::{SignedGroup, Staged};
use store::Committed;

fn both(staged: Staged, committed: &Committed<SignedGroup>) {
    let _first = journal::confirm(staged, committed);
    let _second = journal::confirm(staged, committed);
}

fn main() {}
