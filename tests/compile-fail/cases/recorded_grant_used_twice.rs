//! One record lets one sealed key go.

use way::*;

use journal::RecordedGrant;
use release::Embargoed;

fn both([first, second]: [Embargoed; 2], recorded: RecordedGrant) {
    let _first = first.unembargo(recorded);
    let _second = second.unembargo(recorded);
}

fn main() {}
