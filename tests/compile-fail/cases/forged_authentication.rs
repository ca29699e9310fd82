//! Only `verify::authenticate` says that evidence is genuine.

use way::*;

fn main() {
    let _genuine = verify::Authenticated {};
}
