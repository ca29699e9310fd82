//! A recorded grant comes from the journal, and a commit from the store.

use way::*;

fn main() {
    let _staged = journal::Staged {};
    let _recorded = journal::RecordedGrant {};
    let _committed = store::Committed::<()> {};
}
