//! Nothing but its own record turns an embargoed key into one that can be sent.

use way::*;

use journal::Staged;
use keys::SealedKey;
use release::Embargoed;

fn taken_out(embargoed: Embargoed) -> SealedKey {
    embargoed.0
}

fn converted(embargoed: Embargoed) -> SealedKey {
    embargoed.into()
}

fn staged_but_not_durable(embargoed: Embargoed, staged: Staged) {
    let _ = embargoed.unembargo(staged);
}

fn main() {}
