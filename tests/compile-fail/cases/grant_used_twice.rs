//! One grant is one release, and one leaf in the log.

use way::*;

use claims::Sha256Digest;
use claims::leaf::Salt;
use policy::Grant;

fn both(grant: Grant, sealed: [Sha256Digest; 2], salt: Salt) {
    let _first = journal::stage(grant, sealed[0], salt);
    let _second = journal::stage(grant, sealed[1], salt);
}

fn main() {}
