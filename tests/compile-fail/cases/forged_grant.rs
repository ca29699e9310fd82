//! A grant is a policy's decision, never written down.

use way::*;

fn main() {
    let _grant = policy::Grant {};
}
