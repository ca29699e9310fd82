//! A challenge is opened from a token that the broker's key authenticates, and made in no other way.

use way::*;

fn main() {
    let _challenge = verify::challenge::Challenge {};
}
