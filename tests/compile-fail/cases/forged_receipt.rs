//! Only `Receipted::check` says that a release is in the log.

use way::*;

fn main() {
    let _receipted = keys::Receipted {};
}
